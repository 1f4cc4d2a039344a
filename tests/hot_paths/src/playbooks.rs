//! The alert and the playbooks that the work is done with.

use std::fmt::Write as _;
use std::sync::Arc;

use engine::Start;
use model::{Timestamp, Trigger, TriggerKind};
use serde_json::Value;
use workflow::{Catalog, Workflow};

/// Somebody guesses passwords: an alert as Wazuh sends it.
pub(crate) const ALERT: &str = include_str!("../../../examples/alerts/sshd_bruteforce.json");
/// Lookups side by side, a verdict, a case, a block, and a word on what came of it.
pub(crate) const LOOP: &str = include_str!("../playbooks/loop.yaml");
/// Six steps that need nobody.
pub(crate) const PURE: &str = include_str!("../playbooks/pure.yaml");

const NODES: &str = include_str!("../playbooks/nodes.yaml");

/// Eight ways in which playbooks choose their alerts. `NUMBER` makes each of them different. The alert is meant by the first two.
const CONDITIONS: [&str; 8] = [
    r#"alert.rule.level >= 10 && "sshd" in alert.rule.groups && alert.agent.name != "host-NUMBER""#,
    r#"alert.rule.level >= 10 && "sshd" in alert.rule.groups && "authentication_failures" in alert.rule.groups && has(alert.data) && has(alert.data.srcip) && alert.data.srcip.matches("^[0-9a-fA-F.:]+$")"#,
    r#"alert.rule.level >= 12 && "ransomware" in alert.rule.groups"#,
    r#"alert.rule.id in ["10NUMBER", "20NUMBER", "30NUMBER"]"#,
    r#"has(alert.syscheck) && alert.syscheck.event == "modified" && alert.syscheck.path.startsWith("/etc/NUMBER")"#,
    r#"alert.rule.level >= 7 && "virustotal" in alert.rule.groups && has(alert.data) && has(alert.data.virustotal)"#,
    r#"alert.decoder.name == "suricata" && alert.data.alert.severity <= 2"#,
    r#"alert.rule.groups.exists(group, group.startsWith("leaked_NUMBER"))"#,
];

/// The nodes that the playbooks use.
pub(crate) fn catalog() -> Catalog {
    let mut catalog = Catalog::default();
    for node in NODES.split("---\n") {
        catalog.add("nodes.yaml", node).expect("the nodes are right");
    }
    catalog
}

/// The playbook with this text.
pub(crate) fn look(text: &str) -> Arc<Workflow> {
    let (workflow, findings) = workflow::load("playbook.yaml", text, &catalog());
    Arc::new(workflow.unwrap_or_else(|| panic!("{findings}")))
}

/// So many calls, one after the other, each with something of what the one before it gave.
pub(crate) fn calls(count: usize) -> String {
    let mut text =
        "workflow: calls\ntriggers:\n  - uses: webhook\n    with: { path: wazuh }\nsteps:\n".to_owned();
    for number in 0..count {
        let at = match number.checked_sub(1) {
            None => "/agents/{{ alert.agent.id }}".to_owned(),
            Some(before) => format!("/{{{{ alert.data.srcip }}}}/{{{{ steps.call_{before}.id }}}}"),
        };
        let _ = writeln!(text, "  - id: call_{number}\n    uses: look\n    with: {{ at: \"{at}\" }}");
    }
    text.push_str("outputs:\n  name: steps.call_0.name\n");
    text
}

/// So many playbooks on one hook.
pub(crate) fn conditions(count: usize) -> Vec<Workflow> {
    let catalog = catalog();
    let playbook = |number: usize| {
        let when = CONDITIONS[number % CONDITIONS.len()].replace("NUMBER", &number.to_string());
        let text = format!(
            "workflow: playbook_{number}\ntriggers:\n  - uses: webhook\n    with: {{ path: wazuh }}\n    when: '{when}'\nsteps:\n  - id: one\n    uses: set\n"
        );
        let (workflow, findings) = workflow::load("playbook.yaml", &text, &catalog);
        workflow.unwrap_or_else(|| panic!("{findings}"))
    };
    (0..count).map(playbook).collect()
}

pub(crate) fn alert() -> Value {
    serde_json::from_str(ALERT).expect("the alert is JSON")
}

/// The alert as it arrives.
pub(crate) fn start() -> Start {
    let headers = [("content-type", "application/json"), ("user-agent", "python-requests/2.32")];
    let trigger = Trigger {
        kind: TriggerKind::Webhook,
        received_at: Timestamp::from_millis(1_795_162_471_402),
        headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter().collect(),
        query: Default::default(),
        by: None,
        parent: None,
        reconciled: false,
    };
    Start { trigger, alert: alert().into(), turn: None }
}
