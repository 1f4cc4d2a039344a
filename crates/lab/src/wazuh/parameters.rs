//! Checks of query parameters and bodies, worded like the validator of the API (connexion with jsonschema).

use std::collections::BTreeMap;

use serde_json::Value;

use crate::http::Request;

use super::reply::Problem;

/// The query parameters of a request.
pub(super) struct Parameters(BTreeMap<String, String>);

/// Reads the query and refuses what the specification does not know.
pub(super) fn of(request: &Request, allowed: &[&str]) -> Result<Parameters, Problem> {
    let given: BTreeMap<_, _> = request.parameters().into_iter().collect();
    let extra: Vec<_> = given.keys().map(String::as_str).filter(|name| !allowed.contains(name)).collect();
    if extra.is_empty() {
        return Ok(Parameters(given));
    }
    Err(Problem::bad_request(format!("Extra query parameter(s) {} not in spec", extra.join(", "))))
}

const AGENT_ID: &str = "{'description': 'Agent ID', 'format': 'numbers', 'minLength': 3, 'type': 'string'}";

impl Parameters {
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub(super) fn is_true(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// The parts of a list; an empty parameter is a list with one empty part, as in the product.
    pub(super) fn list(&self, name: &str) -> Option<Vec<&str>> {
        self.get(name).map(|value| value.split(',').collect())
    }

    /// The ids of `agents_list`; `None` means that there is no such parameter, and thus all agents.
    pub(super) fn agents_list(&self) -> Result<Option<Vec<String>>, Problem> {
        let Some(ids) = self.list("agents_list") else {
            return Ok(None);
        };
        for (index, id) in ids.iter().enumerate() {
            if id.chars().count() < 3 {
                let message = format!("{} is too short", repr_text(id));
                return Err(violation(&message, "minLength", true, AGENT_ID, Some(index), &repr_text(id)));
            }
            if !id.chars().all(|digit| digit.is_ascii_digit()) {
                let message = format!("{} is not a 'numbers'", repr_text(id));
                return Err(violation(&message, "format", true, AGENT_ID, Some(index), &repr_text(id)));
            }
        }
        Ok(Some(ids.into_iter().map(str::to_owned).collect()))
    }

    pub(super) fn one_of_each(&self, name: &str, options: &[&str]) -> Result<Option<Vec<&str>>, Problem> {
        let Some(values) = self.list(name) else {
            return Ok(None);
        };
        let wrong = values.iter().enumerate().find(|(_, value)| !options.contains(value));
        let Some((index, value)) = wrong else {
            return Ok(Some(values));
        };
        let options = options.iter().map(|option| repr_text(option)).collect::<Vec<_>>().join(", ");
        let message = format!("{} is not one of [{options}]", repr_text(value));
        let schema = format!("{{'enum': [{options}], 'type': 'string'}}");
        Err(violation(&message, "enum", true, &schema, Some(index), &repr_text(value)))
    }

    pub(super) fn integer(
        &self,
        name: &str,
        default: usize,
        least: i64,
        most: i64,
    ) -> Result<usize, Problem> {
        let Some(text) = self.get(name) else {
            return Ok(default);
        };
        let schema = match most {
            i64::MAX => {
                format!("{{'default': {default}, 'format': 'int32', 'minimum': {least}, 'type': 'integer'}}")
            }
            most => format!(
                "{{'default': {default}, 'format': 'int32', 'maximum': {most}, 'minimum': {least}, 'type': 'integer'}}"
            ),
        };
        let Ok(number) = text.parse::<i64>() else {
            let message = format!("{} is not of type 'integer'", repr_text(text));
            return Err(violation(&message, "type", false, &schema, None, &repr_text(text)));
        };
        if number < least {
            let message = format!("{number} is less than the minimum of {least}");
            return Err(violation(&message, "minimum", false, &schema, None, text));
        }
        if number > most {
            let message = format!("{number} is greater than the maximum of {most}");
            return Err(violation(&message, "maximum", false, &schema, None, text));
        }
        Ok(usize::try_from(number).unwrap_or(usize::MAX))
    }
}

fn violation(
    message: &str,
    rule: &str,
    in_items: bool,
    schema: &str,
    index: Option<usize>,
    instance: &str,
) -> Problem {
    let items = if in_items { "['items']" } else { "" };
    let index = index.map(|index| format!("[{index}]")).unwrap_or_default();
    Problem::bad_request(format!(
        "{message}. Failed validating '{rule}' in schema{items}: {schema}. On instance{index}: {instance}"
    ))
}

/// The body of a request as JSON.
pub(super) fn json_body(request: &Request) -> Result<Value, Problem> {
    let content_type = request.header("content-type").unwrap_or("application/json");
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if !media_type.eq_ignore_ascii_case("application/json") {
        let detail = format!("Invalid Content-type ({media_type}), expected ['application/json']");
        let status = hyper::StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return Err(Problem::new(status, "Unsupported Media Type", detail));
    }
    if request.body.is_empty() {
        return Err(Problem::bad_request("Request body must not be empty"));
    }
    serde_json::from_slice(&request.body).map_err(|error| broken(&request.body, &error))
}

fn broken(body: &[u8], error: &serde_json::Error) -> Problem {
    let text = error.to_string();
    if text.starts_with("recursion limit") {
        let detail = "maximum recursion depth exceeded while decoding a JSON document".to_owned();
        return Problem::new(hyper::StatusCode::BAD_REQUEST, "Maximum recursion depth exceeded.", detail);
    }
    let expecting = if text.starts_with("key must be a string") || text.starts_with("trailing comma") {
        "Expecting property name enclosed in double quotes"
    } else if text.starts_with("expected `,`") {
        "Expecting ',' delimiter"
    } else if text.starts_with("expected `:`") {
        "Expecting ':' delimiter"
    } else if text.starts_with("trailing characters") {
        "Extra data"
    } else {
        "Expecting value"
    };
    let (line, column) = (error.line(), error.column().max(1));
    let before: usize =
        body.split(|byte| *byte == b'\n').take(line.saturating_sub(1)).map(|line| line.len() + 1).sum();
    let offset = before + column - 1;
    Problem::bad_request(format!("{expecting}: line {line} column {column} (char {offset})"))
}

/// A value as Python prints it in messages.
pub(super) fn repr(value: &Value) -> String {
    match value {
        Value::Null => "None".into(),
        Value::Bool(true) => "True".into(),
        Value::Bool(false) => "False".into(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => repr_text(text),
        Value::Array(items) => format!("[{}]", items.iter().map(repr).collect::<Vec<_>>().join(", ")),
        Value::Object(fields) => {
            let fields = fields.iter().map(|(key, value)| format!("{}: {}", repr_text(key), repr(value)));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(", "))
        }
    }
}

fn repr_text(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let escaped = text.replace('\\', "\\\\").replace('\n', "\\n");
    let escaped = if quote == '\'' { escaped.replace('\'', "\\'") } else { escaped };
    format!("{quote}{escaped}{quote}")
}
