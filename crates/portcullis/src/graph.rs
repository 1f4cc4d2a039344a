//! `portcullis graph`: a picture of a playbook.

use std::path::Path;

use anyhow::Context as _;
use workflow::{Catalog, Draft, Format};

use crate::app;
use crate::catalogue;
use crate::cli::Drawing;
use crate::show;

/// Draws a playbook; gives whether it has no error.
pub(crate) fn graph(config: &Path, file: &Path, drawing: Drawing) -> anyhow::Result<bool> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let mut catalog = catalogue::catalog(config)?;
    add_callable(&mut catalog, file);
    let (workflow, findings) = workflow::load(&file.display().to_string(), &text, &catalog);
    let Some(workflow) = workflow else {
        show::say(format_args!("{}", findings.render(show::is_colourful())));
        return Ok(false);
    };
    let format = match drawing {
        Drawing::Svg => Format::Svg,
        Drawing::Mermaid => Format::Mermaid,
        Drawing::Dot => Format::Dot,
    };
    show::put(workflow::draw(&workflow, format));
    Ok(true)
}

/// Makes the playbooks beside a file known, which it may call. What cannot be read is called by nobody.
fn add_callable(catalog: &mut Catalog, file: &Path) {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    for path in app::playbooks(&[folder.to_owned()]).unwrap_or_default() {
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        let draft = Draft::parse(&path.display().to_string(), &text);
        if let Some(signature) = draft.ok().and_then(|draft| draft.signature()) {
            catalog.add_workflow(signature);
        }
    }
}
