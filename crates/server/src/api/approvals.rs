//! Everything that waits for people: approvals, and steps of which nobody knows whether they happened.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use model::{
    ApprovalRequest, Asked, Decision, Digest, Event, Failure, Record, Resolution, RunId, RunSummary, StepKey,
    Timestamp, Waiting, WaitingFor,
};
use runner::Halted;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::access::Caller;
use crate::api::runs::summary_of;
use crate::extract::{OfStep, Params, Words};
use crate::problem::{Kind, Problem};
use crate::router::App;

/// Which of them are wanted.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    workflow: Option<String>,
    before: Option<RunId>,
    limit: Option<usize>,
}

/// A page of what waits for people; the newest run first.
#[derive(Serialize)]
pub(crate) struct Page {
    approvals: Vec<Item>,
    /// To be handed in as `before`.
    next: Option<RunId>,
    /// Why all disruption is halted.
    #[serde(skip_serializing_if = "Option::is_none")]
    halted: Option<Halted>,
}

/// One thing that waits for people.
#[derive(Serialize)]
struct Item {
    run: RunId,
    workflow: String,
    about: String,
    step: StepKey,
    since: Timestamp,
    #[serde(flatten)]
    wanted: Question,
}

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Question {
    /// A yes or no.
    Approval {
        ask: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        target: Option<String>,
        from: Asked,
        approved_by: Vec<String>,
        digest: Digest,
        #[serde(skip_serializing_if = "Option::is_none")]
        expires_at: Option<Timestamp>,
    },
    /// A word on whether something happened.
    Resolution {
        message: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        target: Option<String>,
    },
}

/// One of them, with what it takes to judge it.
#[derive(Serialize)]
pub(crate) struct Detail {
    #[serde(flatten)]
    item: Item,
    #[serde(flatten)]
    evidence: Evidence,
}

#[derive(Serialize, Default)]
struct Evidence {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    show: BTreeMap<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    inputs: Option<Arc<Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason_required: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<Failure>,
}

/// A person answers.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Answer {
    decision: Decision,
    by: Option<String>,
    reason: Option<String>,
    digest: Option<Digest>,
}

/// A person says what became of a step.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Word {
    resolution: Resolution,
    by: Option<String>,
    reason: String,
}

pub(crate) async fn list(
    State(app): State<App>,
    Params(wanted): Params<Wanted>,
) -> Result<Json<Page>, Problem> {
    let Wanted { workflow, before, limit } = wanted;
    let usual = store::Query::default();
    let limit = limit.unwrap_or(usual.limit);
    let query = store::Query { workflow, before, limit, waits_for_people: true, ..usual };
    let store::Page { runs, next } = app.runner.store().runs(query).await?;
    let items = |summary: &RunSummary| {
        summary.waiting.iter().map(|waiting| Item::new(summary, waiting)).collect::<Vec<_>>()
    };
    Ok(Json(Page { approvals: runs.iter().flat_map(items).collect(), next, halted: app.runner.halted() }))
}

pub(crate) async fn show(State(app): State<App>, OfStep(run, step): OfStep) -> Result<Json<Detail>, Problem> {
    let summary = summary_of(&app, run).await?;
    let Some(waiting) = summary.waiting.iter().find(|waiting| waiting.step == step) else {
        let detail = format!("the step `{step}` of run {run} does not wait for anybody");
        return Err(Problem::new(Kind::NoSuchApproval, detail));
    };
    let journal = app.runner.store().journal(run).await?;
    Ok(Json(Detail::new(Item::new(&summary, waiting), &journal)))
}

pub(crate) async fn decide(
    State(app): State<App>,
    OfStep(run, step): OfStep,
    Extension(caller): Extension<Caller>,
    Words(answer): Words<Answer>,
) -> Result<Json<RunSummary>, Problem> {
    let by = caller.person(answer.by)?;
    let Answer { decision, reason, digest, .. } = answer;
    Ok(Json(app.runner.decide(run, step, decision, by, reason, digest).await?))
}

pub(crate) async fn resolve(
    State(app): State<App>,
    OfStep(run, step): OfStep,
    Extension(caller): Extension<Caller>,
    Words(word): Words<Word>,
) -> Result<Json<RunSummary>, Problem> {
    let by = caller.person(word.by)?;
    Ok(Json(app.runner.resolve(run, step, word.resolution, by, word.reason).await?))
}

impl Item {
    fn new(summary: &RunSummary, waiting: &Waiting) -> Item {
        let wanted = match waiting.reason.clone() {
            WaitingFor::Approval { ask, target, from, approved_by, digest, expires_at } => {
                Question::Approval { ask, target, from, approved_by, digest, expires_at }
            }
            WaitingFor::Resolution { message } => Question::Resolution { message, target: None },
        };
        Item {
            run: summary.run,
            workflow: summary.workflow.clone(),
            about: summary.about.clone(),
            step: waiting.step.clone(),
            since: waiting.since,
            wanted,
        }
    }
}

impl Detail {
    /// The journal holds in full what the row has cut to a line; what was said last counts.
    fn new(mut item: Item, journal: &[Record]) -> Detail {
        let mut evidence = Evidence::default();
        for Record { event, .. } in journal {
            if let Event::ApprovalRequested { step, request } = event
                && *step == item.step
            {
                item.wanted.complete(Some(&request.ask), request.target.as_ref());
                evidence = Evidence::of_request(request);
            } else if let Event::StepStarted { step, attempt, inputs, target, .. } = event
                && *step == item.step
            {
                item.wanted.complete(None, target.as_ref());
                let (inputs, attempt) = (Some(inputs.clone()), Some(*attempt));
                evidence = Evidence { inputs, attempt, ..Evidence::default() };
            } else if let Event::StepInDoubt { step, failure } = event
                && *step == item.step
            {
                evidence.failure = Some(failure.clone());
            }
        }
        Detail { item, evidence }
    }
}

impl Question {
    fn complete(&mut self, whole_ask: Option<&String>, whole_target: Option<&String>) {
        match self {
            Question::Approval { ask, target, .. } => {
                *target = whole_target.cloned();
                if let Some(whole) = whole_ask {
                    ask.clone_from(whole);
                }
            }
            Question::Resolution { target, .. } => *target = whole_target.cloned(),
        }
    }
}

impl Evidence {
    fn of_request(request: &ApprovalRequest) -> Evidence {
        Evidence {
            show: request.show.clone(),
            inputs: request.inputs.clone(),
            reason_required: Some(request.reason_required),
            ..Evidence::default()
        }
    }
}
