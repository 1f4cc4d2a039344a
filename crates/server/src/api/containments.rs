//! What is contained at this moment, and its end by a person.

use axum::extract::State;
use axum::{Extension, Json};
use model::{Containment, ContainmentState, RunId, RunSummary, Timestamp};
use runner::Halted;
use serde::{Deserialize, Serialize};

use crate::access::Caller;
use crate::extract::{OfStep, Words};
use crate::problem::Problem;
use crate::router::App;

/// The ledger.
#[derive(Serialize)]
pub(crate) struct Ledger {
    containments: Vec<Row>,
    /// Why all disruption is halted.
    #[serde(skip_serializing_if = "Option::is_none")]
    halted: Option<Halted>,
}

/// What is held under one target.
#[derive(Serialize)]
struct Row {
    target: String,
    /// That of the holder that has held it longest.
    state: ContainmentState,
    since: Timestamp,
    /// When the last holder lets go; none: when somebody undoes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<Timestamp>,
    can_undo: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    verified_at: Option<Timestamp>,
    holders: Vec<Holder>,
}

/// A run that holds it.
#[derive(Serialize)]
struct Holder {
    run: RunId,
    workflow: String,
    #[serde(flatten)]
    containment: Containment,
}

/// A person wants something undone, or has undone it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Undo {
    reason: String,
    by: Option<String>,
    /// Whether it was undone by hand already.
    #[serde(default)]
    done: bool,
}

pub(crate) async fn list(State(app): State<App>) -> Json<Ledger> {
    let rows = app.runner.containments().into_iter().filter_map(Row::of);
    Json(Ledger { containments: rows.collect(), halted: app.runner.halted() })
}

pub(crate) async fn undo(
    State(app): State<App>,
    OfStep(run, step): OfStep,
    Extension(caller): Extension<Caller>,
    Words(undo): Words<Undo>,
) -> Result<Json<RunSummary>, Problem> {
    let by = caller.person(undo.by)?;
    Ok(Json(app.runner.undo(run, step, undo.done, by, undo.reason).await?))
}

impl Row {
    fn of(contained: runner::Contained) -> Option<Row> {
        let containments = || contained.holders.iter().map(|holder| &holder.containment);
        let first = containments().next()?;
        let lasts = containments().map(|containment| containment.until).collect::<Option<Vec<_>>>();
        Some(Row {
            state: first.state,
            since: first.since,
            until: lasts.and_then(|until| until.into_iter().max()),
            can_undo: containments().any(|containment| containment.can_undo),
            verified_at: containments().filter_map(|containment| containment.verified_at).max(),
            target: contained.target,
            holders: contained
                .holders
                .into_iter()
                .map(|runner::Holder { run, workflow, containment }| Holder { run, workflow, containment })
                .collect(),
        })
    }
}
