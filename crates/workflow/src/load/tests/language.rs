//! Lists, calls of other playbooks, `on_failure`, and what belongs to them.

use insta::assert_snapshot;

use super::*;

const ENRICH: &str = r#"
workflow: enrich
inputs:
  hash: { type: string, required: true, summary: a SHA-256 }
  deep: { type: boolean, default: false }
steps:
  - { id: known, uses: set, with: { bad: "inputs.hash == 'x'" } }
outputs:
  bad: steps.known.bad
"#;

const CALL: &str = "node: workflow\nsummary: x\neffect: read\non_doubt: retry\nengine: workflow\ninputs:\n  workflow: { type: string, required: true, summary: the playbook }\n  inputs: { type: object, default: {}, summary: what goes in }\n";

/// The findings about a playbook beside which `enrich` and these others stand.
fn check_beside(text: &str, others: &[&str]) -> String {
    let mut catalog = catalog();
    catalog.add("workflow", CALL).unwrap();
    for other in others.iter().chain([&ENRICH]) {
        let signature = Draft::parse("other.yaml", other).unwrap().signature();
        catalog.add_workflow(signature.unwrap());
    }
    let (_, findings) = load("playbook.yaml", text, &catalog);
    if findings.is_empty() { "no finding".to_owned() } else { findings.render(false) }
}

fn steps(text: &str) -> String {
    check_beside(&format!("workflow: w\nsteps:\n{text}"), &[])
}

#[test]
fn a_playbook_may_use_all_of_the_language() {
    let text = r##"
workflow: w
timeout: 2h
concurrency: { key: "{{ alert.agent.id }}", on_conflict: queue }
steps:
  - id: checked
    foreach: alert.files
    as: file
    max_items: 20
    max_parallel: 4
    on_item_error: continue
    uses: workflow
    with: { workflow: enrich, inputs: { hash: "{{ file.sha256 }}" } }
  - id: host
    uses: wazuh.get_agent
    with: { agent: "001" }
    until: output.name == "web-1"
    retry: { max: 20, wait: 15s, backoff: 1 }
  - id: block
    foreach: steps.checked.items.filter(i, i.bad)
    max_items: 3
    uses: wazuh.active_response
    with: { agent: "{{ item.agent }}" }
    approval: { ask: "Block {{ item.agent }}?", expires: 1h }
on_failure:
  - { id: tell, uses: set, with: { text: "error.message" } }
  - { id: told, if: status.block == "failed", uses: set, with: { text: "steps.tell.text" } }
"##;
    assert_eq!(check_beside(text, &[]), "no finding");
}

