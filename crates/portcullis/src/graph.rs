//! `portcullis graph`: a picture of a playbook.

use std::path::Path;

use anyhow::Context as _;
use workflow::Format;

use crate::app;
use crate::catalogue;
use crate::cli::Drawing;
use crate::show;

/// Draws a playbook; gives whether it has no error.
pub(crate) fn graph(config: &Path, file: &Path, drawing: Drawing) -> anyhow::Result<bool> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let mut catalog = catalogue::catalog(config)?;
    app::add_playbooks_beside([file], &mut catalog);
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
