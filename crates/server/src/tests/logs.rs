//! What the log says, and what it never says.

use std::cell::RefCell;
use std::io;
use std::sync::Once;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use insta::assert_snapshot;
use serde_json::json;
use tracing::Level;

use super::bench::{ANA, BO, BOT, Bench, HOOK_SECRET, alert};

thread_local! {
    /// What was logged on this thread, which is to say by this test.
    static LINES: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

struct Lines;

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LINES.with_borrow_mut(|lines| lines.extend_from_slice(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Logs everything from then on. There is one subscriber for all tests: whether a line is wanted is remembered for the
/// whole process.
fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let subscriber =
            tracing_subscriber::fmt().with_max_level(Level::TRACE).without_time().with_ansi(false);
        tracing::subscriber::set_global_default(subscriber.with_writer(|| Lines).finish()).unwrap();
    });
}

fn logged() -> String {
    LINES.with_borrow(|lines| String::from_utf8(lines.clone()).unwrap())
}

#[tokio::test(start_paused = true)]
async fn no_secret_no_body_and_no_query_is_logged() {
    listen();
    let bench = Bench::new().await;
    let body = json!({ "id": "in-the-alert", "rule": { "level": 12, "id": "5763" } }).to_string();
    bench.alert("wazuh", body.clone()).await;
    bench.alert("any?token=in-the-query", body.clone()).await;
    bench.alert("any", "in-the-alert").await;
    let mut stranger = alert("any", body);
    stranger.headers_mut().insert("x-portcullis-secret", "in-the-header".parse().unwrap());
    bench.send(stranger).await;
    let run = bench.waiting_run("2").await;
    let path = format!("/api/v1/approvals/{run}/block");
    bench.post(ANA, &path, json!({ "decision": "approve", "reason": "in-the-words", "by": "x" })).await;
    bench.post(BO, &path, json!({ "decision": "approve", "reason": "in-the-words" })).await;
    bench.post(BOT, &path, json!({ "decision": "approve", "reason": "in-the-words" })).await;
    bench.get("in-the-header", &path).await;
    let text = logged();
    assert!(text.contains("path=\"/hooks/wazuh\" status=202"), "{text}");
    for hidden in [HOOK_SECRET, ANA, BO, BOT, "in-the-alert", "in-the-query", "in-the-header", "in-the-words"]
    {
        assert!(!text.contains(hidden), "`{hidden}` is logged: {text}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_says_where_and_what_and_what_to_do() {
    listen();
    let bench = Bench::with(|settings| settings.hooks.clear()).await;
    bench.alert("any", "{}").await;
    bench.send(Request::get("/nothing").body(Body::empty()).unwrap()).await;
    let text: Vec<String> =
        logged().lines().map(str::trim).filter(|line| line.contains("server::")).map(mask_time).collect();
    assert_snapshot!(text.join("\n"), @r#"
    WARN server::access: an alert was refused: a workflow listens here, but no secret is configured hook="any" help="in the settings, below `hooks:`, write `any: { secret: { env: NAME } }`"
    DEBUG server::router: request method=POST path="/hooks/any" status=401 elapsed_ms=_
    INFO server::router: request refused method=POST path="/hooks/any" status=401 kind="wrong-secret"
    DEBUG server::router: request method=GET path="/nothing" status=404 elapsed_ms=_
    INFO server::router: request refused method=GET path="/nothing" status=404 kind="no-such-route"
    "#);
}

#[tokio::test(start_paused = true)]
async fn those_that_are_asked_to_come_again_are_told_of_together() {
    listen();
    let bench = Bench::with(|settings| settings.most_alerts = 0).await;
    for _ in 0..100 {
        assert_eq!(bench.alert("any", "{}").await.status, 503);
    }
    tokio::time::advance(Duration::from_secs(10)).await;
    bench.alert("any", "{}").await;
    let text = logged();
    let told: Vec<&str> = text.lines().map(str::trim).filter(|line| line.starts_with("WARN")).collect();
    assert_snapshot!(told.join("\n"), @r#"
    WARN server::router: too much is going on: who came was asked to come again requests=1 path="/hooks/any"
    WARN server::router: too much is going on: who came was asked to come again requests=100 path="/hooks/any"
    "#);
}

fn mask_time(line: &str) -> String {
    let words =
        line.split(' ').map(|word| if word.starts_with("elapsed_ms=") { "elapsed_ms=_" } else { word });
    words.collect::<Vec<_>>().join(" ")
}
