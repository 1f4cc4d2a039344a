//! Nodes that compute: `jq` and `script`. They read nothing but their inputs, and give the same for the same.
//!
//! Programs come from people, and what they read from attackers. Neither interpreter can be trusted to stay within time,
//! memory and stack: jq recurses until the stack is gone, and QuickJS is C. So each call is a process of its own, which is
//! this program once more: it gets the inputs over a socket, has no environment, may open nothing, and dies at its limits.

mod child;
mod jq;
mod sandbox;
mod script;

use std::time::{Duration, Instant};

use model::{Failure, FailureClass, Outcome};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use workflow::{Action, Manifest, NativeNode};

use crate::request::check_inputs;

pub use child::{CHILD, run_child};
pub use sandbox::compute_with;

/// The most bytes of a result, as JSON.
const LARGEST_RESULT: usize = 2 * 1024 * 1024;
/// The longest message that a program may leave.
const LONGEST_MESSAGE: usize = 300;

/// Performs a node that only computes; none where the node does anything else. It blocks, for no longer than `timeout`.
pub fn perform_pure(manifest: &Manifest, inputs: &Value, timeout: Duration) -> Option<Outcome> {
    let Action::Native(native) = manifest.action else { return None };
    let task = Task::new(native, manifest, inputs);
    Some(task.map_or_else(Outcome::Failed, |task| task.perform(Instant::now() + timeout, timeout)))
}

/// A program together with all that it reads.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Task {
    Jq { filter: String, data: Value, vars: Map<String, Value> },
    Script { code: String, data: Value },
}

/// What the process that computed says.
#[derive(Debug, Serialize, Deserialize)]
enum Reply {
    Result(Value),
    Failed(Refusal),
}

/// Why there is no result: what happened, and what to do.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Refusal {
    message: String,
    help: Option<String>,
}

impl Task {
    /// Takes the inputs of a node, once they are what its description says.
    pub(crate) fn new(native: NativeNode, manifest: &Manifest, inputs: &Value) -> Result<Task, Failure> {
        let mut inputs = check_inputs(&manifest.inputs, inputs)?;
        let mut take = |name: &str| inputs.get_mut(name).map_or(Value::Null, Value::take);
        let code = take(native.code_input()).as_str().unwrap_or_default().to_owned();
        let data = take("data");
        Ok(match native {
            NativeNode::Script => Task::Script { code, data },
            NativeNode::Jq => {
                let vars = take("vars").as_object().cloned().unwrap_or_default();
                Task::Jq { filter: code, data, vars }
            }
        })
    }

    /// Computes it until `deadline`, which ends a time of `timeout`. Whatever goes wrong, nothing has happened.
    pub(crate) fn perform(&self, deadline: Instant, timeout: Duration) -> Outcome {
        let result = sandbox::run(self, deadline, timeout).and_then(|result| {
            if model::is_deeper_than(&result, model::DEEPEST_FROM_OUTSIDE) {
                let message =
                    format!("the result stands more than {} levels deep", model::DEEPEST_FROM_OUTSIDE);
                return Err(Failure::new(FailureClass::Input, message));
            }
            Ok(result)
        });
        match result {
            Ok(result) => Outcome::Succeeded(json!({ "result": result }).into()),
            Err(failure) => Outcome::Failed(failure),
        }
    }

    /// What a person calls the program.
    fn noun(&self) -> &'static str {
        match self {
            Task::Jq { .. } => "filter",
            Task::Script { .. } => "script",
        }
    }
}

impl Refusal {
    fn new(message: impl Into<String>) -> Refusal {
        Refusal { message: message.into(), help: None }
    }

    fn help(self, help: impl Into<String>) -> Refusal {
        Refusal { help: Some(help.into()), ..self }
    }
}

/// The result of a program, from what it wrote.
fn read_result(text: &str) -> Result<Value, Refusal> {
    if text.len() > LARGEST_RESULT {
        return Err(Refusal::new(format!("the result has more than {LARGEST_RESULT} bytes as JSON")));
    }
    serde_json::from_str(text).map_err(|error| {
        Refusal::new(format!("the result is no JSON that can be kept ({error}): {}", shorten(text)))
    })
}

/// Text of a program for a message, on one line and not too long.
fn shorten(text: &str) -> String {
    let line: String =
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LONGEST_MESSAGE).collect();
    if line.len() < text.len() { format!("{line}...") } else { line }
}

#[cfg(test)]
mod tests;
