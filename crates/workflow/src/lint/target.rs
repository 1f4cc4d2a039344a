//! What can be known before a run: targets that can be empty, and gates that nobody stands at.

use expr::{Condition, Scope, ValueTemplate};
use serde_json::{Map, Value, json};

use crate::diagnostic::Diagnostic;
use crate::manifest::{Effect, EngineNode};
use crate::rule::Rule;
use crate::workflow::Workflow;
use crate::yaml::Node;

/// Whether a condition holds whatever the alert is.
pub(super) fn always_holds(workflow: &Workflow, condition: &Condition) -> bool {
    condition.holds(&constants(workflow)) == Ok(true)
}

/// What is the same in every run: variables, and `set` steps that compute with nothing else. The rest is not there, so an
/// expression that depends on it gives no value.
fn constants(workflow: &Workflow) -> Scope {
    let mut scope = Scope::new(json!({ "vars": workflow.vars }));
    for step in workflow.graph.order().iter().filter_map(|index| workflow.steps.get(*index)) {
        if step.node.engine_node() != Some(EngineNode::Set) || step.each.is_some() || step.condition.is_some()
        {
            continue;
        }
        let values = step.inputs.iter().map(|(name, values)| Some((name.clone(), values.eval(&scope).ok()?)));
        if let Some(values) = values.collect::<Option<Map<String, Value>>>() {
            scope.set(&["steps", step.id.as_str()], Value::Object(values));
        }
    }
    scope
}

pub(super) fn check(nodes: &[Node<'_>], workflow: &Workflow) {
    if !workflow.steps.iter().any(|step| step.effect == Effect::Disrupt) {
        return;
    }
    let scope = without_alert(workflow);
    for (node, step) in nodes.iter().zip(&workflow.steps).filter(|(_, step)| step.effect == Effect::Disrupt) {
        let names = step.node.target.iter().flat_map(|target| target.references());
        for name in names.filter(|name| name.root() == "inputs").filter_map(|name| name.path.get(1)) {
            let Some(values) = step.inputs.get(name) else { continue };
            let is_checked = match (values, step.node.inputs.get(name)) {
                (ValueTemplate::Literal(value), Some(input)) => input.check(value).is_err(),
                _ => false,
            };
            if !is_checked && values.eval(&scope).as_ref().is_ok_and(is_empty) {
                let message = format!("the target of `{}` can be empty: `{name}` is a part of it", step.id);
                let help = "leave the fallback out, or skip the step with `if` where the target is missing";
                let at = node.below(&format!("/with/{name}")).at();
                node.report(Diagnostic::new(Rule::EMPTY_TARGET, at, message).help(help));
            }
        }
    }
}

/// What expressions see when an alert has nothing in it: variables, and what `set` steps make of nothing.
fn without_alert(workflow: &Workflow) -> Scope {
    let mut scope = Scope::new(json!({ "alert": {}, "inputs": {}, "vars": workflow.vars, "steps": {} }));
    for index in workflow.graph.order() {
        let Some(step) = workflow.steps.get(*index) else { continue };
        if step.node.engine_node() != Some(EngineNode::Set) || step.each.is_some() {
            continue;
        }
        for (name, values) in &step.inputs {
            if let Ok(value) = values.eval(&scope) {
                scope.set(&["steps", step.id.as_str(), name], value);
            }
        }
    }
    scope
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(entries) => entries.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}
