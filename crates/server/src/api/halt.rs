//! The switch that stops all disruption: how it stands, and people who turn it.

use axum::extract::State;
use axum::{Extension, Json};
use runner::Halted;
use serde::{Deserialize, Serialize};

use crate::access::Caller;
use crate::extract::Words;
use crate::problem::Problem;
use crate::router::App;

/// How the switch stands.
#[derive(Serialize)]
pub(crate) struct Standing {
    /// None while disruption is not halted.
    halted: Option<Halted>,
    /// Whether it was halted before somebody wanted it now: what they said is not kept.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    already: bool,
}

/// How it stands once somebody has ended a halt.
#[derive(Serialize)]
pub(crate) struct Resumed {
    halted: Option<Halted>,
    /// What was ended; none where nothing was halted.
    ended: Option<Halted>,
}

/// A person turns it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Turn {
    reason: String,
    by: Option<String>,
}

pub(crate) async fn show(State(app): State<App>) -> Json<Standing> {
    Json(Standing { halted: app.runner.halted(), already: false })
}

pub(crate) async fn halt(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Words(turn): Words<Turn>,
) -> Result<Json<Standing>, Problem> {
    let by = caller.person(turn.by)?;
    let (halted, already) = app.runner.halt(by, turn.reason).await?;
    Ok(Json(Standing { halted: Some(halted), already }))
}

pub(crate) async fn resume(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Words(turn): Words<Turn>,
) -> Result<Json<Resumed>, Problem> {
    let by = caller.person(turn.by)?;
    let ended = app.runner.resume(by, turn.reason).await?;
    Ok(Json(Resumed { halted: app.runner.halted(), ended }))
}
