//! The data that the expressions of a run read.

use std::sync::Arc;

use expr::Scope;
use model::{Record, RunId, StepStatus, Trigger};
use serde_json::{Map, Value, json};
use workflow::Workflow;

use crate::input::Start;

/// What can be read before a run exists: `when` and the key of `dedupe`.
pub fn start_scope(start: &Start) -> Scope {
    Scope::new(json!({ "alert": *start.alert, "trigger": trigger(&start.trigger) }))
}

/// The roots of a run that has not started.
pub(crate) fn empty(workflow: &Workflow) -> Scope {
    let pending =
        workflow.steps.iter().map(|step| (step.id.to_string(), StepStatus::Pending.as_str().into()));
    Scope::new(json!({
        "vars": workflow.vars,
        "status": pending.collect::<Map<String, Value>>(),
        "steps": {},
        "errors": {},
        "approvals": {},
    }))
}

pub(crate) fn begin(
    scope: &mut Scope,
    run: RunId,
    workflow: &Workflow,
    of: &Trigger,
    alert: &Arc<Value>,
    record: &Record,
) {
    scope.set(&["alert"], alert.as_ref().clone());
    scope.set(&["trigger"], trigger(of));
    scope.set(&["run"], json!({ "id": run, "workflow": workflow.name, "started_at": record.at }));
}

fn trigger(trigger: &Trigger) -> Value {
    json!({
        "kind": trigger.kind,
        "received_at": trigger.received_at,
        "headers": trigger.headers,
        "query": trigger.query,
    })
}
