//! Whether the process lives, and whether it takes work. For monitors, without a token.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use crate::problem::{Kind, Problem};
use crate::router::App;

/// The process lives.
pub(crate) async fn alive() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

/// The runner works, and its store takes appends.
pub(crate) async fn ready(State(app): State<App>) -> Result<Json<Value>, Problem> {
    if let Some(reason) = app.runner.is_stopped() {
        return Err(Problem::new(Kind::Stopped, reason));
    }
    if !app.runner.store().health().await.is_writable {
        return Err(Problem::new(Kind::Stopped, "the store takes no writes"));
    }
    Ok(Json(json!({ "status": "ok" })))
}
