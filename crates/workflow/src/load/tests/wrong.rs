//! A playbook that is right, with one mistake at a time: what its author reads.

mod after;
mod expressions;
mod safety;
mod shape;
mod yaml;

use super::shipped;
use crate::load;

const RIGHT: &str = r#"workflow: block_source
title: Block a source
attack: [T1110]

triggers:
  - uses: webhook
    with: { path: wazuh }
    when: alert.rule.level >= 10 && "sshd" in alert.rule.groups

dedupe:
  key: "{{ alert.agent.id }}/{{ alert.data.srcip }}"
  window: 1h

vars:
  bad_from: 5

steps:
  - id: host
    uses: wazuh.get_agent
    with:
      agent: "{{ alert.agent.id }}"

  - id: reputation
    needs: []
    uses: virustotal.ip
    with: { ip: "{{ alert.data.srcip }}" }
    retry: { max: 3, wait: 2s, on: [timeout, http_429] }
    on_error: continue

  - id: verdict
    needs: [host, reputation]
    uses: set
    with:
      is_bad: status.reputation == "ok" && steps.reputation.malicious >= vars.bad_from

  - id: case
    uses: thehive.create_case
    with:
      title: "{{ alert.rule.description }} on {{ steps.host.name }}"
      description: "{{#if steps.verdict.is_bad}}Known attacker{{else}}Unknown{{/if}}"
      severity: 2

  - id: block
    if: steps.verdict.is_bad
    uses: wazuh.active_response
    with: { agent: "{{ alert.agent.id }}", command: firewall-drop180 }
    approval:
      ask: "Block {{ alert.data.srcip }} on {{ steps.host.name }}?"
      show: [steps.host]
      from: { role: analyst }
      expires: 30m

  - id: lookup
    needs: [host]
    uses: http
    effect: read
    with:
      url: "https://assets.example/api/hosts/{{ urlencode steps.host.name }}"

outputs:
  blocked: status.block == "ok"
"#;

/// The findings when this stands in the place of that.
fn with(right: &str, wrong: &str) -> String {
    assert!(RIGHT.contains(right), "the playbook has no `{right}`");
    let (_, findings) = load("block_source.yaml", &RIGHT.replacen(right, wrong, 1), &shipped());
    findings.render(false)
}

#[test]
fn the_playbook_without_a_mistake_has_no_finding() {
    let (workflow, findings) = load("block_source.yaml", RIGHT, &shipped());
    assert!(workflow.is_some() && findings.is_empty(), "{findings}");
}
