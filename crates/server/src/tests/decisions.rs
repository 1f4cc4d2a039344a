//! People answer: approvals, and steps of which nobody knows whether they happened.

use axum::http::StatusCode;
use insta::assert_snapshot;
use model::{Event, RunId, RunStatus};
use serde_json::{Value, json};
use store::Store as _;

use super::bench::{ANA, BO, BOT, Bench};

async fn answer(bench: &Bench, token: &str, run: RunId, body: Value) -> String {
    let answer = bench.post(token, &format!("/api/v1/approvals/{run}/block"), body).await;
    answer.brief()
}

/// A run whose block was sent, and nobody knows whether it happened.
async fn doubtful_run(bench: &Bench) -> RunId {
    bench.leave_in_doubt();
    let run = bench.waiting_run("1").await;
    assert_eq!(answer(bench, ANA, run, json!({ "decision": "approve" })).await, "200 -");
    let mut updates = bench.runner.updates();
    while bench.store.summary(run).await.unwrap().unwrap().waiting.is_empty() {
        updates.recv().await.unwrap();
    }
    run
}

#[tokio::test(start_paused = true)]
async fn an_approval_is_listed() {
    let bench = Bench::new().await;
    bench.waiting_run("1").await;
    let list = bench.get(BO, "/api/v1/approvals").await;
    assert_snapshot!(list.shown(), @r#"
    200 OK
    {
      "approvals": [
        {
          "about": "rule 5763 on web-01",
          "approved_by": [],
          "ask": "Block web-01?",
          "digest": "DIGEST",
          "expires_at": "1970-01-01T00:46:40.000Z",
          "from": {
            "count": 1,
            "role": "soc"
          },
          "kind": "approval",
          "run": "RUN",
          "since": "1970-01-01T00:16:40.000Z",
          "step": "block",
          "target": "host/web-01",
          "workflow": "contain"
        }
      ],
      "next": null
    }
    "#);
}

#[tokio::test(start_paused = true)]
async fn an_approval_is_shown_with_what_would_be_sent() {
    let bench = Bench::new().await;
    let run = bench.waiting_run("1").await;
    let detail = bench.get(BO, &format!("/api/v1/approvals/{run}/block")).await;
    assert_snapshot!(detail.shown(), @r#"
    200 OK
    {
      "about": "rule 5763 on web-01",
      "approved_by": [],
      "ask": "Block web-01?",
      "digest": "DIGEST",
      "expires_at": "1970-01-01T00:46:40.000Z",
      "from": {
        "count": 1,
        "role": "soc"
      },
      "inputs": {
        "on": "web-01"
      },
      "kind": "approval",
      "reason_required": false,
      "run": "RUN",
      "show": {
        "alert.rule.id": "5763"
      },
      "since": "1970-01-01T00:16:40.000Z",
      "step": "block",
      "target": "host/web-01",
      "workflow": "contain"
    }
    "#);
    let other = bench.get(BO, &format!("/api/v1/approvals/{run}/look")).await;
    assert_snapshot!(other.shown(), @r#"
    404 Not Found
    {
      "detail": "the step `look` of run RUN does not wait for anybody",
      "status": 404,
      "title": "Nobody is asked this",
      "type": "urn:portcullis:no-such-approval"
    }
    "#);
}

#[tokio::test(start_paused = true)]
async fn a_person_approves_what_they_saw() {
    let bench = Bench::new().await;
    let run = bench.waiting_run("1").await;
    let list = bench.get(ANA, "/api/v1/approvals?workflow=contain&limit=5").await.json();
    let digest = list["approvals"][0]["digest"].clone();
    let approved = json!({ "decision": "approve", "digest": digest, "reason": "seen it" });
    assert_eq!(answer(&bench, ANA, run, approved.clone()).await, "200 -");
    bench.until(run, RunStatus::Succeeded).await;
    assert_eq!(bench.get(ANA, "/api/v1/approvals").await.json(), json!({ "approvals": [], "next": null }));
    assert_snapshot!(answer(&bench, ANA, run, approved).await, @"409 the run has finished");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_cannot_be_taken_says_why() {
    let bench = Bench::new().await;
    let run = bench.waiting_run("1").await;
    let mut answers = String::new();
    for (token, body) in [
        (BO, json!({ "decision": "approve" })),
        (ANA, json!({ "decision": "reject" })),
        (ANA, json!({ "decision": "approve", "digest": "0".repeat(64) })),
        (ANA, json!({ "decision": "approve", "digest": "0" })),
        (ANA, json!({ "decision": "perhaps" })),
        (ANA, json!({ "decision": "approve", "why": "x" })),
        (ANA, json!({ "reason": "x" })),
        (ANA, json!([])),
    ] {
        answers.push_str(&format!("{}\n", answer(&bench, token, run, body).await));
    }
    for path in [format!("{run}/look"), format!("{run}/nothing"), format!("{run}/block[0]")] {
        let path = format!("/api/v1/approvals/{path}");
        let refused = bench.post(ANA, &path, json!({ "decision": "approve" })).await;
        answers.push_str(&format!("{}\n", refused.brief()));
    }
    assert_snapshot!(answers, @"
    403 `bo` may not answer this: it takes the role `soc`
    422 a reason is needed here: say why
    409 the request has changed since it was shown: look again
    422 `0` is not a SHA-256 in lower-case hex at line 1 column 35
    422 unknown variant `perhaps`, expected `approve` or `reject` at line 1 column 21
    422 unknown field `why`, expected one of `decision`, `by`, `reason`, `digest` at line 1 column 27
    422 missing field `decision` at line 1 column 14
    422 the body is not a JSON object
    409 the step `look` does not wait for this: it is ok
    404 there is no step `nothing`
    404 there is no step `block[0]`
    ");
}

#[tokio::test(start_paused = true)]
async fn only_some_tokens_may_speak_for_others() {
    let bench = Bench::new().await;
    let run = bench.waiting_run("1").await;
    let approve = |by: &str| json!({ "decision": "approve", "by": by });
    let refused = bench.post(ANA, &format!("/api/v1/approvals/{run}/block"), approve("bo")).await;
    assert_snapshot!(refused.shown(), @r#"
    403 Forbidden
    {
      "detail": "the token of `ana` may not speak for others: leave `by` out",
      "status": 403,
      "title": "Not allowed",
      "type": "urn:portcullis:not-allowed"
    }
    "#);
    for by in ["", " cleo", "cl\u{1b}eo", "cleo\n", &"x".repeat(129)] {
        let no_name = answer(&bench, BOT, run, approve(by)).await;
        assert!(no_name.starts_with("422 `by` is not a name"), "{by:?}: {no_name}");
    }
    assert_eq!(answer(&bench, BOT, run, approve("cleo")).await, "200 -");
    let journal = bench.store.journal(run).await.unwrap();
    let by = journal.iter().find_map(|record| {
        let Event::ApprovalDecided { by, .. } = &record.event else { return None };
        Some(serde_json::to_string(by).unwrap())
    });
    assert_eq!(by.unwrap(), r#"{"name":"cleo","via":"bot","roles":["soc"]}"#);
}

#[tokio::test(start_paused = true)]
async fn a_step_in_doubt_is_listed_and_shown_with_what_was_seen() {
    let bench = Bench::new().await;
    let run = doubtful_run(&bench).await;
    let list = bench.get(BO, "/api/v1/approvals").await;
    assert_snapshot!(list.shown(), @r#"
    200 OK
    {
      "approvals": [
        {
          "about": "rule 5763 on web-01",
          "kind": "resolution",
          "message": "no answer within 30 s",
          "run": "RUN",
          "since": "1970-01-01T00:16:40.000Z",
          "step": "block",
          "workflow": "contain"
        }
      ],
      "next": null
    }
    "#);
    let detail = bench.get(BO, &format!("/api/v1/approvals/{run}/block")).await;
    assert_snapshot!(detail.shown(), @r#"
    200 OK
    {
      "about": "rule 5763 on web-01",
      "attempt": 1,
      "failure": {
        "class": "timeout",
        "help": "look at the firewall",
        "message": "no answer within 30 s"
      },
      "inputs": {
        "on": "web-01"
      },
      "kind": "resolution",
      "message": "no answer within 30 s",
      "run": "RUN",
      "since": "1970-01-01T00:16:40.000Z",
      "step": "block",
      "target": "host/web-01",
      "workflow": "contain"
    }
    "#);
}

#[tokio::test(start_paused = true)]
async fn a_step_in_doubt_is_resolved() {
    let bench = Bench::new().await;
    let run = doubtful_run(&bench).await;
    let path = format!("/api/v1/runs/{run}/steps/block/resolve");
    let mut answers = String::new();
    for body in [
        json!({ "resolution": "ok" }),
        json!({ "resolution": "ok", "reason": "" }),
        json!({ "resolution": "maybe", "reason": "x" }),
        json!({ "resolution": "ok", "reason": "x", "by": "bo" }),
        json!({ "resolution": "ok", "reason": "the firewall shows the rule" }),
        json!({ "resolution": "ok", "reason": "again" }),
    ] {
        answers.push_str(&format!("{}\n", bench.post(ANA, &path, body).await.brief()));
    }
    assert_snapshot!(answers, @"
    422 missing field `reason` at line 1 column 19
    422 a reason is needed here: say why
    422 unknown variant `maybe`, expected one of `ok`, `failed`, `send_again` at line 1 column 34
    403 the token of `ana` may not speak for others: leave `by` out
    200 -
    409 the run has finished
    ");
    bench.until(run, RunStatus::Succeeded).await;
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_run_sends_nothing_again() {
    let bench = Bench::new().await;
    let run = doubtful_run(&bench).await;
    let cancel = format!("/api/v1/runs/{run}/cancel");
    assert_eq!(bench.post(ANA, &cancel, json!({ "reason": "x" })).await.status, StatusCode::OK);
    assert_eq!(bench.post(ANA, &cancel, json!({ "reason": "x" })).await.status, StatusCode::CONFLICT);
    let again = json!({ "resolution": "send_again", "reason": "x" });
    let refused = bench.post(ANA, &format!("/api/v1/runs/{run}/steps/block/resolve"), again).await;
    assert_snapshot!(refused.shown(), @r#"
    409 Conflict
    {
      "detail": "the run was cancelled, or its time limit is over: nothing is sent any more",
      "status": 409,
      "title": "The run was cancelled",
      "type": "urn:portcullis:run-cancelled"
    }
    "#);
}
