//! Time that the test moves by hand.

use insta::assert_snapshot;

use super::*;

#[test]
fn an_answer_comes_so_long_after_its_question() {
    assert_snapshot!(story(r#"
  - name: ana takes ten minutes
    approvals: { block: { decision: approve, by: ana, reason: seen, after: 10m } }
    expect: { status: { run: succeeded, block: ok } }
"#), @r#"
        0s  run of contain started
        0s  host sent, attempt 1: {"at":"001"}
        0s  host ok: {"name":"web-01","score":9}
        0s  verdict ok: {"is_bad":true}
        0s  block asks analyst: Block web-01?
    10m00s  block approved by ana: seen
    10m00s  block sent, attempt 1 on host/web-01: {"on":"web-01"}
    10m00s  block ok: {}
    10m00s  tell sent, attempt 1: {"text":"web-01: ok\nrun 00000000-0000-7000-8000-000000000000\n"}
    10m00s  tell ok: {}
    10m00s  run succeeded blocked=true
    "#);
    assert_snapshot!(story(r#"
  - name: ana comes too late
    approvals: { block: { decision: approve, by: ana, reason: seen, after: 31m, refused: true } }
    expect: { status: { run: failed, block: expired }, calls: { act: 0 } }
"#), @r#"
        0s  run of contain started
        0s  host sent, attempt 1: {"at":"001"}
        0s  host ok: {"name":"web-01","score":9}
        0s  verdict ok: {"is_bad":true}
        0s  block asks analyst: Block web-01?
    30m00s  block expired: nobody answered in time
    30m00s  tell sent, attempt 1: {"text":"web-01: expired\nrun 00000000-0000-7000-8000-000000000000\n"}
    30m00s  tell ok: {}
    30m00s  run failed blocked=false
    31m00s  block refuses the answer of ana: the run has finished
    "#);
}

#[test]
fn the_clock_stops_where_the_test_says() {
    assert_snapshot!(check(r#"
  - name: after 29 minutes it still waits
    advance: 29m
    expect: { status: { run: waiting, block: waiting }, calls: { act: 0, note: 0 } }
  - name: after 30 minutes it has lapsed
    advance: 30m
    expect: { status: { run: failed, block: expired, tell: ok } }
  - name: the second attempt is not due yet
    advance: 1s
    mock: { host: [{ fail: { class: timeout, message: slow } }, { output: { name: web-01 } }] }
    expect: { status: { run: waiting, host: waiting }, calls: { look: 1 } }
"#), @"
    ok after 29 minutes it still waits
    ok after 30 minutes it has lapsed
    ok the second attempt is not due yet
    ");
}

#[test]
fn what_the_clock_never_reached_is_not_tested() {
    assert_snapshot!(check(r#"
  - name: too short
    advance: 5m
    approvals: { block: { decision: approve, by: ana, reason: seen, after: 10m } }
    cancel: { by: cem, reason: a drill, after: 1h }
    expect: { status: { block: waiting } }
  - name: too short to lapse
    advance: 5m
    approvals: { block: { expire: true } }
    expect: { status: { block: waiting } }
  - name: the run is over
    approvals: { block: { decision: approve, by: ana, reason: seen, after: 1h } }
    expect: { status: { run: failed } }
"#), @r#"
    FAILED too short
      contain.test.yaml:11: `ana` did not come to answer `block`
        help: the clock stops after 5m
      contain.test.yaml:12: `cem` did not come to cancel the run
        help: the clock stops after 5m
      the run:
             0s  run of contain started
             0s  host sent, attempt 1: {"at":"001"}
             0s  host ok: {"name":"web-01","score":9}
             0s  verdict ok: {"is_bad":true}
             0s  block asks analyst: Block web-01?
    FAILED too short to lapse
      contain.test.yaml:16: the question of `block` did not lapse
        help: the clock stops after 5m
      the run:
             0s  run of contain started
             0s  host sent, attempt 1: {"at":"001"}
             0s  host ok: {"name":"web-01","score":9}
             0s  verdict ok: {"is_bad":true}
             0s  block asks analyst: Block web-01?
    FAILED the run is over
      contain.test.yaml:19: the answer of `ana` to `block` was refused: the run has finished
      the run:
             0s  run of contain started
             0s  host sent, attempt 1: {"at":"001"}
             0s  host ok: {"name":"web-01","score":9}
             0s  verdict ok: {"is_bad":true}
             0s  block asks analyst: Block web-01?
         30m00s  block expired: nobody answered in time
         30m00s  tell sent, attempt 1: {"text":"web-01: expired\nrun 00000000-0000-7000-8000-000000000000\n"}
         30m00s  tell ok: {}
         30m00s  run failed blocked=false
    "#);
}

#[test]
fn a_call_may_take_its_time_and_a_person_may_stop_the_run() {
    assert_snapshot!(story(r#"
  - name: stopped under way
    mock: { block: { output: {}, takes: 20s } }
    approvals: { block: { decision: approve, by: ana, reason: seen, after: 1m } }
    cancel: { by: cem, reason: the wrong host, after: 70s }
    expect: { status: { run: cancelled, block: ok, tell: cancelled }, calls: { act: 1, note: 0 } }
"#), @r#"
       0s  run of contain started
       0s  host sent, attempt 1: {"at":"001"}
       0s  host ok: {"name":"web-01","score":9}
       0s  verdict ok: {"is_bad":true}
       0s  block asks analyst: Block web-01?
    1m00s  block approved by ana: seen
    1m00s  block sent, attempt 1 on host/web-01: {"on":"web-01"}
    1m10s  run cancelled by cem: the wrong host
    1m20s  block ok: {}
    1m20s  run cancelled blocked=true
    "#);
}

#[test]
fn a_mistake_about_time_has_its_place() {
    assert_snapshot!(check(r#"
  - name: a
    advance: 0s
    mock: { host: { output: {}, takes: 1h } }
    approvals: { block: { decision: approve, by: ana, after: soon } }
    cancel: { by: cem }
    expect: { starts: true }
"#), @"
    error[wrong-value]: this is not a time in which anything can happen: write more than zero
      --> contain.test.yaml:10:14
       |
    10 |     advance: 0s
       |              ^^

    error[wrong-value]: a call of `host` takes 30s at most: that is its `timeout`
      --> contain.test.yaml:11:40
       |
    11 |     mock: { host: { output: {}, takes: 1h } }
       |                                        ^^
       |
       = help: write what becomes of it then: fail or unknown, with class timeout

    error[wrong-type]: `soon` is not a duration: write a whole number with ms, s, m, h or d, as in `30s`
      --> contain.test.yaml:12:62
       |
    12 |     approvals: { block: { decision: approve, by: ana, after: soon } }
       |                                                              ^^^^

    error[missing-key]: the key `reason` is missing here
      --> contain.test.yaml:13:5
       |
    13 |     cancel: { by: cem }
       |     ^^^^^^
    ");
}
