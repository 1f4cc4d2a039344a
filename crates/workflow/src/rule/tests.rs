use super::*;
use crate::load::tests::shipped;
use crate::{Catalog, Diagnostics, Draft};

/// A playbook that examples may call.
const CALLED: &str = r#"
workflow: enrich_hash
inputs: { sha256: { type: string, required: true } }
steps:
  - { id: facts, uses: set, with: { hash: inputs.sha256 } }
outputs: { known: "true" }
"#;

fn findings(text: &str) -> Diagnostics {
    let mut catalog: Catalog = shipped();
    let drafts = [text, CALLED].into_iter().filter_map(|text| Draft::parse("x", text).ok());
    let signatures: Vec<_> = drafts.filter_map(|draft| draft.signature()).collect();
    signatures.into_iter().for_each(|signature| catalog.add_workflow(signature));
    crate::load("playbook.yaml", text, &catalog).1
}

#[test]
fn the_wrong_example_of_a_rule_has_its_finding_and_the_right_one_has_none() {
    for rule in Rule::all().filter(|rule| rule.about == About::Playbook) {
        let wrong = findings(&rule.wrong.text());
        assert!(!wrong.is_empty(), "the wrong example of {rule} has no finding");
        for finding in wrong.findings() {
            assert_eq!(finding.rule, rule, "in the wrong example of {rule}:\n{wrong}");
        }
        let is_as_severe = wrong.findings().iter().any(|finding| finding.severity == rule.severity);
        assert!(is_as_severe, "{rule} is not as severe as it says:\n{wrong}");
        let right = findings(&rule.right.text());
        assert!(right.is_empty(), "the right example of {rule} has a finding:\n{right}");
    }
}

#[test]
fn every_rule_is_described_once_and_in_the_same_form() {
    let mut ids = std::collections::BTreeSet::new();
    for rule in Rule::all() {
        assert!(ids.insert(rule.id), "{rule} is described twice");
        let is_id = rule.id.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
        assert!(is_id && Rule::find(rule.id) == Some(rule), "{rule}");
        let (summary, why) = (rule.summary, rule.why);
        assert!(!summary.ends_with('.') && summary.len() <= 110, "the summary of {rule} is one line");
        assert!(why.ends_with('.') && !why.contains("  "), "the reason of {rule} is sentences: {why}");
        assert_ne!(rule.wrong, rule.right, "{rule}");
    }
}

#[test]
fn a_name_that_no_rule_has_is_answered_with_the_closest() {
    assert_eq!(Rule::find("no-expiri"), None);
    assert_eq!(Rule::suggest("no-expiri"), "did you mean `no-expiry`?");
}
