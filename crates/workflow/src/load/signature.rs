//! What a playbook shows to those that call it.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::diagnostic::Diagnostic;
use crate::manifest::Input;
use crate::rule::Rule;
use crate::workflow::Workflow;
use crate::yaml::{Document, Node, suggest};

/// What a playbook shows to those that call it.
#[derive(Debug, Clone, PartialEq)]
pub struct Signature {
    /// Its name.
    pub name: String,
    /// What it takes; none: it is started by its triggers, and nobody calls it.
    pub inputs: Option<BTreeMap<String, Input>>,
    /// What it gives.
    pub outputs: Vec<String>,
    /// The playbooks that it calls itself.
    pub calls: Vec<String>,
}

impl Signature {
    /// Reads it from a document, whatever else may be wrong with that.
    pub(super) fn read(document: &Document) -> Option<Signature> {
        let root = document.root().any_object()?;
        let keys = |key: &str| root.get(key).map(|node| node.entries()).unwrap_or_default();
        let steps = ["steps", "on_failure"].into_iter().filter_map(|key| root.get(key)?.value().as_array());
        let callee = |step: &Value| {
            let is_call = step.get("uses")?.as_str()? == "workflow";
            is_call.then(|| step.pointer("/with/workflow")?.as_str().map(str::to_owned))?
        };
        Some(Signature {
            name: root.get("workflow")?.value().as_str()?.to_owned(),
            inputs: root.get("inputs").map(|node| read_parameters(&node)),
            outputs: keys("outputs").iter().map(|(name, _)| (*name).to_owned()).collect(),
            calls: steps.flatten().filter_map(callee).collect(),
        })
    }
}

/// Reads `inputs:` of a playbook.
pub(super) fn read_parameters(node: &Node<'_>) -> BTreeMap<String, Input> {
    let entries = node.entries().into_iter();
    entries.filter_map(|(name, node)| Some((name.to_owned(), Input::read(&node)?))).collect()
}

/// Checks the calls of a playbook against what the others show.
pub(super) fn check_calls(nodes: &[Node<'_>], workflow: &Workflow, known: &BTreeMap<String, Signature>) {
    for (node, step) in nodes.iter().zip(&workflow.steps) {
        let Some(callee) = step.callee() else { continue };
        let at = node.below("/with/workflow").at();
        let Some(signature) = known.get(callee) else {
            let message = format!("there is no playbook `{callee}` beside this one");
            let callable =
                known.values().filter(|other| other.inputs.is_some()).map(|other| other.name.as_str());
            node.report(Diagnostic::new(Rule::UNKNOWN_WORKFLOW, at, message).help(suggest(callee, callable)));
            continue;
        };
        if let Some(path) = way_back(callee, &workflow.name, known) {
            let message = format!("this playbook would call itself: {}", path.join(" calls "));
            node.report(
                Diagnostic::new(Rule::RECURSION, at.clone(), message).help("remove one of these calls"),
            );
        }
        match &signature.inputs {
            Some(inputs) => check_call(node, callee, inputs),
            None => {
                let message = format!("`{callee}` is started by its triggers, and cannot be called");
                let help = format!("give `{callee}` an `inputs:` instead of `triggers:`");
                node.report(Diagnostic::new(Rule::UNKNOWN_WORKFLOW, at, message).help(help));
            }
        }
    }
}

fn check_call(node: &Node<'_>, callee: &str, inputs: &BTreeMap<String, Input>) {
    let with = node.below("/with");
    let given_node = with.any_object().and_then(|with| with.get("inputs"));
    let given = match &given_node {
        None => Vec::new(),
        Some(given) if given.value().is_object() => given.entries(),
        // One expression gives them all: what is in it is known when the step is performed.
        Some(_) => return,
    };
    for (name, value) in &given {
        let Some(input) = inputs.get(*name) else {
            let message = format!("the playbook `{callee}` has no input `{name}`");
            let help = suggest(name, inputs.keys().map(String::as_str));
            node.report(Diagnostic::new(Rule::UNKNOWN_INPUT, value.key_at(), message).help(help));
            continue;
        };
        let is_literal = !value.value().to_string().contains("{{");
        if let Some(Err(message)) = is_literal.then(|| input.check(value.value())) {
            let message = format!("the input `{name}` of `{callee}` {message}");
            node.report(Diagnostic::new(Rule::WRONG_INPUT, value.at(), message));
        }
    }
    let is_missing = |name: &&String| !given.iter().any(|(given, _)| given == *name);
    for (name, input) in inputs.iter().filter(|(name, _)| is_missing(name)) {
        if input.is_required && input.default.is_none() {
            let what = if input.summary.is_empty() { input.kind.as_str() } else { &input.summary };
            let message = format!("the playbook `{callee}` needs the input `{name}`: {what}");
            let at = given_node.as_ref().unwrap_or(&with).key_at();
            node.report(Diagnostic::new(Rule::MISSING_INPUT, at, message));
        }
    }
}

/// The calls that lead from one playbook to another, both named; none: there is no such way.
fn way_back(from: &str, to: &str, known: &BTreeMap<String, Signature>) -> Option<Vec<String>> {
    let mut ways = vec![vec![to.to_owned(), from.to_owned()]];
    let mut seen = vec![from.to_owned()];
    while let Some(way) = ways.pop() {
        let last = way.last()?;
        if last == to {
            return Some(way);
        }
        for next in known.get(last).into_iter().flat_map(|signature| &signature.calls) {
            if next == to || !seen.contains(next) {
                seen.push(next.clone());
                ways.push(way.iter().chain([next]).cloned().collect());
            }
        }
    }
    None
}
