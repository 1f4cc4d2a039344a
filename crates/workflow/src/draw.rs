//! Pictures of a playbook: what follows what, who is asked, and what disrupts.
//!
//! One [`Picture`] says what there is to see, and each format only writes it down, so that they cannot disagree. Colours
//! never stand alone: every kind has its shape and its word too. Names and texts come from the file and may be hostile:
//! they are made harmless and short here, and each format escapes them.

mod dot;
mod layout;
mod mermaid;
mod palette;
mod picture;
mod svg;
mod text;

use crate::workflow::Workflow;
use picture::Picture;

/// How a picture is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A drawing that stands for itself and looks right on light and dark pages.
    Svg,
    /// A flowchart for Markdown.
    Mermaid,
    /// The language of Graphviz.
    Dot,
}

/// Draws a playbook.
pub fn draw(workflow: &Workflow, format: Format) -> String {
    let picture = Picture::of(workflow);
    match format {
        Format::Svg => svg::write(&picture),
        Format::Mermaid => mermaid::write(&picture),
        Format::Dot => dot::write(&picture),
    }
}

#[cfg(test)]
mod tests;
