//! What the world answers to calls, and what the run is started with.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{Failure, FailureClass, InvalidId, Outcome};
use serde_json::Value;
use workflow::yaml::{Node, Object, suggest};
use workflow::{Diagnostic, Input, Manifest, Rule, Step};

use crate::rehearsal::file::{Mock, Reply};

pub(super) const CLASSES: &str =
    "timeout, connect, dns, tls, reset, auth, rejected, response, http_429, http_503, ...";

/// What another playbook would call this one with.
pub(super) fn given_inputs(node: &Node<'_>, inputs: &BTreeMap<String, Input>) -> Option<Arc<Value>> {
    let entries = node.any_object()?.node().entries();
    for (name, node) in &entries {
        let Some(input) = inputs.get(*name) else {
            let message = format!("the playbook has no input `{name}`");
            let finding = Diagnostic::new(Rule::UNKNOWN_INPUT, node.key_at(), message);
            node.report(finding.help(suggest(name, inputs.keys().map(String::as_str))));
            continue;
        };
        if let Err(message) = input.check(node.value()) {
            let message = format!("the input `{name}` {message}");
            node.report(Diagnostic::new(Rule::WRONG_INPUT, node.at(), message));
        }
    }
    let mut given = node.value().as_object()?.clone();
    for (name, input) in inputs.iter().filter(|(name, _)| !entries.iter().any(|(given, _)| given == name)) {
        match &input.default {
            Some(default) => drop(given.insert(name.clone(), default.clone())),
            None if input.is_required => {
                let message = format!("the playbook needs the input `{name}`");
                node.report(Diagnostic::new(Rule::MISSING_INPUT, node.key_at(), message));
            }
            None => {}
        }
    }
    Some(Arc::new(Value::Object(given)))
}

pub(super) fn mock(node: &Node<'_>, step: &Step) -> Option<Mock> {
    if node.value().get("items").is_none() {
        return replies(node, step);
    }
    let items = node.object(&["items"])?.require("items")?;
    if step.each.is_none() {
        let message = format!("`{}` has no `foreach`, so there are no items to answer one by one", step.id);
        node.report(Diagnostic::new(Rule::WRONG_KEY, items.key_at(), message));
    }
    let mocks: Vec<Option<Mock>> = items.list()?.iter().map(|node| replies(node, step)).collect();
    mocks.into_iter().collect::<Option<_>>().map(Mock::Items)
}

fn replies(node: &Node<'_>, step: &Step) -> Option<Mock> {
    if !node.value().is_array() {
        return reply(node, step).map(Mock::Always);
    }
    let replies: Vec<Option<Reply>> = node.list()?.iter().map(|node| reply(node, step)).collect();
    replies.into_iter().collect::<Option<_>>().map(Mock::Successive)
}

fn reply(node: &Node<'_>, step: &Step) -> Option<Reply> {
    let object = node.object(&["output", "fail", "unknown", "takes", "verify"])?;
    let takes = object.get("takes");
    let outcome = outcome(&object, step);
    let duration = takes.as_ref().and_then(|node| node.duration()).unwrap_or_default();
    if let Some(node) = takes.filter(|_| duration > step.timeout && step.callee().is_none()) {
        let timeout = expr::duration::display(step.timeout);
        let message = format!("a call of `{}` takes {timeout} at most: that is its `timeout`", step.id);
        let help = "write what becomes of it then: fail or unknown, with class timeout";
        node.report(Diagnostic::new(Rule::WRONG_VALUE, node.at(), message).help(help));
    }
    let looks = object.get("verify").and_then(|node| looks(&node, step)).unwrap_or_default();
    Some(Reply { outcome: outcome?, takes: duration, looks })
}

/// What the node gives that looks whether the step happened.
fn looks(node: &Node<'_>, step: &Step) -> Option<Vec<Arc<Value>>> {
    let Some(look) = &step.verify else {
        let message = format!("nobody looks whether `{}` happened", step.id);
        node.report(Diagnostic::new(Rule::WRONG_KEY, node.key_at(), message));
        return None;
    };
    let seen = if node.value().is_array() { node.list()? } else { vec![node.clone()] };
    for seen in &seen {
        check_fields(seen, &look.node, step)?;
    }
    Some(seen.iter().map(|seen| Arc::new(seen.value().clone())).collect())
}

fn outcome(object: &Object<'_>, step: &Step) -> Option<Outcome> {
    match (object.get("output"), object.get("fail"), object.get("unknown")) {
        (Some(output), None, None) => {
            check_fields(&output, &step.node, step)?;
            Some(Outcome::Succeeded(Arc::new(output.value().clone())))
        }
        (None, Some(fail), None) => failure(&fail).map(Outcome::Failed),
        (None, None, Some(unknown)) => failure(&unknown).map(Outcome::Unknown),
        _ => {
            let message = "a mock has exactly one of `output`, `fail` and `unknown`";
            let node = object.node();
            node.report(Diagnostic::new(Rule::WRONG_VALUE, node.at(), message));
            None
        }
    }
}

/// A mock that gives what the node never gives would prove nothing.
fn check_fields(output: &Node<'_>, given_by: &Manifest, step: &Step) -> Option<()> {
    let Some(fields) = given_by.output_fields() else {
        return Some(());
    };
    for (name, node) in output.entries().into_iter().filter(|(name, _)| !fields.contains(name)) {
        let message = format!("the output of `{}` ({}) has no field `{name}`", step.id, given_by.name);
        let finding = Diagnostic::new(Rule::UNKNOWN_FIELD, node.key_at(), message);
        node.report(finding.help(suggest(name, fields.iter().copied())));
    }
    output.value().is_object().then_some(())
}

fn failure(node: &Node<'_>) -> Option<Failure> {
    let object = node.object(&["class", "message", "help", "retry_after"])?;
    let class = object.require("class").and_then(|node| class(&node));
    let message = object.require("message").and_then(|node| node.string());
    let mut failure = Failure::new(class?, message?);
    failure.help = object.get("help").and_then(|node| node.string()).map(str::to_owned);
    let retry_after = object.get("retry_after").and_then(|node| node.duration());
    failure.retry_after_ms = retry_after.and_then(|wait| u64::try_from(wait.as_millis()).ok());
    Some(failure)
}

pub(super) fn class(node: &Node<'_>) -> Option<FailureClass> {
    let class = node.string()?.parse();
    let report = |error: InvalidId| {
        node.report(Diagnostic::new(Rule::WRONG_VALUE, node.at(), error.to_string()).help(CLASSES));
    };
    class.map_err(report).ok()
}
