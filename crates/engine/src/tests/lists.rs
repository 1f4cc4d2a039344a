//! Steps that are performed for each item of a list.

use insta::assert_snapshot;
use model::{Decision, Event, FailureClass, Resolution};
use serde_json::json;

use super::world::{World, person, start};

fn list(keys: &str) -> World {
    World::new(&format!(
        "workflow: lists\nsteps:\n  - id: a\n    foreach: \"['x', 'y', 'z']\"\n    uses: look\n    with: {{ at: \"{{{{ item }}}}\" }}\n{keys}  - {{ id: b, uses: set, with: {{ seen: steps.a.items, failed: steps.a.failed }} }}\n"
    ))
}

#[test]
fn items_are_performed_so_many_at_once_and_given_in_order() {
    let mut world = list("    max_parallel: 2\n");
    world.succeeds("a[1]", json!(2));
    world.succeeds("a[2]", json!(3));
    world.succeeds("a[0]", json!(1));
    assert_snapshot!(world.story(), @r#"
      1 run started
      1 a for each of ["x","y","z"]
      1 a[0] started #1 {"at":"x"}
      1 a[1] started #1 {"at":"y"}
      1 a[1] ok 2
      1 a[2] started #1 {"at":"z"}
      1 a[2] ok 3
      1 a[0] ok 1
      1 a ends ok {"failed":[],"items":[1,2,3]}
      1 b ok {"failed":[],"seen":[1,2,3]}
      1 run succeeded {}
    -- succeeded
    "#);
}

#[test]
fn an_item_that_fails_stops_those_that_have_not_begun() {
    let mut world = list("    max_parallel: 2\n");
    world.fails("a[0]", FailureClass::Reset);
    world.succeeds("a[1]", json!(2));
    assert_snapshot!(world.story(), @r#"
      1 run started
      1 a for each of ["x","y","z"]
      1 a[0] started #1 {"at":"x"}
      1 a[1] started #1 {"at":"y"}
      1 a[0] failed: it did not work (reset)
      1 a[1] ok 2
      1 a ends failed because item 0: it did not work {"failed":[{"index":0,"item":"x","message":"it did not work","status":"failed"},{"index":2,"item":"z","message":null,"status":"pending"}],"items":[null,2,null]}
      1 b stopped by a
      1 run failed {}
    -- failed
    "#);
}

#[test]
fn an_item_that_fails_leaves_the_others_alone_where_the_playbook_says_so() {
    let mut world = list("    on_item_error: continue\n");
    world.fails("a[1]", FailureClass::Reset);
    world.succeeds("a[0]", json!(1));
    world.succeeds("a[2]", json!(3));
    assert_snapshot!(world.story(), @r#"
      1 run started
      1 a for each of ["x","y","z"]
      1 a[0] started #1 {"at":"x"}
      1 a[1] started #1 {"at":"y"}
      1 a[2] started #1 {"at":"z"}
      1 a[1] failed: it did not work (reset)
      1 a[0] ok 1
      1 a[2] ok 3
      1 a ends ok {"failed":[{"index":1,"item":"y","message":"it did not work","status":"failed"}],"items":[1,null,3]}
      1 b ok {"failed":[{"index":1,"item":"y","message":"it did not work","status":"failed"}],"seen":[1,null,3]}
      1 run succeeded {}
    -- succeeded
    "#);
}

#[test]
fn a_list_that_is_too_long_or_none_fails_before_anything_is_done() {
    assert_snapshot!(list("    max_items: 2\n").story(), @"
      1 run started
      1 a failed: `foreach` gives 3 items, and at most 2 are performed: none was (input)
      1 b stopped by a
      1 run failed {}
    -- failed
    ");
    let none = "workflow: lists\nsteps:\n  - { id: a, foreach: alert.rule, uses: look }\n";
    assert_snapshot!(World::new(none).story(), @"
      1 run started
      1 a failed: `foreach` has to give a list (input)
      1 run failed {}
    -- failed
    ");
    let empty = "workflow: lists\nsteps:\n  - { id: a, foreach: \"[]\", uses: act, with: { on: \"{{ item }}\" }, max_items: 2, approval: { ask: x, expires: 1h } }\n";
    assert_snapshot!(World::new(empty).story(), @r#"
      1 run started
      1 a for each of []
      1 a ends ok {"failed":[],"items":[]}
      1 run succeeded {}
    -- succeeded
    "#);
}

const GATED: &str = "workflow: lists
steps:
  - id: block
    foreach: \"['x', 'y']\"
    as: host
    max_items: 5
    uses: act
    with: { on: \"{{ host }}\" }
    approval: { ask: \"Block {{ host }}?\", skip_if: host == 'z', expires: 5m }
outputs: { why: steps.block.failed }
";

#[test]
fn every_item_of_a_disruptive_step_is_asked_for_and_bound_to_its_inputs() {
    let mut world = World::new(GATED);
    world.decides("block[1]", Decision::Approve, person("ana", &[]), "").unwrap();
    world.succeeds("block[1]", json!({}));
    world.decides("block[0]", Decision::Reject, person("ana", &[]), "our scanner").unwrap();
    assert_snapshot!(world.story(), @r#"
      1 run started
      1 block for each of ["x","y"]
      1 block[0] asks "Block x?"
      1 block[1] asks "Block y?"
      1 block[1] Approve by ana
      1 block[1] started #1 {"on":"y"} on host/y
      1 block[1] ok {}
      1 block[0] Reject by ana
      1 block ends rejected because item 0: ana said no: our scanner {"failed":[{"index":0,"item":"x","message":"ana said no: our scanner","status":"rejected"}],"items":[null,{}]}
      1 run succeeded {"why":[{"index":0,"item":"x","message":"ana said no: our scanner","status":"rejected"}]}
    -- succeeded
    "#);
}

#[test]
fn an_item_in_doubt_waits_for_a_person() {
    let mut world = World::new(GATED);
    world.decides("block[0]", Decision::Approve, person("ana", &[]), "").unwrap();
    world.tell(crate::Input::Recovered).unwrap();
    world.resolves("block[0]", Resolution::Ok).unwrap();
    world.wait(301);
    assert_snapshot!(world.story(), @r#"
      1 run started
      1 block for each of ["x","y"]
      1 block[0] asks "Block x?"
      1 block[1] asks "Block y?"
      1 block[0] Approve by ana
      1 block[0] started #1 {"on":"x"} on host/x
      1 block[0] in doubt: the process ended while attempt 1 was under way
      1 block[0] resolved Ok by ana
    302 block[1] expired
    302 block ends expired because item 1: nobody answered in time {"failed":[{"index":1,"item":"y","message":"nobody answered in time","status":"expired"}],"items":[{"reason":"looked at the host","resolved_by":"ana"},null]}
    302 run failed {"why":[{"index":1,"item":"y","message":"nobody answered in time","status":"expired"}]}
    -- failed
    "#);
}

#[test]
fn a_cancelled_run_begins_no_further_item() {
    let mut world = list("    max_parallel: 1\n");
    world.tell(crate::Input::Cancelled { by: person("ana", &[]), reason: "enough".to_owned() }).unwrap();
    world.succeeds("a[0]", json!(1));
    assert_snapshot!(world.story(), @r#"
      1 run started
      1 a for each of ["x","y","z"]
      1 a[0] started #1 {"at":"x"}
      1 run cancelled by ana
      1 a[0] ok 1
      1 a ends cancelled because item 1: cancelled {"failed":[{"index":1,"item":"y","message":null,"status":"cancelled"},{"index":2,"item":"z","message":null,"status":"cancelled"}],"items":[1,null,null]}
      1 run cancelled {}
    -- cancelled
    "#);
}

#[test]
fn a_list_whose_items_are_all_held_back_is_skipped() {
    let world = World::new(
        &GATED
            .replace("workflow: lists", "workflow: lists\nmode: shadow")
            .replace("outputs: { why: steps.block.failed }", "outputs: { block: status.block }"),
    );
    assert_snapshot!(world.story(), @r#"
      1 run started
      1 block for each of ["x","y"]
      1 block[0] held back {"on":"x"}
      1 block[1] held back {"on":"y"}
      1 block ends skipped {"failed":[],"items":[null,null]}
      1 run succeeded {"block":"skipped"}
    -- succeeded
    "#);
}

/// A list of as many items, over an alert of 900 KB.
fn large(items: usize, keys: &str) -> World {
    let text = format!("workflow: large\nsteps:\n  - id: a\n    foreach: alert.list\n{keys}");
    let alert = json!({ "list": (0..items).collect::<Vec<_>>(), "big": "x".repeat(900_000) });
    World::with(&text, crate::Start { alert: alert.into(), ..start() })
}

fn bytes(world: &World) -> usize {
    world.journal.iter().skip(1).map(|record| serde_json::to_string(record).unwrap().len()).sum()
}

const LOOK: &str = "    max_parallel: 100\n    uses: look\n    with: { at: \"{{ alert.big }}\" }\n";

#[test]
fn items_begin_while_what_goes_into_them_is_not_too_much_for_one_append() {
    let mut world = large(1000, LOOK);
    assert_eq!(world.run.commands().len(), 10);
    assert!(bytes(&world) < 10 << 20);
    let before = bytes(&world);
    world.succeeds("a[3]", json!(1));
    assert_eq!(world.run.commands().len(), 10);
    assert!(bytes(&world) - before < 1 << 20);
    let asked = large(
        1000,
        "    max_items: 1000\n    max_parallel: 100\n    uses: act\n    with: { on: h }\n    approval: { ask: \"?\", expires: 5m, show: [alert.big] }\n",
    );
    assert_eq!(asked.run.summary().waiting.len(), 10);
    // An item that is larger than all of them may be is performed for itself.
    let mut alone = World::with(
        "workflow: large\nsteps:\n  - { id: a, foreach: \"[1, 2]\", max_parallel: 1, uses: look, with: { at: \"{{ alert.big }}\" } }\n",
        crate::Start { alert: json!({ "big": "x".repeat(2_000_000) }).into(), ..start() },
    );
    alone.succeeds("a[0]", json!(1));
    alone.succeeds("a[1]", json!(1));
    assert!(alone.run.status().is_finished());
}

#[test]
fn what_the_items_give_is_bounded_in_sum() {
    let set = large(1000, "    max_parallel: 100\n    uses: set\n    with: { x: alert.big }\n");
    assert!(bytes(&set) < 6 << 20, "{}", bytes(&set));
    assert_eq!(
        set.run.summary().error.unwrap(),
        "a: item 2: the output has, with those of the other items, more than 1897152 bytes as JSON"
    );

    let mut look = large(3, "    uses: look\n");
    for item in ["a[2]", "a[0]", "a[1]"] {
        look.succeeds(item, json!("x".repeat(900_000)));
    }
    assert_eq!(
        look.run.summary().error.unwrap(),
        "a: item 1: the output has, with those of the other items, more than 2096552 bytes as JSON"
    );

    let mut act = large(
        20,
        "    max_items: 20\n    uses: act\n    with: { on: h }\n    approval: { ask: \"?\", expires: 5m }\n",
    );
    for item in 0..20 {
        let item = format!("a[{item}]");
        act.decides(&item, Decision::Approve, person("ana", &[]), "").unwrap();
        act.succeeds(&item, json!("x".repeat(900_000)));
    }
    let ends = act.journal.iter().find_map(|record| {
        let Event::EachEnded { output, .. } = &record.event else { return None };
        Some(output["items"].as_array().unwrap().clone())
    });
    let ends = ends.unwrap();
    assert!(ends[1].is_string());
    assert_snapshot!(ends[2], @r#"{"left_out":"has, with those of the other items, more than 2093152 bytes as JSON"}"#);
    assert_snapshot!(ends[19], @r#"{"left_out":"has, with those of the other items, more than 2093152 bytes as JSON"}"#);
}

#[test]
fn what_is_held_back_is_bounded_in_sum() {
    let world = World::with(
        "workflow: large\nmode: shadow\nsteps:\n  - { id: a, foreach: alert.list, max_items: 1000, uses: act, with: { on: \"{{ alert.big }}\" }, approval: { ask: \"?\", expires: 5m } }\n",
        crate::Start {
            alert: json!({ "list": (0..40).collect::<Vec<_>>(), "big": "x".repeat(200_000) }).into(),
            ..start()
        },
    );
    assert!(bytes(&world) < 3 << 20, "{}", bytes(&world));
    assert_eq!(world.run.status(), model::RunStatus::Succeeded);
}

#[test]
fn a_list_that_expires_says_why_the_run_failed() {
    let mut world = World::new(
        "workflow: w\nsteps:\n  - { id: d, foreach: \"['a', 'b']\", max_items: 2, on_error: continue, uses: act, with: { on: \"{{ item }}\" }, approval: { ask: \"?\", expires: 1h } }\non_failure:\n  - { id: tell, uses: look, with: { at: \"{{ error.message }}\" } }\n",
    );
    world.wait(3601);
    assert_eq!(world.run.summary().error.as_deref(), Some("d: item 0: nobody answered in time"));
    assert_snapshot!(world.run.commands()[0].inputs, @r#"{"at":"item 0: nobody answered in time"}"#);
}

#[test]
fn an_answer_to_an_item_of_a_list_that_has_ended_comes_too_late() {
    let mut world = World::new(&format!("{GATED}on_failure:\n  - {{ id: tell, uses: look }}\n"));
    world.wait(301);
    let mut late = |step: &str| world.decides(step, Decision::Approve, person("ana", &[]), "").unwrap_err();
    assert_snapshot!(late("block[0]"), @"the step `block[0]` does not wait for this: it is expired");
    assert_snapshot!(late("tell[0]"), @"there is no step `tell[0]`");
    let mut open = World::new(GATED);
    let unknown = open.decides("block[2]", Decision::Approve, person("ana", &[]), "").unwrap_err();
    assert_snapshot!(unknown, @"there is no step `block[2]`");
}

#[test]
fn items_that_failed_at_once_are_not_tried_again_at_once() {
    let mut world = list("    retry: { max: 2, wait: 1m, on: [reset] }\n");
    for item in ["a[0]", "a[1]", "a[2]"] {
        world.fails(item, FailureClass::Reset);
    }
    let at = world.journal.iter().filter_map(|record| {
        let Event::StepFailed { retry_at, .. } = &record.event else { return None };
        *retry_at
    });
    assert_eq!(at.collect::<std::collections::BTreeSet<_>>().len(), 3);
}
