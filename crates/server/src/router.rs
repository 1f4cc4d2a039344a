//! Puts the routes together, and the frame around every answer.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderValue, Method, Uri};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::{get, post};
use runner::Runner;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tracing::{debug, info, warn};

use crate::access::{Caller, admit_caller};
use crate::metrics::{self, Alerts};
use crate::problem::{Kind, Problem};
use crate::settings::Settings;
use crate::turned_away::TurnedAway;
use crate::{api, health, hooks};

const LONGEST_LOGGED_PATH: usize = 200;

/// What every handler shares.
pub(crate) type App = Arc<Shared>;

pub(crate) struct Shared {
    pub(crate) runner: Runner,
    pub(crate) settings: Settings,
    pub(crate) callers: Vec<Caller>,
    /// What became of alerts.
    pub(crate) metrics: Alerts,
    /// Alerts that are on their way to the disk.
    pub(crate) alerts: Arc<Semaphore>,
    /// Senders that wait for what their run gives.
    pub(crate) waiting: Semaphore,
    /// Requests of the API that are under way.
    pub(crate) requests: Semaphore,
    /// Those who were asked to come again, for the log.
    pub(crate) turned_away: TurnedAway,
}

/// Who is at the other end of the connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// Webhooks, API and health of this runner.
pub fn router(runner: Runner, settings: Settings) -> Router {
    let app = Arc::new(Shared {
        runner,
        callers: settings.tokens.iter().cloned().map(Arc::new).map(Caller).collect(),
        metrics: Alerts::default(),
        alerts: Arc::new(Semaphore::new(settings.most_alerts)),
        waiting: Semaphore::new(settings.most_waiting),
        requests: Semaphore::new(settings.most_requests),
        turned_away: TurnedAway::default(),
        settings,
    });
    let api = api::router().route("/metrics", get(metrics::show)).method_not_allowed_fallback(wrong_method);
    let api = api.route_layer(from_fn_with_state(app.clone(), admit_caller));
    Router::new()
        .route("/hooks/{path}", post(hooks::receive))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .method_not_allowed_fallback(wrong_method)
        .merge(api)
        .fallback(no_such_route)
        .with_state(app.clone())
        .layer(from_fn_with_state(app, frame))
}

async fn no_such_route(method: Method, uri: Uri) -> Problem {
    Problem::new(Kind::NoSuchRoute, format!("no route for {method} {}", short_path(&uri)))
}

async fn wrong_method(method: Method, uri: Uri) -> Problem {
    Problem::new(Kind::WrongMethod, format!("{} does not take {method}", short_path(&uri)))
}

/// Marks every answer as nobody's to keep, and leaves a line in the log: where and what, never a body, a query or a
/// header, for these carry secrets.
async fn frame(State(app): State<App>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let method = request.method().clone();
    let path = short_path(request.uri());
    let peer = request.extensions().get::<Peer>().map(|peer| tracing::field::display(peer.0));
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let status = response.status().as_u16();
    let kind = response.extensions().get::<Kind>().copied();
    let elapsed_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    debug!(%method, path, status, elapsed_ms, peer, "request");
    let name = kind.map(|kind| kind.parts().1);
    if kind == Some(Kind::Busy) {
        if let Some(requests) = app.turned_away.count(Instant::now()) {
            warn!(requests, path, peer, "too much is going on: who came was asked to come again");
        }
    } else if response.status().is_server_error() {
        warn!(%method, path, status, kind = name, peer, "request failed");
    } else if response.status().is_client_error() {
        info!(%method, path, status, kind = name, peer, "request refused");
    }
    response
}

fn short_path(uri: &Uri) -> String {
    uri.path().chars().take(LONGEST_LOGGED_PATH).collect()
}
