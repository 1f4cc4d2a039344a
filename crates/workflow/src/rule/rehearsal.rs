//! Rules on the tests of playbooks. The examples are about the playbook in `examples/approval`.

use super::Example::Text;
use super::{About, Rule};
use crate::diagnostic::Severity::Error;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "duplicate-name",
        severity: Error,
        about: About::Test,
        summary: "two tests with one name",
        why: "Who reads that it failed should know which.",
        wrong: Text(
            r#"alert: { host: laptop-17, reason: it beacons }
tests:
  - { name: nobody answers, approvals: { quarantine: { expire: true } }, expect: { status: { run: failed } } }
  - { name: nobody answers, approvals: { quarantine: { expire: true } }, expect: { calls: { http: 0 } } }
"#,
        ),
        right: Text(
            r#"alert: { host: laptop-17, reason: it beacons }
tests:
  - { name: nobody answers, approvals: { quarantine: { expire: true } }, expect: { status: { run: failed } } }
  - { name: and nothing is sent, approvals: { quarantine: { expire: true } }, expect: { calls: { http: 0 } } }
"#,
        ),
    },
    Rule {
        id: "empty-test",
        severity: Error,
        about: About::Test,
        summary: "a test that expects nothing",
        why: "It could not fail.",
        wrong: Text(
            r#"alert: { host: laptop-17, reason: it beacons }
tests:
  - { name: nobody answers, approvals: { quarantine: { expire: true } }, expect: {} }
"#,
        ),
        right: Text(
            r#"alert: { host: laptop-17, reason: it beacons }
tests:
  - { name: nobody answers, approvals: { quarantine: { expire: true } }, expect: { calls: { http: 0 } } }
"#,
        ),
    },
    Rule {
        id: "unknown-field",
        severity: Error,
        about: About::Test,
        summary: "a mock gives a field that the node never gives",
        why: "A test with an answer that cannot come proves nothing.",
        wrong: Text(
            r#"alert: { host: laptop-17, reason: it beacons }
tests:
  - name: it is sent
    mock: { quarantine: { output: { status: 200, headers: {}, took: 3 } } }
    approvals: { quarantine: { decision: approve, by: ana, reason: it beacons } }
    expect: { calls: { http: 1 } }
"#,
        ),
        right: Text(
            r#"alert: { host: laptop-17, reason: it beacons }
tests:
  - name: it is sent
    mock: { quarantine: { output: { status: 200, headers: {} } } }
    approvals: { quarantine: { decision: approve, by: ana, reason: it beacons } }
    expect: { calls: { http: 1 } }
"#,
        ),
    },
    Rule {
        id: "unknown-output",
        severity: Error,
        about: About::Test,
        summary: "the workflow has no such output",
        why: "What is not there cannot be compared.",
        wrong: Text(
            r#"alert: { host: laptop-17, reason: it beacons }
tests:
  - name: nobody answers
    approvals: { quarantine: { expire: true } }
    expect: { outputs: { txt: "quarantine of laptop-17: expired" } }
"#,
        ),
        right: Text(
            r#"alert: { host: laptop-17, reason: it beacons }
tests:
  - name: nobody answers
    approvals: { quarantine: { expire: true } }
    expect: { outputs: { text: "quarantine of laptop-17: expired" } }
"#,
        ),
    },
    Rule {
        id: "unknown-fact",
        severity: Error,
        about: About::Test,
        summary: "the journal is expected to say what no journal says",
        why: "A fact is the name of a step, or `run`, and what became of it: `quarantine asked`, `run failed`. The help line \
              names what can be said.",
        wrong: Text(
            r#"alert: { host: laptop-17, reason: it beacons }
tests:
  - name: nobody answers
    approvals: { quarantine: { expire: true } }
    expect: { journal: [quarantine asked, quarantine timed out] }
"#,
        ),
        right: Text(
            r#"alert: { host: laptop-17, reason: it beacons }
tests:
  - name: nobody answers
    approvals: { quarantine: { expire: true } }
    expect: { journal: [quarantine asked, quarantine expired] }
"#,
        ),
    },
    Rule {
        id: "unreadable-alert",
        severity: Error,
        about: About::Test,
        summary: "the file of the alert cannot be read, or is no JSON",
        why: "The path begins at the folder of the test.",
        wrong: Text(
            r#"alert: no-such-file.json
tests:
  - { name: nobody answers, approvals: { quarantine: { expire: true } }, expect: { calls: { http: 0 } } }
"#,
        ),
        right: Text(
            r#"alert: payload.json
tests:
  - { name: nobody answers, approvals: { quarantine: { expire: true } }, expect: { calls: { http: 0 } } }
"#,
        ),
    },
    Rule {
        id: "wrong-step",
        severity: Error,
        about: About::Test,
        summary: "a mock for a step that calls nobody, or an answer to a question that nobody asks",
        why: "`set`, `delay` and `approval` are performed by the engine, in tests too. What the test says about them \
              would never be used.",
        wrong: Text(
            r#"alert: { host: laptop-17, reason: it beacons }
mock: { summary: { output: { text: x } } }
tests:
  - { name: nobody answers, approvals: { quarantine: { expire: true } }, expect: { calls: { http: 0 } } }
"#,
        ),
        right: Text(
            r#"alert: { host: laptop-17, reason: it beacons }
tests:
  - { name: nobody answers, approvals: { quarantine: { expire: true } }, expect: { calls: { http: 0 } } }
"#,
        ),
    },
    Rule {
        id: "orphan-test",
        severity: Error,
        about: About::Folder,
        summary: "tests without a playbook beside them",
        why: "The tests of `NAME.yaml` stand in `NAME.test.yaml` in the same folder. A playbook that was renamed has left \
              its tests behind.",
        wrong: Text(
            r#"# quarantine_old.test.yaml, beside quarantine.yaml
alert: { host: laptop-17, reason: it beacons }
tests:
  - { name: nobody answers, approvals: { quarantine: { expire: true } }, expect: { calls: { http: 0 } } }
"#,
        ),
        right: Text(
            r#"# quarantine.test.yaml, beside quarantine.yaml
alert: { host: laptop-17, reason: it beacons }
tests:
  - { name: nobody answers, approvals: { quarantine: { expire: true } }, expect: { calls: { http: 0 } } }
"#,
        ),
    },
];
