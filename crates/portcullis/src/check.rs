//! `portcullis check`: playbooks before they are used.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
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
