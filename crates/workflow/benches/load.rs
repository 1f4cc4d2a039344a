//! How long it takes to read and check a folder of 1,000 playbooks with 30 steps each.
//!
//! `cargo bench -p workflow --bench load`

use std::fmt::Write as _;

use criterion::{Criterion, Throughput};
use workflow::{Catalog, Draft, in_parallel};

const PLAYBOOKS: usize = 1000;

const NODES: [&str; 6] = [
    "node: webhook\nsummary: x\ntrigger: webhook\ninputs:\n  path: { type: string, required: true, summary: x }\n",
    "node: set\nsummary: sets\neffect: read\non_doubt: retry\nengine: set\n",
    "node: approval\nsummary: asks\neffect: read\non_doubt: ask\nengine: approval\n",
    "node: agent\nsummary: looks\neffect: read\non_doubt: retry\ninputs:\n  agent: { type: agent_id, required: true, summary: x }\nrequest: { method: GET, path: /agents }\noutput: { name: \"{{ response.json.name }}\", groups: \"{{ response.json.groups }}\" }\n",
    "node: comment\nsummary: writes\neffect: write\non_doubt: retry\ninputs:\n  case: { type: string, required: true, summary: x }\n  message: { type: string, required: true, summary: x }\nrequest: { method: POST, path: /comment, json: { message: \"{{ inputs.message }}\" } }\noutput: { _id: \"{{ response.json._id }}\" }\n",
    "node: block\nsummary: blocks\neffect: disrupt\non_doubt: ask\ntarget: \"agent/{{ inputs.agent }}\"\ninputs:\n  agent: { type: agent_id, required: true, summary: x }\n  ip: { type: ip, required: true, summary: x }\nrequest: { method: PUT, path: /active-response }\noutput: { sent_to: \"{{ response.json.sent_to }}\" }\n",
];

/// Ten times: look at a host, compute, and write it down; in between an address is blocked behind a gate.
fn playbook(number: usize) -> String {
    let mut text = format!(
        "workflow: contain_{number}\ntitle: Contain a host that talks to a known-bad address\nowner: soc\nattack: [T1071]\ntriggers:\n  - uses: webhook\n    with: {{ path: wazuh }}\n    when: alert.rule.level >= 10 && \"attack\" in alert.rule.groups\ndedupe: {{ key: \"{{{{ alert.agent.id }}}}/{{{{ alert.data.srcip }}}}\", window: 1h }}\nvars: {{ block_for: 24h }}\nsteps:\n"
    );
    for part in 0..10 {
        let _ = write!(
            text,
            r#"  - id: host_{part}
    uses: agent
    with: {{ agent: "{{{{ alert.agent.id }}}}" }}
    timeout: 20s
    retry: {{ max: 3, wait: 2s, backoff: 2, on: [timeout, http_429, http_5xx] }}
  - id: verdict_{part}
    uses: set
    with:
      is_critical: "'domain-controllers' in steps.host_{part}.groups"
      level: "alert.rule.level >= 12 ? 3 : 2"
"#
        );
        let _ = match part {
            5 => write!(
                text,
                r#"  - id: block
    title: Block {{{{ alert.data.srcip }}}} on {{{{ steps.host_{part}.name }}}}
    uses: block
    with: {{ agent: "{{{{ alert.agent.id }}}}", ip: "{{{{ alert.data.srcip }}}}" }}
    approval:
      skip_if: alert.rule.level >= 14 && !steps.verdict_{part}.is_critical
      ask: "Block {{{{ alert.data.srcip }}}} on {{{{ steps.host_{part}.name }}}} for {{{{ vars.block_for }}}}?"
      show: [steps.host_{part}]
      from: {{ role: analyst }}
      expires: 30m
"#
            ),
            _ => write!(
                text,
                r#"  - id: note_{part}
    uses: comment
    with:
      case: "{{{{ alert.id }}}}"
      message: "{{{{ alert.rule.description }}}} on {{{{ steps.host_{part}.name }}}}, level {{{{ steps.verdict_{part}.level }}}}"
"#
            ),
        };
    }
    text.push_str("outputs:\n  blocked: status.block == \"ok\"\n");
    text
}

fn load_all(texts: &[String]) -> usize {
    let mut catalog = Catalog::default();
    for node in NODES {
        catalog.add("node.yaml", node).expect("the nodes are right");
    }
    let parse = |text: &String| Draft::parse("playbook.yaml", text).expect("the YAML is right");
    let drafts: Vec<Draft> = in_parallel(texts.iter().collect(), parse);
    for signature in drafts.iter().filter_map(Draft::signature) {
        catalog.add_workflow(signature);
    }
    let loaded = in_parallel(drafts, |draft| draft.load(&catalog));
    loaded
        .into_iter()
        .map(|(workflow, findings)| workflow.unwrap_or_else(|| panic!("{findings}")).steps.len())
        .sum()
}

fn main() {
    let texts: Vec<String> = (0..PLAYBOOKS).map(playbook).collect();
    assert_eq!(load_all(&texts), 30 * PLAYBOOKS);
    let mut criterion = Criterion::default().sample_size(10).configure_from_args();
    let mut group = criterion.benchmark_group("load");
    group.throughput(Throughput::Elements(PLAYBOOKS as u64));
    group.bench_function("1,000 playbooks of 30 steps", |bencher| bencher.iter(|| load_all(&texts)));
    group.finish();
    criterion.final_summary();
}
