//! Which fields an input has and what may stand in them. Unknown fields are ignored, as the product does.

use serde_json::{Map, Value, json};

use super::reply::{Rejection, bad_attributes};

pub(super) struct Field {
    name: &'static str,
    rule: Rule,
    presence: Presence,
}

#[derive(Clone, Copy)]
enum Rule {
    /// With its least and most characters.
    Text(usize, usize),
    Integer(i64, i64),
    /// Milliseconds since the epoch.
    Date,
    Boolean,
    Tags,
    OneOf(&'static [&'static str]),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Presence {
    Required,
    Optional,
    /// `null` takes the value away when an entity is updated.
    Unsettable,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Create,
    Update,
}

const LONG: usize = 1_048_576;
pub(super) const TASK_STATUSES: &[&str] = &["Waiting", "InProgress", "Completed", "Cancel"];

pub(super) const CASE: &[Field] = &[
    required("title", Rule::Text(1, 512)),
    required("description", Rule::Text(0, LONG)),
    optional("severity", Rule::Integer(1, 4)),
    optional("startDate", Rule::Date),
    optional("endDate", Rule::Date),
    optional("tags", Rule::Tags),
    optional("flag", Rule::Boolean),
    optional("tlp", Rule::Integer(0, 4)),
    optional("pap", Rule::Integer(0, 3)),
    optional("status", Rule::Text(1, 64)),
    unsettable("summary", Rule::Text(0, LONG)),
    unsettable("assignee", Rule::Text(1, 128)),
    unsettable("impactStatus", Rule::OneOf(&["NotApplicable", "WithImpact", "NoImpact"])),
    optional("addTags", Rule::Tags),
    optional("removeTags", Rule::Tags),
];

pub(super) const TASK: &[Field] = &[
    required("title", Rule::Text(1, 128)),
    optional("group", Rule::Text(1, 64)),
    optional("description", Rule::Text(0, LONG)),
    optional("status", Rule::OneOf(TASK_STATUSES)),
    optional("flag", Rule::Boolean),
    optional("startDate", Rule::Date),
    optional("endDate", Rule::Date),
    optional("order", Rule::Integer(0, i32::MAX as i64)),
    optional("dueDate", Rule::Date),
    unsettable("assignee", Rule::Text(1, 128)),
    optional("mandatory", Rule::Boolean),
];

pub(super) const LOG: &[Field] = &[
    required("message", Rule::Text(0, LONG)),
    optional("startDate", Rule::Date),
    optional("includeInTimeline", Rule::Date),
];

pub(super) const COMMENT: &[Field] =
    &[required("message", Rule::Text(0, LONG)), optional("external", Rule::Boolean)];

pub(super) const OBSERVABLE: &[Field] = &[
    required("dataType", Rule::Text(1, 64)),
    optional("message", Rule::Text(0, LONG)),
    optional("startDate", Rule::Date),
    optional("tlp", Rule::Integer(0, 4)),
    optional("pap", Rule::Integer(0, 3)),
    optional("tags", Rule::Tags),
    optional("ioc", Rule::Boolean),
    optional("sighted", Rule::Boolean),
    optional("sightedAt", Rule::Date),
    optional("ignoreSimilarity", Rule::Boolean),
];

const fn required(name: &'static str, rule: Rule) -> Field {
    Field { name, rule, presence: Presence::Required }
}

const fn optional(name: &'static str, rule: Rule) -> Field {
    Field { name, rule, presence: Presence::Optional }
}

const fn unsettable(name: &'static str, rule: Rule) -> Field {
    Field { name, rule, presence: Presence::Unsettable }
}

/// The known fields of a body; a `null` in the result asks for removal.
pub(super) fn check(body: &Value, fields: &[Field], mode: Mode) -> Result<Map<String, Value>, Rejection> {
    let mut values = Map::new();
    let mut errors = Vec::new();
    for field in fields {
        match body.get(field.name).filter(|value| !value.is_null()) {
            Some(value) if field.rule.holds(value) => {
                values.insert(field.name.to_owned(), value.clone());
            }
            Some(value) => errors.push(invalid(field.name, &field.rule.describe(), value)),
            None if field.presence == Presence::Required && mode == Mode::Create => {
                errors.push(missing(field.name));
            }
            None if field.presence == Presence::Unsettable && body.get(field.name).is_some() => {
                values.insert(field.name.to_owned(), Value::Null);
            }
            None => {}
        }
    }
    if errors.is_empty() { Ok(values) } else { Err(bad_attributes(&errors)) }
}

pub(super) fn missing(name: &str) -> Value {
    json!({ "type": "MissingAttributeError", "name": name, "message": format!("Attribute {name} is missing") })
}

pub(super) fn invalid(name: &str, format: &str, value: &Value) -> Value {
    json!({
        "type": "InvalidFormatAttributeError",
        "name": name,
        "format": format,
        "value": value,
        "message": format!("Invalid format for {name}: {value}, expected {format}"),
    })
}

/// Writes checked values into an entity.
pub(super) fn merge(entity: &mut Map<String, Value>, values: Map<String, Value>) {
    for (name, value) in values {
        if value.is_null() {
            entity.remove(&name);
        } else {
            entity.insert(name, value);
        }
    }
}

impl Rule {
    fn holds(self, value: &Value) -> bool {
        match self {
            Rule::Text(least, most) => is_text(value, least, most),
            Rule::Integer(least, most) => {
                value.as_i64().is_some_and(|number| (least..=most).contains(&number))
            }
            Rule::Date => value.is_i64() || value.is_u64(),
            Rule::Boolean => value.is_boolean(),
            Rule::Tags => value.as_array().is_some_and(|tags| {
                let is_unique = |index: usize| !tags[..index].contains(&tags[index]);
                tags.iter().all(|tag| is_text(tag, 1, 128)) && (0..tags.len()).all(is_unique)
            }),
            Rule::OneOf(options) => value.as_str().is_some_and(|text| options.contains(&text)),
        }
    }

    fn describe(self) -> String {
        match self {
            Rule::Text(least, most) => format!("string({least}..{most})"),
            Rule::Integer(least, most) => format!("int({least}..{most})"),
            Rule::Date => "date".into(),
            Rule::Boolean => "boolean".into(),
            Rule::Tags => "unique string(1..128)".into(),
            Rule::OneOf(options) => options.join("|"),
        }
    }
}

fn is_text(value: &Value, least: usize, most: usize) -> bool {
    value.as_str().is_some_and(|text| (least..=most).contains(&text.chars().count()))
}
