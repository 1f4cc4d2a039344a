//! `portcullis test`: the tests of playbooks, and what they show of them.

mod junit;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, bail};
use engine::Command;
use engine::rehearsal::{Coverage, Reach, Report};
use model::Outcome;
use workflow::{Catalog, Diagnostics};

use crate::cli::TestOptions;
use crate::rehearse::junit::{Case, Suite};
use crate::{app, check, show};

/// Runs the tests of playbooks; gives whether all of them passed, and showed enough.
pub(crate) fn rehearse(config: &Path, options: &TestOptions) -> anyhow::Result<bool> {
    let (mut catalog, paths) = check::catalog_and_paths(config, options.paths.clone())?;
    let mut files: Vec<PathBuf> = app::yaml_files(&paths)?.iter().filter_map(|path| test_of(path)).collect();
    files.sort();
    files.dedup();
    if files.is_empty() {
        let folders = check::shown(&paths);
        bail!("there is no test in {folders}: a test of NAME.yaml is NAME.test.yaml beside it");
    }
    app::add_playbooks_beside(files.iter().map(PathBuf::as_path), &mut catalog);
    let mut played = Vec::new();
    for file in &files {
        played.push(play_file(file, &catalog)?);
    }
    if let Some(path) = &options.junit {
        let suites: Vec<Suite> = played.iter().map(|played| played.suite.clone()).collect();
        std::fs::write(path, junit::write(&suites))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    let coverage: Vec<&(String, Coverage)> =
        played.iter().filter_map(|played| played.coverage.as_ref()).collect();
    if options.coverage {
        coverage.iter().for_each(|(name, coverage)| show::say(format_args!("\n{}", table(name, coverage))));
    }
    let cases = || played.iter().flat_map(|played| &played.suite.cases);
    let failed = cases().filter(|case| !case.is_passed()).count();
    show::say(format_args!("{} passed, {failed} failed", cases().count() - failed));
    let is_enough = say_coverage(&coverage, options);
    Ok(failed == 0 && is_enough)
}

/// What became of the tests of a file.
struct Played {
    suite: Suite,
    /// Of which playbook; none where one of the two files has errors.
    coverage: Option<(String, Coverage)>,
}

fn play_file(file: &Path, catalog: &Catalog) -> anyhow::Result<Played> {
    let name = file.to_string_lossy();
    let playbook = PathBuf::from(name.replace(".test.yaml", ".yaml"));
    let read = |path: &Path| {
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
    };
    let mut suite = Suite { file: name.to_string(), cases: Vec::new() };
    let (workflow, findings) = workflow::load(&playbook.display().to_string(), &read(&playbook)?, catalog);
    let Some(workflow) = workflow else {
        suite.cases.push(unreadable("the playbook can be used", &findings));
        return Ok(Played { suite, coverage: None });
    };
    let workflow = Arc::new(workflow);
    let alert = |path: &str| check::read_alert(file, path);
    let text = read(file)?;
    let (mut reports, findings) = engine::rehearsal::rehearse(&workflow, &name, &text, &alert, &compute);
    if findings.has_errors() {
        suite.cases.push(unreadable("the tests can be used", &findings));
        return Ok(Played { suite, coverage: None });
    }
    let mut coverage = Coverage::none(&workflow);
    loop {
        let started_at = Instant::now();
        let Some(report) = reports.next() else { break };
        coverage.add(&report.coverage);
        say_report(&name, &report);
        suite.cases.push(Case::new(&workflow.name, report, started_at.elapsed()));
    }
    Ok(Played { suite, coverage: Some((workflow.name.clone(), coverage)) })
}

/// Nodes that compute need no mock: they are performed.
fn compute(command: &Command) -> Option<Outcome> {
    nodes::perform_pure(&command.node, &command.inputs, command.timeout)
}

fn unreadable(what: &'static str, findings: &Diagnostics) -> Case {
    show::say(format_args!("{}\n", findings.render(show::is_colourful())));
    Case::unreadable(what, findings)
}

fn say_report(file: &str, report: &Report) {
    let name = show::line(&report.name);
    match &report.failure {
        None => show::say(format_args!("ok      {file}: {name}")),
        Some(failure) => {
            let (line, text) = (report.line, failure.render(show::is_colourful()));
            show::say(format_args!("FAILED  {file}:{line}: {name}\n{text}\n"));
        }
    }
}

/// How far the tests of a playbook came at each step, and the branches that they leave out.
fn table(name: &str, coverage: &Coverage) -> String {
    let rows = coverage.parts.iter().map(|part| {
        let reach = match part.reach {
            None => "",
            Some(Reach::Performed) => "performed",
            Some(Reach::NotPerformed) => "not performed",
            Some(Reach::Never) => "never reached",
        };
        vec![part.name.clone(), reach.to_owned(), part.missing().join(", ")]
    });
    let rows: Vec<Vec<String>> = rows.collect();
    format!("{name}: {}\n{}", figures(&[coverage]), show::table(&["step", "how far", "no test shows"], &rows))
}

fn figures(coverage: &[&Coverage]) -> String {
    let steps = sum(coverage.iter().map(|coverage| coverage.steps()));
    let branches = sum(coverage.iter().map(|coverage| coverage.branches()));
    format!("{} of {} steps, {} of {} branches", steps.0, steps.1, branches.0, branches.1)
}

fn sum(pairs: impl Iterator<Item = (usize, usize)>) -> (usize, usize) {
    pairs.fold((0, 0), |sum, pair| (sum.0 + pair.0, sum.1 + pair.1))
}

/// Says what all tests together show; gives whether it is enough.
fn say_coverage(coverage: &[&(String, Coverage)], options: &TestOptions) -> bool {
    let coverage: Vec<&Coverage> = coverage.iter().map(|(_, coverage)| coverage).collect();
    let both = coverage.iter().flat_map(|coverage| [coverage.steps(), coverage.branches()]);
    let (shown, all) = sum(both);
    let hint = if shown < all && !options.coverage { " (--coverage names the others)" } else { "" };
    show::say(format_args!("coverage: {}{hint}", figures(&coverage)));
    let least = usize::from(options.coverage_min.unwrap_or(0));
    let is_enough = shown * 100 >= least * all;
    if !is_enough {
        show::say(format_args!("that is {} %, less than {least} %", shown * 100 / all.max(1)));
    }
    is_enough
}

pub(crate) fn test_of(path: &Path) -> Option<PathBuf> {
    if app::is_test(path) {
        return Some(path.to_owned());
    }
    let test = path.with_extension("test.yaml");
    test.exists().then_some(test)
}
