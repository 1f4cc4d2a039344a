//! `portcullis check`: playbooks before they are used.

mod format;
mod github;
mod json;
mod sarif;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde_json::Value;
use workflow::{Catalog, Diagnostic, Diagnostics, Draft, Rule, Workflow, in_parallel};

use crate::app;
use crate::rehearse::test_of;
use crate::settings::Folders;
use crate::show;

pub(crate) use format::Format;

/// What was looked at, and what was found.
pub(crate) struct Checked {
    /// The findings of each file, in the order of the files; empty where there are none.
    files: Vec<Diagnostics>,
    playbooks: usize,
    tests: usize,
}

/// Checks playbooks and their tests; gives whether none has an error.
pub(crate) fn check(config: &Path, paths: Vec<PathBuf>, format: Format) -> anyhow::Result<bool> {
    let (catalog, paths) = catalog_and_paths(config, paths)?;
    let checked = check_files(catalog, &paths)?;
    show::put(checked.shown(format)?);
    Ok(!checked.files.iter().any(Diagnostics::has_errors))
}

fn check_files(mut catalog: Catalog, paths: &[PathBuf]) -> anyhow::Result<Checked> {
    let (tests, mut playbooks): (Vec<PathBuf>, Vec<PathBuf>) =
        app::yaml_files(paths)?.into_iter().partition(|path| app::is_test(path));
    let mut tests: Vec<PathBuf> =
        tests.into_iter().chain(playbooks.iter().filter_map(|path| test_of(path))).collect();
    for list in [&mut playbooks, &mut tests] {
        list.sort();
        list.dedup();
    }
    if playbooks.is_empty() && tests.is_empty() {
        bail!("there is no playbook in {}", shown(paths));
    }
    let drafts = drafts(&playbooks);
    know_each_other(&mut catalog, &playbooks, &drafts);
    let mut names: BTreeMap<String, String> = BTreeMap::new();
    let mut workflows: BTreeMap<PathBuf, Option<Workflow>> = BTreeMap::new();
    let mut files = Vec::new();
    let mut twin_of = |path, draft: &Result<Draft, Diagnostics>| {
        let (name, at) = draft.as_ref().ok()?.name()?;
        twin(&mut names, name, at, path)
    };
    let twins: Vec<_> = playbooks.iter().zip(&drafts).map(|(path, draft)| twin_of(path, draft)).collect();
    let loaded = in_parallel(drafts, |draft| match draft {
        Ok(draft) => draft.load(&catalog),
        Err(findings) => (None, findings),
    });
    for ((path, twin), (workflow, mut findings)) in playbooks.iter().zip(twins).zip(loaded) {
        twin.into_iter().for_each(|finding| findings.push(finding));
        workflows.insert(path.clone(), workflow);
        files.push(findings);
    }
    for path in &tests {
        files.extend(check_test(path, &workflows, &catalog)?);
    }
    Ok(Checked { files, playbooks: playbooks.len(), tests: tests.len() })
}

/// What can be read of each file; one that cannot be read keeps no other from being checked.
fn drafts(paths: &[PathBuf]) -> Vec<Result<Draft, Diagnostics>> {
    in_parallel(paths.iter().collect(), |path| {
        let file = path.display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => Draft::parse(&file, &text),
            Err(error) => {
                let mut findings = Diagnostics::new(file, "");
                findings.push(Diagnostic::new(Rule::UNREADABLE, 0..0, format!("it cannot be read: {error}")));
                Err(findings)
            }
        }
    })
}

/// Playbooks that call others are checked against those, also where only one of them was named.
fn know_each_other(catalog: &mut Catalog, paths: &[PathBuf], drafts: &[Result<Draft, Diagnostics>]) {
    let mut callers: Vec<&Path> = Vec::new();
    for (path, draft) in paths.iter().zip(drafts) {
        let Some(signature) = draft.as_ref().ok().and_then(Draft::signature) else { continue };
        if !signature.calls.is_empty() {
            callers.push(path);
        }
        catalog.add_workflow(signature);
    }
    app::add_playbooks_beside(callers, catalog);
}

/// A finding where another file has a workflow of this name.
fn twin(
    names: &mut BTreeMap<String, String>,
    name: &str,
    at: std::ops::Range<usize>,
    path: &Path,
) -> Option<Diagnostic> {
    let Some(first) = names.get(name) else {
        names.insert(name.to_owned(), path.display().to_string());
        return None;
    };
    let message = format!("there is a workflow `{name}` already, in {first}");
    Some(Diagnostic::new(Rule::DUPLICATE_WORKFLOW, at, message).help("give one of the two another name"))
}

/// The findings about a test; none where its playbook has errors, which are shown there.
fn check_test(
    path: &Path,
    workflows: &BTreeMap<PathBuf, Option<Workflow>>,
    catalog: &Catalog,
) -> anyhow::Result<Option<Diagnostics>> {
    let playbook = playbook_of(path);
    let (name, text) = (path.display().to_string(), read(path)?);
    if !playbook.exists() {
        let mut findings = Diagnostics::new(name, text);
        let message = format!("there is no playbook {} that these tests are about", playbook.display());
        let finding = Diagnostic::new(Rule::ORPHAN_TEST, 0..0, message);
        findings.push(finding.help("the tests of NAME.yaml are NAME.test.yaml beside it"));
        return Ok(Some(findings));
    }
    let own;
    let workflow = match workflows.get(&playbook) {
        Some(workflow) => workflow.as_ref(),
        None => {
            own = workflow::load(&playbook.display().to_string(), &read(&playbook)?, catalog).0;
            own.as_ref()
        }
    };
    Ok(workflow
        .map(|workflow| engine::rehearsal::check(workflow, &name, &text, &|alert| read_alert(path, alert))))
}

/// The alert under a path that begins at the folder of the test.
pub(crate) fn read_alert(test: &Path, path: &str) -> Result<Value, String> {
    let folder = test.parent().unwrap_or(Path::new("."));
    let text =
        std::fs::read_to_string(folder.join(path)).map_err(|error| format!("cannot read {path}: {error}"))?;
    serde_json::from_str(&text).map_err(|error| format!("{path} is not JSON: {error}"))
}

fn read(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

fn playbook_of(test: &Path) -> PathBuf {
    PathBuf::from(test.to_string_lossy().replace(".test.yaml", ".yaml"))
}

/// The catalogue to check against: the configuration's where there is one, else the one of the program.
pub(crate) fn catalog_and_paths(
    config: &Path,
    paths: Vec<PathBuf>,
) -> anyhow::Result<(Catalog, Vec<PathBuf>)> {
    if config.exists() {
        let folders = Folders::read(config)?;
        let paths = if paths.is_empty() { folders.workflows } else { paths };
        return Ok((app::read_nodes(&folders.nodes)?.0, paths));
    }
    let paths = if paths.is_empty() { vec![PathBuf::from("workflows")] } else { paths };
    Ok((app::read_nodes(&[])?.0, paths))
}

pub(crate) fn shown(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}
