//! One figure: what was measured, in which unit, and what it should be.

use std::fmt;

use serde::Serialize;

/// What was measured.
#[derive(Debug, Serialize)]
pub(super) struct Figure {
    row: &'static str,
    what: String,
    /// The median of the rounds.
    value: f64,
    unit: Unit,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<Target>,
    #[serde(skip_serializing_if = "Option::is_none")]
    is_met: Option<bool>,
    rounds: Vec<f64>,
}

#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Unit {
    Ratio,
    PerSecond,
    Milliseconds,
    Microseconds,
    Megabytes,
    Bytes,
    Count,
}

/// What it should be.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Target {
    AtLeast(f64),
    AtMost(f64),
}

impl Figure {
    /// The median of these rounds.
    pub(super) fn new(row: &'static str, what: impl Into<String>, unit: Unit, rounds: Vec<f64>) -> Figure {
        let value = median(&rounds);
        Figure { row, what: what.into(), value, unit, target: None, is_met: None, rounds }
    }

    /// It should be as much as this.
    pub(super) fn at_least(self, bound: f64) -> Figure {
        let is_met = Some(self.value >= bound);
        Figure { target: Some(Target::AtLeast(bound)), is_met, ..self }
    }

    /// It should be no more than this.
    pub(super) fn at_most(self, bound: f64) -> Figure {
        let is_met = Some(self.value <= bound);
        Figure { target: Some(Target::AtMost(bound)), is_met, ..self }
    }

    /// The median of the rounds.
    pub(super) fn value(&self) -> f64 {
        self.value
    }

    /// Whether it is what it should be, where that is said.
    pub(super) fn is_met(&self) -> Option<bool> {
        self.is_met
    }

    /// The heads of [`Figure::cells`].
    pub(super) const HEAD: [&str; 6] = ["row", "what", "measured", "target", "met", "rounds"];

    /// A line of a table.
    pub(super) fn cells(&self) -> Vec<String> {
        let target = match self.target {
            Some(Target::AtLeast(bound)) => format!(">= {}", self.unit.show(bound)),
            Some(Target::AtMost(bound)) => format!("<= {}", self.unit.show(bound)),
            None => String::new(),
        };
        let met = self.is_met.map_or("", |is_met| if is_met { "yes" } else { "NO" });
        let least = self.rounds.iter().copied().fold(f64::INFINITY, f64::min);
        let most = self.rounds.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let rounds = match self.rounds.len() {
            0 | 1 => String::new(),
            count => format!("{count}: {} to {}", self.unit.show(least), self.unit.show(most)),
        };
        vec![
            self.row.to_owned(),
            self.what.clone(),
            self.unit.show(self.value),
            target,
            met.to_owned(),
            rounds,
        ]
    }
}

impl Unit {
    fn show(self, value: f64) -> String {
        match self {
            Unit::Ratio => format!("{value:.2}"),
            Unit::PerSecond => format!("{value:.0}/s"),
            Unit::Milliseconds => format!("{} ms", Short(value)),
            Unit::Microseconds => format!("{} us", Short(value)),
            Unit::Megabytes => format!("{value:.1} MB"),
            Unit::Bytes => format!("{value:.0} B"),
            Unit::Count => format!("{}", Short(value)),
        }
    }
}

/// As many digits as mean something.
struct Short(f64);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.abs() {
            whole if whole == whole.trunc() => write!(f, "{:.0}", self.0),
            large if large >= 100.0 => write!(f, "{:.0}", self.0),
            large if large >= 10.0 => write!(f, "{:.1}", self.0),
            _ => write!(f, "{:.2}", self.0),
        }
    }
}

/// The one in the middle.
pub(super) fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_says_what_was_measured_and_whether_that_is_enough() {
        let line = |figure: &Figure| figure.cells().join(" | ");
        let ratio = Figure::new("r", "ours to theirs", Unit::Ratio, vec![0.5, 0.3, 0.4]).at_least(0.45);
        assert_eq!(line(&ratio), "r | ours to theirs | 0.40 | >= 0.45 | NO | 3: 0.30 to 0.50");
        let time = Figure::new("r", "start", Unit::Milliseconds, vec![120.0, 121.5]).at_most(150.0);
        assert_eq!(line(&time), "r | start | 121 ms | <= 150 ms | yes | 2: 120 ms to 122 ms");
        let rate = Figure::new("r", "runs", Unit::PerSecond, vec![12_345.6]);
        assert_eq!(line(&rate), "r | runs | 12346/s |  |  | ");
        assert_eq!((ratio.is_met(), time.is_met(), rate.is_met()), (Some(false), Some(true), None));
    }
}
