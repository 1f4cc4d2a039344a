//! Test files for one small playbook, and what a person sees of them.

use std::sync::Arc;

use serde_json::json;
use workflow::Catalog;

use super::*;

mod calls;
mod coverage;
mod findings;
mod journal;
mod plays;
mod time;
mod undo;

const NODES: [&str; 9] = [
    "node: webhook\nsummary: x\ntrigger: webhook\ninputs:\n  path: { type: string, required: true, summary: x }\n",
    "node: look\nsummary: looks\neffect: read\non_doubt: retry\ninputs:\n  at: { type: any, summary: x }\nrequest: { method: GET, path: /x }\noutput: { name: \"{{ response.json.name }}\", \"score?\": \"{{ response.json.score }}\" }\n",
    "node: act\nsummary: acts\neffect: disrupt\non_doubt: ask\nrequest: { method: POST, path: /x }\ntarget: \"host/{{ inputs.on }}\"\ninputs:\n  on: { type: string, required: true, summary: x }\n",
    "node: seen\nsummary: looks\neffect: read\non_doubt: retry\nrequest: { method: GET, path: /x }\noutput: { found: \"{{ response.json.found }}\" }\ninputs:\n  key: { type: string, required: true, summary: x }\n",
    "node: hold\nsummary: holds\neffect: disrupt\non_doubt: verify\nverify: { uses: seen, with: { key: \"{{ call.key }}\" }, expect: output.found, every: 5s, within: 12s }\nundo: { uses: free, with: { on: \"{{ inputs.on }}\" } }\nrequest: { method: POST, path: /x }\ntarget: \"host/{{ inputs.on }}/network\"\ninputs:\n  on: { type: string, required: true, summary: x }\n",
    "node: free\nsummary: frees\neffect: write\non_doubt: ask\nrequest: { method: POST, path: /x }\noutput: { on: \"{{ inputs.on }}\" }\ninputs:\n  on: { type: string, required: true, summary: x }\n",
    "node: note\nsummary: notes\neffect: write\non_doubt: retry\nrequest: { method: POST, path: /x }\ninputs:\n  text: { type: string, required: true, summary: x }\n",
    "node: workflow\nsummary: calls\neffect: read\non_doubt: retry\nengine: workflow\ninputs:\n  workflow: { type: string, required: true, summary: x }\n  inputs: { type: object, default: {}, summary: x }\n",
    "node: set\nsummary: sets\neffect: read\non_doubt: retry\nengine: set\n",
];

const PLAYBOOK: &str = r#"
workflow: contain
triggers:
  - uses: webhook
    with: { path: wazuh }
    when: alert.level >= 10
steps:
  - id: host
    uses: look
    with: { at: "{{ alert.agent }}" }
    retry: { max: 2, wait: 10s, on: [timeout] }
  - id: verdict
    uses: set
    with: { is_bad: "has(steps.host.score) && steps.host.score > 5" }
  - id: block
    uses: act
    with: { on: "{{ steps.host.name }}" }
    approval:
      ask: "Block {{ steps.host.name }}?"
      from: { role: analyst }
      reason: required
      expires: 30m
  - id: tell
    if: status.block != ""
    uses: note
    with:
      text: |
        {{ steps.host.name }}: {{ status.block }}
        run {{ run.id }}
outputs:
  blocked: status.block == "ok"
"#;

const MOCKS: &str = r#"
alert: alert.json
mock:
  host: { output: { name: web-01, score: 9 } }
  block: { output: {} }
  tell: { output: {} }
"#;

/// What a person sees of a test file with these tests: findings, or for each test whether and why it failed.
fn check(tests: &str) -> String {
    check_file(&format!("{MOCKS}tests:\n{tests}"))
}

fn check_file(text: &str) -> String {
    check_of(&playbook(), text)
}

fn check_of(playbook: &Arc<Workflow>, text: &str) -> String {
    let (reports, findings) = rehearse(playbook, "contain.test.yaml", text, &alert, &|_| None);
    let reports: Vec<Report> = reports.collect();
    if !findings.is_empty() {
        assert!(reports.is_empty() && findings.has_errors());
        return findings.render(false);
    }
    let shown = reports.iter().map(|report| match &report.failure {
        None => format!("ok {}", report.name),
        Some(failure) => format!("FAILED {}\n{failure}", report.name),
    });
    shown.collect::<Vec<_>>().join("\n")
}

/// The same without the stories of the runs.
fn problems(tests: &str) -> String {
    let checked = check(tests);
    let is_story = |line: &&str| !line.starts_with("    ") || line.starts_with("    help");
    checked.lines().filter(is_story).filter(|line| *line != "  the run:").collect::<Vec<_>>().join("\n")
}

fn story(test: &str) -> String {
    let playbook = playbook();
    let text = format!("{MOCKS}tests:\n{test}");
    let (mut reports, findings) = rehearse(&playbook, "contain.test.yaml", &text, &alert, &|_| None);
    assert!(findings.is_empty(), "{findings}");
    let report = reports.next().unwrap();
    assert_eq!(report.failure.as_ref().map(ToString::to_string), None);
    report.story.join("\n")
}

fn playbook() -> Arc<Workflow> {
    load(PLAYBOOK)
}

fn load(playbook: &str) -> Arc<Workflow> {
    let mut catalog = Catalog::default();
    for node in NODES {
        catalog.add("node.yaml", node).unwrap();
    }
    let callee = "workflow: callee\ninputs: { note: { type: string, default: none } }\nsteps:\n  - { id: a, uses: set, with: { x: \"1\" } }\n";
    catalog.add_workflow(workflow::Draft::parse("callee.yaml", callee).unwrap().signature().unwrap());
    let (workflow, findings) = workflow::load("contain.yaml", playbook, &catalog);
    Arc::new(workflow.unwrap_or_else(|| panic!("{findings}")))
}

fn alert(path: &str) -> Result<Value, String> {
    match path {
        "alert.json" => Ok(json!({ "agent": "001", "level": 10 })),
        "mild.json" => Ok(json!({ "agent": "001", "level": 3 })),
        "strange.json" => Ok(json!({ "agent": "001" })),
        _ => Err(format!("there is no file {path}")),
    }
}
