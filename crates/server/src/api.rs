//! The JSON API, below `/api/v1`. Every route asks for a token.

mod approvals;
mod backup;
mod containments;
mod gaps;
mod halt;
mod runs;
mod workflows;

use axum::Router;
use axum::routing::{get, post};

use crate::router::App;

pub(crate) fn router() -> Router<App> {
    Router::new()
        .route("/api/v1/runs", get(runs::list))
        .route("/api/v1/runs/{run}", get(runs::show))
        .route("/api/v1/runs/{run}/journal", get(runs::journal))
        .route("/api/v1/runs/{run}/cancel", post(runs::cancel))
        .route("/api/v1/runs/{run}/abandon", post(runs::abandon))
        .route("/api/v1/runs/{run}/steps/{step}/resolve", post(approvals::resolve))
        .route("/api/v1/backup", post(backup::take))
        .route("/api/v1/runs/{run}/steps/{step}/undo", post(containments::undo))
        .route("/api/v1/containments", get(containments::list))
        .route("/api/v1/gaps", get(gaps::list))
        .route("/api/v1/workflows", get(workflows::list))
        .route("/api/v1/workflows/{name}/runs", post(workflows::start))
        .route("/api/v1/halt", get(halt::show).post(halt::halt))
        .route("/api/v1/resume", post(halt::resume))
        .route("/api/v1/approvals", get(approvals::list))
        .route("/api/v1/approvals/{run}/{step}", get(approvals::show).post(approvals::decide))
}
