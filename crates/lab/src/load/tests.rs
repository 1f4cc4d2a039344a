//! The load client against a server that answers as it is told.

use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use std::sync::Mutex;
use tokio::net::TcpListener;

use super::*;

type Seen = Arc<Mutex<Vec<u64>>>;

/// A server that keeps the numbers that it was sent; every tenth one it refuses.
async fn server() -> (SocketAddr, Seen) {
    async fn take(State(seen): State<Seen>, body: String) -> StatusCode {
        let number: u64 = body.parse().unwrap();
        seen.lock().unwrap().push(number);
        if number.is_multiple_of(10) { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::ACCEPTED }
    }
    let seen = Seen::default();
    let router = Router::new().route("/hook", post(take)).with_state(Arc::clone(&seen));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    (address, seen)
}

fn load(address: SocketAddr, pace: Pace) -> Load {
    let body = |number: u64, body: &mut Vec<u8>| body.extend_from_slice(number.to_string().as_bytes());
    let target = Target::new(address, "/hook").header("x-secret", "s");
    Load { target, concurrency: 7, pace, first: 100, body: Arc::new(body) }
}

#[tokio::test]
async fn every_request_is_made_once_and_its_answer_is_counted() {
    let (address, seen) = server().await;
    let report = load(address, Pace::Requests(200)).run().await.unwrap();
    assert_eq!(report.statuses(), BTreeMap::from([(Some(202), 180), (Some(503), 20)]));
    let mut seen = std::mem::take(&mut *seen.lock().unwrap());
    seen.sort_unstable();
    assert_eq!(seen, (100..300).collect::<Vec<_>>());
    assert!(report.with(503).all(|answer| answer.number.is_multiple_of(10)));
    assert!(report.times(202).at(1.0) <= report.elapsed);
}

#[tokio::test]
async fn a_rate_is_kept_and_ends() {
    let (address, _) = server().await;
    let pace = Pace::Rate { per_second: 400.0, time: Duration::from_millis(500) };
    let report = load(address, pace).run().await.unwrap();
    // Fewer only where this machine was too slow to send them in their time.
    assert!((1..=200).contains(&report.answers.len()), "{}", report.answers.len());
    let last = report.answers.iter().map(|answer| answer.number).max().unwrap();
    assert!(report.elapsed >= Duration::from_secs_f64((last - 100) as f64 / 400.0));
}

#[tokio::test]
async fn a_server_that_is_not_there_answers_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let report = load(address, Pace::Requests(10)).run().await.unwrap();
    assert_eq!(report.statuses(), BTreeMap::from([(None, 10)]));
    assert_eq!(report.times(202).at(0.99), Duration::ZERO);
}

#[test]
fn parts_of_times() {
    let times: Times = (0..=100).rev().map(Duration::from_millis).collect();
    assert_eq!(times.to_string(), "p50 50.00 ms, p95 95.00 ms, p99 99.00 ms, max 100.00 ms");
}
