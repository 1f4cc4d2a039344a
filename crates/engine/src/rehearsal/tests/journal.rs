//! What a test expects of the journal and of failures.

use insta::assert_snapshot;

use super::*;

#[test]
fn the_facts_of_a_run_have_names() {
    assert_snapshot!(check(r#"
  - name: approved
    approvals: { block: { decision: approve, by: ana, reason: seen, after: 10m } }
    expect:
      journal: [run started, host ok, block asked, block approved by ana at 10m, block started, block ok, run succeeded]
  - name: rejected
    approvals: { block: { decision: reject, by: ana, reason: nope } }
    expect: { journal: [block asked at 0s, block rejected, tell started, tell ok] }
  - name: expired after a slow start
    mock: { host: [{ fail: { class: timeout, message: slow } }, { output: { name: web-01 } }] }
    approvals: { block: { expire: true } }
    expect:
      journal: [host attempt failed with timeout, host started again, host ok, block expired at 30m10s, run failed]
  - name: failed
    mock: { host: { fail: { class: http_404, message: no such host } } }
    expect:
      status: { tell: failed }
      journal: [host failed, verdict skipped, block stopped by verdict, tell failed with input]
      errors: { host: { class: http_404, message: no such host }, tell: { class: input } }
  - name: in doubt
    mock: { block: { unknown: { class: reset, message: connection lost } } }
    approvals: { block: { decision: approve, by: ana, reason: seen } }
    resolve: { block: { resolution: ok, by: cem, reason: alert 651, after: 5m } }
    expect: { journal: [block in doubt, block resolved ok by cem at 5m] }
  - name: shadow
    mode: shadow
    expect: { journal: [block held back, run succeeded] }
  - name: cancelled
    cancel: { by: cem, reason: a drill, after: 1m }
    expect: { journal: [block asked, run cancelled by cem at 1m, run cancelled] }
"#), @"
    ok approved
    ok rejected
    ok expired after a slow start
    ok failed
    ok in doubt
    ok shadow
    ok cancelled
    ");
}

#[test]
fn a_fact_that_does_not_come_says_what_came_instead() {
    assert_snapshot!(problems(r#"
  - name: rejected
    approvals: { block: { decision: reject, by: ana, reason: nope } }
    expect: { journal: [block asked, block approved by ana, block started] }
  - name: the other order
    approvals: { block: { decision: approve, by: ana, reason: seen } }
    expect: { journal: [block ok, block approved] }
  - name: another time
    approvals: { block: { expire: true } }
    expect: { journal: [block expired at 31m] }
  - name: at the end
    approvals: { block: { expire: true } }
    expect: { journal: [run failed, tell ok], errors: { host: { class: timeout } } }
"#), @"
    FAILED rejected
      contain.test.yaml:11: `block approved by ana` does not come after `block asked`
        help: what comes after `block asked`: block rejected by ana, tell started, tell ok, run succeeded
    FAILED the other order
      contain.test.yaml:14: `block approved` comes before `block ok`
        help: what comes after `block ok`: tell started, tell ok, run succeeded
    FAILED another time
      contain.test.yaml:17: time of `block expired`: expected 31m00s, got 30m00s
    FAILED at the end
      contain.test.yaml:20: `host` has no error
      contain.test.yaml:20: `tell ok` comes before `run failed`
        help: what comes after `run failed`: nothing
    ");
}

#[test]
fn a_mistake_about_a_fact_has_its_place() {
    assert_snapshot!(check(r#"
  - name: a
    expect:
      journal: [blok asked, block asks, block, block aproved by ana, block stopped by nobody]
"#), @"
    error[unknown-step]: there is no step `blok`
      --> contain.test.yaml:11:17
       |
    11 |       journal: [blok asked, block asks, block, block aproved by ana, block stopped by nobody]
       |                 ^^^^
       |
       = help: did you mean `block`?

    error[unknown-fact]: `asks` is nothing that can be said in a journal
      --> contain.test.yaml:11:29
       |
    11 |       journal: [blok asked, block asks, block, block aproved by ana, block stopped by nobody]
       |                             ^^^^^^^^^^
       |
       = help: did you mean `asked`?

    error[unknown-fact]: a word is missing here: what became of it
      --> contain.test.yaml:11:41
       |
    11 |       journal: [blok asked, block asks, block, block aproved by ana, block stopped by nobody]
       |                                         ^^^^^
       |
       = help: there are 28 of them; the closest: ok, due, alarm

    error[unknown-fact]: `aproved by ana` is nothing that can be said in a journal
      --> contain.test.yaml:11:48
       |
    11 |       journal: [blok asked, block asks, block, block aproved by ana, block stopped by nobody]
       |                                                ^^^^^^^^^^^^^^^^^^^^
       |
       = help: did you mean `approved`?

    error[unknown-step]: there is no step `nobody`
      --> contain.test.yaml:11:87
       |
    11 |       journal: [blok asked, block asks, block, block aproved by ana, block stopped by nobody]
       |                                                                                       ^^^^^^
       |
       = help: there are block, host, run, tell, verdict
    ");
}

#[test]
fn a_mistake_about_a_failure_has_its_place() {
    assert_snapshot!(check(r#"
  - name: a
    expect:
      journal: [run expired, host failed with tired, 7]
      errors: { host: { klass: timeout }, tell: timeout }
"#), @r#"
    error[unknown-fact]: `expired` is nothing that can be said in a journal
      --> contain.test.yaml:11:17
       |
    11 |       journal: [run expired, host failed with tired, 7]
       |                 ^^^^^^^^^^^
       |
       = help: there are admitted, alert again, cancelled, dropped, failed, queued, started, succeeded, timed out

    error[wrong-value]: `tired` is not a failure class
      --> contain.test.yaml:11:47
       |
    11 |       journal: [run expired, host failed with tired, 7]
       |                                               ^^^^^
       |
       = help: timeout, connect, dns, tls, reset, auth, rejected, response, http_429, http_503, ...

    error[wrong-type]: this has to be text, and YAML reads it as a number
      --> contain.test.yaml:11:54
       |
    11 |       journal: [run expired, host failed with tired, 7]
       |                                                      ^
       |
       = help: write "7"

    error[unknown-key]: there is no key `klass` here
      --> contain.test.yaml:12:25
       |
    12 |       errors: { host: { klass: timeout }, tell: timeout }
       |                         ^^^^^
       |
       = help: did you mean `class`?

    error[wrong-type]: this has to be a map, not text
      --> contain.test.yaml:12:49
       |
    12 |       errors: { host: { klass: timeout }, tell: timeout }
       |                                                 ^^^^^^^
       |
       = help: with the keys message, class, help
    "#);
}
