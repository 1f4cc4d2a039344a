//! A JSON Schema of playbooks, made from the keys of the language and the catalogue, for editors.
//!
//! Draft 7, which is what the YAML language server reads best. The schema knows shapes: keys, inputs and their types.
//! What takes the whole file to know (gates, paths, cycles) is for the checker.

use serde_json::{Map, Value, json};

use crate::catalog::Catalog;
use crate::keys::{self, Form, Key};
use crate::manifest::{Action, Effect, EngineNode, Input, InputKind, Manifest, kind_names};

/// Text with at least one expression may stand where another type is wanted: its value keeps its type.
const EXPRESSION: &str = r"\{\{";
const DURATION: &str = "[0-9]+(ms|s|m|h|d)";

/// The schema of playbooks that use these nodes.
pub fn schema(catalog: &Catalog) -> Value {
    let is_trigger = |node: &&Manifest| matches!(node.action, Action::Trigger(_));
    let (triggers, nodes): (Vec<&Manifest>, Vec<&Manifest>) =
        catalog.iter().map(AsRef::as_ref).partition(is_trigger);
    let mut schema = object(keys::WORKFLOW);
    schema.insert("$schema".to_owned(), json!("http://json-schema.org/draft-07/schema#"));
    schema.insert(
        "definitions".to_owned(),
        json!({ "trigger": user(keys::TRIGGER, &triggers), "step": step(&nodes) }),
    );
    Value::Object(schema)
}

/// A map with no keys but these.
fn object(keys: &[Key]) -> Map<String, Value> {
    let properties: Map<String, Value> =
        keys.iter().map(|key| (key.name.to_owned(), described(form(key.form), key.summary))).collect();
    let required: Vec<&str> = keys.iter().filter(|key| key.is_required).map(|key| key.name).collect();
    let mut object = Map::new();
    object.insert("type".to_owned(), json!("object"));
    object.insert("additionalProperties".to_owned(), json!(false));
    if !required.is_empty() {
        object.insert("required".to_owned(), json!(required));
    }
    object.insert("properties".to_owned(), Value::Object(properties));
    object
}

fn described(mut schema: Value, summary: &str) -> Value {
    schema["description"] = json!(summary);
    schema
}

fn form(form: Form) -> Value {
    match form {
        Form::Id => {
            text("^[a-z][a-z0-9_]{0,63}$", "write a-z, 0-9 and _, at most 64 characters, first a letter")
        }
        Form::Text | Form::Template => json!({ "type": "string" }),
        Form::Texts => json!({ "type": "array", "items": { "type": "string" } }),
        Form::Condition => json!({ "type": ["string", "boolean"] }),
        Form::Conditions => {
            json!({ "type": "object", "additionalProperties": { "type": ["string", "boolean"] } })
        }
        Form::Duration => {
            text(&format!("^{DURATION}$"), "write a whole number with ms, s, m, h or d, as in 30s")
        }
        Form::Integer(least, most) => json!({ "type": "integer", "minimum": least, "maximum": most }),
        Form::Number(least, most) => json!({ "type": "number", "minimum": least, "maximum": most }),
        Form::Word(words) => json!({ "type": "string", "enum": words }),
        Form::Classes => {
            let class = [
                json!({ "enum": keys::CLASSES }),
                json!({ "pattern": "^(http_[0-9]+|setup|input|interrupted|resolved)$" }),
            ];
            json!({ "type": "array", "items": { "type": "string", "anyOf": class } })
        }
        Form::Values => json!({ "type": "object" }),
        Form::Any => json!({}),
        Form::Bool => json!({ "type": "boolean" }),
        Form::Kind => json!({ "type": "string", "enum": kind_names() }),
        Form::Parameters => json!({ "type": "object", "additionalProperties": object(keys::INPUT) }),
        Form::Object(keys) => Value::Object(object(keys)),
        Form::ObjectOrFalse(keys) => json!({ "anyOf": [{ "const": false }, object(keys)] }),
        Form::Moments => {
            json!({ "type": "array", "minItems": 1, "items": { "enum": ["failed", "cancelled"] } })
        }
        Form::Triggers => json!({ "type": "array", "items": { "$ref": "#/definitions/trigger" } }),
        Form::Steps(most) => {
            json!({ "type": "array", "minItems": 1, "maxItems": most, "items": { "$ref": "#/definitions/step" } })
        }
        Form::Node => json!({ "type": "string" }),
        Form::Inputs => json!({ "type": "object" }),
    }
}

fn text(pattern: &str, help: &str) -> Value {
    json!({ "type": "string", "pattern": pattern, "patternErrorMessage": help })
}

/// A step: some of its keys belong to others.
fn step(nodes: &[&Manifest]) -> Value {
    let mut step = user(keys::STEP, nodes);
    step["dependencies"] = json!({
        "as": ["foreach"], "max_items": ["foreach"], "max_parallel": ["foreach"], "on_item_error": ["foreach"],
        "until": ["retry"],
    });
    if let Some(rules) = step["allOf"].as_array_mut() {
        let on = json!({ "properties": { "retry": { "required": ["on"] } } });
        rules.push(json!({ "if": { "not": { "required": ["until"] } }, "then": on }));
    }
    step
}

