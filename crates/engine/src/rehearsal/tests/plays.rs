//! What runs do in a test, and what a person sees of it.

use insta::assert_snapshot;

use super::*;

#[test]
fn an_approved_run_is_told_from_its_start_to_its_end() {
    assert_snapshot!(story(r#"
  - name: approved
    approvals: { block: { decision: approve, by: ana, reason: seen } }
    expect:
      status: { run: succeeded, block: ok }
      calls: { look: 1, act: 1 }
      outputs: { blocked: true }
      inputs:
        verdict: { is_bad: true }
        block: { on: web-01 }
        tell: { text: "web-01: ok\nrun 00000000-0000-7000-8000-000000000000\n" }
"#), @r#"
    0s  run of contain started
    0s  host sent, attempt 1: {"at":"001"}
    0s  host ok: {"name":"web-01","score":9}
    0s  verdict ok: {"is_bad":true}
    0s  block asks analyst: Block web-01?
    0s  block approved by ana: seen
    0s  block sent, attempt 1 on host/web-01: {"on":"web-01"}
    0s  block ok: {}
    0s  tell sent, attempt 1: {"text":"web-01: ok\nrun 00000000-0000-7000-8000-000000000000\n"}
    0s  tell ok: {}
    0s  run succeeded blocked=true
    "#);
}

#[test]
fn what_came_stands_beside_what_was_expected() {
    assert_snapshot!(check(r#"
  - name: all wrong
    approvals: { block: { decision: approve, by: ana, reason: seen } }
    expect:
      status: { run: failed, block: rejected }
      calls: { act: 0 }
      outputs: { blocked: 7 }
      inputs:
        block: { on: web-02, at: x }
        tell: { text: "web-01: rejected\nrun 00000000-0000-7000-8000-000000000000\n" }
"#), @r#"
    FAILED all wrong
      contain.test.yaml:12: status of the run: expected failed, got succeeded
      contain.test.yaml:12: status of `block`: expected rejected, got ok
      contain.test.yaml:13: calls of `act`: expected 0, got 1
      contain.test.yaml:14: output `blocked`: expected 7, got true
      contain.test.yaml:16: inputs of `block`, `at`: expected "x", got nothing
      contain.test.yaml:16: inputs of `block`, `on`: expected "web-02", got "web-01"
      contain.test.yaml:17: inputs of `tell`, `text`: expected (-) and got (+)
        - web-01: rejected
        + web-01: ok
          run 00000000-0000-7000-8000-000000000000
      the run:
             0s  run of contain started
             0s  host sent, attempt 1: {"at":"001"}
             0s  host ok: {"name":"web-01","score":9}
             0s  verdict ok: {"is_bad":true}
             0s  block asks analyst: Block web-01?
             0s  block approved by ana: seen
             0s  block sent, attempt 1 on host/web-01: {"on":"web-01"}
             0s  block ok: {}
             0s  tell sent, attempt 1: {"text":"web-01: ok\nrun 00000000-0000-7000-8000-000000000000\n"}
             0s  tell ok: {}
             0s  run succeeded blocked=true
    "#);
}

#[test]
fn long_values_are_compared_line_by_line_and_cannot_drive_the_terminal() {
    assert_snapshot!(check(r#"
  - name: hostile
    alert: { agent: { names: [one, two, three, four, five, "six\e[2J"], about: "\u202e1" }, level: 10 }
    mode: shadow
    expect:
      inputs:
        host:
          at: { names: [one, two, three, four, five, seven, eight], about: "a long text, so that it does not stand beside the other" }
"#), @r#"
    FAILED hostile
      contain.test.yaml:15: inputs of `host`, `at`, `about`
        expected "a long text, so that it does not stand beside the other"
        got      "\u{202e}1"
      contain.test.yaml:15: inputs of `host`, `at`, `names`: expected (-) and got (+)
          ...
            "four",
            "five",
        -   "seven",
        -   "eight"
        +   "six\u001b[2J"
          ]
      the run:
             0s  run of contain started
             0s  host sent, attempt 1: {"at":{"about":"\u{202e}1","names":["one","two","three","four","five","six\u001b[2J"]}}
             0s  host ok: {"name":"web-01","score":9}
             0s  verdict ok: {"is_bad":true}
             0s  block held back (shadow) on host/web-01: {"on":"web-01"}
             0s  tell sent, attempt 1: {"text":"web-01: skipped\nrun 00000000-0000-7000-8000-000000000000\n"}
             0s  tell ok: {}
             0s  run succeeded blocked=false
    "#);
}

#[test]
fn a_call_without_a_mock_says_which_mock_to_write() {
    assert_snapshot!(check_file(r#"
tests:
  - name: no mock at all
    alert: alert.json
    expect: { status: { run: succeeded } }
  - name: too few
    alert: alert.json
    mock: { host: [{ fail: { class: timeout, message: slow } }] }
    expect: { status: { run: succeeded } }
"#), @r#"
    FAILED no mock at all
      contain.test.yaml:3: `host` is called (look), and the test has no mock for it
        help: mock: { host: { output: { name: ..., score: ... } } }
      the run:
             0s  run of contain started
             0s  host sent, attempt 1: {"at":"001"}
    FAILED too few
      contain.test.yaml:8: attempt 2 of `host` is called, and the mock has no answer to it
        help: add one to the list of `host`
      the run:
             0s  run of contain started
             0s  host sent, attempt 1: {"at":"001"}
             0s  host failed: slow (timeout), again at 10s
            10s  host sent, attempt 2: {"at":"001"}
    "#);
}

#[test]
fn the_clock_jumps_to_the_next_attempt_and_to_the_expiry() {
    assert_snapshot!(story(r#"
  - name: slow, then nobody
    mock: { host: [{ fail: { class: timeout, message: slow } }, { output: { name: web-01 } }] }
    approvals: { block: { expire: true } }
    expect:
      status: { run: failed, block: expired, tell: ok }
      calls: { look: 2, act: 0 }
"#), @r#"
        0s  run of contain started
        0s  host sent, attempt 1: {"at":"001"}
        0s  host failed: slow (timeout), again at 10s
       10s  host sent, attempt 2: {"at":"001"}
       10s  host ok: {"name":"web-01"}
       10s  verdict ok: {"is_bad":false}
       10s  block asks analyst: Block web-01?
    30m10s  block expired: nobody answered in time
    30m10s  tell sent, attempt 1: {"text":"web-01: expired\nrun 00000000-0000-7000-8000-000000000000\n"}
    30m10s  tell ok: {}
    30m10s  run failed blocked=false
    "#);
}

#[test]
fn a_crash_after_the_call_left_leaves_it_in_doubt_until_a_person_has_looked() {
    assert_snapshot!(story(r#"
  - name: crash
    crash: { at: block.sent }
    approvals: { block: { decision: approve, by: ana, reason: seen } }
    resolve: { block: [{ resolution: send_again, by: cem, reason: not there }] }
    expect:
      status: { run: succeeded, block: ok }
      calls: { act: 2 }
"#), @r#"
    0s  run of contain started
    0s  host sent, attempt 1: {"at":"001"}
    0s  host ok: {"name":"web-01","score":9}
    0s  verdict ok: {"is_bad":true}
    0s  block asks analyst: Block web-01?
    0s  block approved by ana: seen
    0s  block sent, attempt 1 on host/web-01: {"on":"web-01"}
    0s  the process dies after `block` was sent, and another one takes over
    0s  block in doubt: the process ended while attempt 1 was under way (interrupted)
    0s  block resolved by cem, send it again: not there
    0s  block sent, attempt 2 on host/web-01: {"on":"web-01"}
    0s  block ok: {}
    0s  tell sent, attempt 1: {"text":"web-01: ok\nrun 00000000-0000-7000-8000-000000000000\n"}
    0s  tell ok: {}
    0s  run succeeded blocked=true
    "#);
    assert_eq!(
        check(
            r#"
  - name: a test may end in doubt
    crash: { at: block.sent }
    approvals: { block: { decision: approve, by: ana, reason: seen } }
    expect: { status: { block: in_doubt, tell: pending }, calls: { act: 1 } }
  - name: what is only read is read again
    crash: { at: host.sent }
    approvals: { block: { decision: reject, by: ana, reason: seen } }
    expect: { status: { run: succeeded, host: ok }, calls: { look: 2, act: 0 } }
"#
        ),
        "ok a test may end in doubt\nok what is only read is read again"
    );
}

#[test]
fn what_nobody_came_to_is_not_tested() {
    assert_snapshot!(check(r#"
  - name: no gate, no doubt, no crash
    mock: { host: { fail: { class: http_404, message: no such host } } }
    approvals: { block: { decision: approve, by: ana, reason: seen } }
    resolve: { block: { resolution: ok, by: cem, reason: seen } }
    crash: { at: block.sent }
    expect: { calls: { act: 0 } }
"#), @r#"
    FAILED no gate, no doubt, no crash
      contain.test.yaml:11: `ana` was not asked before `block`
      contain.test.yaml:12: `block` was not in doubt when `cem` came
      contain.test.yaml:13: the process did not die at `block.sent`: it was never sent
      contain.test.yaml:9: `tell` cannot be performed: the input `text`: `steps.host.name` is missing: `steps` has nothing, in `{{ steps.host.name }}: {{ status.block }} run {{ run.id }} `
      the run:
             0s  run of contain started
             0s  host sent, attempt 1: {"at":"001"}
             0s  host failed: no such host (http_404)
             0s  verdict skipped, stopped by host
             0s  block skipped, stopped by verdict
             0s  tell failed: the input `text`: `steps.host.name` is missing: `steps` has nothing, in `{{ steps.host.name }}: {{ status.block }} run {{ run.id }} ` (input)
             0s  run failed blocked=false
    "#);
}

#[test]
fn a_run_that_waits_is_no_end_unless_the_test_says_so() {
    assert_snapshot!(check(r#"
  - name: nobody said anything
    expect: { calls: { act: 0 } }
  - name: it waits
    expect: { status: { block: waiting } }
  - name: so does the run
    expect: { status: { run: waiting } }
  - name: in doubt
    mock: { block: { unknown: { class: reset, message: connection lost } } }
    approvals: { block: { decision: approve, by: ana, reason: seen } }
    expect: { calls: { act: 1 } }
"#), @r#"
    FAILED nobody said anything
      contain.test.yaml:9: `block` waits for an answer: Block web-01?
        help: approvals: { block: { decision: approve, by: ana, reason: ... } }
      the run:
             0s  run of contain started
             0s  host sent, attempt 1: {"at":"001"}
             0s  host ok: {"name":"web-01","score":9}
             0s  verdict ok: {"is_bad":true}
             0s  block asks analyst: Block web-01?
    ok it waits
    ok so does the run
    FAILED in doubt
      contain.test.yaml:15: `block` is in doubt: connection lost
        help: expect: { status: { block: in_doubt } }, or resolve: { block: { resolution: ok, by: ana, reason: ... } }
      the run:
             0s  run of contain started
             0s  host sent, attempt 1: {"at":"001"}
             0s  host ok: {"name":"web-01","score":9}
             0s  verdict ok: {"is_bad":true}
             0s  block asks analyst: Block web-01?
             0s  block approved by ana: seen
             0s  block sent, attempt 1 on host/web-01: {"on":"web-01"}
             0s  block in doubt: connection lost (reset)
    "#);
}

#[test]
fn who_may_answer_can_be_tested() {
    assert_snapshot!(check(r#"
  - name: refused as it should be
    approvals:
      block:
        - { decision: approve, by: bo, roles: [helpdesk], reason: sure, refused: true }
        - { decision: approve, by: ana, refused: true }
        - { decision: approve, by: ana, reason: seen }
    expect: { status: { block: ok } }
  - name: the other way round
    approvals:
      block:
        - { decision: approve, by: bo, roles: [], reason: sure }
        - { decision: approve, by: ana, reason: seen, refused: true }
    expect: { status: { block: ok } }
"#), @r#"
    ok refused as it should be
    FAILED the other way round
      contain.test.yaml:18: the answer of `bo` to `block` was refused: `bo` may not answer this: it takes the role `analyst`
      contain.test.yaml:18: the answer of `ana` to `block` was taken, and should be refused
      the run:
             0s  run of contain started
             0s  host sent, attempt 1: {"at":"001"}
             0s  host ok: {"name":"web-01","score":9}
             0s  verdict ok: {"is_bad":true}
             0s  block asks analyst: Block web-01?
             0s  block approved by ana: seen
             0s  block sent, attempt 1 on host/web-01: {"on":"web-01"}
             0s  block ok: {}
             0s  tell sent, attempt 1: {"text":"web-01: ok\nrun 00000000-0000-7000-8000-000000000000\n"}
             0s  tell ok: {}
             0s  run succeeded blocked=true
    "#);
}

#[test]
fn an_alert_that_starts_nothing_says_why() {
    assert_snapshot!(check(r#"
  - { name: mild, alert: mild.json, expect: { starts: false } }
  - { name: mild again, alert: mild.json, expect: { status: { run: succeeded } } }
  - { name: strange, alert: strange.json, expect: { status: { run: succeeded } } }
  - { name: by hand, trigger: manual, expect: { status: { run: succeeded } } }
  - { name: started, expect: { starts: false } }
"#), @r#"
    ok mild
    FAILED mild again
      contain.test.yaml:10: the alert does not start the workflow: its `when` does not hold for this alert
        help: expect: { starts: false } if it should not
    FAILED strange
      contain.test.yaml:11: the alert does not start the workflow: its `when` cannot be evaluated: `alert.level` is missing: `alert` has agent, in `alert.level >= 10`
        help: expect: { starts: false } if it should not
    FAILED by hand
      contain.test.yaml:12: the alert does not start the workflow: the workflow has no trigger `manual`
        help: expect: { starts: false } if it should not
    FAILED started
      contain.test.yaml:13: the alert starts the workflow, and should not
      the run:
             0s  run of contain started
             0s  host sent, attempt 1: {"at":"001"}
             0s  host ok: {"name":"web-01","score":9}
             0s  verdict ok: {"is_bad":true}
             0s  block asks analyst: Block web-01?
    "#);
}

#[test]
fn a_live_playbook_can_be_tested_in_shadow() {
    assert_snapshot!(story(r#"
  - name: shadow
    mode: shadow
    expect: { status: { run: succeeded, block: skipped }, calls: { act: 0 }, inputs: { block: { on: web-01 } } }
"#), @r#"
    0s  run of contain started
    0s  host sent, attempt 1: {"at":"001"}
    0s  host ok: {"name":"web-01","score":9}
    0s  verdict ok: {"is_bad":true}
    0s  block held back (shadow) on host/web-01: {"on":"web-01"}
    0s  tell sent, attempt 1: {"text":"web-01: skipped\nrun 00000000-0000-7000-8000-000000000000\n"}
    0s  tell ok: {}
    0s  run succeeded blocked=false
    "#);
    let tests = "tests:\n  - { name: a, expect: { status: { block: skipped } } }\n  - { name: b, mode: live, approvals: { block: { decision: approve, by: ana, reason: x } }, expect: { status: { block: ok } } }\n";
    assert_snapshot!(check_file(&format!("{MOCKS}mode: shadow\n{tests}")), @r"
    ok a
    ok b
    ");
}

#[test]
fn a_step_whose_own_expressions_fail_fails_the_test() {
    assert_snapshot!(check(r#"
  - name: no name
    mock: { host: { output: { score: 1 } } }
    expect: { calls: { act: 0 } }
"#), @r#"
    FAILED no name
      contain.test.yaml:9: `block` cannot be performed: the input `on`: `steps.host.name` is missing: `steps.host` has score, in `{{ steps.host.name }}`
      contain.test.yaml:9: `tell` cannot be performed: the input `text`: `steps.host.name` is missing: `steps.host` has score, in `{{ steps.host.name }}: {{ status.block }} run {{ run.id }} `
      the run:
             0s  run of contain started
             0s  host sent, attempt 1: {"at":"001"}
             0s  host ok: {"score":1}
             0s  verdict ok: {"is_bad":false}
             0s  block failed: the input `on`: `steps.host.name` is missing: `steps.host` has score, in `{{ steps.host.name }}` (input)
             0s  tell failed: the input `text`: `steps.host.name` is missing: `steps.host` has score, in `{{ steps.host.name }}: {{ status.block }} run {{ run.id }} ` (input)
             0s  run failed blocked=false
    "#);
}
