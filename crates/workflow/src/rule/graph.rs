//! Rules on what refers to what.

use super::Example::Text;
use super::{About, Rule};
use crate::diagnostic::Severity::{Error, Warning};

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "unknown-step",
        severity: Error,
        about: About::Playbook,
        summary: "there is no step with this id",
        why: "A need that does not exist would order nothing.",
        wrong: Text(
            r#"workflow: order
steps:
  - { id: host, uses: wazuh.get_agent, with: { agent: "001" } }
  - { id: facts, needs: [hots], uses: set, with: { level: alert.rule.level } }
"#,
        ),
        right: Text(
            r#"workflow: order
steps:
  - { id: host, uses: wazuh.get_agent, with: { agent: "001" } }
  - { id: facts, needs: [host], uses: set, with: { level: alert.rule.level } }
"#,
        ),
    },
    Rule {
        id: "cycle",
        severity: Error,
        about: About::Playbook,
        summary: "steps that wait for each other",
        why: "None of them could ever start.",
        wrong: Text(
            r#"workflow: order
steps:
  - { id: first, needs: [second], uses: set, with: { level: alert.rule.level } }
  - { id: second, needs: [first], uses: set, with: { level: alert.rule.level } }
"#,
        ),
        right: Text(
            r#"workflow: order
steps:
  - { id: first, uses: set, with: { level: alert.rule.level } }
  - { id: second, needs: [first], uses: set, with: { level: alert.rule.level } }
"#,
        ),
    },
    Rule {
        id: "unknown-path",
        severity: Error,
        about: About::Playbook,
        summary: "a root, variable, step or output field that does not exist, or a step that has not settled",
        why: "A path that leads nowhere fails the step when it is read, in the middle of an incident. Where the shape is \
              known it is found here; what an alert holds, only tests can show.",
        wrong: Text(
            r#"workflow: paths
steps:
  - { id: host, uses: wazuh.get_agent, with: { agent: "001" } }
  - { id: facts, uses: set, with: { name: steps.host.hostname } }
"#,
        ),
        right: Text(
            r#"workflow: paths
steps:
  - { id: host, uses: wazuh.get_agent, with: { agent: "001" } }
  - { id: facts, uses: set, with: { name: steps.host.name } }
"#,
        ),
    },
    Rule {
        id: "maybe-missing",
        severity: Warning,
        about: About::Playbook,
        summary: "the output of a step is read that may have none, and nothing guards it",
        why: "A step that was skipped by its own `if`, or that failed with `on_error: continue`, lets the steps behind it \
              through and has no output. Reading it then fails the reading step. Ask for its status in the same \
              expression or in the step's `if`, or give a value for that case with `default`. In CEL, `has(steps.x.y)` is \
              no guard by itself, for it wants `steps.x` to be there: `has(steps.x)` is one.",
        wrong: Text(
            r#"workflow: guards
steps:
  - id: reputation
    uses: virustotal.ip
    with: { ip: "{{ alert.data.srcip }}" }
    on_error: continue
  - id: facts
    uses: set
    with: { is_bad: steps.reputation.malicious > 5 }
"#,
        ),
        right: Text(
            r#"workflow: guards
steps:
  - id: reputation
    uses: virustotal.ip
    with: { ip: "{{ alert.data.srcip }}" }
    on_error: continue
  - id: facts
    uses: set
    with: { is_bad: status.reputation == "ok" && steps.reputation.malicious > 5 }
"#,
        ),
    },
    Rule {
        id: "unknown-workflow",
        severity: Error,
        about: About::Playbook,
        summary: "a step calls a playbook that is not there, or one that cannot be called",
        why: "A playbook that others call stands in the same folders and has `inputs:` in the place of `triggers:`.",
        wrong: Text(
            r#"workflow: calls
steps:
  - { id: look_up, uses: workflow, with: { workflow: enrich_hsh, inputs: { sha256: "{{ alert.data.sha256 }}" } } }
"#,
        ),
        right: Text(
            r#"workflow: calls
steps:
  - { id: look_up, uses: workflow, with: { workflow: enrich_hash, inputs: { sha256: "{{ alert.data.sha256 }}" } } }
"#,
        ),
    },
    Rule {
        id: "recursion",
        severity: Error,
        about: About::Playbook,
        summary: "a playbook that would call itself, directly or through others",
        why: "It would never end. For a list of things there is `foreach`.",
        wrong: Text(
            r#"workflow: enrich
inputs: { hash: { type: string, required: true } }
steps:
  - { id: again, uses: workflow, with: { workflow: enrich, inputs: { hash: "{{ inputs.hash }}" } } }
"#,
        ),
        right: Text(
            r#"workflow: enrich
inputs: { hash: { type: string, required: true } }
steps:
  - { id: look_up, uses: workflow, with: { workflow: enrich_hash, inputs: { sha256: "{{ inputs.hash }}" } } }
"#,
        ),
    },
    Rule {
        id: "unreadable",
        severity: Error,
        about: About::Folder,
        summary: "a file of a playbook cannot be read",
        why: "The server goes on with the version that it has and says so. Its user has to be allowed to read the file, and \
              the file has to be UTF-8.",
        wrong: Text(
            r#"# block_source.yaml, with the permissions -rw------- and another owner
workflow: block_source
steps:
  - { id: facts, uses: set, with: { level: alert.rule.level } }
"#,
        ),
        right: Text(
            r#"# block_source.yaml, with the permissions -rw-r--r--
workflow: block_source
steps:
  - { id: facts, uses: set, with: { level: alert.rule.level } }
"#,
        ),
    },
    Rule {
        id: "duplicate-workflow",
        severity: Error,
        about: About::Folder,
        summary: "two playbooks with one name",
        why: "The server takes the first and leaves the second out. Runs, lists and the command line know a workflow by \
              its name.",
        wrong: Text(
            r#"workflow: block_source # and in another file: workflow: block_source
steps:
  - { id: facts, uses: set, with: { level: alert.rule.level } }
"#,
        ),
        right: Text(
            r#"workflow: block_source_at_night
steps:
  - { id: facts, uses: set, with: { level: alert.rule.level } }
"#,
        ),
    },
];
