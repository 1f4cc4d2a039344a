//! A picture in the language of Graphviz.

use std::fmt::Write as _;

use super::palette::{INK, LINE, colours};
use super::picture::{Flow, Kind, Part, Picture, Shape};

pub(super) fn write(picture: &Picture) -> String {
    let mut text = format!("digraph {} {{\n", quoted(&picture.name));
    text.push_str("  bgcolor=transparent; rankdir=TB; nodesep=0.35; ranksep=0.45;\n");
    let _ = writeln!(text, "  node [fontname=\"Helvetica\", fontsize=11, fontcolor={}];", quoted(INK));
    let _ = writeln!(text, "  edge [color={}];", quoted(LINE));
    for (index, part) in picture.parts.iter().enumerate() {
        match part.heading {
            None => write_part(&mut text, part, "  "),
            Some(heading) => {
                let _ = writeln!(text, "  subgraph cluster_{index} {{");
                let _ = writeln!(
                    text,
                    "    label={}; fontname=\"Helvetica\"; fontsize=12; fontcolor={line}; color={line}; style=dotted;",
                    quoted(heading),
                    line = quoted(LINE)
                );
                write_part(&mut text, part, "    ");
                text.push_str("  }\n");
            }
        }
    }
    text.push_str("}\n");
    text
}

fn write_part(text: &mut String, part: &Part, indent: &str) {
    for shape in &part.shapes {
        let _ = writeln!(text, "{indent}{} [{}];", shape.key, attributes(shape));
    }
    for edge in &part.edges {
        let style = match edge.flow {
            Flow::Done => "",
            Flow::Ended => " [style=dotted]",
            Flow::Agreed => " [penwidth=3]",
        };
        if let (Some(from), Some(to)) = (part.shapes.get(edge.from), part.shapes.get(edge.to)) {
            let _ = writeln!(text, "{indent}{} -> {}{style};", from.key, to.key);
        }
    }
}

fn attributes(shape: &Shape) -> String {
    let (fill, border) = colours(shape.kind);
    let mut styles = vec!["filled"];
    if matches!(shape.kind, Kind::Read | Kind::Trigger) {
        styles.push("rounded");
    }
    if shape.is_conditional {
        styles.push("dashed");
    }
    let lines = shape.lines.iter().map(|line| line.text.as_str());
    let label = std::iter::once(shape.heading.as_str()).chain(lines).collect::<Vec<_>>().join("\n");
    let mut attributes = format!(
        "label={}, shape={}, style={}, fillcolor={}, color={}",
        quoted(&label),
        form(shape.kind),
        quoted(&styles.join(",")),
        quoted(fill),
        quoted(border)
    );
    if shape.kind == Kind::Disrupt {
        attributes.push_str(", penwidth=3");
    }
    if shape.is_repeated {
        attributes.push_str(", peripheries=2");
    }
    attributes
}

fn form(kind: Kind) -> &'static str {
    match kind {
        Kind::Trigger | Kind::Read | Kind::Write => "box",
        Kind::Junction => "point",
        Kind::Gate | Kind::Question => "hexagon",
        Kind::Compute => "parallelogram",
        Kind::Wait => "trapezium",
        Kind::Disrupt => "octagon",
        Kind::Call => "component",
    }
}

/// Text in quotes. Graphviz reads entities, and `\N` and its like, so that what begins them is written twice or as one.
fn quoted(text: &str) -> String {
    let escaped = text.replace('&', "&amp;").replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("\"{escaped}\"")
}
