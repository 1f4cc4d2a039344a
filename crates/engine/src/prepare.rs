//! Fixing what a step is performed with, and what people are asked.
//!
//! Inputs are rendered once. What people approve is what is sent, because both are the same value.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use expr::Scope;
use model::{ApprovalRequest, Asked, Digest, Timestamp};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use workflow::{Approval, Step};

use crate::state::Prepared;

const LONGEST_QUESTION: usize = 2000;
/// How long the operator's guardrails wait for an answer where the step says nothing.
const GUARDRAIL_QUESTION: Duration = Duration::from_secs(3600);
pub(crate) const LARGEST_VALUE: usize = 2 * 1024 * 1024;
const DEEPEST_VALUE: usize = 96;

/// The inputs and the target of a step.
pub(crate) fn step(step: &Step, scope: &Scope) -> Result<Prepared, String> {
    let inputs: Arc<Value> = inputs(step, scope)?.into();
    let target = match &step.node.target {
        None => None,
        Some(template) => {
            let mut scope = Scope::default();
            scope.share(&["inputs"], inputs.clone());
            for reference in template.references() {
                let path: Vec<&str> = reference.path.iter().map(String::as_str).collect();
                if scope.get(&path).is_some_and(is_empty) {
                    return Err(format!(
                        "`{}` is empty, so nobody can say what this acts on",
                        reference.text()
                    ));
                }
            }
            Some(template.eval_text(&scope).map_err(|error| error.message)?)
        }
    };
    Ok(Prepared { inputs, target })
}

/// The inputs of a step, each of the kind that its node declares.
pub(crate) fn inputs(step: &Step, scope: &Scope) -> Result<Value, String> {
    let mut inputs = Map::new();
    for (name, values) in &step.inputs {
        let mut value =
            values.eval(scope).map_err(|error| format!("the input `{name}`: {}", error.message))?;
        if let Some(input) = step.node.inputs.get(name) {
            value = input.take(value).map_err(|message| format!("the input `{name}` {message}"))?;
        }
        inputs.insert(name.clone(), value);
    }
    let inputs = Value::Object(inputs);
    check_size(&inputs).map_err(|message| format!("what goes into the step {message}"))?;
    Ok(inputs)
}

/// What a step calls another playbook with.
pub(crate) fn call(step: &Step, scope: &Scope) -> Result<Value, String> {
    let inputs = inputs(step, scope)?;
    Ok(inputs.get("inputs").cloned().unwrap_or_else(|| json!({})))
}

/// How long a `delay` waits.
pub(crate) fn delay(step: &Step, scope: &Scope) -> Result<Duration, String> {
    let inputs = inputs(step, scope)?;
    let text = inputs.get("for").and_then(Value::as_str).ok_or("the input `for` is missing")?;
    expr::duration::parse(text)
}

/// What people are asked, bound to the inputs of the step behind the gate.
pub(crate) fn request(
    step: &Step,
    approval: &Approval,
    prepared: Option<Prepared>,
    scope: &Scope,
    now: Timestamp,
) -> Result<ApprovalRequest, String> {
    let ask = approval.ask.eval_text(scope).map_err(|error| format!("`ask`: {}", error.message))?;
    let ask: String = ask.chars().take(LONGEST_QUESTION).collect();
    let shown = approval.show.iter().map(|path| {
        let segments: Vec<&str> = path.iter().map(String::as_str).collect();
        (path.join("."), scope.get(&segments).cloned().unwrap_or(Value::Null))
    });
    let show: BTreeMap<String, Value> = shown.collect();
    let request = bind(step, ask, show, prepared, approval.from.clone(), approval.reason_required);
    Ok(ApprovalRequest { expires_at: approval.expires.map(|expires| now.after(expires)), ..request })
}

/// A question, bound to what is performed if it is answered with yes.
fn bind(
    step: &Step,
    ask: String,
    show: BTreeMap<String, Value>,
    prepared: Option<Prepared>,
    from: Asked,
    reason_required: bool,
) -> ApprovalRequest {
    let (inputs, target) = prepared.map_or((None, None), |prepared| (Some(prepared.inputs), prepared.target));
    let bound = json!({
        "node": step.node.name,
        "description": step.node.digest,
        "connection": step.connection,
        "inputs": inputs,
        "target": target,
        "ask": ask,
    });
    ApprovalRequest {
        digest: Digest::from_bytes(Sha256::digest(bound.to_string()).into()),
        ask,
        show,
        inputs,
        target,
        from,
        reason_required,
        expires_at: None,
        guardrail: None,
    }
}

/// What people are asked where the question of the playbook cannot be rendered: that they are asked is what counts.
pub(crate) fn plain_request(
    step: &Step,
    approval: &Approval,
    prepared: Prepared,
    target: &str,
) -> ApprovalRequest {
    let ask = format!("Undo what holds {target} with {}?", step.node.name);
    bind(step, ask, BTreeMap::new(), Some(prepared), approval.from.clone(), approval.reason_required)
}

/// What people are asked because of the operator's guardrails.
pub(crate) fn guardrail_request(
    step: &Step,
    prepared: Prepared,
    why: String,
    from: Asked,
    expires: Option<Duration>,
    now: Timestamp,
) -> ApprovalRequest {
    let target = prepared.target.as_deref().unwrap_or("something");
    let ask = format!("{why}. Perform {} on {target} all the same?", step.node.name);
    let ask = ask.chars().take(LONGEST_QUESTION).collect();
    let request = bind(step, ask, BTreeMap::new(), Some(prepared), from, true);
    let expires_at = Some(now.after(expires.unwrap_or(GUARDRAIL_QUESTION)));
    ApprovalRequest { guardrail: Some(why), expires_at, ..request }
}

/// Whether a value can be kept: deeper than the journal can read back it must not be, nor larger than a run can carry.
pub(crate) fn check_size(value: &Value) -> Result<(), String> {
    let mut size = 0;
    if !measure(value, 0, &mut size) {
        return Err(format!("stands more than {DEEPEST_VALUE} levels deep"));
    }
    if size > LARGEST_VALUE {
        return Err(format!("has more than {LARGEST_VALUE} bytes as JSON"));
    }
    Ok(())
}

/// The bytes of a value as JSON, or a little more.
pub fn size(value: &Value) -> usize {
    let mut size = 0;
    // What stands too deep was refused before it came here.
    measure(value, 0, &mut size);
    size
}

/// Adds what a value takes as JSON, as far as it does not stand too deep; gives whether none of it does.
fn measure(value: &Value, depth: usize, size: &mut usize) -> bool {
    if depth > DEEPEST_VALUE {
        return false;
    }
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => {
            *size += 24;
            true
        }
        Value::String(text) => {
            *size += encoded_length(text);
            true
        }
        Value::Array(list) => {
            *size += 2;
            list.iter().all(|item| measure(item, depth + 1, size))
        }
        Value::Object(object) => {
            *size += 2;
            object.iter().all(|(key, item)| {
                *size += encoded_length(key);
                measure(item, depth + 1, size)
            })
        }
    }
}

/// The bytes of a text as JSON; a control character takes six.
fn encoded_length(text: &str) -> usize {
    text.len() + 3 + 5 * text.bytes().filter(u8::is_ascii_control).count()
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(object) => object.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}
