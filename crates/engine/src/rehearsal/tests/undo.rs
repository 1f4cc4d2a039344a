//! What was done is looked for, and what a run holds is undone.

use insta::assert_snapshot;

use super::*;

const HOLD: &str = r#"
workflow: contain
steps:
  - id: isolate
    uses: hold
    with: { on: web-01 }
    approval: { ask: "Isolate web-01?", from: { role: analyst }, expires: 30m }
    undo: { after: 24h }
on_failure:
  - { id: alarm, uses: note, with: { text: "{{ error.step }}: {{ error.message }}" } }
"#;

const ASKED: &str = "undo: { after: 24h, approval: { ask: \"Release?\", from: { role: lead } } }";

const TOP: &str = r#"
alert: alert.json
mock: { isolate: { output: {}, verify: { found: true } }, alarm: { output: {} } }
tests:
"#;

const YES: &str = "approvals: { isolate: { decision: approve, by: ana, reason: seen } }";

/// What a person sees of tests in which the isolation is approved.
fn check(playbook: &str, tests: &str) -> String {
    check_of(&load(playbook), &format!("{TOP}{}", tests.replace("YES", YES)))
}

fn story(playbook: &str, test: &str) -> String {
    let text = format!("{TOP}{}", test.replace("YES", YES));
    let playbook = load(playbook);
    let (mut reports, findings) = rehearse(&playbook, "contain.test.yaml", &text, &super::alert, &|_| None);
    assert!(findings.is_empty(), "{findings}");
    let report = reports.next().unwrap();
    assert_eq!(report.failure.as_ref().map(ToString::to_string), None);
    report.story.join("\n")
}

