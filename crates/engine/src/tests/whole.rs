//! What concerns a run as a whole: its failure, its time limit, its turn, and the runs that it calls.

use insta::assert_snapshot;
use model::{FailureClass, RunStatus};
use serde_json::json;

use super::world::{World, id, person, start};
use crate::{Input, Turn};

const HANDLED: &str = "workflow: handled
timeout: 1h
steps:
  - { id: a, uses: look }
  - { id: wait, needs: [a], uses: delay, with: { for: 2h } }
on_failure:
  - { id: tell, uses: look, with: { at: \"{{ error.step }}: {{ error.message }}\" } }
  - { id: note, if: status.a == 'failed', uses: set, with: { x: \"1\" } }
outputs: { told: status.tell }
";

#[test]
fn a_run_that_fails_performs_on_failure_and_stays_failed() {
    let mut world = World::new(HANDLED);
    world.fails("a", FailureClass::Reset);
    world.succeeds("tell", json!({}));
    assert_snapshot!(world.story(), @r#"
      1 run started
      1 a started #1 {}
      1 a failed: it did not work (reset)
      1 wait stopped by a
      1 tell started #1 {"at":"a: it did not work"}
      1 tell ok {}
      1 note ok {"x":1}
      1 run failed {"told":"ok"}
    -- failed
    "#);
}

#[test]
fn a_run_that_takes_too_long_starts_nothing_more_and_fails() {
    let mut world = World::new(HANDLED);
    world.succeeds("a", json!({}));
    world.wait(3600);
    world.fails("tell", FailureClass::Reset);
    assert_snapshot!(world.story(), @r#"
      1 run started
      1 a started #1 {}
      1 a ok {}
      1 wait waits until 7201
    3601 run timed out
    3601 tell started #1 {"at":"run: the run took longer than 1h"}
    3601 tell failed: it did not work (reset)
    3601 note stopped by tell
    3601 run failed {"told":"failed"}
    -- failed
    "#);
}

#[test]
fn a_run_that_is_cancelled_performs_no_on_failure() {
    let mut world = World::new(HANDLED);
    world.tell(Input::Cancelled { by: person("ana", &[]), reason: "a test".to_owned() }).unwrap();
    world.fails("a", FailureClass::Reset);
    assert_snapshot!(world.story(), @r#"
      1 run started
      1 a started #1 {}
      1 run cancelled by ana
      1 a failed: it did not work (reset)
      1 run cancelled {"told":"cancelled"}
    -- cancelled
    "#);
}

fn held(on_conflict: &str) -> World {
    let text = format!(
        "workflow: turns\ntimeout: 1h\nconcurrency: {{ key: \"{{{{ alert.agent.name }}}}\", on_conflict: {on_conflict} }}\nsteps: [{{ id: a, uses: look }}]\n"
    );
    let turn = Some(Turn { key: "web-01".to_owned(), held_by: Some(id()) });
    World::with(&text, crate::Start { turn, ..start() })
}

#[test]
fn a_run_whose_key_is_held_waits_for_its_turn() {
    let mut world = held("queue");
    world.wait(7200);
    assert_eq!(world.run.status(), RunStatus::Waiting);
    world.tell(Input::Admitted).unwrap();
    world.succeeds("a", json!({}));
    assert_snapshot!(world.story(), @"
      1 run started
      1 run Queued
    7201 run admitted
    7201 a started #1 {}
    7201 a ok {}
    7201 run succeeded {}
    -- succeeded
    ");
    assert_eq!(world.run.summary().concurrency.as_deref(), Some("web-01"));
}

#[test]
fn a_run_whose_key_is_held_is_kept_and_does_nothing_where_the_playbook_says_so() {
    let world = held("drop");
    assert_snapshot!(world.story(), @"
      1 run started
      1 run Dropped
      1 run cancelled {}
    -- cancelled
    ");
    assert_snapshot!(world.run.summary().error.unwrap(), @"dropped: the run 07070707-0707-0707-0707-070707070707 holds the key `web-01`");
}

const CALL: &str = "workflow: caller
steps:
  - { id: c, uses: workflow, with: { workflow: callee, inputs: { x: \"{{ alert.rule.level }}\" } } }
  - { id: b, uses: set, with: { y: steps.c.y } }
";

fn ends(world: &mut World, status: RunStatus, outputs: serde_json::Value, error: Option<&str>) {
    let child = world.run.children().into_iter().next().unwrap();
    let (step, run) = (child.parent.step, child.run);
    let error = error.map(str::to_owned);
    world.tell(Input::ChildEnded { step, run, status, outputs: outputs.into(), error }).unwrap();
}

#[test]
fn a_step_that_calls_a_playbook_gives_its_outputs() {
    let mut world = World::new(CALL);
    assert_eq!(world.run.summary().calls.len(), 1);
    assert!(world.run.summary().calls[0].to_string().starts_with("00000000-03e8-7"));
    ends(&mut world, RunStatus::Succeeded, json!({ "y": 7 }), None);
    assert_snapshot!(world.story(), @r#"
      1 run started
      1 c calls callee {"x":10}
      1 c ok {"y":7}
      1 b ok {"y":7}
      1 run succeeded {}
    -- succeeded
    "#);
}

#[test]
fn a_step_fails_with_the_run_that_it_called() {
    let mut world = World::new(CALL);
    let child = world.run.children().remove(0);
    ends(&mut world, RunStatus::Failed, json!({}), Some("a: it did not work"));
    assert_snapshot!(world.story(), @r#"
      1 run started
      1 c calls callee {"x":10}
      1 c failed: the run 00000000-03e8-7f3b-80d4-01b7b7878813 of `callee` did not succeed: a: it did not work (workflow)
      1 b stopped by c
      1 run failed {}
    -- failed
    "#);
    let again = Input::ChildEnded {
        step: child.parent.step,
        run: child.run,
        status: RunStatus::Succeeded,
        outputs: json!({}).into(),
        error: None,
    };
    assert!(world.tell(again).is_err());
}

#[test]
fn a_step_with_until_looks_again_until_it_holds_or_has_looked_often_enough() {
    let text = "workflow: polls\nsteps:\n  - { id: a, uses: look, until: output.done, retry: { max: 3, wait: 10s, backoff: 1 } }\n";
    let mut world = World::new(text);
    world.succeeds("a", json!({ "done": false }));
    world.wait(15);
    world.succeeds("a", json!({ "done": true }));
    assert_snapshot!(world.story(), @r#"
      1 run started
      1 a started #1 {}
      1 a failed: `until` does not hold after 1 attempts (not_yet), to be tried again
     16 a started #2 {}
     16 a ok {"done":true}
     16 run succeeded {}
    -- succeeded
    "#);
    let mut world = World::new(text);
    for _ in 0..3 {
        world.succeeds("a", json!({ "done": false }));
        world.wait(15);
    }
    assert_snapshot!(world.story(), @"
      1 run started
      1 a started #1 {}
      1 a failed: `until` does not hold after 1 attempts (not_yet), to be tried again
     16 a started #2 {}
     16 a failed: `until` does not hold after 2 attempts (not_yet), to be tried again
     31 a started #3 {}
     31 a failed: `until` does not hold after 3 attempts (not_yet)
     31 run failed {}
    -- failed
    ");
}

#[test]
fn a_run_in_shadow_calls_runs_in_shadow_only() {
    let calling = World::new(&CALL.replace("workflow: caller", "workflow: caller\nmode: shadow"));
    let parent = calling.run.children().remove(0).parent;
    let live = "workflow: acts\ninputs: {}\nsteps: [{ id: a, uses: act, with: { on: web-01 }, approval: { ask: x, expires: 1h } }]\n";
    let mut start = start();
    start.trigger.parent = Some(parent);
    assert_snapshot!(World::with(live, start).story(), @r#"
      1 run started
      1 a held back {"on":"web-01"}
      1 run succeeded {}
    -- succeeded
    "#);
}
