//! Mistakes in a test file have their place.

use insta::assert_snapshot;

use super::*;

#[test]
fn a_mistake_about_the_world_has_its_place() {
    assert_snapshot!(check(r#"
  - name: a
    alert: none.json
    mock:
      hots: { output: {} }
      host: { output: { nam: web-01 } }
      verdict: { output: {} }
      block: [{ fail: { class: tired, message: x } }, { output: {}, unknown: {} }]
    crash: { at: block }
    expect: { starts: true }
"#), @"
    error[unreadable-alert]: there is no file none.json
      --> contain.test.yaml:10:12
       |
    10 |     alert: none.json
       |            ^^^^^^^^^

    error[unknown-step]: there is no step `hots`
      --> contain.test.yaml:12:7
       |
    12 |       hots: { output: {} }
       |       ^^^^
       |
       = help: did you mean `host`?

    error[unknown-field]: the output of `host` (look) has no field `nam`
      --> contain.test.yaml:13:25
       |
    13 |       host: { output: { nam: web-01 } }
       |                         ^^^
       |
       = help: did you mean `name`?

    error[wrong-step]: the step `verdict` calls nobody: the engine performs `set`
      --> contain.test.yaml:14:7
       |
    14 |       verdict: { output: {} }
       |       ^^^^^^^

    error[wrong-value]: `tired` is not a failure class
      --> contain.test.yaml:15:32
       |
    15 |       block: [{ fail: { class: tired, message: x } }, { output: {}, unknown: {} }]
       |                                ^^^^^
       |
       = help: timeout, connect, dns, tls, reset, auth, rejected, response, http_429, http_503, ...

    error[wrong-value]: a mock has exactly one of `output`, `fail` and `unknown`
      --> contain.test.yaml:15:55
       |
    15 |       block: [{ fail: { class: tired, message: x } }, { output: {}, unknown: {} }]
       |                                                       ^^^^^^^^^^^^^^^^^^^^^^^^^^^

    error[wrong-value]: `block` is not a place to crash at
      --> contain.test.yaml:16:18
       |
    16 |     crash: { at: block }
       |                  ^^^^^
       |
       = help: write `STEP.sent`: the process dies when the call of this step has left
    ");
}

#[test]
fn a_mistake_about_what_people_say_has_its_place() {
    assert_snapshot!(check(r#"
  - name: a
    approvals: { host: { decision: approve, by: ana }, block: { decision: yes, by: ana } }
    resolve: { host: { resolution: ok, by: ana, reason: x } }
    expect: { starts: true }
  - name: a
    approvals: { block: { expire: false } }
    expect: { starts: true }
  - name: a
    expect: { starts: true }
"#), @"
    error[wrong-step]: nobody is asked before `host`
      --> contain.test.yaml:10:18
       |
    10 |     approvals: { host: { decision: approve, by: ana }, block: { decision: yes, by: ana } }
       |                  ^^^^

    error[wrong-value]: `yes` is not one of the values that stand here
      --> contain.test.yaml:10:75
       |
    10 |     approvals: { host: { decision: approve, by: ana }, block: { decision: yes, by: ana } }
       |                                                                           ^^^
       |
       = help: there are approve, reject

    error[wrong-step]: the step `host` is never in doubt: `look` is run again
      --> contain.test.yaml:11:16
       |
    11 |     resolve: { host: { resolution: ok, by: ana, reason: x } }
       |                ^^^^

    error[duplicate-name]: there are two tests `a`
      --> contain.test.yaml:13:11
       |
    13 |   - name: a
       |           ^

    error[wrong-value]: `expire` is true or does not stand here
      --> contain.test.yaml:14:35
       |
    14 |     approvals: { block: { expire: false } }
       |                                   ^^^^^

    error[duplicate-name]: there are two tests `a`
      --> contain.test.yaml:16:11
       |
    16 |   - name: a
       |           ^
    ");
}

#[test]
fn a_mistake_about_what_is_expected_has_its_place() {
    assert_snapshot!(check(r#"
  - name: a
    expect: { status: { run: done, host: good }, calls: { acts: 0 }, outputs: { block: true } }
  - name: b
    expect: {}
  - expects: {}
"#), @"
    error[wrong-value]: `done` is not one of the values that stand here
      --> contain.test.yaml:10:30
       |
    10 |     expect: { status: { run: done, host: good }, calls: { acts: 0 }, outputs: { block: true } }
       |                              ^^^^
       |
       = help: there are cancelled, failed, running, succeeded, waiting

    error[wrong-value]: `good` is not one of the values that stand here
      --> contain.test.yaml:10:42
       |
    10 |     expect: { status: { run: done, host: good }, calls: { acts: 0 }, outputs: { block: true } }
       |                                          ^^^^
       |
       = help: there are cancelled, expired, failed, in_doubt, ok, pending, rejected, running, skipped, undone, waiting

    error[unknown-node]: no step of this workflow calls `acts`
      --> contain.test.yaml:10:59
       |
    10 |     expect: { status: { run: done, host: good }, calls: { acts: 0 }, outputs: { block: true } }
       |                                                           ^^^^
       |
       = help: did you mean `act`?

    error[unknown-output]: the workflow has no output `block`
      --> contain.test.yaml:10:81
       |
    10 |     expect: { status: { run: done, host: good }, calls: { acts: 0 }, outputs: { block: true } }
       |                                                                                 ^^^^^
       |
       = help: did you mean `blocked`?

    error[empty-test]: this test expects nothing
      --> contain.test.yaml:12:5
       |
    12 |     expect: {}
       |     ^^^^^^
       |
       = help: say at least one of starts, status, calls, outputs, inputs, errors, contained, journal

    error[unknown-key]: there is no key `expects` here
      --> contain.test.yaml:13:5
       |
    13 |   - expects: {}
       |     ^^^^^^^
       |
       = help: did you mean `expect`?

    error[missing-key]: the key `name` is missing here
      --> contain.test.yaml:13:5
       |
    13 |   - expects: {}
       |     ^^^^^^^^^^^

    error[missing-key]: the key `expect` is missing here
      --> contain.test.yaml:13:5
       |
    13 |   - expects: {}
       |     ^^^^^^^^^^^
    ");
}

#[test]
fn the_examples_of_the_rules_on_tests_have_their_findings() {
    let text = include_str!("../../../../../examples/approval/quarantine.yaml");
    let mut catalog = Catalog::default();
    for node in [
        include_str!("../../../../../nodes/core/webhook.yaml"),
        include_str!("../../../../../nodes/core/manual.yaml"),
        include_str!("../../../../../nodes/core/http.yaml"),
        include_str!("../../../../../nodes/core/set.yaml"),
    ] {
        catalog.add("node.yaml", node).unwrap();
    }
    let workflow = workflow::load("quarantine.yaml", text, &catalog).0.unwrap();
    let alert = |path: &str| match path {
        "payload.json" => Ok(json!({ "host": "laptop-17", "reason": "it beacons" })),
        _ => Err(format!("there is no file {path}")),
    };
    let findings = |text: String| crate::rehearsal::check(&workflow, "x.test.yaml", &text, &alert);
    for rule in workflow::Rule::all().filter(|rule| rule.about == workflow::About::Test) {
        let wrong = findings(rule.wrong.text());
        assert!(!wrong.is_empty(), "{rule}");
        wrong.findings().iter().for_each(|finding| assert_eq!(finding.rule, rule, "{wrong}"));
        let right = findings(rule.right.text());
        assert!(right.is_empty(), "{rule}: {right}");
    }
}
