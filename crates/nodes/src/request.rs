//! Builds the request of a call from its inputs. Pure: nothing here knows a secret or the network.
//!
//! Inputs may come from an attacker. A URL is built so that it stays below the connection's, or it is refused.

mod url;

use std::collections::BTreeMap;
use std::sync::Arc;

use expr::{EvalError, Scope, ValueTemplate};
use model::{Failure, FailureClass};
use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value};
use workflow::{Input, Request};

pub(crate) use url::{Base, Root, url_shown};

/// Headers that the transport and the connection set, never a node.
const OURS: [&str; 7] =
    ["host", "content-length", "transfer-encoding", "connection", "upgrade", "expect", "proxy-authorization"];
const LONGEST_BODY: u64 = 16 * 1024 * 1024;

/// A request before the connection adds who we are.
#[derive(Debug, Clone)]
pub(crate) struct Prepared {
    pub(crate) method: Method,
    pub(crate) url: reqwest::Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Option<Vec<u8>>,
}

/// Fills defaults in and checks every input against its description.
pub(crate) fn check_inputs(inputs: &BTreeMap<String, Input>, given: &Value) -> Result<Value, Failure> {
    let empty = Map::new();
    let given = given.as_object().unwrap_or(&empty);
    if let Some(name) = given.keys().find(|name| !inputs.contains_key(*name)) {
        return Err(refused(format!("there is no input `{name}`")));
    }
    let mut checked = Map::new();
    for (name, input) in inputs {
        let value = given.get(name).filter(|value| !value.is_null()).or(input.default.as_ref());
        match value {
            Some(value) => {
                input.check(value).map_err(|message| refused(format!("the input `{name}` {message}")))?;
                checked.insert(name.clone(), value.clone());
            }
            None if input.is_required => return Err(refused(format!("the input `{name}` is missing"))),
            None => {}
        }
    }
    Ok(Value::Object(checked))
}

/// Builds the request; `inputs` have been checked.
pub(crate) fn build(
    request: &Request,
    inputs: &Arc<Value>,
    call: &Arc<Value>,
    base: &Base,
) -> Result<Prepared, Failure> {
    let mut scope = Scope::default();
    scope.share(&["inputs"], Arc::clone(inputs));
    scope.share(&["call"], Arc::clone(call));
    let method = request.method.eval_text(&scope).map_err(|error| unmade(&error))?;
    let method =
        Method::from_bytes(method.as_bytes()).map_err(|_| refused(format!("`{method}` is not a method")))?;
    let path = request.path.eval_text(&scope).map_err(|error| unmade(&error))?;
    let is_empty = path.contains("//") || (path.ends_with('/') && !request.path.source().ends_with('/'));
    if is_empty && matches!(base, Base::Below(_)) {
        return Err(refused(format!("a value in the path `{}` is empty", shorten(&path))));
    }
    let query = part(request.query.as_ref(), &scope)?;
    let headers = part(request.headers.as_ref(), &scope)?;
    let body = part(request.json.as_ref(), &scope)?.map(|json| json.to_string().into_bytes());
    let mut prepared = Prepared {
        method,
        url: base.below(&path, &pairs(query.as_ref())?)?,
        headers: header_map(headers.as_ref())?,
        body,
    };
    check_size(prepared.body.as_deref(), request.max_bytes)?;
    if prepared.body.is_some() {
        let json = HeaderValue::from_static("application/json");
        prepared.headers.entry(reqwest::header::CONTENT_TYPE).or_insert(json);
    }
    let accept = HeaderValue::from_static("application/json");
    prepared.headers.entry(reqwest::header::ACCEPT).or_insert(accept);
    Ok(prepared)
}

/// A part of the request; one that is a single expression over an input that was not given is left out.
fn part(template: Option<&ValueTemplate>, scope: &Scope) -> Result<Option<Value>, Failure> {
    let Some(template) = template else { return Ok(None) };
    if let ValueTemplate::Text(single) = template {
        let is_missing = |path: &[String]| {
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            scope.get(&path).is_none_or(Value::is_null)
        };
        if single.references().iter().any(|reference| !reference.is_optional && is_missing(&reference.path)) {
            return Ok(None);
        }
    }
    template.eval(scope).map(Some).map_err(|error| unmade(&error))
}

/// Names and values of a query or of headers; a list gives its name several times, null gives nothing.
fn pairs(values: Option<&Value>) -> Result<Vec<(String, String)>, Failure> {
    let Some(values) = values else { return Ok(Vec::new()) };
    let Value::Object(values) = values else {
        return Err(refused("a query or headers have to be an object"));
    };
    let mut pairs = Vec::new();
    for (name, value) in values {
        let items = match value {
            Value::Array(items) => items.as_slice(),
            Value::Null => &[],
            Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
                std::slice::from_ref(value)
            }
        };
        for item in items {
            let text = match item {
                Value::String(text) => text.clone(),
                Value::Number(_) | Value::Bool(_) => item.to_string(),
                Value::Null | Value::Array(_) | Value::Object(_) => {
                    return Err(refused(format!("`{name}` has to be text in a query or in headers")));
                }
            };
            pairs.push((name.clone(), text));
        }
    }
    Ok(pairs)
}

fn header_map(values: Option<&Value>) -> Result<HeaderMap, Failure> {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs(values)? {
        headers.append(header_name(&name)?, header_value(&name, &value)?);
    }
    Ok(headers)
}

pub(crate) fn header_name(name: &str) -> Result<HeaderName, Failure> {
    let parsed = HeaderName::from_bytes(name.as_bytes()).ok();
    let parsed = parsed.filter(|parsed| !OURS.contains(&parsed.as_str()));
    parsed.ok_or_else(|| refused(format!("`{}` is not a header that may be set", shorten(name))))
}

pub(crate) fn header_value(name: &str, value: &str) -> Result<HeaderValue, Failure> {
    HeaderValue::from_str(value)
        .map_err(|_| refused(format!("the header `{name}` has a character that headers cannot carry")))
}

fn check_size(body: Option<&[u8]>, most: Option<u64>) -> Result<(), Failure> {
    let most = most.unwrap_or(LONGEST_BODY);
    let size = body.map_or(0, <[u8]>::len) as u64;
    if size <= most {
        return Ok(());
    }
    let help = "pass only the fields that the other side reads";
    Err(refused(format!("the request has {size} bytes, and the other side takes {most}")).help(help))
}

fn unmade(error: &EvalError) -> Failure {
    refused(error.message.clone())
}

pub(crate) fn refused(message: impl Into<String>) -> Failure {
    Failure::new(FailureClass::Input, message)
}

pub(crate) fn shorten(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(80).collect()
}

#[cfg(test)]
mod tests;
