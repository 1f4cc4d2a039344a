//! Reads the answer to a call. Pure: the answer is an argument, and what became of the call is the result.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use expr::{Condition, Scope, ValueTemplate};
use model::{Failure, FailureClass, Outcome};
use serde_json::{Map, Value, json};
use workflow::{FailureRule, Request};

use crate::outcome::{End, judge};
use crate::request::url_shown;

/// What templates read where they want something that is not there.
static EMPTY: LazyLock<Arc<Value>> = LazyLock::new(|| json!({ "list": [], "object": {}, "text": "" }).into());

/// What longer `Retry-After` is cut to.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// An answer, with its whole body.
#[derive(Debug, Clone, Default)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Map<String, Value>,
    pub(crate) body: Body,
}

/// The body of an answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Body {
    Json(Arc<Value>),
    Text(String),
}

/// When in a call an answer came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It answers the login.
    Login,
    /// It answers the call.
    Call,
    /// It answers the call that was made with a token fresh from a second login.
    CallAfterLogin,
}

/// What an answer is read with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reading<'a> {
    pub(crate) inputs: &'a Arc<Value>,
    /// Which call it was.
    pub(crate) call: &'a Arc<Value>,
    /// What may be shown of the connection.
    pub(crate) connection: &'a Arc<Value>,
    /// The rules of the product, after those of the node.
    pub(crate) shared: &'a [FailureRule],
    pub(crate) phase: Phase,
    /// What was called, for messages.
    pub(crate) called: &'a str,
}

impl Default for Body {
    fn default() -> Body {
        Body::Text(String::new())
    }
}

impl Body {
    /// JSON where the bytes are JSON, else text.
    pub(crate) fn read(bytes: &[u8]) -> Body {
        match serde_json::from_slice(bytes) {
            Ok(json) if !model::is_deeper_than(&json, model::DEEPEST_FROM_OUTSIDE) => {
                Body::Json(Arc::new(json))
            }
            // An answer that stands deeper than a journal can hold is none that anybody means to give.
            Ok(_) | Err(_) => Body::Text(String::from_utf8_lossy(bytes).into_owned()),
        }
    }
}

impl Phase {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Phase::Login => "login",
            Phase::Call => "call",
            Phase::CallAfterLogin => "call_after_login",
        }
    }
}

impl Answer {
    /// Shows it to expressions as `response`.
    fn show(&self, scope: &mut Scope) {
        scope.set(&["response", "status"], self.status.into());
        scope.set(&["response", "headers"], self.headers.clone().into());
        match &self.body {
            Body::Json(json) => scope.share(&["response", "json"], Arc::clone(json)),
            Body::Text(text) => scope.set(&["response", "text"], text.clone().into()),
        }
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.as_str()
    }

