//! How long the tests of a playbook of ten steps take: reading the file, and playing one test.
//!
//! `cargo bench -p engine --bench rehearsal`

use std::fmt::Write as _;
use std::sync::Arc;

use criterion::{Criterion, Throughput};
use engine::rehearsal::rehearse;
use serde_json::{Value, json};
use workflow::{Catalog, Workflow};

const NODES: [&str; 4] = [
    "node: webhook\nsummary: x\ntrigger: webhook\ninputs:\n  path: { type: string, required: true, summary: x }\n",
    "node: look\nsummary: looks\neffect: read\non_doubt: retry\nrequest: { method: POST, path: /x }\ninputs:\n  at: { type: any, summary: x }\n",
    "node: act\nsummary: acts\neffect: disrupt\non_doubt: ask\nrequest: { method: POST, path: /x }\ntarget: \"host/{{ inputs.on }}\"\ninputs:\n  on: { type: string, required: true, summary: x }\n",
    "node: set\nsummary: sets\neffect: read\non_doubt: retry\nengine: set\n",
];

const STEPS: &str = r#"
  - id: verdict
    uses: set
    with: { is_bad: "alert.rule.level >= 10", opinion: "'level ' + string(alert.rule.level)" }
  - id: block
    if: steps.verdict.is_bad
    uses: act
    with: { on: "{{ alert.agent.name }}" }
    approval: { ask: "Block {{ alert.agent.name }}? {{ steps.verdict.opinion }}", from: { role: analyst }, expires: 30m }
"#;

/// Eight steps that look something up, a verdict, and a block behind its gate: ten.
fn playbook() -> Workflow {
    let mut catalog = Catalog::default();
    for node in NODES {
        catalog.add("node.yaml", node).expect("the nodes are right");
    }
    let mut text = "workflow: contain\ntriggers:\n  - uses: webhook\n    with: { path: wazuh }\n    when: alert.rule.level >= 10\nsteps:\n".to_owned();
    for number in 0..8 {
        let _ = writeln!(
            text,
            "  - id: look_{number}\n    uses: look\n    with: {{ at: \"{{{{ alert.agent.id }}}} of {{{{ upper alert.agent.name }}}}\" }}"
        );
    }
    text.push_str(STEPS.trim_start_matches('\n'));
    let (workflow, findings) = workflow::load("contain.yaml", &text, &catalog);
    workflow.unwrap_or_else(|| panic!("{findings}"))
}

/// A file with so many tests: an approval after ten minutes, with expectations of every kind.
fn tests(count: usize) -> String {
    let mut text = "alert: alert.json\nmock:\n  block: { output: {} }\n".to_owned();
    for number in 0..8 {
        let _ = writeln!(text, "  look_{number}: {{ output: {{ name: web-01, groups: [a, b, c] }} }}");
    }
    text.push_str("tests:\n");
    for number in 0..count {
        let _ = writeln!(
            text,
            "  - name: test {number}\n    approvals: {{ block: {{ decision: approve, by: ana, reason: seen, after: 10m }} }}\n    expect:\n      status: {{ run: succeeded, block: ok }}\n      calls: {{ act: 1, look: 8 }}\n      inputs: {{ block: {{ on: web-01 }} }}\n      journal: [block asked, block approved by ana at 10m, block ok, run succeeded]"
        );
    }
    text
}

/// Reads a file and plays its tests.
fn play(workflow: &Arc<Workflow>, text: &str) {
    let alert = |_: &str| -> Result<Value, String> {
        Ok(json!({ "rule": { "id": "5763", "level": 10 }, "agent": { "id": "001", "name": "web-01" } }))
    };
    let (reports, findings) = rehearse(workflow, "contain.test.yaml", text, &alert, &|_| None);
    assert!(findings.is_empty(), "{findings}");
    for report in reports {
        assert!(report.failure.is_none(), "{}", report.failure.expect("looked above"));
    }
}

fn main() {
    let workflow = Arc::new(playbook());
    assert_eq!(workflow.steps.len(), 10);
    let mut criterion = Criterion::default().configure_from_args();
    for count in [1, 1000] {
        let text = tests(count);
        let mut group = criterion.benchmark_group(format!("a file with tests of ten steps: {count}"));
        group.throughput(Throughput::Elements(count as u64)).sample_size(20);
        group.bench_function("read and played", |bencher| bencher.iter(|| play(&workflow, &text)));
        group.finish();
    }
    criterion.final_summary();
}
