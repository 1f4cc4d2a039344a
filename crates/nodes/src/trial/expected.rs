//! What a test gives and expects, and how far that is from what came.

use std::collections::BTreeMap;
use std::time::Duration;

use expr::duration;
use model::{Failure, FailureClass, Outcome};
use reqwest::header::HeaderMap;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::request::Prepared;
use crate::response::{Answer, Body};
use crate::trial::SOMEWHERE;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExpectedRequest {
    method: String,
    url: String,
    json: Option<Value>,
    headers: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GivenResponse {
    status: u16,
    #[serde(default)]
    headers: Map<String, Value>,
    json: Option<Value>,
    text: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExpectedFailure {
    class: String,
    message: String,
    help: Option<String>,
    retry_after: Option<String>,
}

impl GivenResponse {
    pub(super) fn answer(&self) -> Answer {
        let body = match (&self.json, &self.text) {
            (Some(json), _) => Body::Json(json.clone().into()),
            (None, text) => Body::Text(text.clone().unwrap_or_default()),
        };
        Answer { status: self.status, headers: self.headers.clone(), body }
    }
}

/// What a test expects to become of the call.
pub(super) enum Expected<'a> {
    Output(&'a Value),
    Failed(&'a ExpectedFailure),
    Unknown(&'a ExpectedFailure),
}

impl<'a> Expected<'a> {
    pub(super) fn one(
        output: Option<&'a Value>,
        failed: Option<&'a ExpectedFailure>,
        unknown: Option<&'a ExpectedFailure>,
    ) -> Result<Expected<'a>, String> {
        match (output, failed, unknown) {
            (Some(output), None, None) => Ok(Expected::Output(output)),
            (None, Some(failed), None) => Ok(Expected::Failed(failed)),
            (None, None, Some(unknown)) => Ok(Expected::Unknown(unknown)),
            _ => Err("a test expects exactly one of `output`, `failed` and `unknown`".to_owned()),
        }
    }

    pub(super) fn check(&self, outcome: &Outcome) -> Result<(), String> {
        match (self, outcome) {
            (Expected::Output(expected), Outcome::Succeeded(output)) => same_json("output", expected, output),
            (Expected::Failed(expected), Outcome::Failed(failure))
            | (Expected::Unknown(expected), Outcome::Unknown(failure)) => expected.check(failure),
            (Expected::Output(_) | Expected::Failed(_) | Expected::Unknown(_), outcome) => {
                Err(format!("the outcome is another: {}", describe(outcome)))
            }
        }
    }
}

impl ExpectedFailure {
    fn check(&self, failure: &Failure) -> Result<(), String> {
        let class: FailureClass =
            self.class.parse().map_err(|_| format!("there is no class `{}`", self.class))?;
        same("class", &class.to_string(), &failure.class.to_string())?;
        same("message", &self.message, &failure.message)?;
        if self.help.is_some() {
            same("help", &self.help, &failure.help)?;
        }
        let Some(wait) = &self.retry_after else { return Ok(()) };
        let wait = duration::parse(wait)?;
        same("retry_after", &Some(wait), &failure.retry_after_ms.map(Duration::from_millis))
    }
}

pub(super) fn check_request(expected: &ExpectedRequest, prepared: &Prepared) -> Result<(), String> {
    same("method", &expected.method.as_str(), &prepared.method.as_str())?;
    let url = prepared.url.as_str();
    same("url", &expected.url.as_str(), &url.strip_prefix(SOMEWHERE).unwrap_or(url))?;
    if let Some(json) = &expected.json {
        let body = prepared.body.as_deref().and_then(|body| serde_json::from_slice(body).ok());
        same_json("json", json, &body.unwrap_or(Value::Null))?;
    }
    expected.headers.as_ref().map_or(Ok(()), |headers| check_headers(headers, &prepared.headers))
}

pub(super) fn check_headers(expected: &BTreeMap<String, String>, headers: &HeaderMap) -> Result<(), String> {
    for (name, value) in expected {
        let given = headers.get(name).and_then(|value| value.to_str().ok());
        same(name, &Some(value.as_str()), &given)?;
    }
    Ok(())
}

pub(super) fn same<T: PartialEq + std::fmt::Debug>(
    what: &str,
    expected: &T,
    given: &T,
) -> Result<(), String> {
    if expected == given {
        return Ok(());
    }
    Err(format!("{what}: expected {expected:?}, not {given:?}"))
}

fn same_json(what: &str, expected: &Value, given: &Value) -> Result<(), String> {
    if expected == given {
        return Ok(());
    }
    Err(format!("{what}: expected {expected}, not {given}"))
}

fn describe(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Succeeded(output) => format!("succeeded with {output}"),
        Outcome::Failed(failure) => format!("failed ({}): {}", failure.class, failure.message),
        Outcome::Unknown(failure) => format!("unknown ({}): {}", failure.class, failure.message),
    }
}
