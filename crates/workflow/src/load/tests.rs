use std::sync::LazyLock;

use insta::assert_snapshot;

use super::*;

mod hostile;
mod language;
mod wrong;

const NODES: [(&str, &str); 6] = [
    (
        "webhook",
        "node: webhook\nsummary: x\ntrigger: webhook\ninputs:\n  path: { type: string, required: true, summary: x }\n",
    ),
    ("set", "node: set\nsummary: x\neffect: read\non_doubt: retry\nengine: set\n"),
    ("approval", "node: approval\nsummary: x\neffect: read\non_doubt: retry\nengine: approval\n"),
    (
        "get",
        "node: wazuh.get_agent\nsummary: x\nconnection: wazuh\neffect: read\non_doubt: retry\ninputs:\n  agent: { type: agent_id, required: true, summary: the agent }\nrequest: { method: GET, path: /agents }\noutput: { name: \"{{ response.json.name }}\", groups: [] }\n",
    ),
    (
        "jq",
        "node: jq\nsummary: x\neffect: read\non_doubt: retry\ninputs:\n  filter: { type: code, required: true, summary: the filter }\n  data: { type: any, summary: what it reads }\nnative: jq\n",
    ),
    (
        "ar",
        "node: wazuh.active_response\nsummary: x\nconnection: wazuh\neffect: disrupt\non_doubt: ask\ntarget: \"agent/{{ inputs.agent }}\"\ninputs:\n  agent: { type: agent_id, required: true, summary: the agent }\nrequest: { method: PUT, path: /active-response }\n",
    ),
];

fn catalog() -> Catalog {
    let mut catalog = Catalog::default();
    for (file, text) in NODES {
        catalog.add(file, text).unwrap();
    }
    catalog
}

/// The nodes that come with the program.
pub(crate) fn shipped() -> Catalog {
    static SHIPPED: LazyLock<Catalog> = LazyLock::new(read_shipped);
    SHIPPED.clone()
}

fn read_shipped() -> Catalog {
    let texts = [
        include_str!("../../../../nodes/core/approval.yaml"),
        include_str!("../../../../nodes/core/delay.yaml"),
        include_str!("../../../../nodes/core/http.yaml"),
        include_str!("../../../../nodes/core/jq.yaml"),
        include_str!("../../../../nodes/core/manual.yaml"),
        include_str!("../../../../nodes/core/set.yaml"),
        include_str!("../../../../nodes/core/webhook.yaml"),
        include_str!("../../../../nodes/core/workflow.yaml"),
        include_str!("../../../../nodes/thehive/add_comment.yaml"),
        include_str!("../../../../nodes/thehive/add_observable.yaml"),
        include_str!("../../../../nodes/thehive/add_task_log.yaml"),
        include_str!("../../../../nodes/thehive/close_case.yaml"),
        include_str!("../../../../nodes/thehive/create_case.yaml"),
        include_str!("../../../../nodes/thehive/create_task.yaml"),
        include_str!("../../../../nodes/thehive/find_cases.yaml"),
        include_str!("../../../../nodes/thehive/get_task.yaml"),
        include_str!("../../../../nodes/thehive/update_case.yaml"),
        include_str!("../../../../nodes/thehive/update_task.yaml"),
        include_str!("../../../../nodes/virustotal/ip.yaml"),
        include_str!("../../../../nodes/wazuh/active_response.yaml"),
        include_str!("../../../../nodes/wazuh/authenticate.yaml"),
        include_str!("../../../../nodes/wazuh/block_ip.yaml"),
        include_str!("../../../../nodes/wazuh/get_agent.yaml"),
        include_str!("../../../../nodes/wazuh/isolate_host.yaml"),
        include_str!("../../../../nodes/wazuh/list_agents.yaml"),
        include_str!("../../../../nodes/wazuh/release_host.yaml"),
        include_str!("../../../../nodes/wazuh/unblock_ip.yaml"),
        include_str!("../../../../nodes/wazuh_indexer/find_active_response.yaml"),
    ];
    let mut catalog = Catalog::default();
    texts.into_iter().for_each(|text| catalog.add("node.yaml", text).unwrap());
    catalog
}

/// The findings about a playbook, as a person reads them.
fn check(text: &str) -> String {
    let (workflow, findings) = load("playbook.yaml", text, &catalog());
    assert_eq!(workflow.is_none(), findings.has_errors());
    if findings.is_empty() { "no finding".to_owned() } else { findings.render(false) }
}

const GOOD: &str = r#"
workflow: contain
title: Contain a host
triggers:
  - uses: webhook
    with: { path: wazuh }
    when: alert.rule.level >= 10
