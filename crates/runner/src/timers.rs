//! When parked runs have to be looked at again: one task, and an entry for each run that waits for the clock.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use model::{RunId, Timestamp};
use tokio::sync::mpsc;

use crate::clock::Clock;

/// How long the task sleeps at most, so that it notices when somebody moves the clock.
pub(crate) const LONGEST_SLEEP: Duration = Duration::from_secs(15);

/// Sets timers; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Timers(mpsc::UnboundedSender<(RunId, Option<Timestamp>)>);

/// The other end: the timers themselves.
#[derive(Debug)]
pub(crate) struct Due {
    settings: mpsc::UnboundedReceiver<(RunId, Option<Timestamp>)>,
    by_time: BTreeSet<(Timestamp, RunId)>,
    by_run: BTreeMap<RunId, Timestamp>,
    clock: Clock,
}

/// Timers, and the task that waits for them.
pub(crate) fn timers(clock: Clock) -> (Timers, Due) {
    let (sender, settings) = mpsc::unbounded_channel();
    (Timers(sender), Due { settings, by_time: BTreeSet::new(), by_run: BTreeMap::new(), clock })
}

impl Timers {
    /// Sets or removes the timer of a run.
    pub(crate) fn set(&self, run: RunId, at: Option<Timestamp>) {
        // A runner that has stopped has no timers, and nobody misses them.
        let _ = self.0.send((run, at));
    }
}

impl Due {
    /// Waits for the next run whose time has come; none: nobody can set a timer any more.
    pub(crate) async fn next(&mut self) -> Option<RunId> {
        loop {
            let now = self.clock.now();
            if let Some((at, run)) = self.by_time.first().copied()
                && at <= now
            {
                self.by_time.remove(&(at, run));
                self.by_run.remove(&run);
                return Some(run);
            }
            let sleep =
                self.by_time.first().map_or(LONGEST_SLEEP, |(at, _)| at.since(now).min(LONGEST_SLEEP));
            tokio::select! {
                setting = self.settings.recv() => {
                    let (run, at) = setting?;
                    self.set(run, at);
                }
                () = tokio::time::sleep(sleep) => {}
            }
        }
    }

    /// Sets or removes the timer of a run, where nobody waits for it yet.
    pub(crate) fn set(&mut self, run: RunId, at: Option<Timestamp>) {
        if let Some(before) = self.by_run.remove(&run) {
            self.by_time.remove(&(before, run));
        }
        if let Some(at) = at {
            self.by_run.insert(run, at);
            self.by_time.insert((at, run));
        }
    }
}
