//! What tests showed of their playbook.

use insta::assert_snapshot;

use super::*;

/// A line for each part: how far it came, and which branches no test took.
fn coverage(tests: &str) -> String {
    let playbook = playbook();
    let text = format!("{MOCKS}tests:\n{tests}");
    let (reports, findings) = rehearse(&playbook, "contain.test.yaml", &text, &alert, &|_| None);
    assert!(findings.is_empty(), "{findings}");
    let mut coverage = Coverage::none(&playbook);
    for report in reports {
        assert_eq!(report.failure.map(|failure| failure.to_string()), None);
        coverage.add(&report.coverage);
    }
    let parts = coverage.parts.iter().map(|part| {
        let reach = part.reach.map(|reach| format!("{reach:?}")).unwrap_or_default();
        format!("{} {reach} {}\n", part.name, part.missing().join(", "))
    });
    let (steps, branches) = (coverage.steps(), coverage.branches());
    format!("{}{steps:?} steps, {branches:?} branches", parts.collect::<String>())
}

#[test]
fn what_no_test_showed_is_named() {
    assert_snapshot!(coverage(r#"
  - { name: mild, alert: mild.json, expect: { starts: false } }
"#), @"
    webhook wazuh  `when` true
    host Never 
    verdict Never 
    block Never approved, rejected, expired
    tell Never `if` true, `if` false
    (0, 4) steps, (1, 7) branches
    ");
    assert_snapshot!(coverage(r#"
  - name: rejected
    approvals: { block: { decision: reject, by: ana, reason: nope } }
    expect: { calls: { act: 0 } }
"#), @"
    webhook wazuh  `when` false
    host Performed 
    verdict Performed 
    block NotPerformed approved, expired
    tell Performed `if` false
    (3, 4) steps, (3, 7) branches
    ");
}

#[test]
fn tests_together_show_more_than_each_of_them() {
    assert_snapshot!(coverage(r#"
  - { name: mild, alert: mild.json, expect: { starts: false } }
  - name: approved
    approvals: { block: { decision: approve, by: ana, reason: seen } }
    expect: { calls: { act: 1 } }
  - name: rejected
    approvals: { block: { decision: reject, by: ana, reason: nope } }
    expect: { calls: { act: 0 } }
  - name: expired
    approvals: { block: { expire: true } }
    expect: { calls: { act: 0 } }
"#), @"
    webhook wazuh  
    host Performed 
    verdict Performed 
    block Performed 
    tell Performed `if` false
    (4, 4) steps, (6, 7) branches
    ");
}