#[test]
fn a_test_ends_with_its_run_and_the_clock_runs_on_where_it_says_so() {
    assert_snapshot!(check(HOLD, r#"
  - name: it holds
    YES
    expect: { status: { run: succeeded, isolate: ok }, calls: { free: 0 }, contained: { host/web-01/network: holding } }
  - name: it ends
    YES
    advance: 25h
    expect: { status: { run: succeeded, isolate: undone }, calls: { free: 1 }, contained: {}, journal: [run succeeded, isolate.undo due at 24h, isolate.undo ok] }
"#), @"
    ok it holds
    ok it ends
    ");
    assert_snapshot!(story(HOLD, r#"
  - name: its undo fails once, and then answers late
    YES
    advance: 25h
    mock:
      isolate.undo: [{ fail: { class: connect, message: connection refused } }, { output: { on: web-01 }, takes: 20s }]
    expect: { status: { isolate: undone }, calls: { free: 2 }, journal: [isolate.undo alarm, alarm ok, isolate.undo ok] }
"#), @r#"
        0s  run of contain started
        0s  isolate asks analyst: Isolate web-01?
        0s  isolate approved by ana: seen
        0s  isolate sent, attempt 1 on host/web-01/network: {"on":"web-01"}
        0s  isolate taken; somebody looks whether it happened
        0s  isolate ok: {"verified":{"found":true}}
        0s  run succeeded
    24h00m  isolate.undo is due: its time is over
    24h00m  isolate.undo is to be done
    24h00m  isolate.undo sent, attempt 1 on host/web-01/network: {"on":"web-01"}
    24h00m  isolate.undo failed: connection refused (connect), again at 24h00m
    24h00m  isolate.undo alarm: `host/web-01/network` is still contained: connection refused
    24h00m  alarm sent, attempt 1: {"text":"isolate.undo: `host/web-01/network` is still contained: connection refused"}
    24h00m  alarm ok: {}
    24h00m  isolate.undo is to be done
    24h00m  isolate.undo sent, attempt 2 on host/web-01/network: {"on":"web-01"}
    24h00m  isolate.undo ok: {"on":"web-01"}
    "#);
}

#[test]
fn what_a_look_gives_can_be_said() {
    assert_snapshot!(story(HOLD, r#"
  - name: seen late
    YES
    mock: { isolate: { output: {}, verify: [{ found: false }, { found: false }, { found: true }] } }
    expect: { status: { isolate: ok }, journal: [isolate taken, isolate not seen, isolate ok at 10s] }
"#), @r#"
     0s  run of contain started
     0s  isolate asks analyst: Isolate web-01?
     0s  isolate approved by ana: seen
     0s  isolate sent, attempt 1 on host/web-01/network: {"on":"web-01"}
     0s  isolate taken; somebody looks whether it happened
     0s  isolate not seen by look 1, again at 5s
    10s  isolate ok: {"verified":{"found":true}}
    10s  run succeeded
    "#);
    assert_snapshot!(check(HOLD, r#"
  - name: never seen, and nothing is undone while people are waited for
    YES
    mock: { isolate: { unknown: { class: timeout, message: no answer }, verify: { found: false } } }
    expect: { status: { run: waiting, isolate: in_doubt }, contained: { host/web-01/network: in_doubt } }
  - name: the process dies, and it is seen
    YES
    crash: { at: isolate.sent }
    expect: { status: { run: succeeded, isolate: ok }, calls: { hold: 1 } }
"#), @"
    ok never seen, and nothing is undone while people are waited for
    ok the process dies, and it is seen
    ");
}

#[test]
fn people_answer_and_resolve_an_undo_and_want_one() {
    let asked = HOLD.replace("undo: { after: 24h }", ASKED);
    assert_snapshot!(check(&asked, r#"
  - name: released by the lead
    advance: 26h
    approvals: { isolate: { decision: approve, by: ana, reason: seen }, isolate.undo: [{ decision: approve, by: ana, roles: [analyst], refused: true }, { decision: approve, by: lea, after: 1h }] }
    expect: { status: { isolate: undone }, journal: [isolate.undo asked, isolate.undo approved by lea at 25h, isolate.undo ok] }
  - name: kept by the lead
    advance: 26h
    approvals: { isolate: { decision: approve, by: ana, reason: seen }, isolate.undo: { decision: reject, by: lea, reason: not clean } }
    expect: { status: { isolate: ok }, calls: { free: 0 }, contained: { host/web-01/network: holding } }
  - name: nobody answers
    YES
    advance: 26h
    expect: { contained: { host/web-01/network: undo_asked } }
"#), @"
    ok released by the lead
    ok kept by the lead
    ok nobody answers
    ");
    assert_snapshot!(check(HOLD, r#"
  - name: in doubt, and done
    YES
    advance: 25h
    mock: { isolate.undo: { unknown: { class: timeout, message: no answer } } }
    resolve: { isolate.undo: { resolution: ok, by: ana, reason: it answers } }
    expect: { status: { isolate: undone }, calls: { free: 1 }, contained: {} }
  - name: in doubt, and not done, so it stays
    YES
    advance: 10d
    mock: { isolate.undo: { unknown: { class: timeout, message: no answer } } }
    resolve: { isolate.undo: { resolution: failed, by: ana, reason: it answers nobody } }
    expect: { status: { isolate: ok }, calls: { free: 1 }, contained: { host/web-01/network: holding } }
  - name: wanted
    YES
    undo: { isolate: { by: ana, reason: a drill, after: 10m } }
    expect: { status: { isolate: undone }, calls: { free: 1 }, journal: [isolate.undo wanted by ana at 10m, isolate.undo ok] }
  - name: done by hand
    YES
    undo: { isolate: { by: ana, reason: pulled the plug out, done: true } }
    expect: { status: { isolate: undone }, calls: { free: 0 }, journal: [isolate.undo let go by ana] }
  - name: the process dies while it is undone
    YES
    advance: 25h
    crash: { at: isolate.undo.sent }
    resolve: { isolate.undo: { resolution: send_again, by: ana, reason: it does not answer } }
    expect: { status: { isolate: undone }, calls: { free: 2 } }
"#), @"
    ok in doubt, and done
    ok in doubt, and not done, so it stays
    ok wanted
    ok done by hand
    ok the process dies while it is undone
    ");
}

#[test]
fn what_differs_is_said() {
    let problems = |playbook: &str, tests: &str| {
        let shown = check(playbook, tests);
        let is_story = |line: &&str| !line.starts_with("    ") || line.starts_with("    help");
        shown.lines().filter(is_story).filter(|line| *line != "  the run:").collect::<Vec<_>>().join("\n")
    };
    assert_snapshot!(problems(HOLD, r#"
  - name: too little and too much
    YES
    undo: { isolate: { by: ana, reason: x, after: 2d } }
    advance: 1h
    expect: { status: { isolate: undone }, contained: { host/db-01/network: holding } }
  - name: nothing is held
    approvals: { isolate: { decision: reject, by: ana, reason: x } }
    undo: { isolate: { by: ana, reason: x } }
    expect: { status: { isolate: rejected } }
  - name: in doubt
    YES
    advance: 25h
    mock: { isolate.undo: { unknown: { class: timeout, message: no answer } } }
    expect: { status: { isolate: ok } }
"#), @"
    FAILED too little and too much
      contain.test.yaml:8: `ana` found nothing of `isolate` to undo
        help: the clock stops after 1h
      contain.test.yaml:10: status of `isolate`: expected undone, got ok
      contain.test.yaml:10: what holds `host/db-01/network`: expected holding, got nothing
      contain.test.yaml:10: `host/web-01/network` is contained (holding), and the test does not say so
    FAILED nothing is held
      contain.test.yaml:13: `ana` found nothing of `isolate` to undo
    FAILED in doubt
      contain.test.yaml:15: `isolate.undo` is in doubt: no answer
        help: expect: { contained: { ... } }, or resolve: { isolate.undo: { resolution: ok, by: ana, reason: ... } }
    ");
    let asked = HOLD.replace("undo: { after: 24h }", ASKED);
    assert_snapshot!(problems(&asked, "  - name: asked\n    YES\n    advance: 25h\n    expect: { status: { isolate: ok } }\n"), @"
    FAILED asked
      contain.test.yaml:5: `isolate.undo` waits for an answer: Release?
        help: approvals: { isolate.undo: { decision: approve, by: ana, reason: ... } }
    ");
}

#[test]
fn a_mistake_about_an_undo_has_its_place() {
    assert_snapshot!(check(HOLD, r#"
  - name: a
    approvals: { isolate.undo: { decision: approve, by: lea }, alarm.undo: { decision: approve, by: lea } }
    undo: { alarm: { by: ana, reason: x }, isolate: { by: ana } }
    resolve: { isolat.undo: { resolution: ok, by: ana, reason: x } }
    mock: { isolate: { output: {}, verify: { fund: true } }, alarm: { output: {}, verify: { found: true } } }
    expect: { contained: { host/web-01/network: held } }
"#), @"
    error[wrong-step]: nobody is asked before `isolate.undo`
     --> contain.test.yaml:7:18
      |
    7 |     approvals: { isolate.undo: { decision: approve, by: lea }, alarm.undo: { decision: approve, by: lea } }
      |                  ^^^^^^^^^^^^

    error[wrong-step]: nothing undoes the step `alarm`
     --> contain.test.yaml:7:64
      |
    7 |     approvals: { isolate.undo: { decision: approve, by: lea }, alarm.undo: { decision: approve, by: lea } }
      |                                                                ^^^^^^^^^^

    error[wrong-step]: nothing undoes the step `alarm`
     --> contain.test.yaml:8:13
      |
    8 |     undo: { alarm: { by: ana, reason: x }, isolate: { by: ana } }
      |             ^^^^^

    error[missing-key]: the key `reason` is missing here
     --> contain.test.yaml:8:44
      |
    8 |     undo: { alarm: { by: ana, reason: x }, isolate: { by: ana } }
      |                                            ^^^^^^^

    error[unknown-step]: there is no step `isolat`
     --> contain.test.yaml:9:16
      |
    9 |     resolve: { isolat.undo: { resolution: ok, by: ana, reason: x } }
      |                ^^^^^^^^^^^
      |
      = help: did you mean `isolate`?

    error[unknown-field]: the output of `isolate` (seen) has no field `fund`
      --> contain.test.yaml:10:46
       |
    10 |     mock: { isolate: { output: {}, verify: { fund: true } }, alarm: { output: {}, verify: { found: true } } }
       |                                              ^^^^
       |
       = help: did you mean `found`?

    error[wrong-key]: nobody looks whether `alarm` happened
      --> contain.test.yaml:10:83
       |
    10 |     mock: { isolate: { output: {}, verify: { fund: true } }, alarm: { output: {}, verify: { found: true } } }
       |                                                                                   ^^^^^^

    error[wrong-value]: `held` is not one of the values that stand here
      --> contain.test.yaml:11:49
       |
    11 |     expect: { contained: { host/web-01/network: held } }
       |                                                 ^^^^
       |
       = help: there are holding, in_doubt, sending, undo_asked, undo_failing, undo_in_doubt, undoing
    ");
}

#[test]
fn an_undo_that_no_test_shows_is_missing() {
    let playbook = load(HOLD);
    let text = format!(
        "{TOP}  - name: a\n    {YES}\n    advance: 25h\n    expect: {{ status: {{ isolate: undone }} }}\n"
    );
    let missing = |text: &str| {
        let (mut reports, _) = rehearse(&playbook, "contain.test.yaml", text, &super::alert, &|_| None);
        reports.next().unwrap().coverage.parts[0].missing().join(", ")
    };
    assert_eq!(missing(&text), "rejected, expired");
    assert_eq!(missing(&text.replace("25h", "23h")), "rejected, expired, undone");
}
