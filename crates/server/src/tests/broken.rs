//! A store that fails, a run that is damaged, a runner that has stopped.

use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use insta::assert_snapshot;
use serde_json::json;

use super::bench::{ANA, Bench};

async fn readiness(bench: &Bench) -> String {
    bench.send(Request::get("/readyz").body(Body::empty()).unwrap()).await.shown()
}

#[tokio::test(start_paused = true)]
async fn an_alert_that_is_not_on_disk_is_not_taken() {
    let bench = Bench::new().await;
    bench.store.is_broken.store(true, Ordering::SeqCst);
    assert_snapshot!(readiness(&bench).await, @r#"
    503 Service Unavailable
    retry-after: 5
    {
      "detail": "the store takes no writes",
      "status": 503,
      "title": "The server takes nothing more",
      "type": "urn:portcullis:stopped"
    }
    "#);
    let answer = bench.alert("any", "{}").await;
    assert_snapshot!(answer.shown(), @r#"
    503 Service Unavailable
    retry-after: 5
    {
      "detail": "the store failed: no space left on the device",
      "status": 503,
      "title": "The server takes nothing more",
      "type": "urn:portcullis:stopped"
    }
    "#);
    assert_eq!(bench.alert("any", "{}").await.status, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test(start_paused = true)]
async fn a_runner_that_has_stopped_takes_nothing_and_still_shows_what_there_is() {
    let bench = Bench::new().await;
    let run = bench.waiting_run("1").await;
    bench.runner.stop(Duration::from_secs(1)).await;
    assert_snapshot!(readiness(&bench).await, @r#"
    503 Service Unavailable
    retry-after: 5
    {
      "detail": "the server is stopping",
      "status": 503,
      "title": "The server takes nothing more",
      "type": "urn:portcullis:stopped"
    }
    "#);
    let alive = bench.send(Request::get("/healthz").body(Body::empty()).unwrap()).await;
    assert_eq!(alive.status, StatusCode::OK);
    for (path, body) in [
        (format!("/api/v1/approvals/{run}/block"), json!({ "decision": "approve" })),
        (format!("/api/v1/runs/{run}/cancel"), json!({ "reason": "x" })),
        (format!("/api/v1/runs/{run}/steps/block/resolve"), json!({ "resolution": "ok", "reason": "x" })),
        ("/api/v1/workflows/contain/runs".to_owned(), json!({ "alert": {} })),
    ] {
        let refused = bench.post(ANA, &path, body).await;
        assert_eq!(refused.brief(), "503 the server is stopping");
        assert_eq!(refused.header("retry-after"), Some("5"));
    }
    assert_eq!(bench.get(ANA, &format!("/api/v1/runs/{run}")).await.status, StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn a_damaged_run_is_reported_and_its_row_is_still_shown() {
    let bench = Bench::new().await;
    let run = bench.waiting_run("1").await;
    bench.store.is_damaged.store(true, Ordering::SeqCst);
    assert_snapshot!(bench.get(ANA, &format!("/api/v1/runs/{run}/journal")).await.shown(), @r#"
    500 Internal Server Error
    {
      "detail": "run RUN cannot go on: record 3 is lost",
      "status": 500,
      "title": "The run is damaged",
      "type": "urn:portcullis:damaged-run"
    }
    "#);
    let shown = bench.get(ANA, &format!("/api/v1/runs/{run}")).await.json();
    assert_eq!((&shown["status"], shown.get("steps")), (&json!("waiting"), None));
    assert!(shown["damaged"].as_str().unwrap().ends_with("cannot go on: record 3 is lost"));
    for path in [format!("/api/v1/approvals/{run}/block"), format!("/api/v1/runs/{run}/journal")] {
        assert_eq!(bench.get(ANA, &path).await.status, StatusCode::INTERNAL_SERVER_ERROR);
    }
    let path = format!("/api/v1/approvals/{run}/block");
    let decided = bench.post(ANA, &path, json!({ "decision": "approve" })).await;
    assert_eq!(decided.status, StatusCode::INTERNAL_SERVER_ERROR);
}

#[tokio::test(start_paused = true)]
async fn requests_of_people_are_bounded_apart_from_alerts() {
    let bench = Bench::with(|settings| settings.most_requests = 0).await;
    assert_eq!(
        bench.get(ANA, "/api/v1/runs").await.brief(),
        "503 too much is going on: try again in a moment"
    );
    assert_eq!(bench.alert("any", "{}").await.status, StatusCode::ACCEPTED);
    let health = Request::get("/healthz").body(Body::empty()).unwrap();
    assert_eq!(bench.send(health).await.status, StatusCode::OK);
}
