//! A picture as a Mermaid flowchart, for Markdown.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::palette::{INK, colours};
use super::picture::{Flow, Kind, Picture, Shape};

pub(super) fn write(picture: &Picture) -> String {
    let mut text = "flowchart TB\n".to_owned();
    let mut members: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (index, part) in picture.parts.iter().enumerate() {
        let indent = if part.heading.is_some() { "    " } else { "  " };
        if let Some(heading) = part.heading {
            let _ = writeln!(text, "  subgraph part_{index} [\"{}\"]", escape(heading));
        }
        for shape in &part.shapes {
            let (open, close) = form(shape.kind);
            let _ = writeln!(text, "{indent}{}{open}\"{}\"{close}", shape.key, label(shape));
            members.entry(class(shape.kind)).or_default().push(&shape.key);
            if shape.is_conditional {
                members.entry("conditional").or_default().push(&shape.key);
            }
        }
        for edge in &part.edges {
            let arrow = match edge.flow {
                Flow::Done => "-->",
                Flow::Ended => "-.->",
                Flow::Agreed => "==>",
            };
            if let (Some(from), Some(to)) = (part.shapes.get(edge.from), part.shapes.get(edge.to)) {
                let _ = writeln!(text, "{indent}{} {arrow} {}", from.key, to.key);
            }
        }
        if part.heading.is_some() {
            text.push_str("  end\n");
        }
    }
    for (class, keys) in &members {
        let _ = writeln!(text, "  class {} {class}", keys.join(","));
    }
    for kind in KINDS.iter().filter(|kind| members.contains_key(class(**kind))) {
        let (fill, border) = colours(*kind);
        let width = if *kind == Kind::Disrupt { 4 } else { 1 };
        let _ = writeln!(
            text,
            "  classDef {} fill:{fill},stroke:{border},color:{INK},stroke-width:{width}px",
            class(*kind)
        );
    }
    if members.contains_key("conditional") {
        text.push_str("  classDef conditional stroke-dasharray:6 4\n");
    }
    text
}

const KINDS: [Kind; 9] = [
    Kind::Trigger,
    Kind::Junction,
    Kind::Gate,
    Kind::Compute,
    Kind::Wait,
    Kind::Read,
    Kind::Write,
    Kind::Disrupt,
    Kind::Call,
];

fn form(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::Trigger => ("([", "])"),
        Kind::Junction => ("((", "))"),
        Kind::Gate | Kind::Question => ("{{", "}}"),
        Kind::Compute => ("[/", "/]"),
        Kind::Wait => ("[/", "\\]"),
        Kind::Read => ("(", ")"),
        Kind::Write => ("[", "]"),
        Kind::Disrupt => ("[\\", "/]"),
        Kind::Call => ("[[", "]]"),
    }
}

fn class(kind: Kind) -> &'static str {
    match kind {
        Kind::Trigger => "trigger",
        Kind::Junction => "junction",
        Kind::Gate | Kind::Question => "gate",
        Kind::Compute => "compute",
        Kind::Wait => "wait",
        Kind::Read => "read",
        Kind::Write => "write",
        Kind::Disrupt => "disrupt",
        Kind::Call => "call",
    }
}

fn label(shape: &Shape) -> String {
    let lines = shape.lines.iter().map(|line| line.text.as_str());
    let lines = std::iter::once(shape.heading.as_str()).chain(lines).filter(|line| !line.is_empty());
    let label = lines.map(escape).collect::<Vec<_>>().join("<br/>");
    if label.is_empty() { " ".to_owned() } else { label }
}

/// Mermaid reads entities, HTML, Markdown and directives in labels, so all that is no plain word is written as a code.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            c if c.is_alphanumeric() => escaped.push(c),
            ' ' | '.' | ',' | ':' | '/' | '_' | '-' | '?' | '\'' | '·' | '…' => escaped.push(c),
            c => {
                let _ = write!(escaped, "#{};", u32::from(c));
            }
        }
    }
    escaped
}