vars: { block_for: 24h }
steps:
  - id: host
    uses: wazuh.get_agent
    with: { agent: "{{ alert.agent.id }}" }
  - id: verdict
    uses: set
    with: { critical: "'dc' in steps.host.groups" }
  - id: block
    title: Block on {{ steps.host.name }}
    if: "!steps.verdict.critical"
    uses: wazuh.active_response
    with: { agent: "{{ alert.agent.id }}" }
    approval:
      ask: "Block for {{ vars.block_for }}?"
      show: [steps.host]
      from: { role: analyst }
      expires: 30m
outputs:
  blocked: status.block == "ok"
"#;

#[test]
fn a_good_playbook_has_no_finding() {
    assert_eq!(check(GOOD), "no finding");
    let (workflow, _) = load("playbook.yaml", GOOD, &catalog());
    let needs: Vec<Needs> = workflow.unwrap().steps.iter().map(|step| step.needs.clone()).collect();
    assert_eq!(needs, [vec![], vec![0], vec![1]]);
}

#[test]
fn a_trigger_keeps_its_path_and_its_roles() {
    let text = GOOD.replace("    with: { path: wazuh }", "    with: { path: wazuh, roles: [soc, ir] }");
    let nodes = NODES.iter().map(|(file, text)| match *file {
        "webhook" => (*file, format!("{text}  roles: {{ type: list, summary: x }}\n")),
        _ => (*file, (*text).to_owned()),
    });
    let mut catalog = Catalog::default();
    nodes.for_each(|(file, text)| catalog.add(file, &text).unwrap());
    let workflow = load("playbook.yaml", &text, &catalog).0.unwrap();
    assert_eq!(workflow.triggers[0].path.as_deref(), Some("wazuh"));
    assert_eq!(workflow.triggers[0].roles, ["soc", "ir"]);
}

#[test]
fn a_bundle_loads_to_the_same_workflow() {
    let (workflow, _) = load("playbook.yaml", GOOD, &catalog());
    let workflow = workflow.unwrap();
    let (again, _) = workflow.bundle().load("bundle");
    assert_eq!(again.unwrap().digest, workflow.digest);
}

#[test]
fn a_bundle_stays_what_it_is_although_not_all_of_its_nodes_are_used_any_more() {
    let mut bundle = load("playbook.yaml", GOOD, &catalog()).0.unwrap().bundle();
    let unused =
        "node: unused\nsummary: x\neffect: read\non_doubt: retry\nrequest: { method: GET, path: / }\n";
    bundle.nodes.insert("unused".to_owned(), unused.to_owned());
    let text = serde_json::to_string(&bundle).unwrap();
    let again = bundle.load("bundle").0.unwrap();
    assert_eq!(again.digest, crate::digest(&text), "runs are pinned to the text");
}

#[test]
fn a_rule_that_came_later_does_not_stop_what_was_bundled_before_it() {
    let step = "steps: [{ id: a, uses: set, with: { x: inputs.ip } }]\n";
    let called = format!(
        "workflow: w\ninputs: {{ ip: {{ type: ip }} }}\ndedupe: {{ key: \"{{{{ inputs.ip }}}}\", window: 1h }}\n{step}"
    );
    let handlers: String = (0..1001).map(|n| format!("  - {{ id: s{n}, uses: set }}\n")).collect();
    let step = "steps: [{ id: a, uses: set }]\n";
    let empty = format!("workflow: w\n{step}on_failure: []\n");
    let many = format!("workflow: w\n{step}on_failure:\n{handlers}");
    let set = catalog().get("set").unwrap().text.clone();
    for text in [called, empty, many] {
        assert!(load("playbook.yaml", &text, &catalog()).1.has_errors());
        let bundle = Bundle { workflow: text, nodes: [("set".to_owned(), set.clone())].into() };
        let (workflow, findings) = bundle.load("bundle");
        assert!(workflow.is_some(), "{findings}");
    }
}

