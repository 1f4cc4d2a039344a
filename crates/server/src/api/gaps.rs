//! Alerts that never came by themselves.

use axum::Json;
use axum::extract::State;
use model::Timestamp;
use runner::{Gap, Reconciled};
use serde::Serialize;

use crate::router::App;

/// The alerts that were found where Wazuh keeps them.
#[derive(Serialize)]
pub(crate) struct Gaps {
    /// How far they have been asked for; null where nobody asks.
    reconciled: Option<Asked>,
    gaps: Vec<Gap>,
}

#[derive(Serialize)]
struct Asked {
    from: Timestamp,
    until: Timestamp,
    succeeded_at: Option<Timestamp>,
}

pub(crate) async fn list(State(app): State<App>) -> Json<Gaps> {
    let asked = |Reconciled { from, until, succeeded_at }| Asked { from, until, succeeded_at };
    Json(Gaps { reconciled: app.runner.reconciled().map(asked), gaps: app.runner.gaps() })
}
