//! The outline of each kind, and the words in it.

use std::fmt::Write as _;

use super::super::palette::{FAINT, INK, colours};
use super::super::picture::{Kind, Shape};
use super::super::text::{Face, width, wrap};
use super::{escape, number};

/// How wide words may run.
const ROOM: f64 = 240.0;
const PADDING: f64 = 9.0;
const INSET: f64 = 3.0;
const MONO: &str = "ui-monospace, SFMono-Regular, Menlo, Consolas, monospace";

/// A shape with its words on lines, and the room that it takes.
#[derive(Debug)]
pub(super) struct Sized {
    kind: Kind,
    is_conditional: bool,
    is_repeated: bool,
    rows: Vec<Row>,
    pub(super) width: f64,
    pub(super) height: f64,
}

#[derive(Debug)]
struct Row {
    text: String,
    face: Face,
    size: f64,
}

impl Row {
    fn height(&self) -> f64 {
        self.size + 4.0
    }
}

impl Sized {
    pub(super) fn new(shape: &Shape) -> Sized {
        let mut rows = rows(&shape.heading, Face::Bold, 13.0);
        for line in &shape.lines {
            let (face, size) = if line.is_code { (Face::Code, 11.0) } else { (Face::Plain, 12.0) };
            rows.extend(self::rows(&line.text, face, size));
        }
        let inner = rows.iter().map(|row| width(&row.text, row.face, row.size)).fold(60.0, f64::max);
        let height = rows.iter().map(Row::height).sum::<f64>() + 2.0 * PADDING;
        let (width, height) = match shape.kind {
            Kind::Junction => (12.0, 12.0),
            kind => (inner + 2.0 * (PADDING + slant(kind)), height),
        };
        let Shape { kind, is_conditional, is_repeated, .. } = *shape;
        Sized { kind, is_conditional, is_repeated, rows, width, height }
    }

    /// Writes the shape, with the middle of its upper side at a place.
    pub(super) fn write(&self, body: &mut String, (centre, top): (f64, f64)) {
        let (fill, border) = colours(self.kind);
        let thickness = if self.kind == Kind::Disrupt { 3.0 } else { 1.5 };
        let stroke = format!("stroke=\"{border}\" stroke-width=\"{thickness}\"");
        let copies: &[f64] = if self.is_repeated { &[8.0, 4.0, 0.0] } else { &[0.0] };
        for shift in copies {
            let (x, y) = (centre - self.width / 2.0 + shift, top + shift);
            let path = outline(self.kind, x, y, self.width, self.height);
            if self.is_conditional {
                // Inside the fill, where the dashes can be told from any page.
                let inner = outline(
                    self.kind,
                    x + INSET,
                    y + INSET,
                    self.width - 2.0 * INSET,
                    self.height - 2.0 * INSET,
                );
                let dashes = "stroke-dasharray=\"6 4\"";
                let _ = writeln!(
                    body,
                    "<path d=\"{path}\" fill=\"{fill}\"/>\n<path d=\"{inner}\" fill=\"none\" {stroke} {dashes}/>"
                );
            } else {
                let _ = writeln!(body, "<path d=\"{path}\" fill=\"{fill}\" {stroke}/>");
            }
        }
        let mut baseline = top + PADDING;
        for row in &self.rows {
            baseline += row.height();
            let face = match row.face {
                Face::Bold => format!("font-weight=\"bold\" fill=\"{INK}\""),
                Face::Plain => format!("fill=\"{INK}\""),
                Face::Code => format!("font-family=\"{MONO}\" fill=\"{FAINT}\""),
            };
            let _ = writeln!(
                body,
                "<text x=\"{}\" y=\"{}\" font-size=\"{}\" text-anchor=\"middle\" {face}>{}</text>",
                number(centre),
                number(baseline - 4.0),
                row.size,
                escape(&row.text)
            );
        }
    }
}

fn rows(text: &str, face: Face, size: f64) -> Vec<Row> {
    wrap(text, face, size, ROOM, 2).into_iter().map(|text| Row { text, face, size }).collect()
}

/// The room that a form needs on each side, beside that of its words.
fn slant(kind: Kind) -> f64 {
    match kind {
        Kind::Read | Kind::Write | Kind::Junction => 2.0,
        Kind::Disrupt | Kind::Call => 8.0,
        Kind::Trigger | Kind::Gate | Kind::Question | Kind::Compute | Kind::Wait => 14.0,
    }
}

/// The outline of a kind in a box.
pub(super) fn outline(kind: Kind, x: f64, y: f64, width: f64, height: f64) -> String {
    let (right, bottom, slant) = (x + width, y + height, slant(kind).min(width / 4.0));
    let polygon = |points: &[(f64, f64)]| {
        let points: Vec<String> =
            points.iter().map(|(x, y)| format!("{} {}", number(*x), number(*y))).collect();
        format!("M{}Z", points.join("L"))
    };
    let middle = y + height / 2.0;
    let corner = slant.min(height / 3.0);
    match kind {
        Kind::Write => polygon(&[(x, y), (right, y), (right, bottom), (x, bottom)]),
        Kind::Read => rounded(x, y, width, height, 10.0_f64.min(height / 3.0)),
        Kind::Trigger => rounded(x, y, width, height, (height / 2.0).min(20.0)),
        Kind::Junction => rounded(x, y, width, height, height / 2.0),
        Kind::Gate | Kind::Question => polygon(&[
            (x + corner, y),
            (right - corner, y),
            (right, middle),
            (right - corner, bottom),
            (x + corner, bottom),
            (x, middle),
        ]),
        Kind::Compute => polygon(&[(x + corner, y), (right, y), (right - corner, bottom), (x, bottom)]),
        Kind::Wait => polygon(&[(x + corner, y), (right - corner, y), (right, bottom), (x, bottom)]),
        Kind::Disrupt => polygon(&[
            (x + corner, y),
            (right - corner, y),
            (right, y + corner),
            (right, bottom - corner),
            (right - corner, bottom),
            (x + corner, bottom),
            (x, bottom - corner),
            (x, y + corner),
        ]),
        Kind::Call => {
            let bar = slant.min(6.0);
            let bars =
                [x + bar, right - bar].map(|x| format!("M{} {}V{}", number(x), number(y), number(bottom)));
            polygon(&[(x, y), (right, y), (right, bottom), (x, bottom)]) + &bars.concat()
        }
    }
}

fn rounded(x: f64, y: f64, width: f64, height: f64, radius: f64) -> String {
    let (across, down) = (number(width - 2.0 * radius), number(height - 2.0 * radius));
    let r = number(radius);
    let arc = |dx: &str, dy: &str| format!("a{r} {r} 0 0 1 {dx} {dy}");
    let minus = format!("-{r}");
    format!(
        "M{} {}h{across}{}v{down}{}h-{across}{}v-{down}{}Z",
        number(x + radius),
        number(y),
        arc(&r, &r),
        arc(&minus, &r),
        arc(&minus, &minus),
        arc(&r, &minus)
    )
}
