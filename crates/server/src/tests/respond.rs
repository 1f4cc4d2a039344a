//! Webhooks that answer with what the run gave.

use axum::http::StatusCode;
use insta::assert_snapshot;
use model::RunStatus;
use serde_json::json;

use super::bench::{Bench, NOTE, alert, reread};

const LOOK_UP: &str = r#"
workflow: look_up
triggers:
  - uses: webhook
    with: { path: wazuh, respond: outputs, within: 20s }
    when: "!has(alert.quiet)"
dedupe: { key: "{{ alert.id }}", window: 1h }
steps:
  - { id: look, uses: look }
outputs: { seen_by: steps.look.by, id: alert.id }
"#;

async fn bench(texts: &[&str]) -> Bench {
    let bench = Bench::new().await;
    bench.runner.replace_workflows(reread(&bench.runner.workflows(), texts)).await.unwrap();
    bench
}

#[tokio::test(start_paused = true)]
async fn a_sender_gets_what_the_run_gave() {
    let bench = bench(&[LOOK_UP, NOTE]).await;
    bench.slow_down(19);
    assert_snapshot!(bench.alert("wazuh", r#"{ "id": 7 }"#).await.shown(), @r#"
    200 OK
    {
      "duplicate": false,
      "outputs": {
        "id": 7,
        "seen_by": "look"
      },
      "run": "RUN",
      "status": "succeeded",
      "workflow": "look_up"
    }
    "#);
    let again = bench.alert("wazuh", r#"{ "id": 7 }"#).await;
    assert_eq!((again.status, &again.json()["duplicate"]), (StatusCode::OK, &json!(true)));
    assert_eq!(again.json()["outputs"]["id"], json!(7));
    assert_eq!(bench.alert("any", "{}").await.status, StatusCode::ACCEPTED, "others are not waited for");
}

#[tokio::test(start_paused = true)]
async fn a_run_that_fails_says_so() {
    let bench = bench(&[&LOOK_UP.replace(
        "uses: look }",
        "uses: act, with: { on: '{{ alert.missing }}' }, approval: { ask: x, expires: 5s } }",
    )])
    .await;
    assert_snapshot!(bench.alert("wazuh", r#"{ "id": 7 }"#).await.shown(), @r#"
    200 OK
    {
      "duplicate": false,
      "error": "look: the input `on`: `alert.missing` is missing: `alert` has id, in `{{ alert.missing }}`",
      "outputs": {
        "id": 7
      },
      "run": "RUN",
      "status": "failed",
      "workflow": "look_up"
    }
    "#);
}

#[tokio::test(start_paused = true)]
async fn a_sender_gets_the_receipt_when_the_run_takes_longer() {
    let bench = bench(&[LOOK_UP]).await;
    bench.slow_down(21);
    let answer = bench.alert("wazuh", r#"{ "id": 7 }"#).await;
    assert_snapshot!(answer.shown(), @r#"
    202 Accepted
    {
      "not_started": [],
      "runs": [
        {
          "duplicate": false,
          "run": "RUN",
          "workflow": "look_up"
        }
      ]
    }
    "#);
    let run = answer.json()["runs"][0]["run"].as_str().unwrap().parse().unwrap();
    bench.until(run, RunStatus::Succeeded).await;
    assert_eq!(
        bench.alert("wazuh", r#"{ "quiet": true }"#).await.status,
        StatusCode::ACCEPTED,
        "nothing was started"
    );
}

#[tokio::test(start_paused = true)]
async fn an_alert_with_several_runs_gets_the_receipt() {
    let bench = bench(&[LOOK_UP, &LOOK_UP.replace("look_up", "other")]).await;
    let answer = bench.alert("wazuh", r#"{ "id": 7 }"#).await;
    assert_eq!((answer.status, answer.json()["runs"].as_array().unwrap().len()), (StatusCode::ACCEPTED, 2));
}

#[tokio::test(start_paused = true)]
async fn a_run_does_not_care_whether_its_sender_waits() {
    let bench = bench(&[LOOK_UP]).await;
    bench.slow_down(19);
    let request = bench.send(alert("wazuh", r#"{ "id": 7 }"#));
    let waited = tokio::time::timeout(std::time::Duration::from_secs(5), request).await;
    assert!(waited.is_err(), "the sender has gone");
    let runs = bench.runner.store().runs(Default::default()).await.unwrap().runs;
    bench.until(runs[0].run, RunStatus::Succeeded).await;
}

#[tokio::test(start_paused = true)]
async fn who_finds_no_seat_to_wait_gets_the_receipt() {
    let bench = Bench::with(|settings| settings.most_waiting = 0).await;
    bench.runner.replace_workflows(reread(&bench.runner.workflows(), &[LOOK_UP])).await.unwrap();
    assert_eq!(bench.alert("wazuh", r#"{ "id": 7 }"#).await.status, StatusCode::ACCEPTED);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_stops_keeps_nobody_waiting() {
    let bench = bench(&[LOOK_UP]).await;
    bench.slow_down(19);
    let started = tokio::time::Instant::now();
    let stop = async {
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
        bench.runner.stop(std::time::Duration::from_secs(30)).await;
    };
    let answer = async {
        let answer = bench.alert("wazuh", r#"{ "id": 7 }"#).await;
        (answer.status, started.elapsed().as_secs())
    };
    let (answer, ()) = tokio::join!(answer, stop);
    assert_eq!(answer, (StatusCode::ACCEPTED, 2));
}
