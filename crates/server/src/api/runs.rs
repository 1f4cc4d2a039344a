//! Runs: which there are, where one stands, what has happened in it, and its end by a person.

use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use engine::Run;
use model::{Record, RunId, RunStatus, RunSummary, StepId, StepStatus};
use runner::Halted;
use serde::{Deserialize, Serialize};
use workflow::{Bundle, Workflow};

use crate::access::Caller;
use crate::extract::{OfRun, Params, Words};
use crate::problem::{Kind, Problem};
use crate::router::{App, Shared};

/// Which runs are wanted.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    status: Option<RunStatus>,
    workflow: Option<String>,
    before: Option<RunId>,
    limit: Option<usize>,
}

/// A page of runs, newest first.
#[derive(Serialize)]
pub(crate) struct Page {
    runs: Vec<RunSummary>,
    /// To be handed in as `before`.
    next: Option<RunId>,
    /// Why all disruption is halted.
    #[serde(skip_serializing_if = "Option::is_none")]
    halted: Option<Halted>,
}

/// One run.
#[derive(Serialize)]
pub(crate) struct View {
    #[serde(flatten)]
    summary: RunSummary,
    #[serde(skip_serializing_if = "Option::is_none")]
    steps: Option<Vec<StepView>>,
    /// Why the steps cannot be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    damaged: Option<String>,
}

/// One step of a run.
#[derive(Serialize)]
struct StepView {
    step: StepId,
    uses: String,
    status: StepStatus,
}

/// What has happened in a run.
#[derive(Serialize)]
pub(crate) struct Journal {
    run: RunId,
    records: Vec<Record>,
}

/// A person stops a run, or gives it up.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cancel {
    reason: String,
    by: Option<String>,
}

pub(crate) async fn list(
    State(app): State<App>,
    Params(wanted): Params<Wanted>,
) -> Result<Json<Page>, Problem> {
    let Wanted { status, workflow, before, limit } = wanted;
    let usual = store::Query::default();
    let query = store::Query { status, workflow, before, limit: limit.unwrap_or(usual.limit), ..usual };
    let store::Page { runs, next } = app.runner.store().runs(query).await?;
    let runs = runs.into_iter().map(|row| app.runner.explain(row)).collect();
    Ok(Json(Page { runs, next, halted: app.runner.halted() }))
}

pub(crate) async fn show(State(app): State<App>, OfRun(run): OfRun) -> Result<Json<View>, Problem> {
    let summary = summary_of(&app, run).await?;
    let (steps, damaged) = match steps(&app, &summary).await {
        Ok(steps) => (Some(steps), None),
        Err(problem) if problem.kind == Kind::DamagedRun => (None, Some(problem.detail)),
        Err(problem) => return Err(problem),
    };
    let summary = app.runner.explain(summary);
    Ok(Json(View { summary, steps, damaged }))
}

pub(crate) async fn journal(State(app): State<App>, OfRun(run): OfRun) -> Result<Json<Journal>, Problem> {
    summary_of(&app, run).await?;
    Ok(Json(Journal { run, records: app.runner.store().journal(run).await? }))
}

pub(crate) async fn cancel(
    State(app): State<App>,
    OfRun(run): OfRun,
    Extension(caller): Extension<Caller>,
    Words(cancel): Words<Cancel>,
) -> Result<Json<RunSummary>, Problem> {
    let by = caller.person(cancel.by)?;
    Ok(Json(app.runner.cancel(run, by, cancel.reason).await?))
}

pub(crate) async fn abandon(
    State(app): State<App>,
    OfRun(run): OfRun,
    Extension(caller): Extension<Caller>,
    Words(abandon): Words<Cancel>,
) -> Result<Json<RunSummary>, Problem> {
    caller.require_admin()?;
    let by = caller.person(abandon.by)?;
    Ok(Json(app.runner.abandon(run, by, &abandon.reason).await?))
}

/// The row of a run.
pub(super) async fn summary_of(app: &Shared, run: RunId) -> Result<RunSummary, Problem> {
    let summary = app.runner.store().summary(run).await?;
    summary.ok_or_else(|| runner::Error::NoSuchRun(run).into())
}

async fn steps(app: &Shared, summary: &RunSummary) -> Result<Vec<StepView>, Problem> {
    let damaged = |message: String| Problem::from(runner::Error::Damaged { run: summary.run, message });
    let workflow = pinned_workflow(app, summary).await?;
    let journal = app.runner.store().journal(summary.run).await?;
    let run = Run::replay(summary.run, workflow.clone(), &journal)
        .map_err(|corrupt| damaged(corrupt.to_string()))?;
    let view = |step: &workflow::Step| StepView {
        step: step.id.clone(),
        uses: step.node.name.clone(),
        status: run.step_status(&step.id).unwrap_or(StepStatus::Pending),
    };
    Ok(workflow.steps.iter().map(view).collect())
}

/// The exact workflow that a run is pinned to.
async fn pinned_workflow(app: &Shared, summary: &RunSummary) -> Result<Arc<Workflow>, Problem> {
    let workflows = app.runner.workflows();
    if let Some(workflow) =
        workflows.get(&summary.workflow).filter(|workflow| workflow.digest == summary.source)
    {
        return Ok(workflow.clone());
    }
    let damaged = |message: String| {
        let message = format!("the workflow source {}: {message}", summary.source);
        Problem::from(runner::Error::Damaged { run: summary.run, message })
    };
    let source = app.runner.store().source(&summary.source).await?;
    let source = source.ok_or_else(|| damaged("not in the store".to_owned()))?;
    let bundle: Bundle = serde_json::from_str(&source.text).map_err(|error| damaged(error.to_string()))?;
    let (workflow, findings) = bundle.load("pinned.yaml");
    workflow.map(Arc::new).ok_or_else(|| damaged(findings.to_string()))
}
