//! The schema for editors and the checker agree: on every playbook that is right, and on mistakes of shape.

use jsonschema::Validator;
use workflow::yaml::Document;
use workflow::{Catalog, Draft};

use crate::documents::whole_playbooks;
use crate::playbooks::shipped;

/// What an editor says about a playbook.
fn mistakes(schema: &Validator, text: &str) -> Vec<String> {
    let document = Document::parse("playbook.yaml", text).unwrap();
    let errors = schema.iter_errors(document.root().value()).map(|error| {
        let text: String = error.to_string().chars().take(120).collect();
        format!("{}: {text}", error.instance_path())
    });
    errors.collect()
}

fn schema() -> (Catalog, Validator) {
    let mut catalog = nodes::builtin().0;
    catalog.add_workflow(Draft::parse("enrich.yaml", CALLED).unwrap().signature().unwrap());
    let schema = workflow::schema(&catalog);
    jsonschema::draft7::meta::validate(&schema).unwrap_or_else(|error| panic!("{error}"));
    (catalog, jsonschema::draft7::new(&schema).unwrap())
}

#[test]
fn every_playbook_keeps_the_schema() {
    let (_, schema) = schema();
    let files = shipped().into_iter().map(|path| std::fs::read_to_string(path).unwrap());
    let mut count = 0;
    for text in files.chain(whole_playbooks()).chain([WHOLE.to_owned(), CALLED.to_owned()]) {
        assert_eq!(mistakes(&schema, &text), Vec::<String>::new(), "{text}");
        count += 1;
    }
    assert!(count >= 6, "only {count} playbooks were found");
}

/// A playbook that [`WHOLE`] calls.
const CALLED: &str = r#"workflow: enrich
inputs:
  hash: { type: string, required: true, one_of: [x, y], summary: A hash }
  deep: { type: boolean, default: false }
steps:
  - { id: facts, uses: set, with: { x: inputs.hash } }
"#;

/// Every key that there is, with a value that is right.
const WHOLE: &str = r#"workflow: whole
title: A title
owner: soc
attack: [T1110]
mode: shadow
triggers:
  - uses: webhook
    with: { path: wazuh }
    when: true
concurrency: { key: "{{ alert.agent.id }}", on_conflict: queue }
timeout: 2h
dedupe: { key: "{{ alert.id }}", window: 1h }
vars: { list: [1] }
steps:
  - id: look
    title: Look at {{ alert.agent.id }}
    needs: []
    if: "true"
    uses: wazuh.get_agent
    connection: wazuh
    with: { agent: "{{ alert.agent.id }}" }
    timeout: 20s
    retry: { max: 3, wait: 2s, backoff: 1.5, on: [timeout, http_5xx] }
    on_error: continue
  - id: call
    uses: http
    effect: disrupt
    with: { url: "https://assets.example/", method: POST }
    approval:
      ask: Really?
      show: [alert.rule]
      from: { role: analyst, count: 2 }
      reason: required
      expires: 30m
      skip_if: alert.rule.level > 12
  - id: list
    foreach: alert.files
    as: file
    max_items: 20
    max_parallel: 4
    on_item_error: continue
    uses: workflow
    with: { workflow: enrich, inputs: { hash: "{{ file.sha256 }}" } }
  - id: poll
    uses: virustotal.ip
    with: { ip: "{{ alert.data.srcip }}" }
    until: output.known
    retry: { max: 20, wait: 15s, backoff: 1 }
on_failure:
  - { id: tell, uses: set, with: { text: error.message } }
outputs: { done: status.call == "ok" }
"#;

