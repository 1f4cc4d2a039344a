//! `portcullis check` and `portcullis test`: playbooks before they are used.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use serde_json::Value;
use workflow::Catalog;

use crate::app;
use crate::settings::Folders;
use crate::show;

/// Checks playbooks; gives whether none has an error.
pub(crate) fn check(config: &Path, paths: Vec<PathBuf>) -> anyhow::Result<bool> {
    let (catalog, paths) = catalog_and_paths(config, paths)?;
    let files = app::playbooks(&paths)?;
    if files.is_empty() {
        bail!("there is no playbook in {}", shown(&paths));
    }
    let (mut errors, mut warnings) = (0, 0);
    for file in &files {
        let text =
            std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        let (_, findings) = workflow::load(&file.display().to_string(), &text, &catalog);
        if !findings.is_empty() {
            show::say(format_args!("{}\n", findings.render(show::is_colourful())));
        }
        let all = findings.findings();
        let found = all.iter().filter(|finding| finding.severity == workflow::Severity::Error).count();
        errors += found;
        warnings += all.len() - found;
    }
    show::say(format_args!("{} playbooks: {errors} errors, {warnings} warnings", files.len()));
    Ok(errors == 0)
}

/// Runs the tests of playbooks; gives whether all of them passed.
pub(crate) fn test(config: &Path, paths: Vec<PathBuf>) -> anyhow::Result<bool> {
    let (catalog, paths) = catalog_and_paths(config, paths)?;
    let tests: Vec<PathBuf> = app::yaml_files(&paths)?.iter().filter_map(|path| test_of(path)).collect();
    let mut unique: Vec<PathBuf> = Vec::new();
    for test in tests {
        if !unique.contains(&test) {
            unique.push(test);
        }
    }
    if unique.is_empty() {
        bail!("there is no test in {}: a test of NAME.yaml is NAME.test.yaml beside it", shown(&paths));
    }
    let (mut passed, mut failed) = (0, 0);
    for file in &unique {
        let (ok, wrong) = test_file(file, &catalog)?;
        passed += ok;
        failed += wrong;
    }
    show::say(format_args!("{passed} passed, {failed} failed"));
    Ok(failed == 0)
}

fn test_file(file: &Path, catalog: &Catalog) -> anyhow::Result<(usize, usize)> {
    let name = file.to_string_lossy();
    let playbook = PathBuf::from(name.replace(".test.yaml", ".yaml"));
    let read = |path: &Path| {
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
    };
    let (workflow, findings) = workflow::load(&playbook.display().to_string(), &read(&playbook)?, catalog);
    let Some(workflow) = workflow else {
        show::say(format_args!("{}\n", findings.render(show::is_colourful())));
        return Ok((0, 1));
    };
    let folder = file.parent().unwrap_or(Path::new(".")).to_owned();
    let alert = |path: &str| -> Result<Value, String> {
        let text = std::fs::read_to_string(folder.join(path))
            .map_err(|error| format!("cannot read {path}: {error}"))?;
        serde_json::from_str(&text).map_err(|error| format!("{path} is not JSON: {error}"))
    };
    let workflow = Arc::new(workflow);
    let (reports, findings) = engine::rehearsal::rehearse(&workflow, &name, &read(file)?, &alert, &|_| None);
    if !findings.is_empty() {
        show::say(format_args!("{}\n", findings.render(show::is_colourful())));
    }
    let (mut passed, mut failed) = (0, usize::from(findings.has_errors()));
    for report in reports {
        match &report.failure {
            None => {
                passed += 1;
                show::say(format_args!("ok      {name}: {}", report.name));
            }
            Some(failure) => {
                failed += 1;
                show::say(format_args!("FAILED  {name}: {}\n{failure}\n", report.name));
            }
        }
    }
    Ok((passed, failed))
}

fn test_of(path: &Path) -> Option<PathBuf> {
    if app::is_test(path) {
        return Some(path.to_owned());
    }
    let test = path.with_extension("test.yaml");
    test.exists().then_some(test)
}

/// The catalogue to check against: the configuration's where there is one, else the one of the program.
fn catalog_and_paths(config: &Path, paths: Vec<PathBuf>) -> anyhow::Result<(Catalog, Vec<PathBuf>)> {
    if config.exists() {
        let folders = Folders::read(config)?;
        let paths = if paths.is_empty() { folders.workflows } else { paths };
        return Ok((app::read_nodes(&folders.nodes)?.0, paths));
    }
    let paths = if paths.is_empty() { vec![PathBuf::from("workflows")] } else { paths };
    Ok((app::read_nodes(&[])?.0, paths))
}

fn shown(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}
