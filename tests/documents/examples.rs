//! Every YAML block of the language's manual is right, or wrong where it says so.
//!
//! A whole playbook is loaded as it is. A part of one is put into a playbook around it, with a few steps that parts
//! often read. A test file says by its first line whose test it is, and its tests have to pass.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;
use workflow::{Catalog, Diagnostics, Draft, Workflow};

use super::fenced::{Block, blocks};
use crate::playbooks::{rehearse, shipped};
use crate::world::repository;

/// Its examples stand in the registry of rules, and the tests of that check each of them.
const WRITTEN_FROM_THE_RULES: &str = "rules.md";

/// Steps that an example may read without showing them.
const KNOWN: [(&str, &str); 2] = [
    ("host", "  - { id: host, uses: wazuh.get_agent, with: { agent: '001' } }\n"),
    ("reputation", "  - { id: reputation, uses: virustotal.ip, with: { ip: 192.0.2.1 } }\n"),
];

#[test]
fn every_example_of_the_manual_is_what_it_says() {
    let manual: Vec<Example> = pages().iter().flat_map(|page| examples(page)).collect();
    let catalog = catalog(&manual);
    let mut counts = [0; 3];
    let mut complaints = Vec::new();
    for example in &manual {
        let (kind, result) = match &example.kind {
            Kind::Right => (0, check_right(example, &catalog)),
            Kind::Wrong(rule) => (1, check_wrong(example, rule, &catalog)),
            Kind::TestOf(name) => (2, check_test(example, name, &manual, &catalog)),
        };
        counts[kind] += 1;
        complaints.extend(result.err());
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    let [right, wrong, tests] = counts;
    assert!(right > 20 && wrong > 2 && tests > 3, "{right} right, {wrong} wrong, {tests} tests");
}

/// A block of the manual that is about playbooks.
struct Example {
    /// The page, and the line on which the block begins.
    place: String,
    text: String,
    kind: Kind,
}

enum Kind {
    Right,
    /// It has a finding of this rule.
    Wrong(String),
    /// The test of the playbook with this name.
    TestOf(String),
}

/// The pages of the manual.
pub(super) fn pages() -> Vec<PathBuf> {
    let folder = repository().join("workflows");
    let mut pages = Vec::new();
    for folder in [folder.join("language"), folder] {
        let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        pages.extend(entries.filter(|path| path.extension().is_some_and(|extension| extension == "md")));
    }
    pages.retain(|page| !page.ends_with(WRITTEN_FROM_THE_RULES));
    pages.sort();
    assert!(pages.len() > 10, "only {} pages were found", pages.len());
    pages
}

fn examples(page: &Path) -> Vec<Example> {
    let text = std::fs::read_to_string(page).unwrap();
    let about_playbooks = |block: Block| {
        let place = format!("{}:{}", page.strip_prefix(repository()).unwrap().display(), block.line);
        let kind = match block.info.split(' ').collect::<Vec<_>>()[..] {
            ["yaml"] => test_of(&block.text).map_or(Kind::Right, Kind::TestOf),
            ["yaml", "wrong", rule] => Kind::Wrong(rule.to_owned()),
            // A file of another program: it has to be YAML, and no more is known of it.
            ["yaml", "elsewhere"] => {
                Draft::parse(&place, &block.text).unwrap_or_else(|findings| panic!("{findings}"));
                return None;
            }
            ["sh" | "text" | "json"] => return None,
            _ => {
                panic!("{place}: what is `{}`? Write yaml, `yaml wrong RULE` or `yaml elsewhere`", block.info)
            }
        };
        Some(Example { place, text: block.text, kind })
    };
    blocks(&text).into_iter().filter_map(about_playbooks).collect()
}

/// Whose test a block is: its first line says it.
fn test_of(text: &str) -> Option<String> {
    let name = text.lines().next()?.strip_prefix("# ")?.strip_suffix(".test.yaml")?;
    Some(name.to_owned())
}

/// The nodes, and all playbooks that may be called.
fn catalog(manual: &[Example]) -> Catalog {
    let mut catalog = nodes::builtin().0;
    let files = shipped().into_iter().map(|path| std::fs::read_to_string(path).unwrap());
    let whole = manual.iter().filter(|example| is_whole(&example.text)).map(|example| example.text.clone());
    for text in files.chain(whole) {
        let signature = Draft::parse("a playbook", &text).ok().and_then(|draft| draft.signature());
        signature.into_iter().for_each(|signature| catalog.add_workflow(signature));
    }
    catalog
}

/// The playbooks of the manual that stand there whole.
pub(crate) fn whole_playbooks() -> Vec<String> {
    let examples = pages().into_iter().flat_map(|page| examples(&page));
    let texts = examples.filter(|example| matches!(example.kind, Kind::Right)).map(|example| example.text);
    texts.filter(|text| is_whole(text)).collect()
}

fn is_whole(text: &str) -> bool {
    text.starts_with("workflow:") || text.contains("\nworkflow:")
}

fn check_right(example: &Example, catalog: &Catalog) -> Result<(), String> {
    let (workflow, findings) = load(example, catalog);
    if workflow.is_some() && findings.is_empty() { Ok(()) } else { Err(findings.to_string()) }
}

fn check_wrong(example: &Example, rule: &str, catalog: &Catalog) -> Result<(), String> {
    let (_, findings) = load(example, catalog);
    let found: Vec<&str> = findings.findings().iter().map(|finding| finding.rule.id).collect();
    if !found.is_empty() && found.iter().all(|found| *found == rule) {
        return Ok(());
    }
    Err(format!("{} should be wrong by the rule {rule} and no other: {findings}", example.place))
}

fn check_test(example: &Example, name: &str, manual: &[Example], catalog: &Catalog) -> Result<(), String> {
    let is_it = |other: &&Example| {
        Draft::parse("a playbook", &other.text)
            .is_ok_and(|draft| draft.name().is_some_and(|(n, _)| n == name))
    };
    let playbook = manual.iter().find(is_it);
    let playbook = playbook.ok_or_else(|| format!("{}: the manual has no playbook {name}", example.place))?;
    let Some(workflow) = load(playbook, catalog).0 else {
        return Err(format!("{}: the playbook {name} has errors", example.place));
    };
    let alerts = |path: &str| -> Result<Value, String> {
        let text = std::fs::read_to_string(repository().join("workflows").join(path));
        serde_json::from_str(&text.map_err(|error| error.to_string())?).map_err(|error| error.to_string())
    };
    let count = rehearse(&Arc::new(workflow), &example.place, &example.text, alerts);
    if count > 0 { Ok(()) } else { Err(format!("{} has no test", example.place)) }
}

fn load(example: &Example, catalog: &Catalog) -> (Option<Workflow>, Diagnostics) {
    workflow::load(&example.place, &whole(&example.text), catalog)
}

/// A playbook around a part of one.
fn whole(part: &str) -> String {
    if is_whole(part) {
        return part.to_owned();
    }
    let has = |key: &str| part.starts_with(key) || part.contains(&format!("\n{key}"));
    let body = if ["triggers:", "steps:", "on_failure:"].into_iter().any(has) {
        part.to_owned()
    } else {
        // The keys of a step.
        let keys: String = part.lines().map(|line| format!("    {line}\n")).collect();
        format!("steps:\n  - id: shown\n    uses: wazuh.restart_agent\n    with: {{ agent: '001' }}\n{keys}")
    };
    let body = match has("steps:") || body.starts_with("steps:") {
        true => body,
        false => format!("{body}steps:\n  - {{ id: nothing, uses: set, with: {{ x: '1' }} }}\n"),
    };
    let reads = |id: &str| body.contains(&format!("steps.{id}")) && !body.contains(&format!("- id: {id}"));
    let known: String = KNOWN.iter().filter(|(id, _)| reads(id)).map(|(_, step)| *step).collect();
    format!("workflow: around_an_example\n{}", body.replacen("steps:\n", &format!("steps:\n{known}"), 1))
}