#[test]
fn a_call_is_checked_against_what_the_playbook_takes_and_gives() {
    let text = "  - { id: a, uses: workflow, with: { workflow: enrich, inputs: { hsh: x, deep: 1 } } }
  - { id: b, uses: set, with: { x: steps.a.bat } }
  - { id: c, uses: workflow, with: { workflow: enrch } }
  - { id: d, uses: workflow, with: { workflow: \"{{ alert.w }}\" }, approval: { ask: x, expires: 1h } }
";
    assert_snapshot!(steps(text), @r#"
    error[missing-input]: the playbook `enrich` needs the input `hash`: a SHA-256
     --> playbook.yaml:3:56
      |
    3 |   - { id: a, uses: workflow, with: { workflow: enrich, inputs: { hsh: x, deep: 1 } } }
      |                                                        ^^^^^^

    error[unknown-input]: the playbook `enrich` has no input `hsh`
     --> playbook.yaml:3:66
      |
    3 |   - { id: a, uses: workflow, with: { workflow: enrich, inputs: { hsh: x, deep: 1 } } }
      |                                                                  ^^^
      |
      = help: did you mean `hash`?

    error[wrong-input]: the input `deep` of `enrich` has to be true or false, not `1`
     --> playbook.yaml:3:80
      |
    3 |   - { id: a, uses: workflow, with: { workflow: enrich, inputs: { hsh: x, deep: 1 } } }
      |                                                                                ^

    error[unknown-path]: the output of `a` (workflow) has no field `bat`
     --> playbook.yaml:4:36
      |
    4 |   - { id: b, uses: set, with: { x: steps.a.bat } }
      |                                    ^^^^^^^^^^^
      |
      = help: did you mean `bad`?

    error[unknown-workflow]: there is no playbook `enrch` beside this one
     --> playbook.yaml:5:48
      |
    5 |   - { id: c, uses: workflow, with: { workflow: enrch } }
      |                                                ^^^^^
      |
      = help: did you mean `enrich`?

    error[wrong-value]: which playbook is called has to stand in the file
     --> playbook.yaml:6:48
      |
    6 |   - { id: d, uses: workflow, with: { workflow: "{{ alert.w }}" }, approval: { ask: x, expires: 1h } }
      |                                                ^^^^^^^^^^^^^^^
      |
      = help: write its name, as in `enrich_hash`

    error[wrong-key]: a playbook that is called has gates of its own
     --> playbook.yaml:6:67
      |
    6 |   - { id: d, uses: workflow, with: { workflow: "{{ alert.w }}" }, approval: { ask: x, expires: 1h } }
      |                                                                   ^^^^^^^^
      |
      = help: put the gate before what disrupts there, or an `approval` step before this one
    "#);
}

#[test]
fn a_playbook_that_calls_itself_is_refused() {
    let text = |name: &str, calls: &str| {
        format!(
            "workflow: {name}\ninputs: {{}}\nsteps:\n  - {{ id: a, uses: workflow, with: {{ workflow: {calls} }} }}\n"
        )
    };
    assert_snapshot!(check_beside(&text("one", "two"), &[&text("one", "two"), &text("two", "one")]), @"
    error[recursion]: this playbook would call itself: one calls two calls one
     --> playbook.yaml:4:48
      |
    4 |   - { id: a, uses: workflow, with: { workflow: two } }
      |                                                ^^^
      |
      = help: remove one of these calls
    ");
}

#[test]
fn a_list_is_used_where_its_items_are_known() {
    let text = "  - id: a
    foreach: alert.files
    as: file
    if: file.size > 0
    uses: set
    with: { x: file.name }
  - { id: b, uses: set, max_items: 3, with: { x: file.name, y: steps.a.x } }
  - { id: c, foreach: alert.files, as: steps, timeout: 1s, uses: approval, with: { ask: x, expires: 1h } }
";
    assert_snapshot!(steps(text), @"
    error[unknown-path]: `file` is the item of the step `a`, and is not known here
     --> playbook.yaml:6:9
      |
    6 |     if: file.size > 0
      |         ^^^^^^^^^
      |
      = help: `if` and `foreach` are evaluated once, before the items: filter the list instead

    error[wrong-key]: this belongs to `foreach`, which the step does not have
     --> playbook.yaml:9:25
      |
    9 |   - { id: b, uses: set, max_items: 3, with: { x: file.name, y: steps.a.x } }
      |                         ^^^^^^^^^
      |
      = help: add `foreach:` with a list, or remove this key

    error[unknown-path]: `file` is the item of the step `a`, and is not known here
     --> playbook.yaml:9:50
      |
    9 |   - { id: b, uses: set, max_items: 3, with: { x: file.name, y: steps.a.x } }
      |                                                  ^^^^^^^^^
      |
      = help: `if` and `foreach` are evaluated once, before the items: filter the list instead

    error[unknown-path]: the output of `a` (set) has no field `x`
     --> playbook.yaml:9:64
      |
    9 |   - { id: b, uses: set, max_items: 3, with: { x: file.name, y: steps.a.x } }
      |                                                                ^^^^^^^^^
      |
      = help: there are failed, items

    error[wrong-key]: an approval of its own is asked once, not for each item
      --> playbook.yaml:10:14
       |
    10 |   - { id: c, foreach: alert.files, as: steps, timeout: 1s, uses: approval, with: { ask: x, expires: 1h } }
       |              ^^^^^^^
       |
       = help: give the step that acts on the items an `approval:`: then each item is asked for

    error[wrong-value]: this is not a name for the item: write a word of your own, as in `as: file`
      --> playbook.yaml:10:40
       |
    10 |   - { id: c, foreach: alert.files, as: steps, timeout: 1s, uses: approval, with: { ask: x, expires: 1h } }
       |                                        ^^^^^

    error[wrong-key]: `approval` is performed by the engine and makes no call: this means nothing here
      --> playbook.yaml:10:47
       |
    10 |   - { id: c, foreach: alert.files, as: steps, timeout: 1s, uses: approval, with: { ask: x, expires: 1h } }
       |                                               ^^^^^^^
       |
       = help: remove this key
    ");
}

#[test]
fn on_failure_stands_apart_from_the_steps() {
    let text = "  - { id: a, uses: set, with: { x: error.step } }
  - { id: b, needs: [t], uses: set, with: { x: \"1\" } }
on_failure:
  - { id: t, needs: [a], uses: set, with: { x: error.step } }
  - { id: u, uses: wazuh.active_response, with: { agent: \"001\" } }
";
    assert_snapshot!(steps(text), @r#"
    error[unknown-path]: `error` is there in `on_failure` only
     --> playbook.yaml:3:36
      |
    3 |   - { id: a, uses: set, with: { x: error.step } }
      |                                    ^^^^^^^^^^
      |
      = help: elsewhere, read `errors.<step>.message`

    error[unknown-step]: `t` stands in the other part of the playbook
     --> playbook.yaml:4:22
      |
    4 |   - { id: b, needs: [t], uses: set, with: { x: "1" } }
      |                      ^
      |
      = help: `on_failure` begins when all steps have ended: its steps need only each other

    error[unknown-step]: `a` stands in the other part of the playbook
     --> playbook.yaml:6:22
      |
    6 |   - { id: t, needs: [a], uses: set, with: { x: error.step } }
      |                      ^
      |
      = help: `on_failure` begins when all steps have ended: its steps need only each other

    error[ungated-disruption]: the step `u` disrupts (wazuh.active_response), and no person is asked before
     --> playbook.yaml:7:20
      |
    7 |   - { id: u, uses: wazuh.active_response, with: { agent: "001" } }
      |                    ^^^^^^^^^^^^^^^^^^^^^
      |
      = help: give the step an `approval:`, or let it need an approval
    "#);
}

#[test]
fn what_others_call_has_inputs_and_no_alert() {
    let text = "workflow: w
triggers: [{ uses: webhook, with: { path: wazuh } }]
inputs: { host: { type: text }, ip: { type: ip } }
steps:
  - { id: a, uses: set, with: { x: alert.id, y: inputs.hots } }
";
    assert_snapshot!(check_beside(text, &[]), @"
    error[wrong-key]: a playbook with `inputs` is called by others: nothing else starts it
     --> playbook.yaml:2:1
      |
    2 | triggers: [{ uses: webhook, with: { path: wazuh } }]
      | ^^^^^^^^
      |
      = help: remove `triggers`

    error[wrong-value]: `text` is not one of the values that stand here
     --> playbook.yaml:3:25
      |
    3 | inputs: { host: { type: text }, ip: { type: ip } }
      |                         ^^^^
      |
      = help: there are agent_id, any, boolean, code, duration, expression, integer, ip, list, number, object, string

    error[unknown-path]: there is no alert in a playbook that others call
     --> playbook.yaml:5:36
      |
    5 |   - { id: a, uses: set, with: { x: alert.id, y: inputs.hots } }
      |                                    ^^^^^^^^
      |
      = help: the playbook that calls this one has the alert: take what you need of it as an input

    error[unknown-path]: this playbook has no input `hots`
     --> playbook.yaml:5:49
      |
    5 |   - { id: a, uses: set, with: { x: alert.id, y: inputs.hots } }
      |                                                 ^^^^^^^^^^^
      |
      = help: there are ip
    ");
}

#[test]
fn every_call_of_a_playbook_is_a_run_of_its_own() {
    let text = "workflow: w
inputs: { ip: { type: ip } }
dedupe: { key: \"{{ inputs.ip }}\", window: 1h }
steps: [{ id: a, uses: set, with: { x: inputs.ip } }]
";
    assert_snapshot!(check_beside(text, &[]), @r#"
    error[wrong-key]: a playbook with `inputs` is called by others: every call is a run of its own
     --> playbook.yaml:3:1
      |
    3 | dedupe: { key: "{{ inputs.ip }}", window: 1h }
      | ^^^^^^
      |
      = help: remove `dedupe`
    "#);
}

#[test]
fn until_needs_a_step_that_looks_and_a_retry() {
    let text = "  - { id: a, uses: wazuh.get_agent, with: { agent: \"001\" }, until: output.name == \"x\" }
  - { id: b, uses: set, with: { x: \"1\" }, until: output.x == 1, retry: { max: 3 } }
";
    assert_snapshot!(steps(text), @r#"
    error[missing-key]: `until` needs a `retry` that says how often and how long
     --> playbook.yaml:3:61
      |
    3 |   - { id: a, uses: wazuh.get_agent, with: { agent: "001" }, until: output.name == "x" }
      |                                                             ^^^^^
      |
      = help: add `retry: { max: 20, wait: 15s, backoff: 1 }`

    error[wrong-key]: only a step that looks is performed until something holds
     --> playbook.yaml:4:43
      |
    4 |   - { id: b, uses: set, with: { x: "1" }, until: output.x == 1, retry: { max: 3 } }
      |                                           ^^^^^
      |
      = help: remove `until`

    error[wrong-key]: `set` is performed by the engine and makes no call: this means nothing here
     --> playbook.yaml:4:65
      |
    4 |   - { id: b, uses: set, with: { x: "1" }, until: output.x == 1, retry: { max: 3 } }
      |                                                                 ^^^^^
      |
      = help: remove this key
    "#);
}

#[test]
fn a_gate_that_nobody_ever_stands_at_is_none() {
    let text = |skip_if: &str| {
        format!(
            "  - {{ id: v, uses: set, with: {{ yes: \"true\", level: alert.rule.level }} }}\n  - {{ id: w, uses: set, with: {{ yes: \"true\" }} }}\n  - id: block\n    uses: wazuh.active_response\n    with: {{ agent: \"001\" }}\n    approval: {{ ask: x, expires: 1h, skip_if: '{skip_if}' }}\n"
        )
    };
    for always in ["true || has(alert.x)", "1 == 1 || alert.x", "steps.w.yes"] {
        assert!(steps(&text(always)).contains("nobody is asked"), "{always}");
    }
    for sometimes in ["has(alert.x)", "steps.v.level > 3", "steps.w.yes && alert.x"] {
        assert!(!steps(&text(sometimes)).contains("nobody is asked"), "{sometimes}");
    }
}

#[test]
fn a_key_without_braces_and_a_default_of_another_kind_are_named() {
    let text = "workflow: w
dedupe: { key: alert.agent.id, window: 1h }
concurrency: { key: everything, on_conflict: queue }
steps: [{ id: a, uses: set, with: { x: \"1\" } }]
";
    assert_snapshot!(check_beside(text, &[]), @r#"
    error[wrong-value]: this key is the same text for every alert: a path needs braces here
     --> playbook.yaml:2:16
      |
    2 | dedupe: { key: alert.agent.id, window: 1h }
      |                ^^^^^^^^^^^^^^
      |
      = help: write "{{ alert.agent.id }}"
    "#);
    let text = "workflow: w
inputs: { n: { type: integer, default: x }, c: { type: string, one_of: [a, b], default: c } }
steps: [{ id: a, uses: set, with: { x: inputs.n } }]
";
    assert_snapshot!(check_beside(text, &[]), @r#"
    error[wrong-input]: the default has to be a whole number, not `"x"`
     --> playbook.yaml:2:40
      |
    2 | inputs: { n: { type: integer, default: x }, c: { type: string, one_of: [a, b], default: c } }
      |                                        ^

    error[wrong-input]: the default has to be one of a, b, not `"c"`
     --> playbook.yaml:2:89
      |
    2 | inputs: { n: { type: integer, default: x }, c: { type: string, one_of: [a, b], default: c } }
      |                                                                                         ^
    "#);
}

#[test]
fn a_status_that_no_step_ever_has_is_named() {
    let text = "  - { id: a, uses: wazuh.get_agent, with: { agent: \"001\" } }
  - id: b
    if: status.a == \"success\" || \"faild\" != status.a
    uses: set
    with: { x: \"status.a in ['ok', 'done']\" }
";
    assert_snapshot!(steps(text), @r#"
    error[wrong-value]: `status.a` is never `success`
     --> playbook.yaml:5:22
      |
    5 |     if: status.a == "success" || "faild" != status.a
      |                      ^^^^^^^
      |
      = help: there are cancelled, expired, failed, in_doubt, ok, pending, rejected, running, skipped, waiting

    error[wrong-value]: `status.a` is never `faild`
     --> playbook.yaml:5:35
      |
    5 |     if: status.a == "success" || "faild" != status.a
      |                                   ^^^^^
      |
      = help: did you mean `failed`?

    error[wrong-value]: `status.a` is never `done`
     --> playbook.yaml:7:37
      |
    7 |     with: { x: "status.a in ['ok', 'done']" }
      |                                     ^^^^
      |
      = help: there are cancelled, expired, failed, in_doubt, ok, pending, rejected, running, skipped, waiting
    "#);
}
