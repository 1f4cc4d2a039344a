//! Workflows: which there are, and their start by hand.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use model::{Digest, Mode, Timestamp, TriggerKind};
use runner::{Halted, Live, Playbook};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use workflow::{Diagnostic, Diagnostics, Severity};

use crate::access::Caller;
use crate::extract::{read_json, wrong_path};
use crate::hooks::Started;
use crate::problem::Problem;
use crate::router::App;

/// The workflows that can be started, and the files that give none.
#[derive(Serialize)]
pub(crate) struct List {
    workflows: Vec<View>,
    /// Files of which no text was good.
    left_out: Vec<LeftOut>,
    /// Why the last reload could not take over all that stands on disk.
    #[serde(skip_serializing_if = "Option::is_none")]
    trouble: Option<Trouble>,
    /// Why all disruption is halted.
    #[serde(skip_serializing_if = "Option::is_none")]
    halted: Option<Halted>,
}

#[derive(Serialize)]
struct View {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    file: String,
    digest: Digest,
    loaded_at: Timestamp,
    mode: Mode,
    triggers: Vec<Trigger>,
    /// Where it is there, the newest text cannot be used, and this is the version before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    failing_since: Option<Timestamp>,
    /// About the newest text.
    findings: Vec<Finding>,
}

#[derive(Serialize)]
struct LeftOut {
    file: String,
    failing_since: Option<Timestamp>,
    findings: Vec<Finding>,
}

#[derive(Serialize)]
struct Trouble {
    since: Timestamp,
    reason: String,
}

#[derive(Serialize)]
struct Finding {
    rule: &'static str,
    severity: &'static str,
    line: usize,
    column: usize,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<String>,
}

#[derive(Serialize)]
struct Trigger {
    kind: TriggerKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    roles: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cron: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timezone: Option<&'static str>,
    /// When it starts next.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_at: Option<Timestamp>,
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
    let (all, now) = (app.runner.workflows(), app.settings.clock.now());
    let mut list =
        List { workflows: Vec::new(), left_out: Vec::new(), trouble: None, halted: app.runner.halted() };
    for playbook in all.playbooks() {
        match &playbook.live {
            Some(live) => list.workflows.push(View::new(playbook, live, now)),
            None => list.left_out.push(LeftOut {
                file: playbook.file.clone(),
                failing_since: playbook.failing_since,
                findings: findings(&playbook.findings),
            }),
        }
    }
    list.workflows.sort_by(|one, other| one.name.cmp(&other.name));
    list.trouble = all.trouble().cloned().map(|runner::Trouble { since, reason }| Trouble { since, reason });
    Json(list)
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

impl View {
    fn new(playbook: &Playbook, live: &Live, now: Timestamp) -> View {
        let workflow = &live.workflow;
        let triggers = workflow.triggers.iter().map(|trigger| Trigger {
            kind: trigger.kind,
            path: trigger.path.clone(),
            roles: trigger.roles.clone(),
            cron: trigger.schedule.as_ref().map(|schedule| schedule.cron().to_owned()),
            timezone: trigger.schedule.as_ref().map(workflow::Schedule::timezone),
            next_at: trigger.schedule.as_ref().and_then(|schedule| schedule.next_after(now)),
        });
        View {
            name: workflow.name.clone(),
            title: workflow.title.clone(),
            owner: workflow.owner.clone(),
            file: playbook.file.clone(),
            digest: workflow.digest.clone(),
            loaded_at: live.loaded_at,
            mode: workflow.mode,
            triggers: triggers.collect(),
            failing_since: playbook.failing_since,
            findings: findings(&playbook.findings),
        }
    }
}

fn findings(of: &Diagnostics) -> Vec<Finding> {
    let finding = |finding: &Diagnostic| {
        let (line, column) = of.line_and_column(finding.at.start);
        Finding {
            rule: finding.rule.id,
            severity: match finding.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
            },
            line,
            column,
            message: finding.message.clone(),
            help: finding.help.clone(),
        }
    };
    of.findings().into_iter().map(finding).collect()
}
