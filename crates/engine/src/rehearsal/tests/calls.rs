//! Playbooks that call others, lists, and what follows a failure.

use insta::assert_snapshot;

use super::*;

const CALLER: &str = r#"
workflow: caller
timeout: 1h
inputs:
  hosts: { type: list, required: true }
  note: { type: string, default: none }
steps:
  - id: each
    foreach: inputs.hosts
    as: host
    uses: look
    with: { at: "{{ host }}" }
    on_error: continue
  - id: call
    if: status.each == 'ok'
    uses: workflow
    with: { workflow: callee, inputs: { note: "{{ inputs.note }}" } }
on_failure:
  - { id: tell, uses: note, with: { text: "{{ error.message }}" } }
"#;

#[test]
fn a_playbook_that_others_call_is_given_inputs() {
    assert_snapshot!(check_of(&load(CALLER), r#"
inputs: { hosts: ["001", "002"] }
mock: { each: { output: { name: web } } }
tests:
  - name: the other playbook succeeds
    mock: { call: { output: { x: 1 }, takes: 30m } }
    expect:
      status: { run: succeeded, call: ok }
      calls: { look: 2, callee: 1 }
      inputs: { call: { note: none } }
      journal: ["each[0] ok", "each[1] ok", each ok, call calls callee, call ok at 30m]
  - name: the other playbook takes too long
    inputs: { hosts: ["001"], note: x }
    mock: { call: { output: {}, takes: 61m }, tell: { output: {} } }
    expect: { status: { run: failed, tell: ok }, journal: [call started, run timed out at 1h, run failed] }
  - name: an item fails
    mock:
      each: { fail: { class: http_404, message: no such host } }
      tell: { output: {} }
    expect: { journal: ["each[0] failed", each failed, call skipped] }
"#), @"
    ok the other playbook succeeds
    ok the other playbook takes too long
    ok an item fails
    ");
}

#[test]
fn each_item_of_a_list_is_answered_for_itself() {
    assert_snapshot!(check_of(&load(CALLER), r#"
inputs: { hosts: ["001", "002", "003"] }
mock: { call: { output: {} }, tell: { output: {} } }
tests:
  - name: one fails
    mock: { each: { items: [{ output: { name: web } }, { fail: { class: reset, message: gone } }, [{ output: { name: db } }]] } }
    expect: { status: { run: succeeded, each: failed }, journal: ["each[0] ok", "each[1] failed", "each[2] ok"] }
  - name: one has no answer
    mock: { each: { items: [{ output: { name: web } }] } }
    expect: { status: { run: running } }
"#), @r#"
    ok one fails
    FAILED one has no answer
      contain.test.yaml:9: attempt 1 of `each[1]` is called, and the mock has no answer to it
        help: add one to the list of `each`
      the run:
             0s  run of caller started
             0s  each is performed for 3 items
             0s  each[0] sent, attempt 1: {"at":"001"}
             0s  each[1] sent, attempt 1: {"at":"002"}
             0s  each[2] sent, attempt 1: {"at":"003"}
             0s  each[0] ok: {"name":"web"}
          1h00m  the run has taken longer than it may
    "#);
    assert_snapshot!(check_of(&load(CALLER), r#"
inputs: { hosts: [] }
tests:
  - { name: a, mock: { call: { items: [] }, each: { items: [{ ouput: {} }] } }, expect: {} }
"#), @"
    error[wrong-key]: `call` has no `foreach`, so there are no items to answer one by one
     --> contain.test.yaml:4:32
      |
    4 |   - { name: a, mock: { call: { items: [] }, each: { items: [{ ouput: {} }] } }, expect: {} }
      |                                ^^^^^

    error[wrong-value]: a mock has exactly one of `output`, `fail` and `unknown`
     --> contain.test.yaml:4:61
      |
    4 |   - { name: a, mock: { call: { items: [] }, each: { items: [{ ouput: {} }] } }, expect: {} }
      |                                                             ^^^^^^^^^^^^^

    error[unknown-key]: there is no key `ouput` here
     --> contain.test.yaml:4:63
      |
    4 |   - { name: a, mock: { call: { items: [] }, each: { items: [{ ouput: {} }] } }, expect: {} }
      |                                                               ^^^^^
      |
      = help: did you mean `output`?

    error[empty-test]: this test expects nothing
     --> contain.test.yaml:4:81
      |
    4 |   - { name: a, mock: { call: { items: [] }, each: { items: [{ ouput: {} }] } }, expect: {} }
      |                                                                                 ^^^^^^
      |
      = help: say at least one of starts, status, calls, outputs, inputs, errors, contained, journal
    ");
}

#[test]
fn a_mistake_about_inputs_has_its_place() {
    assert_snapshot!(check_of(&load(CALLER), r#"
alert: {}
tests:
  - { name: a, expect: { starts: true } }
  - { name: b, inputs: { host: [], note: 7 }, mock: { call: { output: {} } }, expect: { calls: { calle: 1 } } }
"#), @"
    error[wrong-key]: this playbook is not started with `alert`
     --> contain.test.yaml:2:1
      |
    2 | alert: {}
      | ^^^^^
      |
      = help: write `inputs:`

    error[missing-key]: the key `inputs` is missing here
     --> contain.test.yaml:4:5
      |
    4 |   - { name: a, expect: { starts: true } }
      |     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: write `inputs:` here, or for all tests at the top of the file

    error[missing-input]: the playbook needs the input `hosts`
     --> contain.test.yaml:5:16
      |
    5 |   - { name: b, inputs: { host: [], note: 7 }, mock: { call: { output: {} } }, expect: { calls: { calle: 1 } } }
      |                ^^^^^^

    error[unknown-input]: the playbook has no input `host`
     --> contain.test.yaml:5:26
      |
    5 |   - { name: b, inputs: { host: [], note: 7 }, mock: { call: { output: {} } }, expect: { calls: { calle: 1 } } }
      |                          ^^^^
      |
      = help: did you mean `hosts`?

    error[wrong-input]: the input `note` has to be text, not `7`
     --> contain.test.yaml:5:42
      |
    5 |   - { name: b, inputs: { host: [], note: 7 }, mock: { call: { output: {} } }, expect: { calls: { calle: 1 } } }
      |                                          ^

    error[unknown-node]: no step of this workflow calls `calle`
     --> contain.test.yaml:5:98
      |
    5 |   - { name: b, inputs: { host: [], note: 7 }, mock: { call: { output: {} } }, expect: { calls: { calle: 1 } } }
      |                                                                                                  ^^^^^
      |
      = help: did you mean `callee`?
    ");
}
