//! What was measured, as it goes into the file.

use serde::Serialize;

use crate::machine::Machine;
use crate::work::Work;

/// Everything.
#[derive(Debug, Serialize)]
pub(crate) struct Results {
    pub(crate) machine: Machine,
    pub(crate) rounds: u32,
    /// Portcullis is the first.
    pub(crate) systems: Vec<Measured>,
}

/// One system.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Measured {
    pub(crate) name: &'static str,
    pub(crate) version: String,
    pub(crate) windows: Vec<Window>,
    /// Milliseconds from the start of the first process to the first work that was done.
    pub(crate) start_ms: Vec<f64>,
    /// Bytes of memory before any load, and the most under load.
    pub(crate) idle_bytes: Vec<f64>,
    pub(crate) loaded_bytes: Vec<f64>,
    /// Runs that were answered as done and are not in the system's own list; none where it has none.
    pub(crate) not_kept: Option<u64>,
    /// Bytes on disk for a run of the loop.
    pub(crate) run_bytes: Option<f64>,
    pub(crate) parked: Option<Parked>,
    pub(crate) crashes: Vec<Crash>,
    /// What could not be measured, and why.
    pub(crate) troubles: Vec<String>,
}

/// Some hundred milliseconds of load.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Window {
    pub(crate) work: Work,
    pub(crate) concurrency: usize,
    pub(crate) done: usize,
    pub(crate) refused: usize,
    pub(crate) per_second: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p95_ms: f64,
    pub(crate) p99_ms: f64,
}

/// Runs that waited for a person while the process was started anew.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Parked {
    pub(crate) runs: u64,
    pub(crate) bytes_per_run: f64,
    /// From the start of the process to the first work, with all of them parked.
    pub(crate) start_ms: f64,
    /// How many went on and came to their end after they were approved.
    pub(crate) resumed: u64,
    pub(crate) resumed_per_second: f64,
}

/// A kill -9 under load.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Crash {
    pub(crate) accepted: u64,
    /// Accepted, and neither done nor known.
    pub(crate) lost: u64,
    /// Wait until a person has said what became of the call that was under way.
    pub(crate) asks: u64,
    /// Contained twice.
    pub(crate) doubled: u64,
}

/// The one in the middle; none of nothing.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let (low, high) = (values.get(values.len().saturating_sub(1) / 2)?, values.get(values.len() / 2)?);
    Some((low + high) / 2.0)
}

impl Measured {
    /// Notes what could not be measured, once.
    pub(crate) fn trouble(&mut self, error: anyhow::Error) {
        let trouble = format!("{error:#}");
        crate::say(format_args!("{}: {trouble}", self.name));
        if !self.troubles.contains(&trouble) {
            self.troubles.push(trouble);
        }
    }

    /// The median over all rounds of one figure.
    pub(crate) fn at(&self, work: Work, concurrency: usize, figure: impl Fn(&Window) -> f64) -> Option<f64> {
        let is_meant = |window: &&Window| window.work == work && window.concurrency == concurrency;
        median(self.windows.iter().filter(is_meant).map(figure))
    }

    /// Runs in a second, with as many at once as was fastest.
    pub(crate) fn best(&self, work: Work) -> Option<f64> {
        let rates = crate::work::CONCURRENCY
            .map(|concurrency| self.at(work, concurrency, |window| window.per_second));
        rates.into_iter().flatten().max_by(f64::total_cmp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_one_in_the_middle() {
        assert_eq!(median([]), None);
        assert_eq!(median([3.0]), Some(3.0));
        assert_eq!(median([9.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median([1.0, 2.0, 4.0, 9.0]), Some(3.0));
    }
}