/// A mistake each: what stands there, and what is written in its place.
const MISTAKES: [(&str, &str); 38] = [
    ("workflow: whole", "workflow: Whole Words"),
    ("workflow: whole", "name: whole"),
    ("owner: soc", "ower: soc"),
    ("owner: soc", "owner: 7"),
    ("attack: [T1110]", "attack: T1110"),
    ("mode: shadow", "mode: dry"),
    ("uses: webhook", "uses: wazuh.get_agent"),
    ("path: wazuh", "paht: wazuh"),
    ("when: true", "when: [1]"),
    ("window: 1h", "window: 1 hour"),
    ("vars: { list: [1] }", "vars: [1]"),
    ("  - id: look\n", "  - name: look\n"),
    ("id: look", "id: Look"),
    ("needs: []", "needs: look"),
    ("if: \"true\"", "if: 1"),
    ("uses: wazuh.get_agent", "uses: wazuh.get_agents"),
    ("uses: wazuh.get_agent", "uses: webhook"),
    ("with: { agent: \"{{ alert.agent.id }}\" }", "with: { agent: 3 }"),
    ("with: { agent: \"{{ alert.agent.id }}\" }", "with: { agent: \"3\" }"),
    ("with: { agent: \"{{ alert.agent.id }}\" }", "with: { agents: \"003\" }"),
    ("    with: { agent: \"{{ alert.agent.id }}\" }\n", ""),
    ("timeout: 20s", "timeout: 20"),
    ("max: 3", "max: 1"),
    ("backoff: 1.5", "backoff: 0"),
    ("on: [timeout, http_5xx]", "on: [time_out]"),
    ("on_error: continue", "on_error: ignore"),
    ("    effect: disrupt\n", ""),
    ("method: POST", "method: FETCH"),
    ("count: 2", "count: 0"),
    ("reason: required", "reason: always"),
    ("on_conflict: queue", "on_conflict: wait"),
    ("timeout: 2h", "timeout: long"),
    ("max_items: 20", "max_items: 0"),
    ("    foreach: alert.files\n", ""),
    ("    retry: { max: 20, wait: 15s, backoff: 1 }\n", ""),
    ("    until: output.known\n", ""),
    ("  - { id: tell, uses: set, with", "  - { id: tell, uses: set, retry: { max: 2, on: [timeout] }, with"),
    ("outputs: { done: status.call == \"ok\" }", "outputs: [done]"),
];

const CALLED_MISTAKES: [(&str, &str); 4] = [
    ("type: string", "type: text"),
    ("type: string, ", ""),
    ("required: true", "required: yes"),
    ("summary: A hash", "about: A hash"),
];

#[test]
fn what_the_schema_refuses_the_checker_refuses_too() {
    let (catalog, schema) = schema();
    let findings = |text: &str| workflow::load("playbook.yaml", text, &catalog).1;
    for (whole, places) in [(WHOLE, MISTAKES.as_slice()), (CALLED, &CALLED_MISTAKES)] {
        assert!(!findings(whole).has_errors(), "{}", findings(whole));
        for (right, wrong) in places {
            assert_eq!(whole.matches(right).count(), 1, "{right}");
            let text = whole.replace(right, wrong);
            assert!(!mistakes(&schema, &text).is_empty(), "the schema takes {wrong}");
            assert!(findings(&text).has_errors(), "the checker takes {wrong}");
        }
    }
}

#[test]
fn an_editor_names_the_mistake_and_nothing_else() {
    let (_, schema) = schema();
    let said = |right: &str, wrong: &str| mistakes(&schema, &WHOLE.replace(right, wrong)).join("\n");
    insta::assert_snapshot!(said("owner: soc", "ower: soc"), @": Additional properties are not allowed ('ower' was unexpected)");
    insta::assert_snapshot!(said("with: { agent: \"{{ alert.agent.id }}\" }", "with: { agents: \"003\" }"), @r#"
    /steps/0/with: Additional properties are not allowed ('agents' was unexpected)
    /steps/0/with: "agent" is a required property
    "#);
    insta::assert_snapshot!(said("    effect: disrupt\n", ""), @r#"/steps/1: "effect" is a required property"#);
    insta::assert_snapshot!(said("max: 3", "max: 1"), @"/steps/0/retry/max: 1 is less than the minimum of 2");
}