    fn retry_after(&self) -> Option<Duration> {
        let seconds = self.header("retry-after")?.trim().parse().ok()?;
        Some(Duration::from_secs(seconds).min(LONGEST_WAIT))
    }

    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// Whether a condition holds about an answer; not where it cannot be evaluated.
pub(crate) fn holds(condition: &Condition, answer: &Answer, connection: &Arc<Value>) -> bool {
    let mut scope = Scope::default();
    answer.show(&mut scope);
    scope.share(&["connection"], Arc::clone(connection));
    condition.holds(&scope).unwrap_or(false)
}

/// What became of the call that was answered so.
pub(crate) fn read(request: &Request, answer: &Answer, reading: &Reading<'_>) -> Outcome {
    let mut scope = scope(answer, reading);
    if !answer.is_success() && !request.accepts.contains(&answer.status) {
        return refusal(&request.failures, answer, reading);
    }
    let holds = request.succeeds_when.as_ref().map_or(Ok(true), |condition| condition.holds(&scope));
    match holds {
        Ok(true) => output(request.output.as_ref(), answer, reading, &mut scope),
        Ok(false) | Err(_) if !answer.is_success() => refusal(&request.failures, answer, reading),
        Ok(false) => rejection(request, answer, reading, &scope),
        Err(error) => unreadable(&request.failures, answer, reading, error.message),
    }
}

/// What became of a call whose answer is no success by its status.
pub(crate) fn refusal(own: &[FailureRule], answer: &Answer, reading: &Reading<'_>) -> Outcome {
    let scope = scope(answer, reading);
    let status = answer.status;
    let found = find(own, reading, &scope);
    let is_proof = found.is_some_and(|rule| rule.is_proof);
    let failure = found.and_then(|rule| named(rule, FailureClass::Http(status), &scope));
    let failure = failure.unwrap_or_else(|| unnamed(answer, reading));
    judge(End::Refused { status, is_proof }, wait(failure, answer))
}

/// What became of a login that was answered with a success and without a token.
pub(crate) fn no_token(answer: &Answer, reading: &Reading<'_>) -> Outcome {
    unreadable(&[], answer, reading, "it holds no token where one should stand".to_owned())
}

fn rejection(request: &Request, answer: &Answer, reading: &Reading<'_>, scope: &Scope) -> Outcome {
    let rule = find(&request.failures, reading, scope);
    let failure = rule.and_then(|rule| named(rule, FailureClass::Rejected, scope)).unwrap_or_else(|| {
        let said = said(&answer.body).map(|said| format!(": {said}")).unwrap_or_default();
        let message = format!("{} answered {} and did not do it{said}", reading.called, answer.status);
        Failure::new(FailureClass::Rejected, message)
    });
    judge(End::Rejected, wait(failure, answer))
}

fn unreadable(own: &[FailureRule], answer: &Answer, reading: &Reading<'_>, detail: String) -> Outcome {
    let scope = scope(answer, reading);
    let rule = find(own, reading, &scope);
    let failure = rule.and_then(|rule| named(rule, FailureClass::Response, &scope)).unwrap_or_else(|| {
        let message =
            format!("{} answered {}, and the answer cannot be read: {detail}", reading.called, answer.status);
        Failure::new(FailureClass::Response, message)
    });
    let end = if rule.is_some_and(|rule| rule.is_proof) { End::Rejected } else { End::Unreadable };
    judge(end, wait(failure, answer))
}

fn output(
    template: Option<&ValueTemplate>,
    answer: &Answer,
    reading: &Reading<'_>,
    scope: &mut Scope,
) -> Outcome {
    let output = match template {
        Some(template) => {
            add_shape(template, answer, scope);
            template.eval(scope)
        }
        None => {
            return Outcome::Succeeded(match &answer.body {
                Body::Json(json) => Arc::clone(json),
                Body::Text(text) => json!({ "text": text }).into(),
            });
        }
    };
    match output {
        Ok(output) => Outcome::Succeeded(output.into()),
        Err(error) => unreadable(&[], answer, reading, error.message),
    }
}

/// Gives the JSON again as `response.list` or `response.object`, whichever it is, to a template that asks for one.
///
/// Some answers are now a list and now an object, and a path through the wrong one is an error, also inside `default`.
fn add_shape(template: &ValueTemplate, answer: &Answer, scope: &mut Scope) {
    let Body::Json(json) = &answer.body else { return };
    let shape = match &**json {
        Value::Array(_) => "list",
        Value::Object(_) => "object",
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return,
    };
    let asks = |name: &str| {
        template.references().iter().any(|reference| reference.path.get(1).is_some_and(|part| part == name))
    };
    if asks(shape) {
        scope.share(&["response", shape], Arc::clone(json));
    }
}

fn scope(answer: &Answer, reading: &Reading<'_>) -> Scope {
    let mut scope = Scope::default();
    scope.share(&["inputs"], Arc::clone(reading.inputs));
    scope.share(&["call"], Arc::clone(reading.call));
    scope.share(&["connection"], Arc::clone(reading.connection));
    answer.show(&mut scope);
    scope.set(&["phase"], reading.phase.as_str().into());
    scope.share(&["empty"], Arc::clone(&EMPTY));
    scope
}

/// The first rule that holds; one that reads what is not there does not.
fn find<'a>(own: &'a [FailureRule], reading: &Reading<'a>, scope: &Scope) -> Option<&'a FailureRule> {
    own.iter().chain(reading.shared).find(|rule| rule.when.holds(scope).unwrap_or(false))
}

fn named(rule: &FailureRule, class: FailureClass, scope: &Scope) -> Option<Failure> {
    let message = rule.message.eval_text(scope).ok()?;
    let mut failure = Failure::new(rule.class.unwrap_or(class), clean(&message));
    failure.help = rule.help.as_ref().and_then(|help| help.eval_text(scope).ok());
    failure.retry_after_ms = rule.retry_after.map(millis);
    Some(failure)
}

fn unnamed(answer: &Answer, reading: &Reading<'_>) -> Failure {
    let said = said(&answer.body).map(|said| format!(": {said}")).unwrap_or_default();
    let message = format!("{} answered {}{said}", reading.called, answer.status);
    let failure = Failure::new(FailureClass::Http(answer.status), message);
    match answer.header("location").filter(|_| (300..400).contains(&answer.status)) {
        Some(to) => {
            // What stands behind a `?` may be a key to what it leads to.
            let to = clean(to.split(['?', '#']).next().unwrap_or_default());
            failure.help(format!("redirects are not followed; this one leads to {}", url_shown(&to)))
        }
        None => failure,
    }
}

fn wait(mut failure: Failure, answer: &Answer) -> Failure {
    failure.retry_after_ms = answer.retry_after().map(millis).or(failure.retry_after_ms);
    failure
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// What an answer says about itself, in the places where APIs say it.
fn said(body: &Body) -> Option<String> {
    const PLACES: [&str; 8] = [
        "/detail",
        "/message",
        "/error/message",
        "/error_description",
        "/errors/0/detail",
        "/errors/0",
        "/error",
        "/title",
    ];
    let said = match body {
        Body::Json(json) => PLACES
            .iter()
            .find_map(|place| json.pointer(place)?.as_str())
            .map_or_else(|| json.to_string(), str::to_owned),
        Body::Text(text) => text.clone(),
    };
    let said = clean(&said);
    (!said.is_empty()).then_some(said)
}

/// Foreign text as it may stand in a message: one line, without control characters, not too long.
pub(crate) fn clean(text: &str) -> String {
    const MOST: usize = 300;
    let words: Vec<&str> =
        text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()).collect();
    let line = words.join(" ");
    if line.chars().count() <= MOST {
        return line;
    }
    let cut: String = line.chars().take(MOST).collect();
    format!("{cut}...")
}
