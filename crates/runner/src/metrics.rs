//! What a runner counts, for whoever watches it from outside.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use model::{Outcome, RunId, RunStatus};

use crate::runner::Runner;

/// Counters under one name, one for each set of labels. They start at zero with the process.
#[derive(Debug, Default)]
pub struct Counter<const LABELS: usize> {
    counts: Mutex<BTreeMap<[String; LABELS], u64>>,
}

impl<const LABELS: usize> Counter<LABELS> {
    /// Counts one more.
    pub fn add(&self, labels: [&str; LABELS]) {
        *locked(&self.counts).entry(labels.map(str::to_owned)).or_default() += 1;
    }

    fn samples(&self) -> Vec<Sample> {
        let counts = locked(&self.counts);
        counts.iter().map(|(labels, count)| Sample { labels: labels.to_vec(), value: *count }).collect()
    }
}

/// Numbers under one name.
#[derive(Debug)]
pub struct Metric {
    /// The name.
    pub name: &'static str,
    /// What it counts, in a line.
    pub help: &'static str,
    /// Whether it only grows.
    pub is_counter: bool,
    /// The names of the labels.
    pub labels: &'static [&'static str],
    /// One for each set of labels.
    pub samples: Vec<Sample>,
}

/// One number.
#[derive(Debug)]
pub struct Sample {
    /// The values of the labels.
    pub labels: Vec<String>,
    /// The number.
    pub value: u64,
}

impl Metric {
    /// A number that only grows.
    pub fn counter<const LABELS: usize>(
        name: &'static str,
        labels: &'static [&'static str; LABELS],
        help: &'static str,
        counter: &Counter<LABELS>,
    ) -> Metric {
        Metric { name, help, is_counter: true, labels, samples: counter.samples() }
    }

    /// One number that only grows.
    pub fn total(name: &'static str, help: &'static str, value: u64) -> Metric {
        let sample = Sample { labels: Vec::new(), value };
        Metric { name, help, is_counter: true, labels: &[], samples: vec![sample] }
    }

    /// A number as it is at this moment.
    pub fn gauge(name: &'static str, help: &'static str, value: usize) -> Metric {
        let sample = Sample { labels: Vec::new(), value: value as u64 };
        Metric { name, help, is_counter: false, labels: &[], samples: vec![sample] }
    }
}

/// What a runner counts.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    pub(crate) started: Counter<2>,
    pub(crate) finished: Counter<2>,
    pub(crate) calls: Counter<2>,
    pub(crate) reloads: Counter<1>,
    waiting: Mutex<BTreeSet<RunId>>,
}

impl Metrics {
    /// Takes note of where a run stands.
    pub(crate) fn note(&self, run: RunId, waits_for_people: bool) {
        let mut waiting = locked(&self.waiting);
        if waits_for_people {
            waiting.insert(run)
        } else {
            waiting.remove(&run)
        };
    }

    /// Takes note of a run that has finished.
    pub(crate) fn finished(&self, workflow: &str, status: RunStatus) {
        self.finished.add([workflow, status.as_str()]);
    }

    /// Takes note of what became of a call.
    pub(crate) fn called(&self, node: &str, outcome: &Outcome) {
        let outcome = match outcome {
            Outcome::Succeeded(_) => "ok",
            Outcome::Failed(_) => "failed",
            Outcome::Unknown(_) => "unknown",
        };
        self.calls.add([node, outcome]);
    }
}

impl Runner {
    /// What this runner has counted since it was opened, and how it is.
    pub fn metrics(&self) -> Vec<Metric> {
        let metrics = &self.shared.metrics;
        let workflows = self.workflows();
        let is_failing = |playbook: &&crate::Playbook| playbook.failing_since.is_some();
        let failing = workflows.playbooks().iter().filter(is_failing).count();
        let mut all = vec![
            Metric::gauge("portcullis_workflows", "Workflows that can be started.", workflows.iter().count()),
            Metric::gauge(
                "portcullis_playbooks_failing",
                "Files whose newest text cannot be used; the version before it is live where there is one.",
                failing,
            ),
            Metric::gauge(
                "portcullis_halted",
                "Whether all disruption is halted: 1 or 0.",
                usize::from(self.halted().is_some()),
            ),
            Metric::counter(
                "portcullis_reloads_total",
                &["result"],
                "Changes of files that were taken over, and those of which a part was not.",
                &metrics.reloads,
            ),
            Metric::counter(
                "portcullis_runs_started_total",
                &["workflow", "trigger"],
                "Runs that were started.",
                &metrics.started,
            ),
            Metric::counter(
                "portcullis_runs_finished_total",
                &["workflow", "status"],
                "Runs that have finished.",
                &metrics.finished,
            ),
            Metric::gauge(
                "portcullis_runs_active",
                "Runs in which something is under way.",
                self.shared.active_runs(),
            ),
            Metric::gauge(
                "portcullis_runs_waiting",
                "Runs that wait for a person.",
                locked(&metrics.waiting).len(),
            ),
            Metric::counter(
                "portcullis_calls_total",
                &["node", "outcome"],
                "Calls to other systems: ok, failed (provably not done), unknown.",
                &metrics.calls,
            ),
        ];
        let (contained, stuck) = self.shared.ledger.count();
        all.push(Metric::gauge("portcullis_containments", "Targets that are contained.", contained));
        let help = "Targets that should not be contained any more, and cannot be undone.";
        all.push(Metric::gauge("portcullis_containments_stuck", help, stuck));
        let reconciling = self.shared.reconciling.as_ref();
        all.extend(reconciling.map(|it| it.metrics(self.shared.clock.now())).unwrap_or_default());
        all
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
