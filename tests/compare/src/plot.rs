//! The plot: for each work a group of bars, runs in a second on a scale of tens, as SVG.

use std::fmt::Write as _;

use crate::results::Results;
use crate::work::Work;

const WORKS: [(Work, &str); 5] = [
    (Work::A, "(a) webhook, one step"),
    (Work::B, "(b) webhook, condition, step"),
    (Work::Pure, "(b) with six pure steps"),
    (Work::Http, "six HTTP steps"),
    (Work::C, "(c) the loop of a SOC"),
];
const COLOURS: [&str; 6] = ["#1f6f5c", "#c2553a", "#e0a08e", "#4a6fa5", "#8a6bb1", "#8a8a8a"];
const WIDTH: f64 = 860.0;
const LEFT: f64 = 190.0;
const RIGHT: f64 = 70.0;
const TOP: f64 = 76.0;
const BAR: f64 = 13.0;
const GAP: f64 = 16.0;

pub(crate) fn draw(results: &Results) -> String {
    let rates: Vec<(&str, Vec<Option<f64>>)> = WORKS
        .into_iter()
        .map(|(work, title)| {
            (title, results.systems.iter().map(|system| system.best(work)).collect::<Vec<_>>())
        })
        .filter(|(_, rates)| rates.iter().any(Option::is_some))
        .collect();
    let all: Vec<f64> = rates.iter().flat_map(|(_, rates)| rates.iter().flatten().copied()).collect();
    let low = all.iter().copied().fold(f64::INFINITY, f64::min).log10().floor();
    let high = all.iter().copied().fold(0.0, f64::max).log10().ceil();
    if !low.is_finite() || !high.is_finite() {
        return svg(60.0, "<text x=\"20\" y=\"34\">Nothing was measured.</text>\n");
    }
    let high = high.max(low + 1.0);
    let at = |rate: f64| LEFT + (rate.log10() - low) / (high - low) * (WIDTH - LEFT - RIGHT);
    let group = results.systems.len() as f64 * BAR + GAP;
    let bottom = TOP + rates.len() as f64 * group;
    let mut body = legend(results);
    for exponent in low as i32..=high as i32 {
        let (x, value) = (at(10f64.powi(exponent)), 10f64.powi(exponent));
        let _ = writeln!(
            body,
            "<line x1=\"{x:.1}\" y1=\"{TOP}\" x2=\"{x:.1}\" y2=\"{bottom:.1}\" stroke=\"#dddddd\"/>"
        );
        let _ = writeln!(
            body,
            "<text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{value}</text>",
            bottom + 16.0
        );
    }
    for (index, (title, rates)) in rates.iter().enumerate() {
        let top = TOP + index as f64 * group + GAP / 2.0;
        let middle = top + (group - GAP) / 2.0 + 4.0;
        let _ = writeln!(
            body,
            "<text x=\"{:.1}\" y=\"{middle:.1}\" text-anchor=\"end\">{title}</text>",
            LEFT - 10.0
        );
        for (place, rate) in rates.iter().enumerate() {
            let Some(rate) = rate else { continue };
            let (y, end) = (top + place as f64 * BAR, at(*rate));
            let width = end - LEFT;
            let colour = COLOURS.get(place).copied().unwrap_or("#000");
            let _ = writeln!(
                body,
                "<rect x=\"{LEFT}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{:.1}\" fill=\"{colour}\"/>",
                BAR - 2.0
            );
            let _ =
                writeln!(body, "<text x=\"{:.1}\" y=\"{:.1}\">{rate:.0}</text>", end + 4.0, y + BAR - 3.0);
        }
    }
    svg(bottom + 30.0, &body)
}

fn legend(results: &Results) -> String {
    let mut text = "<text x=\"20\" y=\"26\" font-size=\"15\">Completed runs in a second, at the best of 1, 16 and 64 at once \
        (each line is ten times the one before)</text>\n"
        .to_owned();
    let mut x = 20.0;
    for (system, colour) in results.systems.iter().zip(COLOURS) {
        let _ = writeln!(text, "<rect x=\"{x:.1}\" y=\"42\" width=\"11\" height=\"11\" fill=\"{colour}\"/>");
        let _ = writeln!(text, "<text x=\"{:.1}\" y=\"52\">{}</text>", x + 16.0, system.name);
        x += 40.0 + 7.5 * system.name.len() as f64;
    }
    text
}

fn svg(height: f64, body: &str) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height:.0}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n{body}</svg>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::tests::results;

    #[test]
    fn every_system_has_a_bar_and_ten_times_as_much_is_one_line_further() {
        let text = draw(&results());
        assert_eq!(text.matches("<rect x=\"190\"").count(), 2, "{text}");
        let width = |colour: &str| {
            let line = text.lines().find(|line| line.starts_with("<rect x=\"190\"") && line.contains(colour));
            let rest = line.unwrap().split("width=\"").nth(1).unwrap();
            rest.split('"').next().unwrap().parse::<f64>().unwrap()
        };
        // 3600 and 120 runs in a second, from 100 to 10,000.
        assert!((width(COLOURS[0]) - 600.0 * 36f64.log10() / 2.0).abs() < 0.1);
        assert!((width(COLOURS[1]) - 600.0 * 1.2f64.log10() / 2.0).abs() < 0.1);
    }

    #[test]
    fn nothing_measured_is_said() {
        let mut results = results();
        results.systems.clear();
        assert!(draw(&results).contains("Nothing was measured"));
    }
}
