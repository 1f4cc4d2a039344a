//! What the signs of a picture mean that no word in it explains; only those that occur.

use std::fmt::Write as _;

use super::super::palette::{LINE, colours};
use super::super::picture::{Flow, Kind, Picture, Shape};
use super::super::text::{Face, width as text_width};
use super::shapes::outline;
use super::{number, stroke};

const ROW: f64 = 20.0;
const SIGN: f64 = 30.0;
const SIZE: f64 = 11.0;

#[derive(Debug, Clone, Copy)]
pub(super) enum Entry {
    Conditional,
    Repeated,
    Ended,
    Agreed,
}

impl Entry {
    fn text(self) -> &'static str {
        match self {
            Entry::Conditional => "only if its condition holds",
            Entry::Repeated => "for each item of a list",
            Entry::Ended => "goes on also when the step before it failed or was refused",
            Entry::Agreed => "goes on only when people agree",
        }
    }
}

pub(super) fn entries(picture: &Picture) -> Vec<Entry> {
    let has_shape = |is: fn(&Shape) -> bool| picture.parts.iter().any(|part| part.shapes.iter().any(is));
    let has_flow = |flow| picture.parts.iter().any(|part| part.edges.iter().any(|edge| edge.flow == flow));
    let all = [
        (Entry::Conditional, has_shape(|shape| shape.is_conditional)),
        (Entry::Repeated, has_shape(|shape| shape.is_repeated)),
        (Entry::Ended, has_flow(Flow::Ended)),
        (Entry::Agreed, has_flow(Flow::Agreed)),
    ];
    all.into_iter().filter(|(_, occurs)| *occurs).map(|(entry, _)| entry).collect()
}

pub(super) fn width(entries: &[Entry]) -> f64 {
    let widths = entries.iter().map(|entry| SIGN + 10.0 + text_width(entry.text(), Face::Plain, SIZE));
    widths.fold(0.0, f64::max)
}

/// Writes the legend at a place, and gives its height.
pub(super) fn write(body: &mut String, entries: &[Entry], (x, top): (f64, f64)) -> f64 {
    for (index, entry) in entries.iter().enumerate() {
        let y = top + ROW * index as f64;
        let (fill, border) = colours(Kind::Compute);
        let mut block = |shift: f64, fill: &str, dashes: &str| {
            let path = outline(Kind::Write, x + shift, y + shift, SIGN - 8.0, 10.0);
            let _ = writeln!(
                body,
                "<path d=\"{path}\" fill=\"{fill}\" stroke=\"{border}\" stroke-width=\"1.5\"{dashes}/>"
            );
        };
        match entry {
            Entry::Conditional => block(0.0, "none", " stroke-dasharray=\"6 4\""),
            Entry::Repeated => [4.0, 2.0, 0.0].into_iter().for_each(|shift| block(shift, fill, "")),
            Entry::Ended | Entry::Agreed => {
                let flow = if matches!(entry, Entry::Ended) { Flow::Ended } else { Flow::Agreed };
                let line = format!("M{} {}h{}", number(x), number(y + 6.0), number(SIGN - 7.0));
                let _ = writeln!(body, "<path d=\"{line}\" {}/>", stroke(flow));
            }
        }
        let _ = writeln!(
            body,
            "<text x=\"{}\" y=\"{}\" font-size=\"{SIZE}\" fill=\"{LINE}\">{}</text>",
            number(x + SIGN + 4.0),
            number(y + 10.0),
            entry.text()
        );
    }
    ROW * entries.len() as f64
}
