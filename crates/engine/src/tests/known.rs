//! Stories of known outcomes: what was taken is looked for, what is held is undone, and nobody forgets.

use insta::assert_snapshot;
use model::{Decision, FailureClass, Outcome, Resolution, RunId, RunStatus};
use serde_json::json;

use super::world::{World, person};
use crate::{Input, Rejected, Verdict};

const ISOLATE: &str = "workflow: w
steps:
  - id: isolate
    uses: isolate
    with: { on: web-01 }
    approval: { ask: \"Isolate?\", expires: 1h }
    undo: { after: 30m }
on_failure:
  - { id: alarm, uses: tell, with: { text: \"{{ error.step }}: {{ error.message }}\" } }
";

const OTHER: RunId = RunId::from_bytes([9; 16]);

fn isolating(text: &str) -> World {
    let mut world = World::new(text);
    world.decides("isolate", Decision::Approve, person("ana", &[]), "").unwrap();
    world
}

fn isolated(text: &str) -> World {
    let mut world = isolating(text);
    world.succeeds("isolate", json!({ "sent": true }));
    world.sees("isolate", json!({ "found": true }));
    world
}

#[test]
fn taken_is_not_done_before_somebody_has_seen_it_and_its_time_ends_with_the_undo() {
    let mut world = isolating(ISOLATE);
    assert_eq!(world.held(), "host/web-01/network sending 1801");
    world.succeeds("isolate", json!({ "sent": true }));
    world.sees("isolate", json!({ "found": false }));
    world.wait(5);
    world.sees("isolate", json!({ "found": true, "alert": "657" }));
    assert_eq!(world.held(), "host/web-01/network holding 1801");
    assert!(world.run.status().is_finished() && !world.run.summary().is_over());
    world.wait(1795);
    assert_eq!(world.held(), "host/web-01/network undoing 1801");
    world.succeeds("isolate.undo", json!({}));
    assert_eq!((world.held().as_str(), world.run.summary().is_over()), ("", true));
    assert_snapshot!(world.story(), @r#"
      1 run started
      1 isolate asks "Isolate?"
      1 isolate Approve by ana
      1 isolate started #1 {"on":"web-01"} on host/web-01/network
      1 isolate taken, looked for
      1 isolate not seen by look 1, again at 6
      6 isolate look 2
      6 isolate ok {"sent":true,"verified":{"alert":"657","found":true}}
      6 run succeeded {}
    1801 isolate.undo due: Time
    1801 isolate.undo prepared
    1801 isolate.undo started #1 {"on":"web-01"} on host/web-01/network
    1801 isolate.undo ok {}
    -- succeeded
    "#);
}

#[test]
fn an_unknown_outcome_that_is_seen_is_known_and_one_that_is_not_seen_is_in_doubt() {
    let mut world = isolating(ISOLATE);
    world.unknown("isolate");
    world.sees("isolate", json!({ "found": true }));
    assert_eq!(world.held(), "host/web-01/network holding 1801");

    let mut world = isolating(ISOLATE);
    world.succeeds("isolate", json!({ "sent": true }));
    for _ in 0..3 {
        world.sees("isolate", json!({ "found": false }));
        world.wait(5);
    }
    assert_eq!(world.held(), "host/web-01/network in_doubt 1801");
    assert_snapshot!(world.story().lines().rev().nth(1).unwrap(), @" 11 isolate in doubt: it was taken, and nothing shows within 12s that it was done");
    world.resolves("isolate", Resolution::Failed).unwrap();
    assert_eq!(world.held(), "");
}

#[test]
fn a_crash_after_the_send_looks_and_sends_nothing_again() {
    let mut world = isolating(ISOLATE);
    world.crash();
    let commands = world.run.commands();
    assert_eq!(commands.iter().map(|command| command.node.name.as_str()).collect::<Vec<_>>(), ["seen"]);
    world.crash();
    world.sees("isolate", json!({ "found": true }));
    assert_eq!(world.held(), "host/web-01/network holding 1801");
}

#[test]
fn what_cannot_be_seen_may_be_what_looks() {
    let mut world = isolating(ISOLATE);
    world.succeeds("isolate", json!({ "sent": true }));
    for _ in 0..3 {
        world.look_fails("isolate");
        world.wait(5);
    }
    assert_snapshot!(world.story().lines().rev().nth(1).unwrap(), @" 11 isolate in doubt: it was taken, and nobody could look whether it was done: the indexer refuses connections");
}

#[test]
fn an_undo_is_tried_for_ever_and_somebody_is_told_once() {
    let mut world = isolated(ISOLATE);
    world.wait(1800);
    world.fails("isolate.undo", FailureClass::Connect);
    world.succeeds("alarm", json!({}));
    for _ in 0..12 {
        world.wait(3700);
        world.fails("isolate.undo", FailureClass::Connect);
    }
    assert_eq!(world.held(), "host/web-01/network undo_failing 1801");
    let error = world.run.summary().error.unwrap();
    assert_eq!(error, "isolate.undo: `host/web-01/network` is still contained: it did not work");
    world.wait(3700);
    world.crash();
    world.wait(3700);
    world.succeeds("isolate.undo", json!({}));
    assert!(world.run.summary().is_over());
    assert_eq!(world.run.summary().error, None);
    let story = world.story();
    let told: Vec<&str> = story.lines().filter(|line| line.contains("alarm")).collect();
    assert_snapshot!(told.join("\n"), @r#"
    1801 isolate.undo alarm: `host/web-01/network` is still contained: it did not work
    1801 alarm started #1 {"text":"isolate.undo: `host/web-01/network` is still contained: it did not work"}
    1801 alarm ok {}
    "#);
}

#[test]
fn people_are_told_of_each_containment_that_cannot_be_undone() {
    let text = "workflow: w
steps:
  - { id: one, uses: isolate, with: { on: a }, approval: { ask: \"?\", expires: 1h }, undo: { after: 30m } }
  - { id: two, uses: isolate, with: { on: b }, approval: { ask: \"?\", expires: 1h }, undo: { after: 30m } }
on_failure:
  - { id: alarm, uses: tell, with: { text: \"{{ error.step }}\" } }
";
    let mut world = World::new(text);
    for step in ["one", "two"] {
        world.decides(step, Decision::Approve, person("ana", &[]), "").unwrap();
        world.succeeds(step, json!({}));
        world.sees(step, json!({ "found": true }));
    }
    world.wait(1800);
    world.fails("one.undo", FailureClass::Connect);
    world.fails("two.undo", FailureClass::Connect);
    world.succeeds("alarm", json!({}));
    world.crash();
    world.succeeds("alarm", json!({}));
    let told = |step: &str| world.story().contains(&format!("{{\"text\":\"{step}.undo\"}}"));
    assert!(told("one") && told("two"), "{}", world.story());
}

#[test]
fn a_run_that_was_cancelled_tells_people_too() {
    let text = "workflow: w
steps:
  - { id: isolate, uses: isolate, with: { on: a }, approval: { ask: \"?\", expires: 1h }, undo: { after: 10m } }
  - { id: wait, uses: delay, with: { for: 1h } }
on_failure:
  - { id: alarm, uses: tell, with: { text: \"{{ error.step }}\" } }
";
    let mut world = isolated(text);
    world.wait(600);
    world.fails("isolate.undo", FailureClass::Connect);
    assert!(world.run.commands().is_empty(), "nobody is told before the end");
    world.tell(Input::Cancelled { by: person("ana", &[]), reason: "no".to_owned() }).unwrap();
    world.succeeds("alarm", json!({}));
    assert_eq!(world.run.status(), RunStatus::Cancelled);
}

#[test]
fn what_is_still_being_done_is_undone_afterwards() {
    let mut world = isolating(ISOLATE);
    world.undoes("isolate", false).unwrap();
    assert!(matches!(world.undoes("isolate", true), Err(Rejected::NotWaiting { .. })));
    world.succeeds("isolate", json!({ "sent": true }));
    assert_eq!(world.held(), "host/web-01/network sending 1801");
    let looks = world.run.commands();
    assert!(looks.iter().all(|command| command.look.is_some()), "nothing is undone yet: {looks:?}");
    world.sees("isolate", json!({ "found": true }));
    assert_eq!(world.held(), "host/web-01/network undoing 1801");

    // What did not happen is not undone, whoever wanted it.
    let mut world = isolating(ISOLATE);
    world.undoes("isolate", false).unwrap();
    world.fails("isolate", FailureClass::Connect);
    assert_eq!(world.held(), "");
}

#[test]
fn an_undo_that_is_tried_again_is_cleared_again() {
    let mut world = isolated(ISOLATE);
    world.wait(1800);
    world.fails("isolate.undo", FailureClass::Connect);
    world.clears = false;
    world.wait(3600);
    assert_eq!(world.held(), "host/web-01/network undo_due 1801");
    world.cleared("isolate.undo", Verdict::HandedOver { to: OTHER });
    assert_eq!(world.held(), "");
}

#[test]
fn what_was_undone_is_not_sent_again() {
    let mut world = isolating(ISOLATE);
    world.succeeds("isolate", json!({ "sent": true }));
    for _ in 0..3 {
        world.look_fails("isolate");
        world.wait(5);
    }
    world.wait(1800);
    assert_eq!(world.held(), "host/web-01/network undoing 1801");
    assert!(matches!(world.resolves("isolate", Resolution::SendAgain), Err(Rejected::IsUndone(_))));
    world.succeeds("isolate.undo", json!({}));
    assert!(matches!(world.resolves("isolate", Resolution::SendAgain), Err(Rejected::IsUndone(_))));
    world.resolves("isolate", Resolution::Ok).unwrap();
    assert!(world.run.summary().is_over());
}

#[test]
fn a_run_of_which_more_follows_is_not_waiting() {
    let text = "workflow: w
steps:
  - { id: isolate, uses: isolate, with: { on: h }, approval: { ask: \"?\", expires: 1h }, undo: { after: 1d } }
  - { id: first, uses: look }
  - { id: second, uses: look }
";
    let mut world = isolated(text);
    let outcome = Outcome::Succeeded(json!({}).into());
    let (records, result) = world.run.note("first".parse().unwrap(), 1, outcome, world.now);
    result.unwrap();
    world.journal.extend(records);
    // Its row wakes it at the start, and not when the undo is due.
    assert_eq!(world.run.status(), RunStatus::Running);
    world.crash();
    world.succeeds("second", json!({}));
    assert_eq!(world.run.status(), RunStatus::Succeeded);
}

#[test]
fn what_an_item_says_of_its_end_is_known_before_it_is_cleared() {
    let mut world = World::new(
        "workflow: w\nsteps:\n  - { id: isolate, uses: isolate, foreach: \"['10m']\", max_items: 2, with: { on: h }, approval: { ask: \"?\", expires: 1h }, undo: { after: \"{{ item }}\" } }\n",
    );
    world.clears = false;
    world.decides("isolate[0]", Decision::Approve, person("ana", &[]), "").unwrap();
    assert!(world.run.clearances()[0].holds.is_some());
}

#[test]
fn an_undo_that_is_overdue_at_a_start_is_due_at_once() {
    let mut world = isolated(ISOLATE);
    world.now = world.now.after(std::time::Duration::from_secs(86_400));
    world.crash();
    assert_eq!(world.held(), "host/web-01/network undoing 1801");
}

#[test]
fn a_person_undoes_it_before_its_time_or_says_that_they_did() {
    let mut world = isolated(ISOLATE);
    assert_eq!(world.undoes("isolate", false), Ok(()));
    assert_snapshot!(world.undoes("isolate", false).unwrap_err(), @"what the step `isolate` contained is being undone already; `portcullis contained` says where that stands");
    world.succeeds("isolate.undo", json!({}));
    assert_eq!(world.undoes("isolate", false), Err(Rejected::NothingHeld("isolate".parse().unwrap())));
    assert_eq!(world.run.step_status(&"isolate".parse().unwrap()), Some(model::StepStatus::Undone));

    let mut world = isolated(ISOLATE);
    assert_eq!(world.undoes("isolate", true), Ok(()));
    assert!(world.run.summary().is_over() && world.run.commands().is_empty());
}

#[test]
fn what_holds_already_is_joined_and_what_another_run_still_holds_is_handed_over() {
    let mut world = World::new(ISOLATE);
    world.clears = false;
    world.decides("isolate", Decision::Approve, person("ana", &[]), "").unwrap();
    assert!(world.run.commands().is_empty(), "nothing leaves before it is cleared");
    world.cleared("isolate", Verdict::Joined { by: OTHER });
    assert!(world.run.commands().is_empty());
    assert_eq!(
        (world.run.status(), world.held().as_str()),
        (RunStatus::Succeeded, "host/web-01/network holding 1801")
    );
    world.wait(1800);
    world.cleared("isolate.undo", Verdict::HandedOver { to: OTHER });
    assert!(world.run.summary().is_over() && world.run.commands().is_empty());
    assert_snapshot!(world.story(), @r#"
      1 run started
      1 isolate asks "Isolate?"
      1 isolate Approve by ana
      1 isolate joined: host/web-01/network is held already
      1 run succeeded {}
    1801 isolate.undo due: Time
    1801 isolate.undo prepared
    1801 isolate.undo let go: HandedOver { to: RunId(09090909-0909-0909-0909-090909090909) }
    -- succeeded
    "#);
}

#[test]
fn what_the_guardrails_refuse_is_not_sent_and_what_they_ask_a_person_answers() {
    let mut world = World::new(ISOLATE);
    world.clears = false;
    world.decides("isolate", Decision::Approve, person("ana", &[]), "").unwrap();
    world.cleared("isolate", Verdict::Ask("the budget of this hour is spent".to_owned()));
    assert!(world.decides("isolate", Decision::Approve, person("ana", &[]), "").is_err(), "why is asked for");
    world.decides("isolate", Decision::Approve, person("ana", &[]), "it spreads").unwrap();
    let clearance = world.run.clearances().remove(0);
    assert_eq!(clearance.answered, ["the budget of this hour is spent"]);
    assert!(world.run.commands().is_empty());
    let failure = model::Failure::new(FailureClass::Guardrail, "agent 001 is never touched");
    world.cleared("isolate", Verdict::Refused(failure));
    assert_eq!(world.held(), "");
    assert_snapshot!(world.story(), @r#"
      1 run started
      1 isolate asks "Isolate?"
      1 isolate Approve by ana
      1 isolate asks "the budget of this hour is spent. Perform isolate on host/web-01/network all the same?"
      1 isolate Approve by ana
      1 isolate failed: agent 001 is never touched (guardrail)
      1 alarm started #1 {"text":"isolate: agent 001 is never touched"}
    -- running alarm#1
    "#);
}

#[test]
fn what_ends_on_its_own_is_let_go_when_its_time_is_over() {
    let mut world = World::new(
        "workflow: w\nsteps:\n  - { id: a, uses: timed, with: { on: h, for: 3m }, approval: { ask: \"?\", expires: 1h } }\n",
    );
    world.decides("a", Decision::Approve, person("ana", &[]), "").unwrap();
    world.succeeds("a", json!({}));
    assert_eq!(world.held(), "host/h/port holding 181");
    assert_eq!(world.undoes("a", false), Err(Rejected::NoInverse("a".parse().unwrap())));
    world.wait(180);
    assert_eq!((world.held().as_str(), world.run.summary().is_over()), ("", true));
}

#[test]
fn a_run_that_fails_or_is_cancelled_undoes_what_it_should() {
    let text = "workflow: w
steps:
  - { id: isolate, uses: isolate, with: { on: h }, approval: { ask: \"?\", expires: 1h }, undo: { on: [failed, cancelled] } }
  - { id: after, uses: look }
";
    let mut world = isolated(text);
    world.fails("after", FailureClass::Http(500));
    assert_eq!(
        (world.run.status(), world.held().as_str()),
        (RunStatus::Failed, "host/h/network undoing for ever")
    );

    let mut world = isolated(text);
    world.tell(Input::Cancelled { by: person("ana", &[]), reason: "no".to_owned() }).unwrap();
    world.succeeds("after", json!({}));
    assert_eq!(world.held(), "host/h/network undoing for ever");

    let mut world = isolated(text);
    world.succeeds("after", json!({}));
    assert_eq!(world.held(), "host/h/network holding for ever");
}

#[test]
fn an_undo_with_a_question_waits_for_its_answer_and_no_keeps_it() {
    let text = "workflow: w
steps:
  - id: isolate
    uses: isolate
    with: { on: h }
    approval: { ask: \"Isolate?\", expires: 1h }
    undo: { after: 10m, approval: { ask: \"Release {{ steps.isolate.nothing }}?\" } }
";
    for (decision, held) in [
        (Decision::Approve, "host/h/network undoing 601"),
        (Decision::Reject, "host/h/network holding for ever"),
    ] {
        let mut world = isolated(text);
        world.wait(600);
        world.wait(100_000);
        assert_eq!(world.held(), "host/h/network undo_asked 601");
        world.decides("isolate.undo", decision, person("bo", &[]), "because").unwrap();
        assert_eq!(world.held(), held);
    }
}

#[test]
fn an_unknown_outcome_is_sent_again_with_the_same_key_and_what_was_not_seen_is_done_again() {
    let mut world = World::new("workflow: w\nsteps: [{ id: a, uses: order }]\n");
    let key = |world: &World| world.run.commands()[0].call()["key"].clone();
    let first = key(&world);
    world.unknown("a");
    assert!(world.run.commands().is_empty());
    world.wait(30);
    assert_eq!(key(&world), first);
    world.crash();
    world.wait(60);
    world.succeeds("a", json!({ "n": 1 }));
    assert_eq!(world.run.status(), RunStatus::Succeeded);

    let mut world = World::new("workflow: w\nsteps: [{ id: a, uses: file }]\noutputs: { id: steps.a.id }\n");
    world.crash();
    world.sees("a", json!({ "found": false }));
    world.wait(5);
    world.sees("a", json!({ "found": false }));
    world.wait(60);
    world.unknown("a");
    world.sees("a", json!({ "found": true, "id": "~7" }));
    assert_snapshot!(world.story(), @r#"
      1 run started
      1 a started #1 {}
      1 a unknown (the process ended while attempt 1 was under way), looked for
      1 a not seen by look 1, again at 6
      6 a look 2
      6 a failed: the process ended while attempt 1 was under way; and nothing shows within 5s that it was done (not_seen), to be tried again
     66 a started #2 {}
     66 a unknown (no answer), looked for
     66 a ok {"id":"~7","verified":{"found":true,"id":"~7"}}
     66 run succeeded {"id":"~7"}
    -- succeeded
    "#);
}

#[test]
fn the_same_alert_again_is_kept_with_the_run_also_after_its_end() {
    let mut world = World::new("workflow: w\nsteps: [{ id: a, uses: set, with: { x: \"1\" } }]\n");
    for n in 0..52 {
        let received_at = world.now;
        world
            .tell(Input::AlertAgain { alert: json!({ "n": n }).into(), received_at, reconciled: false })
            .unwrap();
    }
    assert_eq!(world.run.status(), RunStatus::Succeeded);
    let last = world.story();
    let kept = last.lines().filter(|line| line.ends_with("alert again")).count();
    assert_eq!((kept, last.lines().filter(|line| line.ends_with("not kept")).count()), (50, 2));
}

#[test]
fn each_item_of_a_list_is_held_and_undone_on_its_own() {
    let mut world = World::new(
        "workflow: w\nsteps:\n  - { id: isolate, uses: isolate, foreach: \"[{'on': 'a', 'for': '10m'}, {'on': 'b', 'for': '20m'}]\", max_items: 2, with: { on: \"{{ item.on }}\" }, approval: { ask: \"{{ item.on }}?\", expires: 1h }, undo: { after: \"{{ item.for }}\" } }\n",
    );
    for step in ["isolate[0]", "isolate[1]"] {
        world.decides(step, Decision::Approve, person("ana", &[]), "").unwrap();
        world.succeeds(step, json!({}));
        world.sees(step, json!({ "found": true }));
    }
    assert_eq!(world.held(), "host/a/network holding 601; host/b/network holding 1201");
    world.undoes("isolate[1]", false).unwrap();
    world.ends("isolate[1].undo", Outcome::Succeeded(json!({}).into()));
    world.wait(600);
    world.succeeds("isolate[0].undo", json!({}));
    assert!(world.run.summary().is_over());
}

#[test]
fn what_was_under_way_in_a_copy_is_in_doubt_whatever_the_node_says() {
    let mut world = World::new(
        r#"
workflow: copy
steps:
  - { id: read, needs: [], uses: look }
  - { id: word, needs: [], uses: tell, with: { text: "x" } }
  - { id: question, needs: [], uses: approval, with: { ask: "Block?", expires: 1h } }
  - { id: block, needs: [question], uses: act, with: { on: web-01 } }
"#,
    );
    world.decides("question", Decision::Approve, person("ana", &[]), "").unwrap();
    world.tell(Input::Restored).unwrap();
    world.tell(Input::Restored).unwrap();
    world.resolves("word", Resolution::SendAgain).unwrap();
    world.resolves("block", Resolution::Ok).unwrap();
    world.tell(Input::Recovered).unwrap();
    assert_snapshot!(world.story(), @r#"
      1 run started
      1 read started #1 {}
      1 word started #1 {"text":"x"}
      1 question asks "Block?"
      1 question Approve by ana
      1 block prepared
      1 block started #1 {"on":"web-01"} on host/web-01
      1 read started #2 {}
      1 word in doubt: attempt 1 was under way when the backup was taken that this was restored from
      1 block in doubt: attempt 1 was under way when the backup was taken that this was restored from
      1 read started #3 {}
      1 word resolved SendAgain by ana
      1 word started #2 {"text":"x"}
      1 block resolved Ok by ana
      1 read started #4 {}
      1 word started #3 {"text":"x"}
    -- running read#4 word#3
    "#);
}

#[test]
fn what_waits_for_its_next_attempt_in_a_restored_copy_is_in_doubt_too() {
    let mut world =
        World::new("workflow: w\nsteps: [{ id: a, uses: order }, { id: b, needs: [], uses: file }]\n");
    world.unknown("a");
    world.unknown("b");
    world.sees("b", json!({ "found": false }));
    world.wait(5);
    world.sees("b", json!({ "found": false }));
    world.tell(Input::Restored).unwrap();
    world.wait(100_000);
    assert!(world.run.commands().is_empty());
    let waiting: Vec<String> =
        world.run.summary().waiting.iter().map(|waiting| waiting.step.to_string()).collect();
    assert_eq!(waiting, ["a", "b"]);
}

#[test]
fn an_attempt_that_did_not_happen_says_nothing_of_the_one_before_it() {
    let mut world = World::new("workflow: w\nsteps: [{ id: a, uses: order }]\n");
    world.unknown("a");
    world.wait(30);
    world.fails("a", FailureClass::Connect);
    assert_ne!(world.run.status(), RunStatus::Failed, "{}", world.story());
}

/// Nobody knows whether it happened, and somebody is asked whether to undo it.
fn in_doubt_and_to_be_undone() -> World {
    let text = ISOLATE.replace("after: 30m", "after: 30m, approval: { ask: \"Release?\" }");
    let mut world = isolating(&text);
    world.succeeds("isolate", json!({ "sent": true }));
    for _ in 0..3 {
        world.sees("isolate", json!({ "found": false }));
        world.wait(5);
    }
    world.wait(2_000);
    world
}

#[test]
fn what_is_in_doubt_stays_so_while_somebody_is_asked_whether_it_is_undone() {
    let world = in_doubt_and_to_be_undone();
    assert!(world.story().contains("isolate.undo"), "{}", world.story());
    assert_eq!(world.held(), "host/web-01/network in_doubt 1801");
}

#[test]
fn what_did_not_happen_is_not_held_although_somebody_is_asked_whether_it_is_undone() {
    let mut world = in_doubt_and_to_be_undone();
    assert_eq!(world.held(), "host/web-01/network in_doubt 1801");
    world.resolves("isolate", Resolution::Failed).unwrap();
    assert_eq!(world.held(), "", "{}", world.story());
    let answer = world.decides("isolate.undo", Decision::Reject, person("bo", &[]), "no");
    assert!(answer.is_err(), "nobody is asked any more: {}", world.story());
}
