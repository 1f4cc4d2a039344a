//! The data that the expressions of a run read.

use std::sync::Arc;

use expr::Scope;
use model::{Record, RunId, StepStatus, Trigger};
use serde_json::{Value, json};
use workflow::Workflow;

use crate::input::Start;

/// What can be read before a run exists: `when` and the keys of `dedupe` and `concurrency`.
pub fn start_scope(workflow: &Workflow, start: &Start) -> Scope {
    let mut scope = Scope::new(json!({ "trigger": trigger(&start.trigger) }));
    scope.share(&[data_root(workflow)], start.alert.clone());
    scope
}

/// The root under which a run reads what it was started with.
fn data_root(workflow: &Workflow) -> &'static str {
    if workflow.inputs.is_some() { "inputs" } else { "alert" }
}

/// The roots of a run that has not started.
pub(crate) fn empty(workflow: &Workflow) -> Scope {
    let mut scope = Scope::new(
        json!({ "vars": workflow.vars, "status": {}, "steps": {}, "errors": {}, "approvals": {} }),
    );
    let pending: Arc<Value> = Arc::new(StepStatus::Pending.as_str().into());
    for step in &workflow.steps {
        scope.share(&["status", step.id.as_str()], pending.clone());
    }
    scope
}

pub(crate) fn begin(
    scope: &mut Scope,
    run: RunId,
    workflow: &Workflow,
    of: &Trigger,
    alert: &Arc<Value>,
    record: &Record,
) {
    scope.share(&[data_root(workflow)], alert.clone());
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