#[test]
fn all_mistakes_are_reported_at_once_with_help() {
    assert_snapshot!(check(r#"
workflow: Contain
steps:
  - id: host
    uses: wazuh.get_agnet
  - id: host
    uses: wazuh.get_agent
    wiht: { agent: "001" }
  - id: last
    needs: [hots]
    uses: set
    with: { name: "steps.host.name" }
"#), @r#"
    error[wrong-id]: `Contain` is not an id ([a-z][a-z0-9_]*, at most 64 characters)
     --> playbook.yaml:2:11
      |
    2 | workflow: Contain
      |           ^^^^^^^
      |
      = help: write `contain`

    error[unknown-node]: there is no node `wazuh.get_agnet`
     --> playbook.yaml:5:11
      |
    5 |     uses: wazuh.get_agnet
      |           ^^^^^^^^^^^^^^^
      |
      = help: did you mean `wazuh.get_agent`?

    error[missing-input]: the node `wazuh.get_agent` needs the input `agent`: the agent
     --> playbook.yaml:6:5
      |
    6 |   - id: host
      |     ^^^^^^^^

    error[duplicate-id]: there are two steps `host`
     --> playbook.yaml:6:9
      |
    4 |   - id: host
      |         ---- the other one
    5 |     uses: wazuh.get_agnet
    6 |   - id: host
      |         ^^^^

    error[unknown-key]: there is no key `wiht` here
     --> playbook.yaml:8:5
      |
    8 |     wiht: { agent: "001" }
      |     ^^^^
      |
      = help: did you mean `with`?

    error[unknown-step]: there is no step `hots`
      --> playbook.yaml:10:13
       |
    10 |     needs: [hots]
       |             ^^^^
       |
       = help: did you mean `host`?
    "#);
}

#[test]
fn references_are_checked_against_the_graph_and_the_outputs() {
    assert_snapshot!(check(r#"
workflow: contain
steps:
  - id: host
    uses: wazuh.get_agent
    with: { agent: "{{ alert.agent.id }}" }
  - id: beside
    needs: []
    uses: set
    with: { a: steps.host.name, b: vars.x, c: allert.id }
  - id: verdict
    needs: [host]
    uses: set
    with: { a: steps.host.nme }
"#), @"
    error[unknown-path]: the step `host` has not settled when this is read
      --> playbook.yaml:10:16
       |
    10 |     with: { a: steps.host.name, b: vars.x, c: allert.id }
       |                ^^^^^^^^^^^^^^^
       |
       = help: add `host` to the `needs` of this step

    error[unknown-path]: there is no variable `x`
      --> playbook.yaml:10:36
       |
    10 |     with: { a: steps.host.name, b: vars.x, c: allert.id }
       |                                    ^^^^^^
       |
       = help: this playbook has no `vars`: add `vars: { x: ... }` at its top

    error[unknown-path]: there is no root `allert`
      --> playbook.yaml:10:47
       |
    10 |     with: { a: steps.host.name, b: vars.x, c: allert.id }
       |                                               ^^^^^^^^^
       |
       = help: did you mean `alert`?

    error[unknown-path]: the output of `host` (wazuh.get_agent) has no field `nme`
      --> playbook.yaml:14:16
       |
    14 |     with: { a: steps.host.nme }
       |                ^^^^^^^^^^^^^^
       |
       = help: did you mean `name`?
    ");
}

#[test]
fn a_program_is_taken_as_it_stands_and_has_no_templates() {
    let text = r#"
workflow: shape
steps:
  - id: pick
    uses: jq
    with:
      filter: '{a: {b: "\(.c)"}}'
      data: "{{ alert }}"
  - id: look
    uses: set
    with: { a: steps.pick.result.a }
"#;
    assert_snapshot!(check(text), @"no finding");
    let (workflow, _) = load("playbook.yaml", text, &catalog());
    let filter = workflow.unwrap().steps[0].inputs["filter"].clone();
    assert!(matches!(filter, expr::ValueTemplate::Literal(text) if text == r#"{a: {b: "\(.c)"}}"#));
    assert_snapshot!(check(&text.replace("result", "results").replace(".c)", "{{ alert.c }})")), @r#"
    error[template-in-code]: a program is taken as it stands: nothing is put in for what stands in these braces
     --> playbook.yaml:7:27
      |
    7 |       filter: '{a: {b: "\({{ alert.c }})"}}'
      |                           ^^
      |
      = help: pass the value with another input of the node and read it there; where two braces are meant, write a space between them

    error[unknown-path]: the output of `pick` (jq) has no field `results`
      --> playbook.yaml:11:16
       |
    11 |     with: { a: steps.pick.results.a }
       |                ^^^^^^^^^^^^^^^^^^^^
       |
       = help: did you mean `result`?
    "#);
    assert_snapshot!(check(&text.replace("'{a: {b: \"\\(.c)\"}}'", "7")), @r#"
    error[wrong-type]: this has to be text, and YAML reads it as a number
     --> playbook.yaml:7:15
      |
    7 |       filter: 7
      |               ^
      |
      = help: write "7"
    "#);
}

#[test]
fn disruption_without_a_gate_is_an_error() {
    assert_snapshot!(check(r#"
workflow: contain
steps:
  - id: block
    uses: wazuh.active_response
    with: { agent: "001" }
"#), @"
    error[ungated-disruption]: the step `block` disrupts (wazuh.active_response), and no person is asked before
     --> playbook.yaml:5:11
      |
    5 |     uses: wazuh.active_response
      |           ^^^^^^^^^^^^^^^^^^^^^
      |
      = help: give the step an `approval:`, or let it need an approval
    ");
}

#[test]
fn an_approval_before_a_disruption_is_a_gate_unless_the_step_looks_at_its_status() {
    let playbook = |condition: &str| {
        format!(
            r#"
workflow: contain
steps:
  - id: question
    uses: approval
    with: {{ ask: "Block?", expires: 30m }}
  - id: between
    uses: set
    with: {{ a: "1" }}
  - id: block
    needs: [between]
    {condition}
    uses: wazuh.active_response
    with: {{ agent: "001" }}
"#
        )
    };
    assert_eq!(check(&playbook("")), "no finding");
    assert_eq!(check(&playbook("if: alert.rule.level > 3")), "no finding");
    assert!(check(&playbook("if: status.between == 'skipped'")).contains("ungated-disruption"));
}

#[test]
fn a_gate_that_is_always_skipped_is_none() {
    let playbook = GOOD.replace("      expires: 30m", "      expires: 30m\n      skip_if: true");
    assert!(check(&playbook).contains("ungated-disruption"));
    let playbook = GOOD.replace("      expires: 30m", "      expires: 0s");
    assert!(check(&playbook).contains("more than zero"));
}

#[test]
fn yaml_traps_are_named() {
    assert_snapshot!(check("workflow: x\nsteps:\n  - id: a\n    id: b\n    uses: set\n"), @"
    error[duplicate-key]: the key `id` stands here twice
     --> playbook.yaml:4:5
      |
    3 |   - id: a
      |     -- first here
    4 |     id: b
      |     ^^
      |
      = help: YAML keeps the last of them without a word: give one of them another name
    ");
    assert_snapshot!(check("workflow: x\nsteps:\n  - id: a\n    uses: wazuh.get_agent\n    with: { agent: 123 }\n"), @r#"
    error[wrong-input]: the input `agent` has to be the id of a Wazuh agent, three digits or more, as text, not `123`
     --> playbook.yaml:5:20
      |
    5 |     with: { agent: 123 }
      |                    ^^^
      |
      = help: YAML read it as something else than text: write "123"
    "#);
    assert_snapshot!(check("workflow: x\nsteps:\n  - id: a\n    uses: wazuh.get_agent\n    with:\n      agent: {{ alert.agent.id }}\n"), @r#"
    error[unquoted-template]: YAML reads an unquoted `{{` as a map
     --> playbook.yaml:6:14
      |
    6 |       agent: {{ alert.agent.id }}
      |              ^
      |
      = help: put the template in quotes: "{{ alert.agent.id }}"
    "#);
    assert_snapshot!(check("workflow: x\nsteps: &a\n  - id: a\n"), @"
    error[yaml-form]: a value that begins with `&` is an anchor to YAML: those are not part of the language
     --> playbook.yaml:2:8
      |
    2 | steps: &a
      |        ^^
      |
      = help: write the value out, or put it in quotes
    ");
    assert_snapshot!(check("workflow: x\nsteps:\n  - id: a\n   uses: set\n"), @"
    error[yaml-syntax]: this line is not in line with those above
     --> playbook.yaml:4:4
      |
    4 |    uses: set
      |    ^^^^^^^^^
      |
      = help: keys of one map, and the dashes of one list, begin in the same column
    ");
}

#[test]
fn a_cycle_names_its_steps() {
    assert_snapshot!(check(r#"
workflow: x
steps:
  - { id: a, needs: [b], uses: set, with: { v: "1" } }
  - { id: b, needs: [a], uses: set, with: { v: "1" } }
"#), @r#"
    error[cycle]: these steps wait for each other: a, b
     --> playbook.yaml:4:14
      |
    4 |   - { id: a, needs: [b], uses: set, with: { v: "1" } }
      |              ^^^^^
      |
      = help: remove one of their needs
    "#);
}

#[test]
fn hostile_files_are_refused() {
    let deep = check(&"[".repeat(100_000));
    assert!(deep.contains("recursion limit") || deep.contains("32 levels"), "{deep}");
    assert!(check(&"- a\n".repeat(200_000)).contains("100,000 values"));
    assert!(check(&"a".repeat(2_000_000)).contains("1 MiB"));
    assert!(check("").contains("has to be a map"));
    check("\u{feff}workflow: ü\nsteps: []\n");
}
