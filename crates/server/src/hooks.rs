//! `POST /hooks/{path}`: an alert arrives. It is answered when it is on disk, and not before; where its playbook says so,
//! with what the run gave.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Query, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use model::{RunId, RunStatus, Trigger, TriggerKind};
use runner::{Delivery, Ended, Received};
use serde::Serialize;
use serde_json::Value;
use tracing::warn;

use crate::access::{Admission, admit_sender};
use crate::body;
use crate::extract::wrong_query;
use crate::problem::{Kind, Problem};
use crate::router::{App, Shared};

/// The headers that a playbook may read. None of them carries a credential.
const HARMLESS_HEADERS: [&str; 7] = [
    "content-type",
    "forwarded",
    "user-agent",
    "x-correlation-id",
    "x-forwarded-for",
    "x-real-ip",
    "x-request-id",
];
const LONGEST_HEADER: usize = 1024;

/// What became of an alert.
#[derive(Serialize)]
pub(crate) struct Receipt {
    runs: Vec<Started>,
    not_started: Vec<NotStarted>,
}

/// A run that an alert belongs to.
#[derive(Serialize)]
pub(crate) struct Started {
    run: RunId,
    workflow: String,
    duplicate: bool,
}

#[derive(Serialize)]
struct NotStarted {
    workflow: String,
    reason: &'static str,
}

/// What the one run of an alert gave.
#[derive(Serialize)]
struct Outcome {
    #[serde(flatten)]
    started: Started,
    status: RunStatus,
    outputs: BTreeMap<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

pub(crate) async fn receive(
    State(app): State<App>,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, Problem> {
    let path = path.map_or_else(|_| String::new(), |Path(path)| path);
    let is_named = app.settings.hooks.contains_key(&path) || app.runner.workflows().has_hook(&path);
    let received = take_in(&app, path.clone(), request).await;
    app.metrics.count(Some(path.as_str()).filter(|_| is_named), &received);
    let mut received = received?;
    Ok(match outcome(&app, &mut received).await {
        Some(outcome) => Json(outcome).into_response(),
        None => (StatusCode::ACCEPTED, Json(Receipt::from(received))).into_response(),
    })
}

/// What the run of an alert gave, where its playbook answers with that and it ends in time. The alert is on disk: whatever
/// goes wrong here, it is not for the sender to send it again.
async fn outcome(app: &Shared, received: &mut Received) -> Option<Outcome> {
    let ending = received.ending.take()?;
    let [started] = received.runs.as_slice() else { return None };
    let _seat = app.waiting.try_acquire().ok()?;
    let ended = app.runner.end_of(started.run, ending).await;
    let ended = ended.inspect_err(|error| warn!(run = %started.run, %error, "the end of a run was not seen"));
    let Ended { status, outputs, error } = ended.ok()??;
    Some(Outcome { started: started.clone().into(), status, outputs, error })
}

async fn take_in(app: &Shared, path: String, request: Request) -> Result<Received, Problem> {
    let (head, body) = request.into_parts();
    let admission = check_sender(app, &path, &head.headers)?;
    // Asked again when a run starts; here a no costs next to nothing. It may turn away an alert that would start none: only
    // who reads it and asks every `when` knows that.
    if app.runner.is_full() {
        return Err(Problem::busy());
    }
    let _slot = app.alerts.clone().try_acquire_owned().map_err(|_| Problem::busy())?;
    let settings = &app.settings;
    let body = body::read(&head.headers, body, settings.most_body_bytes, settings.body_timeout).await?;
    let alert = Arc::new(read_alert(&body)?);
    let trigger = Trigger {
        kind: TriggerKind::Webhook,
        received_at: settings.clock.now(),
        headers: harmless_headers(&head, &admission),
        query: harmless_query(&head.uri, &admission)?,
        by: None,
        parent: None,
        reconciled: false,
    };
    Ok(app.runner.receive(Delivery { path, alert, trigger }).await?)
}

fn check_sender<'a>(app: &'a Shared, path: &str, headers: &HeaderMap) -> Result<Admission<'a>, Problem> {
    let no_such_hook = || Problem::new(Kind::NoSuchHook, format!("no workflow listens on the hook `{path}`"));
    let is_heard = app.runner.workflows().has_hook(path);
    if !is_heard && !app.settings.hooks.contains_key(path) {
        return Err(no_such_hook());
    }
    let admission = admit_sender(&app.settings, path, headers)?;
    // An alert that nobody listens to would not be on disk when it is answered. The operator wants it, so the sender
    // keeps it: its playbook may have a mistake that somebody is about to mend.
    if is_heard {
        return Ok(admission);
    }
    let detail = format!("no workflow listens on the hook `{path}`: has its playbook a mistake?");
    Err(Problem::new(Kind::Unheard, detail))
}

/// The alert in a body: the body itself, or what Wazuh's `shuffle` integration has wrapped up as `all_fields`.
fn read_alert(body: &[u8]) -> Result<Value, Problem> {
    let refuse = |detail: String| Err(Problem::new(Kind::NotAnAlert, detail));
    let too_deep = |value: &Value| model::is_deeper_than(value, model::DEEPEST_FROM_OUTSIDE);
    match serde_json::from_slice(body) {
        Ok(deep) if too_deep(&deep) => {
            refuse(format!("the body stands more than {} levels deep", model::DEEPEST_FROM_OUTSIDE))
        }
        Ok(Value::Object(mut object)) => match object.get_mut("all_fields") {
            Some(Value::Object(alert)) => Ok(Value::Object(std::mem::take(alert))),
            Some(_) | None => Ok(Value::Object(object)),
        },
        Ok(other) => refuse(format!("the body is {}, and an alert is an object", name_of(&other))),
        Err(error) => refuse(format!("the body is not JSON: {error}")),
    }
}

fn name_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

fn harmless_headers(head: &Parts, admission: &Admission<'_>) -> BTreeMap<String, String> {
    let headers = HARMLESS_HEADERS.iter().filter_map(|name| {
        let value = head.headers.get(*name)?.to_str().ok()?;
        let is_kept = value.len() <= LONGEST_HEADER && !admission.is_secret(value);
        is_kept.then(|| ((*name).to_owned(), value.to_owned()))
    });
    headers.collect()
}

fn harmless_query(uri: &Uri, admission: &Admission<'_>) -> Result<BTreeMap<String, String>, Problem> {
    let Query(pairs): Query<Vec<(String, String)>> = Query::try_from_uri(uri).map_err(wrong_query)?;
    let is_harmless =
        |(name, value): &(String, String)| !admission.is_secret(name) && !admission.is_secret(value);
    Ok(pairs.into_iter().filter(is_harmless).collect())
}

impl Admission<'_> {
    /// Whether this text is what lets senders in, which no journal may keep.
    fn is_secret(&self, text: &str) -> bool {
        match self {
            Admission::Anybody => false,
            Admission::Known(secret) => secret.is(text.trim().as_bytes()),
        }
    }
}

impl From<Received> for Receipt {
    fn from(received: Received) -> Receipt {
        let not_started = received
            .unstarted
            .into_iter()
            .map(|workflow| NotStarted { workflow, reason: "its `when` says no" });
        Receipt {
            runs: received.runs.into_iter().map(Started::from).collect(),
            not_started: not_started.collect(),
        }
    }
}

impl From<runner::Started> for Started {
    fn from(started: runner::Started) -> Started {
        let runner::Started { run, workflow, is_duplicate } = started;
        Started { run, workflow, duplicate: is_duplicate }
    }
}
