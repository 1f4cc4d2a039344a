//! `portcullis new`: a playbook to begin with, and its tests.

mod template;

use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use workflow::Catalog;

use crate::cli::NewOptions;
use crate::new::template::Source;
use crate::{app, check, show};

pub(crate) use template::Template;

/// Where editors look for the schema of playbooks, beside the folder of the playbook.
const SCHEMA: &str = "playbook.schema.json";

/// A file that is to be written.
struct Draft {
    path: PathBuf,
    text: String,
    what: &'static str,
}

/// Writes a playbook and what it needs. Nothing that is there is overwritten.
pub(crate) fn new(config: &Path, options: &NewOptions) -> anyhow::Result<()> {
    let (mut catalog, folders) = check::catalog_and_paths(config, options.dir.iter().cloned().collect())?;
    let folder = folders.first().context("the configuration names no folder of playbooks: say `--dir`")?;
    let name = options.name.as_str();
    let [playbook, tests] = files(folder, name);
    if let Some(taken) = [&playbook, &tests].into_iter().find(|path| path.exists()) {
        bail!("{} is there already, and is left as it is: choose another name", taken.display());
    }
    fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    app::add_playbooks_beside([playbook.as_path()], &mut catalog);
    let source = template::source(options.template);
    if catalog.workflows().contains_key(name) || source.calls().any(|called| called.name == name) {
        bail!("there is a playbook `{name}` already: choose another name");
    }
    for draft in drafts(source, name, folder, &catalog) {
        let is_new = write(&draft)?;
        let note = if is_new { draft.what } else { "was there, and is left as it is" };
        show::say(format_args!("{:<44}  {note}", draft.path.display()));
    }
    show::say(format_args!("\n{}", next_steps(folder, &tests)));
    Ok(())
}

/// A playbook and its tests.
fn files(folder: &Path, name: &str) -> [PathBuf; 2] {
    ["yaml", "test.yaml"].map(|end| folder.join(format!("{name}.{end}")))
}

fn drafts(source: &Source, name: &str, folder: &Path, known: &Catalog) -> Vec<Draft> {
    let mut drafts = Vec::new();
    let mut add = |path: PathBuf, text: String, what| drafts.push(Draft { path, text, what });
    let [playbook, tests] = files(folder, name);
    let text = format!("# yaml-language-server: $schema=../{SCHEMA}\n{}", source.playbook(name));
    add(playbook, text, "the playbook, in shadow: it disrupts nothing");
    let text = source.tests(name, &tests.display().to_string());
    add(tests, text, "its tests");
    for called in source.calls().filter(|called| !known.workflows().contains_key(called.name)) {
        let [playbook, tests] = files(folder, called.name);
        add(playbook, called.playbook.to_owned(), "a playbook that it calls");
        add(tests, called.tests.to_owned(), "the tests of that one");
    }
    for (file, text) in source.alerts() {
        add(folder.join("alerts").join(file), (*text).to_owned(), "an alert for the tests");
    }
    drafts
}

/// Writes a file; gives whether it is new.
fn write(draft: &Draft) -> anyhow::Result<bool> {
    let shown = draft.path.display();
    if let Some(folder) = draft.path.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    }
    match File::create_new(&draft.path) {
        Ok(mut file) => {
            file.write_all(draft.text.as_bytes()).with_context(|| format!("cannot write {shown}"))?;
            Ok(true)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error).with_context(|| format!("cannot write {shown}")),
    }
}

fn next_steps(folder: &Path, tests: &Path) -> String {
    let beside = match folder.file_name() {
        Some(_) => folder.with_file_name(SCHEMA),
        None => folder.join("..").join(SCHEMA),
    };
    let schema = match beside.exists() {
        true => String::new(),
        false => format!(
            "\n  portcullis schema > {}    with it an editor completes and explains",
            beside.display()
        ),
    };
    let (folder, tests) = (folder.display(), tests.display());
    format!(
        "Next:{schema}
  portcullis check {folder}
  portcullis test {tests}
  portcullis serve    runs it; a running server takes it over by itself
Set its `vars`. Once its runs in shadow do what you want, write `mode: live`: then it acts."
    )
}
