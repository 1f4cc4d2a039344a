//! Rules on YAML itself, in every file.

use super::Example::{Repeated, Text};
use super::{About, Rule};
use crate::diagnostic::Severity::{Error, Warning};

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "yaml-syntax",
        severity: Error,
        about: About::Playbook,
        summary: "the text is not YAML",
        why: "Nothing in the file can be read before this is mended, so it is the only finding. Most often a value needs \
              quotes: CEL that begins with a quote, `!`, `*`, `&` or `[`, or that holds a colon and a blank, means \
              something else to YAML. Put the whole expression in quotes, and use the other kind of quotes inside.",
        wrong: Text(
            r#"workflow: quotes
steps:
  - id: facts
    if: "sshd" in alert.rule.groups
    uses: set
    with: { level: alert.rule.level }
"#,
        ),
        right: Text(
            r#"workflow: quotes
steps:
  - id: facts
    if: '"sshd" in alert.rule.groups'
    uses: set
    with: { level: alert.rule.level }
"#,
        ),
    },
    Rule {
        id: "yaml-form",
        severity: Error,
        about: About::Playbook,
        summary: "anchors, aliases, tags, merge keys, several documents, or values that stand too deep",
        why: "These forms let a small file stand for a huge one, or one value for another that stands far away. Who \
              reviews a playbook that contains hosts should see what it says. An expression that begins with `!` is read \
              as a tag, one that begins with `*` or `&` as an alias or an anchor: put it in quotes.",
        wrong: Text(
            r#"workflow: negation
steps:
  - id: facts
    if: !has(alert.data)
    uses: set
    with: { level: alert.rule.level }
"#,
        ),
        right: Text(
            r#"workflow: negation
steps:
  - id: facts
    if: "!has(alert.data)"
    uses: set
    with: { level: alert.rule.level }
"#,
        ),
    },
    Rule {
        id: "too-large",
        severity: Error,
        about: About::Playbook,
        summary: "the file has more than 1 MiB",
        why: "A playbook that people review has some hundred lines. The limit keeps a file that was put there by \
              mistake, or by somebody hostile, from taking the server's memory.",
        wrong: Repeated("  - { id: a, uses: set, with: { level: alert.rule.level } }\n", 20_000),
        right: Text("workflow: small\nsteps:\n  - { id: a, uses: set, with: { level: alert.rule.level } }\n"),
    },
    Rule {
        id: "duplicate-key",
        severity: Error,
        about: About::Playbook,
        summary: "the same key stands twice in a map",
        why: "YAML readers keep one of the two values and say nothing about the other, and not all keep the same one. \
              A second `approval:` or `if:` would silently replace the first.",
        wrong: Text(
            r#"workflow: twice
steps:
  - id: facts
    if: alert.rule.level > 3
    if: alert.rule.level > 12
    uses: set
    with: { level: alert.rule.level }
"#,
        ),
        right: Text(
            r#"workflow: twice
steps:
  - id: facts
    if: alert.rule.level > 12
    uses: set
    with: { level: alert.rule.level }
"#,
        ),
    },
    Rule {
        id: "unquoted-template",
        severity: Error,
        about: About::Playbook,
        summary: "`{{` stands without quotes",
        why: "To YAML `{` opens a map, so an unquoted template is a map in a map and not text. In the middle of a text \
              the braces do no harm.",
        wrong: Text(
            r#"workflow: braces
steps:
  - id: host
    uses: wazuh.get_agent
    with:
      agent: {{ alert.agent.id }}
"#,
        ),
        right: Text(
            r#"workflow: braces
steps:
  - id: host
    uses: wazuh.get_agent
    with:
      agent: "{{ alert.agent.id }}"
"#,
        ),
    },
    Rule {
        id: "ambiguous-value",
        severity: Warning,
        about: About::Playbook,
        summary: "an unquoted word that YAML readers disagree about: yes, no, on, off, 003, 1_000, 12:30",
        why: "Portcullis reads YAML 1.2, where these are text. Editors, formatters and scripts that read YAML 1.1 take \
              `no` for false, `003` for 3 and `12:30` for 750, and write that back. An agent 3 is not the agent 003.",
        wrong: Text(
            r#"workflow: words
vars: { country: no }
steps:
  - id: host
    uses: wazuh.get_agent
    with: { agent: 003 }
"#,
        ),
        right: Text(
            r#"workflow: words
vars: { country: "no" }
steps:
  - id: host
    uses: wazuh.get_agent
    with: { agent: "003" }
"#,
        ),
    },
];
