//! Rules on what a playbook may do to the world.

use super::Example::Text;
use super::{About, Rule};
use crate::diagnostic::Severity::{Error, Warning};

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "ungated-disruption",
        severity: Error,
        about: About::Playbook,
        summary: "a step that disrupts, and no person is asked before",
        why: "Nothing is contained without its gate: a playbook in which a disruptive step can be come to without an \
              approval does not load. The gate is an `approval:` of the step itself, or an approval step that it needs, \
              directly or through others. A gate whose `skip_if` always holds is none, and neither is one that the \
              step's own `if` looks past with `status.`.",
        wrong: Text(
            r#"workflow: gates
steps:
  - id: block
    uses: wazuh.active_response
    with: { agent: "001", command: firewall-drop180 }
"#,
        ),
        right: Text(
            r#"workflow: gates
steps:
  - id: block
    uses: wazuh.active_response
    with: { agent: "001", command: firewall-drop180 }
    approval: { ask: "Block on web-01?", expires: 30m }
"#,
        ),
    },
    Rule {
        id: "declared-read",
        severity: Error,
        about: About::Playbook,
        summary: "an `http` step that says it only looks, and sends PUT, PATCH or DELETE; a warning for POST",
        why: "A step with `effect: read` is sent again after a failure, is performed in shadow mode, and needs no gate. \
              POST is right for a search, and for little else.",
        wrong: Text(
            r#"workflow: effects
steps:
  - id: remove
    uses: http
    effect: read
    with: { method: DELETE, url: https://assets.example/api/hosts/7 }
"#,
        ),
        right: Text(
            r#"workflow: effects
steps:
  - id: remove
    uses: http
    effect: write
    with: { method: DELETE, url: https://assets.example/api/hosts/7 }
"#,
        ),
    },
    Rule {
        id: "no-expiry",
        severity: Warning,
        about: About::Playbook,
        summary: "a question that never lapses",
        why: "An approval that comes days later is about a host that is no longer what it was. Without `expires` the \
              run waits until somebody answers or cancels it.",
        wrong: Text(
            r#"workflow: questions
steps:
  - { id: question, uses: approval, with: { ask: "Isolate web-01?" } }
"#,
        ),
        right: Text(
            r#"workflow: questions
steps:
  - { id: question, uses: approval, with: { ask: "Isolate web-01?", expires: 30m } }
"#,
        ),
    },
    Rule {
        id: "no-undo",
        severity: Warning,
        about: About::Playbook,
        summary: "a step whose effect lasts and could be undone, and nothing says when it is",
        why: "A host that stays isolated is an outage, and the person who approved it has gone home. With \
              `undo: { after: 24h }` the end is on disk before anything is sent, and with an `approval` under it the clock \
              only asks. `undo: false` says that it stays until a person undoes it, with `portcullis undo`.",
        wrong: Text(
            r#"workflow: ends
steps:
  - id: isolate
    uses: wazuh.isolate_host
    with: { agent: "001" }
    approval: { ask: "Isolate web-01?", expires: 30m }
"#,
        ),
        right: Text(
            r#"workflow: ends
steps:
  - id: isolate
    uses: wazuh.isolate_host
    with: { agent: "001" }
    approval: { ask: "Isolate web-01?", expires: 30m }
    undo: { after: 24h }
"#,
        ),
    },
    Rule {
        id: "unbounded-disruption",
        severity: Error,
        about: About::Playbook,
        summary: "a step that disrupts once for each item of a list, and no `max_items`",
        why: "The list often comes from outside: an alert or a search that names five hundred hosts would isolate five \
              hundred hosts. With a longer list than `max_items` the step fails before anything is done.",
        wrong: Text(
            r#"workflow: lists
steps:
  - id: block
    foreach: alert.agents
    as: agent
    uses: wazuh.active_response
    with: { agent: "{{ agent.id }}", command: firewall-drop180 }
    approval: { ask: "Block on {{ agent.name }}?", expires: 30m }
"#,
        ),
        right: Text(
            r#"workflow: lists
steps:
  - id: block
    foreach: alert.agents
    as: agent
    max_items: 5
    uses: wazuh.active_response
    with: { agent: "{{ agent.id }}", command: firewall-drop180 }
    approval: { ask: "Block on {{ agent.name }}?", expires: 30m }
"#,
        ),
    },
    Rule {
        id: "empty-target",
        severity: Error,
        about: About::Playbook,
        summary: "the target of a step that disrupts can be empty",
        why: "Some products take an empty target for all: Wazuh without an agent id means every agent. Portcullis \
              fails such a step before anybody is asked, so a fallback to nothing never does what its author hoped. \
              Leave the fallback out, or skip the step with `if` where the target is missing.",
        wrong: Text(
            r#"workflow: targets
steps:
  - id: block
    uses: wazuh.active_response
    with: { agent: '{{ default alert.agent.id "" }}', command: firewall-drop180 }
    approval: { ask: "Block?", expires: 30m }
"#,
        ),
        right: Text(
            r#"workflow: targets
steps:
  - id: block
    if: has(alert.agent)
    uses: wazuh.active_response
    with: { agent: "{{ alert.agent.id }}", command: firewall-drop180 }
    approval: { ask: "Block?", expires: 30m }
"#,
        ),
    },
    Rule {
        id: "unescaped-alert-text",
        severity: Warning,
        about: About::Playbook,
        summary: "text from outside stands in a URL or a command as it came",
        why: "Much of an alert was written by the attacker. A user name `../../admin?` in a URL makes another call out \
              of it, and a command line runs what stands behind a semicolon. `urlencode` in a URL and `shell` in a \
              command line keep it data. What stands in `query`, `json` or `headers` of an `http` step is encoded anyway.",
        wrong: Text(
            r#"workflow: escapes
steps:
  - id: lookup
    uses: http
    effect: read
    with: { url: "https://assets.example/api/hosts/{{ alert.agent.name }}" }
"#,
        ),
        right: Text(
            r#"workflow: escapes
steps:
  - id: lookup
    uses: http
    effect: read
    with: { url: "https://assets.example/api/hosts/{{ urlencode alert.agent.name }}" }
"#,
        ),
    },
    Rule {
        id: "secret-literal",
        severity: Error,
        about: About::Playbook,
        summary: "something that looks like a password, a token or a key stands in the file",
        why: "Playbooks are shared, reviewed and kept for ever in a repository, and the journal pins their text. A secret \
              belongs into a connection, which reads it from the environment or from a file; a playbook names the \
              connection. What was once in a file has to be replaced by a new one at its product. The finding shows \
              stars where the secret stands.",
        wrong: Text(
            r#"workflow: secrets
steps:
  - id: ticket
    uses: http
    effect: write
    with:
      method: POST
      url: https://ticket.example/api/items
      headers: { authorization: Bearer 9f8e7d6c5b4a39281706f5e4d3c2b1a0 }
"#,
        ),
        right: Text(
            r#"workflow: secrets
steps:
  - id: ticket
    uses: http
    connection: ticket
    effect: write
    with:
      method: POST
      url: /api/items
"#,
        ),
    },
];
