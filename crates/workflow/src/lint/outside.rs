//! Text from outside that stands in a URL or a command as it came.

use std::collections::BTreeSet;

use expr::{Leaf, Reference};

use crate::diagnostic::Diagnostic;
use crate::manifest::{Action, EngineNode, InputKind, Manifest};
use crate::rule::Rule;
use crate::workflow::{Step, Workflow};
use crate::yaml::Node;

/// Helpers and blocks behind which nothing is left that a URL or a shell could understand.
const HARMLESS: [&str; 16] = [
    "and",
    "base64url",
    "eq",
    "gt",
    "gte",
    "if",
    "len",
    "lt",
    "lte",
    "ne",
    "not",
    "or",
    "sha256",
    "shell",
    "unless",
    "urlencode",
];
const COMMANDS: [&str; 3] = ["arguments", "command", "script"];

pub(super) fn check(nodes: &[Node<'_>], workflow: &Workflow) {
    let outside = Outside::new(workflow);
    for (node, step) in nodes.iter().zip(&workflow.steps) {
        for (name, values) in &step.inputs {
            let Some((what, helper)) = place_of(&step.node, name) else { continue };
            for leaf in values.expressions() {
                let Leaf::Text(template) = leaf else { continue };
                let is_raw = |reference: &&Reference| {
                    let is_harmless = reference.within.iter().any(|name| HARMLESS.contains(&name.as_str()));
                    !is_harmless && outside.is_from(reference, step)
                };
                for reference in template.references().iter().filter(is_raw) {
                    let text = reference.text();
                    let node = node.below(&format!("/with/{name}"));
                    let message = format!("`{text}` comes from outside and stands in {what} as it came");
                    let finding = Diagnostic::new(Rule::UNESCAPED_ALERT_TEXT, node.word_at(&text), message);
                    node.report(finding.help(format!("write `{{{{ {helper} {text} }}}}`")));
                }
            }
        }
    }
}

/// What an input becomes a part of, where text could do harm there, and the helper against it.
fn place_of(node: &Manifest, name: &str) -> Option<(&'static str, &'static str)> {
    let kind = node.inputs.get(name)?.kind;
    if matches!(
        kind,
        InputKind::AgentId | InputKind::Code | InputKind::Integer | InputKind::Number | InputKind::Boolean
    ) {
        return None;
    }
    if COMMANDS.contains(&name) {
        return Some(("a command", "shell"));
    }
    let Action::Request(request) = &node.action else { return None };
    let is_raw = |reference: &Reference| {
        reference.path == ["inputs", name] && !reference.within.iter().any(|helper| helper == "urlencode")
    };
    request.path.references().iter().any(is_raw).then_some(("a URL", "urlencode"))
}

/// Which outputs hold what others have written.
struct Outside<'a> {
    workflow: &'a Workflow,
    /// The fields of `set` steps that do.
    fields: BTreeSet<(&'a str, &'a str)>,
}

impl<'a> Outside<'a> {
    fn new(workflow: &'a Workflow) -> Outside<'a> {
        let mut outside = Outside { workflow, fields: BTreeSet::new() };
        for index in workflow.graph.order() {
            let Some(step) = workflow.steps.get(*index) else { continue };
            for (name, values) in step.inputs.iter().filter(|_| is_set(step)) {
                if values.references().iter().any(|reference| outside.is_from(reference, step)) {
                    outside.fields.insert((step.id.as_str(), name));
                }
            }
        }
        outside
    }

    fn is_from(&self, reference: &Reference, reader: &Step) -> bool {
        let path: Vec<&str> = reference.path.iter().map(String::as_str).collect();
        if let Some(each) = reader.each.as_ref().filter(|each| path.first() == Some(&each.name.as_str())) {
            return each
                .list
                .references()
                .iter()
                .any(|reference| reference.root() != each.name && self.is_from(reference, reader));
        }
        match path.as_slice() {
            ["alert" | "inputs" | "trigger", ..] => true,
            ["steps", id, rest @ ..] => {
                let Some(step) = self.workflow.steps.iter().find(|step| step.id.as_str() == *id) else {
                    return false;
                };
                match (is_set(step), step.node.engine_node(), rest.first()) {
                    (true, _, Some(field)) => self.fields.contains(&(step.id.as_str(), *field)),
                    (true, _, None) => self.fields.iter().any(|(set, _)| set == id),
                    (false, engine, _) => matches!(engine, None | Some(EngineNode::Workflow)),
                }
            }
            _ => false,
        }
    }
}

fn is_set(step: &Step) -> bool {
    step.node.engine_node() == Some(EngineNode::Set) && step.each.is_none()
}
