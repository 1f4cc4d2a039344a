//! Workflows: which there are, and their start by hand.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use model::{Digest, Mode, TriggerKind};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use workflow::Workflow;

use crate::access::Caller;
use crate::extract::{read_json, wrong_path};
use crate::hooks::Started;
use crate::problem::Problem;
use crate::router::App;

/// The workflows that can be started.
#[derive(Serialize)]
pub(crate) struct List {
    workflows: Vec<View>,
}

#[derive(Serialize)]
struct View {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    digest: Digest,
    mode: Mode,
    triggers: Vec<Trigger>,
}

#[derive(Serialize)]
struct Trigger {
    kind: TriggerKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    roles: Vec<String>,
}

/// A person starts a workflow.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Start {
    #[serde(default)]
    alert: Map<String, Value>,
    by: Option<String>,
}

pub(crate) async fn list(State(app): State<App>) -> Json<List> {
    let workflows = app.runner.workflows().iter().map(|workflow| View::from(workflow.as_ref()));
    Json(List { workflows: workflows.collect() })
}

pub(crate) async fn start(
    State(app): State<App>,
    path: Result<Path<String>, PathRejection>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<(StatusCode, Json<Started>), Problem> {
    let Path(name) = path.map_err(wrong_path)?;
    let start: Start = read_json(request, &app, app.settings.most_body_bytes).await?;
    let by = caller.person(start.by)?;
    let alert = Arc::new(Value::Object(start.alert));
    let started = app.runner.start(&name, alert, by).await?;
    Ok((StatusCode::ACCEPTED, Json(started.into())))
}

impl From<&Workflow> for View {
    fn from(workflow: &Workflow) -> View {
        let triggers = workflow.triggers.iter().map(|trigger| Trigger {
            kind: trigger.kind,
            path: trigger.path.clone(),
            roles: trigger.roles.clone(),
        });
        View {
            name: workflow.name.clone(),
            title: workflow.title.clone(),
            owner: workflow.owner.clone(),
            digest: workflow.digest.clone(),
            mode: workflow.mode,
            triggers: triggers.collect(),
        }
    }
}
