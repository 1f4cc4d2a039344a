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
