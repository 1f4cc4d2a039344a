//! A picture as SVG. It stands for itself: no scripts, no style sheets, nothing from elsewhere.

mod legend;
mod shapes;

use std::fmt::Write as _;

use super::layout::{Layout, Line, Wire, layout};
use super::palette::LINE;
use super::picture::{Flow, Part, Picture};
use super::text::{Face, width};
use shapes::Sized;

const MARGIN: f64 = 16.0;
const PART_GAP: f64 = 30.0;
/// The room of a frame around a part with a heading: its sides, and above, where the heading stands.
const FRAME: f64 = 16.0;
const FRAME_TOP: f64 = 34.0;
const HEADING_SIZE: f64 = 12.0;

pub(super) fn write(picture: &Picture) -> String {
    let parts: Vec<(&Part, Vec<Sized>, Layout<Flow>)> = picture.parts.iter().map(laid_out).collect();
    let legend = legend::entries(picture);
    let widths = parts.iter().map(|(part, _, layout)| outer_width(part, layout));
    let inner = widths.chain([legend::width(&legend)]).fold(0.0, f64::max);
    let mut body = String::new();
    let mut top = MARGIN;
    for (part, shapes, layout) in &parts {
        let left = MARGIN + (inner - outer_width(part, layout)) / 2.0;
        top += write_part(&mut body, part, shapes, layout, (left, top)) + PART_GAP;
    }
    if legend.is_empty() {
        top -= PART_GAP;
    } else {
        top += legend::write(&mut body, &legend, (MARGIN, top));
    }
    let (width, height) = (number(inner + 2.0 * MARGIN), number(top + MARGIN));
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" role=\"img\" font-family=\"{SANS}\">\n<title>{}</title>\n{body}</svg>\n",
        escape(&picture.name)
    )
}

const SANS: &str = "-apple-system, 'Segoe UI', 'Noto Sans', Helvetica, Arial, sans-serif";

fn laid_out(part: &Part) -> (&Part, Vec<Sized>, Layout<Flow>) {
    let shapes: Vec<Sized> = part.shapes.iter().map(Sized::new).collect();
    let sizes: Vec<(f64, f64)> = shapes.iter().map(|shape| (shape.width, shape.height)).collect();
    let line = |edge: &super::picture::Edge| Line { from: edge.from, to: edge.to, style: edge.flow };
    let lines: Vec<Line<Flow>> = part.edges.iter().map(line).collect();
    (part, shapes, layout(&sizes, &lines))
}

fn outer_width(part: &Part, layout: &Layout<Flow>) -> f64 {
    match part.heading {
        None => layout.width,
        Some(heading) => {
            (layout.width + 2.0 * FRAME).max(width(heading, Face::Bold, HEADING_SIZE) + 2.0 * FRAME)
        }
    }
}

/// Writes a part at a place, and gives its height.
fn write_part(
    body: &mut String,
    part: &Part,
    shapes: &[Sized],
    layout: &Layout<Flow>,
    (left, top): (f64, f64),
) -> f64 {
    let outer = outer_width(part, layout);
    let (mut x, mut y, mut height) = (left, top, layout.height);
    if let Some(heading) = part.heading {
        x += (outer - layout.width) / 2.0;
        y += FRAME_TOP;
        height += FRAME_TOP + FRAME;
        let _ = writeln!(
            body,
            "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"8\" fill=\"none\" stroke=\"{LINE}\" stroke-dasharray=\"2 4\"/>\n\
             <text x=\"{}\" y=\"{}\" font-size=\"{HEADING_SIZE}\" font-weight=\"bold\" fill=\"{LINE}\">{}</text>",
            number(left),
            number(top),
            number(outer),
            number(height),
            number(left + FRAME),
            number(top + 21.0),
            escape(heading)
        );
    }
    for wire in &layout.wires {
        write_wire(body, wire, (x, y));
    }
    for (shape, (centre, above)) in shapes.iter().zip(&layout.tops) {
        shape.write(body, (x + centre, y + above));
    }
    height
}

/// How far before a box a line ends: the head of its arrow stands there.
const HEAD: f64 = 8.0;

fn write_wire(body: &mut String, wire: &Wire<Flow>, (x, y): (f64, f64)) {
    let (x0, x1) = (x + wire.from.0, x + wire.to.0);
    let (start, end) = (y + wire.from.1, y + wire.to.1);
    let (upper, lower) = (y + wire.band.0, y + wire.band.1);
    let tip = if wire.has_head { end - HEAD } else { end };
    // The curve ends where the head begins, so that the head stands upright.
    let lower = lower.min(tip);
    let middle = (upper + lower) / 2.0;
    let mut path = format!("M{} {}", number(x0), number(start));
    if (x0 - x1).abs() < 0.5 {
        let _ = write!(path, "V{}", number(tip));
    } else {
        let _ = write!(
            path,
            "V{}C{} {m} {} {m} {} {}V{}",
            number(upper),
            number(x0),
            number(x1),
            number(x1),
            number(lower),
            number(tip),
            m = number(middle)
        );
    }
    let _ = writeln!(body, "<path d=\"{path}\" {}/>", stroke(wire.style));
    if wire.has_head {
        let half = if wire.style == Flow::Agreed { 6.5 } else { 4.5 };
        let _ = writeln!(
            body,
            "<path d=\"M{} {}h{}L{} {}z\" fill=\"{LINE}\"/>",
            number(x1 - half),
            number(tip),
            number(half * 2.0),
            number(x1),
            number(end)
        );
    }
}

fn stroke(flow: Flow) -> String {
    let form = match flow {
        Flow::Done => "stroke-width=\"1.5\"",
        Flow::Ended => "stroke-width=\"2.2\" stroke-dasharray=\"0.1 5\" stroke-linecap=\"round\"",
        Flow::Agreed => "stroke-width=\"4\"",
    };
    format!("fill=\"none\" stroke=\"{LINE}\" {form}")
}

/// A number with at most one digit behind the point.
fn number(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

fn escape(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.replace('"', "&quot;").replace('\'', "&#39;")
}
