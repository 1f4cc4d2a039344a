//! A story for every rule.

use insta::assert_snapshot;
use model::{Decision, Failure, FailureClass, Outcome, Resolution, RunStatus};
use serde_json::json;

use super::world::{World, person};
use crate::Input;

const GATED: &str = r#"
workflow: gated
steps:
  - id: host
    uses: look
    with: { at: "{{ alert.agent.name }}" }
  - id: block
    uses: act
    with: { on: "{{ steps.host.name }}" }
    approval:
      ask: "Block {{ steps.host.name }}?"
      from: { role: analyst }
      expires: 30m
  - id: close
    if: status.block == "ok"
    uses: look
    with: { at: "{{ approvals.block.by }}" }
outputs:
  blocked: status.block == "ok"
"#;

#[test]
fn an_approved_step_is_performed_with_what_was_approved() {
    let mut world = World::new(GATED);
    world.succeeds("host", json!({ "name": "web-01" }));
    world.wait(60);
    world.decides("block", Decision::Approve, person("ana", &["analyst"]), "").unwrap();
    world.succeeds("block", json!({}));
    world.succeeds("close", json!({}));
    assert_snapshot!(world.story(), @r#"
      1 run started
      1 host started #1 {"at":"web-01"}
      1 host ok {"name":"web-01"}
      1 block asks "Block web-01?"
     61 block Approve by ana
     61 block started #1 {"on":"web-01"} on host/web-01
     61 block ok {}
     61 close started #1 {"at":"ana"}
     61 close ok {}
     61 run succeeded {"blocked":true}
    -- succeeded
    "#);
}

#[test]
fn a_rejected_approval_touches_nothing_and_fails_nothing() {
    let mut world = World::new(GATED);
    world.succeeds("host", json!({ "name": "web-01" }));
    world.decides("block", Decision::Reject, person("ana", &["analyst"]), "our own scanner").unwrap();
    assert_snapshot!(world.story(), @r#"
      1 run started
      1 host started #1 {"at":"web-01"}
      1 host ok {"name":"web-01"}
      1 block asks "Block web-01?"
      1 block Reject by ana
      1 close skipped by its own if
      1 run succeeded {"blocked":false}
    -- succeeded
    "#);
}

#[test]
fn an_expired_approval_fails_the_run() {
    let mut world = World::new(GATED);
    world.succeeds("host", json!({ "name": "web-01" }));
    world.wait(30 * 60);
    assert_snapshot!(world.story(), @r#"
      1 run started
      1 host started #1 {"at":"web-01"}
      1 host ok {"name":"web-01"}
      1 block asks "Block web-01?"
    1801 block expired
    1801 close skipped by its own if
    1801 run failed {"blocked":false}
    -- failed
    "#);
}

#[test]
fn an_answer_after_the_expiry_comes_too_late() {
    let mut world = World::new(GATED);
    world.succeeds("host", json!({ "name": "web-01" }));
    world.now = world.now.after(std::time::Duration::from_secs(1800));
    let late = world.decides("block", Decision::Approve, person("ana", &["analyst"]), "");
    assert_snapshot!(late.unwrap_err(), @"the step `block` does not wait for this: it is expired");
    assert!(world.run.commands().is_empty());
}

#[test]
fn who_may_answer_and_how_is_checked() {
    let mut world = World::new(
        r#"
workflow: four_eyes
steps:
  - id: question
    uses: approval
    with: { ask: "Isolate?", from: { role: ir_lead, count: 2 }, reason: required, expires: 1h }
  - id: isolate
    uses: act
    with: { on: web-01 }
"#,
    );
    let mut answer = |name: &str, roles: &[&str], reason: &str| {
        let result = world.decides("question", Decision::Approve, person(name, roles), reason);
        result.map_or_else(|rejected| rejected.to_string(), |()| "taken".to_owned())
    };
    assert_snapshot!(answer("bo", &["analyst"], "sure"), @"`bo` may not answer this: it takes the role `ir_lead`");
    assert_snapshot!(answer("ana", &["ir_lead"], " "), @"a reason is needed here: say why");
    assert_snapshot!(answer("ana", &["ir_lead"], "confirmed"), @"taken");
    assert_snapshot!(answer("ana", &["ir_lead"], "confirmed"), @"`ana` has approved this already: it takes another person");
    assert_snapshot!(answer("cem", &["ir_lead"], "seen too"), @"taken");
    assert_snapshot!(world.story(), @r#"
      1 run started
      1 question asks "Isolate?"
      1 question Approve by ana
      1 question Approve by cem
      1 isolate prepared
      1 isolate started #1 {"on":"web-01"} on host/web-01
    -- running isolate#1
    "#);
}

#[test]
fn an_approval_that_was_skipped_lets_nothing_through() {
    let world = World::new(
        r#"
workflow: skipped_gate
steps:
  - { id: question, if: alert.rule.level > 12, uses: approval, with: { ask: "Isolate?", expires: 1h } }
  - { id: isolate, uses: act, with: { on: web-01 } }
"#,
    );
    assert_snapshot!(world.story(), @"
      1 run started
      1 question skipped by its own if
      1 isolate stopped by question
      1 run succeeded {}
    -- succeeded
    ");
}

#[test]
fn what_was_stopped_stops_what_needs_it_and_a_step_skipped_by_itself_does_not() {
    let mut world = World::new(
        r#"
workflow: stopped
steps:
  - { id: a, uses: look }
  - { id: b, needs: [a], uses: look }
  - { id: c, needs: [b], uses: look }
  - { id: d, needs: [a], if: status.a == "failed", uses: set, with: { why: errors.a.message } }
  - { id: e, needs: [], if: "false", uses: look }
  - { id: f, needs: [e], uses: set, with: { fine: "true" } }
"#,
    );
    world.fails("a", FailureClass::Http(404));
    assert_snapshot!(world.story(), @r#"
      1 run started
      1 a started #1 {}
      1 e skipped by its own if
      1 f ok {"fine":true}
      1 a failed: it did not work (http_404)
      1 b stopped by a
      1 c stopped by b
      1 d ok {"why":"it did not work"}
      1 run failed {}
    -- failed
    "#);
}

#[test]
fn a_failure_is_tried_again_where_its_class_is_named() {
    let mut world = World::new(
        r#"
workflow: retries
steps:
  - id: reputation
    uses: look
    retry: { max: 3, wait: 10s, backoff: 2, on: [timeout, http_5xx] }
    on_error: continue
  - { id: next, uses: set, with: { ok: "true" } }
"#,
    );
    world.fails("reputation", FailureClass::Timeout);
    assert!(world.run.commands().is_empty());
    world.wait(13);
    world.ends("reputation", Outcome::Unknown(Failure::new(FailureClass::Http(503), "busy")));
    world.wait(26);
    world.fails("reputation", FailureClass::Http(404));
    assert_snapshot!(world.story(), @r#"
      1 run started
      1 reputation started #1 {}
      1 reputation failed: it did not work (timeout), to be tried again
     14 reputation started #2 {}
     14 reputation failed: busy (http_503), to be tried again
     40 reputation started #3 {}
     40 reputation failed: it did not work (http_404)
     40 next ok {"ok":true}
     40 run succeeded {}
    -- succeeded
    "#);
}

#[test]
fn an_unknown_outcome_of_a_disruption_is_parked_and_never_tried_again() {
    let mut world = World::new(
        r#"
workflow: doubt
steps:
  - { id: question, uses: approval, with: { ask: "Block?", expires: 1h } }
  - id: block
    uses: act
    with: { on: web-01 }
    retry: { max: 5, on: [timeout, reset, http_5xx] }
  - { id: tell, uses: set, with: { done: "true" } }
"#,
    );
    world.decides("question", Decision::Approve, person("ana", &[]), "").unwrap();
    world.ends("block", Outcome::Unknown(Failure::new(FailureClass::Timeout, "no answer within 30s")));
    world.wait(3600);
    world.resolves("block", Resolution::SendAgain).unwrap();
    world.tell(Input::Recovered).unwrap();
    world.resolves("block", Resolution::Ok).unwrap();
    assert_snapshot!(world.story(), @r#"
      1 run started
      1 question asks "Block?"
      1 question Approve by ana
      1 block prepared
      1 block started #1 {"on":"web-01"} on host/web-01
      1 block in doubt: no answer within 30s
    3601 block resolved SendAgain by ana
    3601 block started #2 {"on":"web-01"} on host/web-01
    3601 block in doubt: the process ended while attempt 2 was under way
    3601 block resolved Ok by ana
    3601 tell ok {"done":true}
    3601 run succeeded {}
    -- succeeded
    "#);
}

#[test]
fn after_a_crash_reads_are_run_again_and_disruptions_are_in_doubt() {
    let mut world = World::new(
        r#"
workflow: crash
steps:
  - { id: read, needs: [], uses: look }
  - { id: question, needs: [], uses: approval, with: { ask: "Block?", expires: 1h } }
  - { id: block, needs: [question], uses: act, with: { on: web-01 } }
"#,
    );
    world.decides("question", Decision::Approve, person("ana", &[]), "").unwrap();
    world.tell(Input::Recovered).unwrap();
    world.resolves("block", Resolution::Failed).unwrap();
    world.succeeds("read", json!({}));
    assert_snapshot!(world.story(), @r#"
      1 run started
      1 read started #1 {}
      1 question asks "Block?"
      1 question Approve by ana
      1 block prepared
      1 block started #1 {"on":"web-01"} on host/web-01
      1 read started #2 {}
      1 block in doubt: the process ended while attempt 1 was under way
      1 block resolved Failed by ana
      1 read ok {}
      1 run failed {}
    -- failed
    "#);
}

#[test]
fn a_cancelled_run_starts_nothing_and_waits_for_what_is_under_way() {
    let mut world = World::new(
        "workflow: cancel\nsteps:\n  - { id: a, uses: look }\n  - { id: b, uses: look }\n  - { id: c, needs: [], uses: delay, with: { for: 1h } }\n",
    );
    world.tell(Input::Cancelled { by: person("ana", &[]), reason: "false alarm".to_owned() }).unwrap();
    world.succeeds("a", json!({}));
    assert_snapshot!(world.story(), @"
      1 run started
      1 a started #1 {}
      1 c waits until 3601
      1 run cancelled by ana
      1 a ok {}
      1 run cancelled {}
    -- cancelled
    ");
}

#[test]
fn a_delay_ends_by_the_clock() {
    let mut world = World::new(
        "workflow: wait\nsteps:\n  - { id: a, uses: delay, with: { for: 10m } }\n  - { id: b, uses: set, with: { x: \"1 + 1\" } }\n",
    );
    world.wait(599);
    world.wait(1);
    assert_snapshot!(world.story(), @r#"
      1 run started
      1 a waits until 601
    601 a ok {}
    601 b ok {"x":2}
    601 run succeeded {}
    -- succeeded
    "#);
}

#[test]
fn an_empty_target_and_a_missing_path_fail_the_step_before_anybody_is_asked() {
    let mut world = World::new(GATED);
    world.succeeds("host", json!({ "name": "" }));
    assert_snapshot!(world.story(), @r#"
      1 run started
      1 host started #1 {"at":"web-01"}
      1 host ok {"name":""}
      1 block failed: `inputs.on` is empty, so nobody can say what this acts on (input)
      1 close skipped by its own if
      1 run failed {"blocked":false}
    -- failed
    "#);
    let mut world = World::new(GATED);
    world.succeeds("host", json!({}));
    assert_snapshot!(world.story(), @r#"
      1 run started
      1 host started #1 {"at":"web-01"}
      1 host ok {}
      1 block failed: the input `on`: `steps.host.name` is missing: `steps.host` has nothing, in `{{ steps.host.name }}` (input)
      1 close skipped by its own if
      1 run failed {"blocked":false}
    -- failed
    "#);
}

#[test]
fn a_gate_is_skipped_where_its_skip_if_holds() {
    let text = GATED.replace("expires: 30m", "expires: 30m\n      skip_if: steps.host.score >= 20");
    let mut world = World::new(&text);
    world.succeeds("host", json!({ "name": "web-01", "score": 30 }));
    assert_snapshot!(world.story(), @r#"
      1 run started
      1 host started #1 {"at":"web-01"}
      1 host ok {"name":"web-01","score":30}
      1 block prepared
      1 block started #1 {"on":"web-01"} on host/web-01
    -- running block#1
    "#);
}

#[test]
fn a_shadow_run_holds_disruption_back_and_says_what_it_would_have_done() {
    let mut world = World::new(&GATED.replace("workflow: gated", "workflow: gated\nmode: shadow"));
    world.succeeds("host", json!({ "name": "web-01" }));
    assert_snapshot!(world.story(), @r#"
      1 run started
      1 host started #1 {"at":"web-01"}
      1 host ok {"name":"web-01"}
      1 block held back {"on":"web-01"}
      1 close skipped by its own if
      1 run succeeded {"blocked":false}
    -- succeeded
    "#);
}

const RETRIED: &str = r#"
workflow: retried
steps:
  - { id: question, uses: approval, with: { ask: "Block?", from: { role: ir_lead }, expires: 1h } }
  - { id: block, uses: act, with: { on: web-01 }, retry: { max: 3, wait: 10s, on: [connect] } }
"#;

fn lead() -> model::Person {
    person("lea", &["ir_lead"])
}

#[test]
fn a_retry_that_falls_due_while_nobody_holds_the_run_is_made_and_not_doubted() {
    let mut world = World::new(RETRIED);
    world.decides("question", Decision::Approve, lead(), "").unwrap();
    world.fails("block", FailureClass::Connect);
    world.now = world.now.after(std::time::Duration::from_secs(20));
    world.tell(Input::Recovered).unwrap();
    assert_snapshot!(world.story(), @r#"
      1 run started
      1 question asks "Block?"
      1 question Approve by lea
      1 block prepared
      1 block started #1 {"on":"web-01"} on host/web-01
      1 block failed: it did not work (connect), to be tried again
     21 block prepared
     21 block started #2 {"on":"web-01"} on host/web-01
    -- running block#2
    "#);
}

#[test]
fn only_who_may_approve_a_step_says_what_became_of_it() {
    let mut world = World::new(RETRIED);
    world.decides("question", Decision::Approve, lead(), "").unwrap();
    world.ends("block", Outcome::Unknown(Failure::new(FailureClass::Timeout, "no answer")));
    assert_snapshot!(world.resolves("block", Resolution::SendAgain).unwrap_err(), @"`ana` may not answer this: it takes the role `ir_lead`");
    let step = "block".parse().unwrap();
    let reason = "looked at the host".to_owned();
    world.tell(Input::Resolved { step, resolution: Resolution::Ok, by: lead(), reason }).unwrap();
    assert!(world.run.status().is_finished());
}

#[test]
fn an_approval_that_cannot_be_asked_lets_nothing_through() {
    let world = World::new(
        r#"
workflow: broken_gate
steps:
  - { id: question, uses: approval, with: { ask: "Block {{ alert.data.srcip }}?", expires: 1h } }
  - { id: block, uses: act, with: { on: web-01 } }
"#,
    );
    assert!(world.run.status().is_finished());
    assert_snapshot!(world.story(), @"
      1 run started
      1 question failed: `ask`: `alert.data.srcip` is missing: `alert` has agent, rule, in `Block {{ alert.data.srcip }}?` (input)
      1 block stopped by question
      1 run failed {}
    -- failed
    ");
}

#[test]
fn what_is_noted_before_a_stop_is_followed_up_after_the_start() {
    let mut world = World::new(RETRIED);
    world.decides("question", Decision::Approve, lead(), "").unwrap();
    let done = Outcome::Succeeded(json!({}).into());
    let (records, result) = world.run.note("block".parse().unwrap(), 1, done, world.now);
    result.unwrap();
    world.journal.extend(records);
    assert!(!world.run.status().is_finished());
    world.tell(Input::Recovered).unwrap();
    assert!(world.run.status().is_finished());
}

#[test]
fn numbers_are_sent_as_they_were_approved() {
    let workflow = super::world::workflow(
        "workflow: numbers\nsteps:\n  - { id: a, uses: look, with: { at: \"{{ alert.n }}\" } }\n  - { id: b, uses: look }\n",
    );
    let mut start = super::world::start();
    start.alert = serde_json::from_str::<serde_json::Value>(r#"{"n": 6.934698245112694e+276, "m": 0.1}"#)
        .unwrap()
        .into();
    let (_, mut journal) =
        crate::Run::start(super::world::id(), workflow, start, model::Timestamp::default());
    let once = serde_json::to_string(&journal).unwrap();
    for _ in 0..3 {
        journal = serde_json::from_str(&serde_json::to_string(&journal).unwrap()).unwrap();
    }
    assert_eq!(serde_json::to_string(&journal).unwrap(), once);
}

#[test]
fn an_output_too_large_to_be_kept_fails_a_read() {
    let mut world = World::new("workflow: large\nsteps:\n  - { id: a, uses: look }\n");
    world.succeeds("a", json!({ "text": "x".repeat(3 * 1024 * 1024) }));
    assert_snapshot!(world.story(), @"
      1 run started
      1 a started #1 {}
      1 a failed: the output has more than 2097152 bytes as JSON (response)
      1 run failed {}
    -- failed
    ");
}

fn limited(keys: &str) -> World {
    let gate = "approval: { ask: \"?\", expires: 1h }";
    let mut world = World::new(&format!(
        "workflow: w\ntimeout: 10m\nsteps:\n  - {{ id: d, uses: act, with: {{ on: h }}, {keys}, {gate} }}\n"
    ));
    world.decides("d", Decision::Approve, person("ana", &[]), "").unwrap();
    world
}

#[test]
fn a_retry_that_is_due_when_the_time_limit_is_over_is_not_made() {
    let mut world = limited("retry: { max: 3, wait: 1s, on: [connect] }");
    world.fails("d", FailureClass::Connect);
    world.wait(86_400);
    assert_snapshot!(world.story(), @r#"
      1 run started
      1 d asks "?"
      1 d Approve by ana
      1 d started #1 {"on":"h"} on host/h
      1 d failed: it did not work (connect), to be tried again
    86401 run timed out
    86401 run failed {}
    -- failed
    "#);
}

#[test]
fn what_fails_after_the_time_limit_is_not_tried_again() {
    let mut world = limited("retry: { max: 3, wait: 1h, on: [connect] }");
    world.wait(601);
    world.fails("d", FailureClass::Connect);
    assert_snapshot!(world.story(), @r#"
      1 run started
      1 d asks "?"
      1 d Approve by ana
      1 d started #1 {"on":"h"} on host/h
    602 run timed out
    602 d failed: it did not work (connect)
    602 run failed {}
    -- failed
    "#);
    let mut until = World::new(
        "workflow: w\ntimeout: 10m\nsteps:\n  - { id: a, uses: look, retry: { max: 3, wait: 1s }, until: output.done }\n",
    );
    until.wait(601);
    until.succeeds("a", json!({ "done": false }));
    assert_snapshot!(until.story(), @"
      1 run started
      1 a started #1 {}
    602 run timed out
    602 a failed: `until` does not hold after 1 attempts (not_yet)
    602 run failed {}
    -- failed
    ");
    let mut interrupted = World::new(
        "workflow: w\ntimeout: 10m\nsteps:\n  - { id: a, uses: look }\non_failure:\n  - { id: tell, uses: look }\n",
    );
    interrupted.now = interrupted.now.after(std::time::Duration::from_secs(601));
    interrupted.tell(Input::Recovered).unwrap();
    // The steps of `on_failure` have no time limit.
    interrupted.tell(Input::Recovered).unwrap();
    assert_snapshot!(interrupted.story(), @"
      1 run started
      1 a started #1 {}
    602 run timed out
    602 a failed: the process ended while attempt 1 was under way (interrupted)
    602 tell started #1 {}
    602 tell started #2 {}
    -- running tell#2
    ");
}

#[test]
fn nothing_is_sent_again_after_the_time_limit() {
    let mut world = limited("timeout: 5s");
    world.ends("d", Outcome::Unknown(Failure::new(FailureClass::Timeout, "no answer")));
    world.wait(601);
    let refused = world.resolves("d", Resolution::SendAgain).unwrap_err();
    assert_snapshot!(refused, @"the run was cancelled, or its time limit is over: nothing is sent any more");
    world.resolves("d", Resolution::Failed).unwrap();
    assert_eq!(world.run.status(), RunStatus::Failed);
}