/// A map that uses one of these nodes: which one decides what else it holds.
fn user(keys: &[Key], nodes: &[&Manifest]) -> Value {
    let mut user = object(keys);
    // An `enum` of one word each, for only then does an editor show the page of the one that stands there.
    let names = nodes.iter().map(|node| json!({ "enum": [node.name], "description": page(node) }));
    user["properties"]["uses"] = json!({ "type": "string", "anyOf": names.collect::<Vec<Value>>() });
    let rules: Vec<Value> = nodes.iter().map(|node| rule(keys, node)).collect();
    user.insert("allOf".to_owned(), Value::Array(rules));
    Value::Object(user)
}

/// What holds where this node is used.
fn rule(keys: &[Key], node: &Manifest) -> Value {
    let mut properties = json!({ "with": inputs(node) });
    let mut required: Vec<&str> = Vec::new();
    if properties["with"]["required"].is_array() {
        required.push("with");
    }
    let is_key = |name: &str| keys.iter().any(|key| key.name == name);
    for name in refused(node).iter().filter(|name| is_key(name)) {
        properties[name] = json!(false);
    }
    if node.effect.is_none() {
        required.push("effect");
    }
    let uses = json!({ "properties": { "uses": { "const": node.name } }, "required": ["uses"] });
    json!({ "if": uses, "then": { "properties": properties, "required": required } })
}

/// The keys that mean nothing for this node.
fn refused(node: &Manifest) -> &'static [&'static str] {
    match node.engine_node() {
        Some(EngineNode::Approval) => &[
            "effect",
            "approval",
            "on_error",
            "retry",
            "until",
            "connection",
            "timeout",
            "foreach",
            "on_doubt",
            "verify",
            "undo",
        ],
        Some(EngineNode::Workflow) => {
            &["effect", "approval", "retry", "until", "connection", "timeout", "on_doubt", "verify", "undo"]
        }
        Some(EngineNode::Set | EngineNode::Delay) => {
            &["effect", "retry", "until", "connection", "timeout", "on_doubt", "verify", "undo"]
        }
        None => match (node.effect.is_some(), node.after.verify.is_some(), node.after.undo.is_some()) {
            (true, true, true) => &["effect", "on_doubt"],
            (true, true, false) => &["effect", "on_doubt", "undo"],
            (true, false, true) => &["effect", "on_doubt", "verify"],
            (true, false, false) => &["effect", "on_doubt", "verify", "undo"],
            (false, ..) => &["verify", "undo"],
        },
    }
}

/// What an editor shows of a node.
fn page(node: &Manifest) -> String {
    let effect = match (&node.action, node.effect) {
        (Action::Trigger(_), _) => None,
        (_, Some(Effect::Read)) => Some("It looks."),
        (_, Some(Effect::Write)) => Some("It writes what disturbs nobody."),
        (_, Some(Effect::Disrupt)) => Some("It disrupts, so somebody has to be asked before."),
        (_, None) => Some("The step says what it does to the world: effect."),
    };
    let parts = [Some(node.summary.as_str()), effect, node.docs.as_deref()];
    parts.into_iter().flatten().collect::<Vec<_>>().join("\n\n")
}

fn inputs(node: &Manifest) -> Value {
    match node.engine_node() {
        Some(EngineNode::Set) => return json!({ "type": "object" }),
        Some(EngineNode::Approval) => return Value::Object(object(keys::QUESTION)),
        Some(EngineNode::Delay | EngineNode::Workflow) | None => {}
    }
    let properties: Map<String, Value> =
        node.inputs.iter().map(|(name, input)| (name.clone(), value(input))).collect();
    let is_required = |input: &Input| input.is_required && input.default.is_none();
    let required: Vec<&String> =
        node.inputs.iter().filter(|(_, input)| is_required(input)).map(|(name, _)| name).collect();
    let mut schema = json!({ "type": "object", "additionalProperties": false, "properties": properties });
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

fn value(input: &Input) -> Value {
    let or_expression = |name: &str| json!({ "type": [name, "string"], "pattern": EXPRESSION });
    let mut schema = match input.kind {
        InputKind::String if !input.choices.is_empty() => {
            json!({ "type": "string", "anyOf": [{ "enum": input.choices }, { "pattern": EXPRESSION }] })
        }
        InputKind::String | InputKind::Code => json!({ "type": "string" }),
        InputKind::Integer => or_expression("integer"),
        InputKind::Number => or_expression("number"),
        InputKind::Boolean => or_expression("boolean"),
        InputKind::List => or_expression("array"),
        InputKind::Object => or_expression("object"),
        InputKind::Any | InputKind::Expression => json!({}),
        InputKind::AgentId => json!({ "type": "string", "pattern": format!("^[0-9]{{3,10}}$|{EXPRESSION}") }),
        InputKind::Ip => json!({ "type": "string", "pattern": format!("^[0-9A-Fa-f.:]+$|{EXPRESSION}") }),
        InputKind::Duration => json!({ "type": "string", "pattern": format!("^{DURATION}$|{EXPRESSION}") }),
    };
    if schema.get("pattern").is_some() {
        let help = format!("write {}, or an expression in {{{{ }}}}", input.kind.describe());
        schema["patternErrorMessage"] = json!(help);
    }
    if let Some(default) = &input.default {
        schema["default"] = default.clone();
    }
    described(schema, &input.summary)
}
