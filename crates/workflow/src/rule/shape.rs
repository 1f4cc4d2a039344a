//! Rules on keys, values, expressions and nodes.

use super::Example::Text;
use super::{About, Rule};
use crate::diagnostic::Severity::{Error, Warning};

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "unknown-key",
        severity: Error,
        about: About::Playbook,
        summary: "there is no such key here",
        why: "A key that is misspelt would otherwise do nothing, and nobody would see it: `aproval:` is no gate.",
        wrong: Text(
            r#"workflow: keys
steps:
  - id: facts
    iff: alert.rule.level > 3
    uses: set
    with: { level: alert.rule.level }
"#,
        ),
        right: Text(
            r#"workflow: keys
steps:
  - id: facts
    if: alert.rule.level > 3
    uses: set
    with: { level: alert.rule.level }
"#,
        ),
    },
    Rule {
        id: "missing-key",
        severity: Error,
        about: About::Playbook,
        summary: "a key that has to be there is missing",
        why: "There is no value that would be right for everybody. For `effect` of an `http` step in particular: \
              only its author knows whether the call looks, writes or disrupts, and everything else depends on it.",
        wrong: Text(
            r#"workflow: keys
steps:
  - id: lookup
    uses: http
    with: { url: https://assets.example/api/hosts }
"#,
        ),
        right: Text(
            r#"workflow: keys
steps:
  - id: lookup
    uses: http
    effect: read
    with: { url: https://assets.example/api/hosts }
"#,
        ),
    },
    Rule {
        id: "wrong-key",
        severity: Error,
        about: About::Playbook,
        summary: "a key that does not belong here",
        why: "The key exists, but means nothing at this place. What a node does to the world is for the node to say, \
              for example: a playbook that could call a containment `effect: read` would need no gate.",
        wrong: Text(
            r#"workflow: keys
steps:
  - id: host
    uses: wazuh.get_agent
    effect: write
    with: { agent: "001" }
"#,
        ),
        right: Text(
            r#"workflow: keys
steps:
  - id: host
    uses: wazuh.get_agent
    with: { agent: "001" }
"#,
        ),
    },
    Rule {
        id: "wrong-type",
        severity: Error,
        about: About::Playbook,
        summary: "a value of another type than the key takes",
        why: "Types are never guessed: a list of one is a list, and a duration has a unit.",
        wrong: Text(
            r#"workflow: types
steps:
  - { id: host, uses: wazuh.get_agent, with: { agent: "001" }, timeout: 20 }
  - { id: facts, needs: host, uses: set, with: { name: steps.host.name } }
"#,
        ),
        right: Text(
            r#"workflow: types
steps:
  - { id: host, uses: wazuh.get_agent, with: { agent: "001" }, timeout: 20s }
  - { id: facts, needs: [host], uses: set, with: { name: steps.host.name } }
"#,
        ),
    },
    Rule {
        id: "wrong-value",
        severity: Error,
        about: About::Playbook,
        summary: "a value that the key does not take",
        why: "The key takes some words, or numbers within limits. The help line names them.",
        wrong: Text(
            r#"workflow: values
mode: dry_run
steps:
  - { id: facts, uses: set, with: { level: alert.rule.level } }
"#,
        ),
        right: Text(
            r#"workflow: values
mode: shadow
steps:
  - { id: facts, uses: set, with: { level: alert.rule.level } }
"#,
        ),
    },
    Rule {
        id: "wrong-id",
        severity: Error,
        about: About::Playbook,
        summary: "a name that is no id: `[a-z][a-z0-9_]*`, at most 64 characters",
        why: "Ids stand in paths such as `steps.get_host.name`, in file names and in the journal. In CEL `get-host` \
              would be a subtraction.",
        wrong: Text(
            r#"workflow: names
steps:
  - { id: get-host, uses: wazuh.get_agent, with: { agent: "001" } }
"#,
        ),
        right: Text(
            r#"workflow: names
steps:
  - { id: get_host, uses: wazuh.get_agent, with: { agent: "001" } }
"#,
        ),
    },
    Rule {
        id: "duplicate-id",
        severity: Error,
        about: About::Playbook,
        summary: "two steps with one id",
        why: "`steps.host` would mean one or the other, and the journal could not tell them apart.",
        wrong: Text(
            r#"workflow: names
steps:
  - { id: host, uses: wazuh.get_agent, with: { agent: "001" } }
  - { id: host, uses: wazuh.get_agent, with: { agent: "002" } }
"#,
        ),
        right: Text(
            r#"workflow: names
steps:
  - { id: host, uses: wazuh.get_agent, with: { agent: "001" } }
  - { id: other_host, uses: wazuh.get_agent, with: { agent: "002" } }
"#,
        ),
    },
    Rule {
        id: "wrong-expression",
        severity: Error,
        about: About::Playbook,
        summary: "CEL or Handlebars that does not compile",
        why: "Decisions (`if`, `when`, `skip_if`, `outputs`, all values of `set`) are CEL: `&&`, `||`, `!`, `==`, text in \
              quotes, no braces. Everything else is text, with Handlebars in double braces.",
        wrong: Text(
            r#"workflow: languages
steps:
  - id: facts
    if: alert.rule.level > 3 and has(alert.data)
    uses: set
    with: { level: alert.rule.level }
"#,
        ),
        right: Text(
            r#"workflow: languages
steps:
  - id: facts
    if: alert.rule.level > 3 && has(alert.data)
    uses: set
    with: { level: alert.rule.level }
"#,
        ),
    },
    Rule {
        id: "literal-template",
        severity: Warning,
        about: About::Playbook,
        summary: "braces in `vars`, where they are not evaluated",
        why: "`vars` are taken as they stand. A template in them would reach the other system with its braces. Compute \
              the value in a `set` step, or write the template where the variable is used.",
        wrong: Text(
            r#"workflow: variables
vars: { subject: "Attack on {{ alert.agent.name }}" }
steps:
  - { id: facts, uses: set, with: { subject: vars.subject } }
"#,
        ),
        right: Text(
            r#"workflow: variables
vars: { subject: Attack on }
steps:
  - { id: facts, uses: set, with: { subject: vars.subject + ' ' + alert.agent.name } }
"#,
        ),
    },
    Rule {
        id: "template-in-code",
        severity: Error,
        about: About::Playbook,
        summary: "braces in a jq filter or a script, where nothing is put in",
        why: "A program that text of an alert is put into is a program that the attacker writes along. What it works on goes \
              in by another input, as data.",
        wrong: Text(
            r#"workflow: programs
steps:
  - id: bad
    uses: jq
    with:
      filter: '.items[] | select(.ip == "{{ alert.data.srcip }}")'
      data: "{{ alert.data }}"
"#,
        ),
        right: Text(
            r#"workflow: programs
steps:
  - id: bad
    uses: jq
    with:
      filter: '.items[] | select(.ip == $ip)'
      data: "{{ alert.data }}"
      vars: { ip: "{{ alert.data.srcip }}" }
"#,
        ),
    },
    Rule {
        id: "number-for-text",
        severity: Warning,
        about: About::Playbook,
        summary: "a field that Wazuh sends as text is compared with a number",
        why: "In CEL, text and a number are never equal: `alert.rule.id == 5710` is false for every alert, and the \
              playbook never starts. Wazuh sends ids as text; `alert.rule.level` is a number.",
        wrong: Text(
            r#"workflow: numbers
triggers:
  - uses: webhook
    with: { path: wazuh }
    when: alert.rule.id == 5710
steps:
  - { id: facts, uses: set, with: { level: alert.rule.level } }
"#,
        ),
        right: Text(
            r#"workflow: numbers
triggers:
  - uses: webhook
    with: { path: wazuh }
    when: alert.rule.id == "5710"
steps:
  - { id: facts, uses: set, with: { level: alert.rule.level } }
"#,
        ),
    },
    Rule {
        id: "unknown-node",
        severity: Error,
        about: About::Playbook,
        summary: "there is no such node",
        why: "`portcullis nodes` lists the nodes. Nodes of your own stand in the folder that `nodes:` of the \
              configuration names: check with that configuration (`--config`).",
        wrong: Text(
            r#"workflow: nodes
steps:
  - { id: host, uses: wazuh.get_agnet, with: { agent: "001" } }
"#,
        ),
        right: Text(
            r#"workflow: nodes
steps:
  - { id: host, uses: wazuh.get_agent, with: { agent: "001" } }
"#,
        ),
    },
    Rule {
        id: "wrong-node",
        severity: Error,
        about: About::Playbook,
        summary: "a trigger as a step, or a step as a trigger",
        why: "Triggers start a run and stand under `triggers:`; everything else is done by steps.",
        wrong: Text(
            r#"workflow: nodes
steps:
  - { id: start, uses: webhook, with: { path: wazuh } }
  - { id: facts, uses: set, with: { level: alert.rule.level } }
"#,
        ),
        right: Text(
            r#"workflow: nodes
triggers:
  - { uses: webhook, with: { path: wazuh } }
steps:
  - { id: facts, uses: set, with: { level: alert.rule.level } }
"#,
        ),
    },
    Rule {
        id: "unknown-input",
        severity: Error,
        about: About::Playbook,
        summary: "the node has no such input",
        why: "An input that the node does not know would be dropped without a word. `portcullis nodes NODE` shows \
              its inputs.",
        wrong: Text(
            r#"workflow: inputs
steps:
  - { id: host, uses: wazuh.get_agent, with: { agent: "001", verbose: true } }
"#,
        ),
        right: Text(
            r#"workflow: inputs
steps:
  - { id: host, uses: wazuh.get_agent, with: { agent: "001" } }
"#,
        ),
    },
    Rule {
        id: "missing-input",
        severity: Error,
        about: About::Playbook,
        summary: "an input that the node needs is missing",
        why: "The call would fail in every run. Some products take a missing parameter for all: Wazuh without an agent \
              id means every agent.",
        wrong: Text(
            r#"workflow: inputs
steps:
  - { id: host, uses: wazuh.get_agent }
"#,
        ),
        right: Text(
            r#"workflow: inputs
steps:
  - { id: host, uses: wazuh.get_agent, with: { agent: "001" } }
"#,
        ),
    },
    Rule {
        id: "wrong-input",
        severity: Error,
        about: About::Playbook,
        summary: "an input of another type, or not one of the values that the node takes",
        why: "The most frequent case: an agent's id without quotes. YAML reads 123 as a number, and Wazuh's ids are \
              text of three digits or more.",
        wrong: Text(
            r#"workflow: inputs
steps:
  - { id: host, uses: wazuh.get_agent, with: { agent: 123 } }
"#,
        ),
        right: Text(
            r#"workflow: inputs
steps:
  - { id: host, uses: wazuh.get_agent, with: { agent: "123" } }
"#,
        ),
    },
];
