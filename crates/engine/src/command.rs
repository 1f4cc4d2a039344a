//! What the world owes a run.

use std::sync::Arc;
use std::time::Duration;

use model::{Parent, RunId, StepKey, Timestamp};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use workflow::Manifest;

/// A call to be made. It is derived from the run's state and never stored.
#[derive(Debug, Clone)]
pub struct Command {
    /// Which step.
    pub step: StepKey,
    /// Which attempt.
    pub attempt: u32,
    /// Which look, where it is one whether the attempt happened; none: it is the attempt.
    pub look: Option<u32>,
    /// The node to perform.
    pub node: Arc<Manifest>,
    /// The name of the connection.
    pub connection: Option<String>,
    /// The rendered inputs.
    pub inputs: Arc<Value>,
    /// The run that makes it.
    pub run: RunId,
    /// When that run started.
    pub started_at: Timestamp,
    /// The node that looks afterwards whether it happened: where it cannot work, nothing is to be sent.
    pub verify: Option<Arc<Manifest>>,
    /// How long the call may take.
    pub timeout: Duration,
    /// Whether it takes something away from somebody; to undo that does not.
    pub is_disruption: bool,
    /// Whether the intent, and with it everything before it, has to be on disk before anything is sent: the call leaves
    /// a trace in the world, and a run that has forgotten it would leave another.
    pub needs_durable_intent: bool,
}

/// Which call of a run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CallId {
    /// Which step.
    pub step: StepKey,
    /// Which attempt.
    pub attempt: u32,
    /// Which look, where it is one.
    pub look: Option<u32>,
}

impl Command {
    /// Which call of its run it is.
    pub fn id(&self) -> CallId {
        CallId { step: self.step.clone(), attempt: self.attempt, look: self.look }
    }

    /// What the call can say of itself: `key`, `run`, `step` and `started_at`. The key is the same for each attempt, and
    /// for no other call.
    pub fn call(&self) -> Value {
        call_root(self.run, &self.step, self.started_at)
    }
}

pub(crate) fn call_root(run: RunId, step: &StepKey, started_at: Timestamp) -> Value {
    let step = step.to_string();
    let mut hash = Sha256::new();
    hash.update(run.as_bytes());
    hash.update(&step);
    let half = hash.finalize().first_chunk().map_or(0, |half| u128::from_be_bytes(*half));
    let key = format!("{half:032x}");
    let call =
        [("key", key), ("run", run.to_string()), ("step", step), ("started_at", started_at.to_string())];
    call.into_iter().map(|(name, text)| (name.to_owned(), Value::String(text))).collect()
}

/// A run that performs a step of another. It is derived from that run's state; whoever drives it makes the run if it is
/// not there yet, and tells its end with [`crate::Input::ChildEnded`].
#[derive(Debug, Clone)]
pub struct Child {
    /// The step that called it.
    pub parent: Parent,
    /// Whether its outputs are still wanted: the run that called it was not cancelled and did not take too long.
    pub is_wanted: bool,
    /// The run.
    pub run: RunId,
    /// The workflow that it executes.
    pub workflow: String,
    /// What it is called with.
    pub inputs: Arc<Value>,
}
