//! What goes into a node, checked against what the node takes.

use std::collections::BTreeMap;

use expr::{Language, ValueTemplate};
use serde_json::Value;

use crate::diagnostic::Diagnostic;
use crate::manifest::{EngineNode, InputKind, Manifest};
use crate::yaml::{Node, suggest};

pub(super) fn read_inputs(
    step: &Node<'_>,
    with: Option<&Node<'_>>,
    manifest: &Manifest,
) -> BTreeMap<String, ValueTemplate> {
    let mut inputs = BTreeMap::new();
    let given = with.map(|with| with.entries()).unwrap_or_default();
    let takes_any = manifest.engine_node() == Some(EngineNode::Set);
    for (name, node) in &given {
        let input = manifest.inputs.get(*name);
        if input.is_none() && !takes_any {
            let message = format!("the node `{}` has no input `{name}`", manifest.name);
            let help = suggest(name, manifest.inputs.keys().map(String::as_str));
            node.report(Diagnostic::error("unknown-input", node.key_at(), message).help(help));
            continue;
        }
        let kind = input.map_or(InputKind::Expression, |input| input.kind);
        let Some(values) = read_value(node, kind) else {
            continue;
        };
        if let (ValueTemplate::Literal(value), Some(input)) = (&values, input)
            && let Err(message) = input.check(value)
        {
            node.report(wrong_input(node, name, &message, value));
        }
        inputs.insert((*name).to_owned(), values);
    }
    for (name, input) in &manifest.inputs {
        let is_given = given.iter().any(|(given, _)| given == name);
        match &input.default {
            _ if is_given => {}
            Some(default) => {
                inputs.insert(name.clone(), ValueTemplate::Literal(default.clone()));
            }
            None if input.is_required => {
                let message =
                    format!("the node `{}` needs the input `{name}`: {}", manifest.name, input.summary);
                let at = with.map_or_else(|| step.at(), Node::key_at);
                step.report(Diagnostic::error("missing-input", at, message));
            }
            None => {}
        }
    }
    inputs
}

/// A value in the language of its input.
fn read_value(node: &Node<'_>, kind: InputKind) -> Option<ValueTemplate> {
    if kind == InputKind::Code {
        return read_code(node);
    }
    node.values(if kind == InputKind::Expression { Language::Expression } else { Language::Text })
}

/// A program is taken as it stands. Nothing is put into it, or the text of an alert could become a part of it.
fn read_code(node: &Node<'_>) -> Option<ValueTemplate> {
    let code = node.string()?;
    if code.contains("{{") {
        let message = "a program is taken as it stands: nothing is put in for what stands in these braces";
        let help = "pass the value with another input of the node and read it there; where two braces are meant, \
                    write a space between them";
        node.report(Diagnostic::error("template-in-code", node.word_at("{{"), message).help(help));
        return None;
    }
    Some(ValueTemplate::Literal(node.value().clone()))
}

pub(super) fn wrong_input(node: &Node<'_>, name: &str, message: &str, value: &Value) -> Diagnostic {
    let finding = Diagnostic::error("wrong-input", node.at(), format!("the input `{name}` {message}"));
    match value {
        Value::Number(_) | Value::Bool(_) if node.is_plain() => {
            finding.help("YAML read it as something else than text: put it in quotes")
        }
        _ => finding,
    }
}
