//! What people and monitors see of playbooks that change while the server runs.

use insta::assert_snapshot;
use model::{RunStatus, Timestamp};
use runner::Trouble;
use serde_json::json;

use super::bench::{BO, Bench, CONTAIN, NOTE, reread};

#[tokio::test(start_paused = true)]
async fn a_text_that_fails_is_shown_beside_the_version_that_stays_live() {
    let bench = Bench::new().await;
    let broken = CONTAIN.replace("uses: look", "uses: loook");
    let next = reread(&bench.runner.workflows(), &[&broken, NOTE, "workflow: [\n"]);
    let trouble = Trouble { since: Timestamp::default(), reason: "a node has errors".to_owned() };
    bench.runner.replace_workflows(next.in_trouble(trouble)).await.unwrap();
    let shown = bench.get(BO, "/api/v1/workflows").await.json();
    let contain = &shown["workflows"][0];
    let brief = json!({
        "failing_since": contain["failing_since"],
        "findings": contain["findings"],
        "left_out": shown["left_out"],
        "trouble": shown["trouble"],
    });
    assert_snapshot!(serde_json::to_string_pretty(&brief).unwrap(), @r#"
    {
      "failing_since": "1970-01-01T00:16:40.000Z",
      "findings": [
        {
          "column": 23,
          "help": "did you mean `look`?",
          "line": 13,
          "message": "there is no node `loook`",
          "rule": "unknown-node",
          "severity": "error"
        }
      ],
      "left_out": [
        {
          "failing_since": "1970-01-01T00:16:40.000Z",
          "file": "workflows/2.yaml",
          "findings": [
            {
              "column": 11,
              "help": "close it, or put the value in quotes if it is text",
              "line": 1,
              "message": "this bracket is never closed",
              "rule": "yaml-syntax",
              "severity": "error"
            }
          ]
        }
      ],
      "trouble": {
        "reason": "a node has errors",
        "since": "1970-01-01T00:00:00.000Z"
      }
    }
    "#);
    bench.waiting_run("1").await;
}

#[tokio::test(start_paused = true)]
async fn a_monitor_sees_what_was_counted() {
    let bench = Bench::new().await;
    assert_eq!(bench.alert("any", "{}").await.status, 202);
    assert_eq!(bench.alert("any", "[]").await.status, 422);
    assert_eq!(bench.alert("unheard", "{}").await.status, 503);
    assert_eq!(bench.alert("made\"up", "{}").await.status, 404);
    let run = bench.alert("any", "{}").await.json()["runs"][0]["run"].as_str().unwrap().parse().unwrap();
    bench.until(run, RunStatus::Succeeded).await;
    bench.waiting_run("1").await;
    let next = reread(&bench.runner.workflows(), &[CONTAIN, NOTE, "workflow: [\n"]);
    bench.runner.replace_workflows(next).await.unwrap();
    assert_snapshot!(bench.metrics().await, @r#"
    portcullis_alerts_total{hook="",result="refused"} 1
    portcullis_alerts_total{hook="any",result="accepted"} 2
    portcullis_alerts_total{hook="any",result="refused"} 1
    portcullis_alerts_total{hook="unheard",result="failed"} 1
    portcullis_alerts_total{hook="wazuh",result="accepted"} 1
    portcullis_workflows 2
    portcullis_playbooks_failing 1
    portcullis_halted 0
    portcullis_reloads_total{result="partly"} 1
    portcullis_runs_started_total{workflow="contain",trigger="webhook"} 1
    portcullis_runs_started_total{workflow="note",trigger="webhook"} 2
    portcullis_runs_finished_total{workflow="note",status="succeeded"} 2
    portcullis_runs_active 0
    portcullis_runs_waiting 1
    portcullis_calls_total{node="look",outcome="ok"} 3
    portcullis_containments 0
    portcullis_containments_stuck 0
    portcullis_store_bytes 0
    portcullis_store_flushes_total 0
    portcullis_store_flushed_bytes_total 0
    "#);
}

#[tokio::test(start_paused = true)]
async fn metrics_ask_for_a_token() {
    let bench = Bench::new().await;
    assert_snapshot!(bench.get("nobody", "/metrics").await.brief(), @"401 there is no such token");
}
