//! What goes into a node, checked against what the node takes.

use std::collections::BTreeMap;

use expr::{Language, ValueTemplate};
use serde_json::Value;

use crate::diagnostic::Diagnostic;
use crate::manifest::{EngineNode, Input, InputKind, Manifest};
use crate::rule::Rule;
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
            let help = match manifest.inputs.is_empty() {
                true => "it takes none: remove it".to_owned(),
                false => suggest(name, manifest.inputs.keys().map(String::as_str)),
            };
            node.report(Diagnostic::new(Rule::UNKNOWN_INPUT, node.key_at(), message).help(help));
            continue;
        }
        let kind = input.map_or(InputKind::Expression, |input| input.kind);
        let Some(values) = read_value(node, kind) else {
            // Reported; that it is given is known all the same.
            inputs.insert((*name).to_owned(), ValueTemplate::Literal(Value::Null));
            continue;
        };
        if let (ValueTemplate::Literal(value), Some(input)) = (&values, input)
            && let Err(message) = input.check(value)
        {
            node.report(wrong_input(node, name, input, &message, value));
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
                step.report(Diagnostic::new(Rule::MISSING_INPUT, at, message));
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
        node.report(Diagnostic::new(Rule::TEMPLATE_IN_CODE, node.word_at("{{"), message).help(help));
        return None;
    }
    Some(ValueTemplate::Literal(node.value().clone()))
}

pub(super) fn wrong_input(
    node: &Node<'_>,
    name: &str,
    input: &Input,
    message: &str,
    value: &Value,
) -> Diagnostic {
    let finding = Diagnostic::new(Rule::WRONG_INPUT, node.at(), format!("the input `{name}` {message}"));
    match value {
        Value::Number(_) | Value::Bool(_) if node.is_plain() => {
            let help = format!("YAML read it as something else than text: write \"{}\"", node.text());
            finding.help(help)
        }
        Value::String(text) if input.kind == InputKind::Boolean && node.is_plain() => {
            let is_yes = ["yes", "on", "y"].contains(&text.to_ascii_lowercase().as_str());
            finding.help(if is_yes { "write true" } else { "write false" })
        }
        _ if !input.summary.is_empty() => finding.help(format!("`{name}`: {}", input.summary)),
        _ => finding,
    }
}
