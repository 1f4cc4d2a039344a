//! Forgetting what finished long ago. Room is given back by [`crate::evacuate`].

use std::ops::ControlFlow;
use std::sync::TryLockError;

use model::{RunId, Timestamp};
use store::Result;

use crate::entry::Entry;
use crate::index::Range;
use crate::keys;
use crate::shared::Shared;

/// So many runs are forgotten with one record of the journal.
const MOST: usize = 500;

impl Shared {
    /// Forgets runs that finished before this point in time, and gives room back; gives how many. None while that goes
    /// on already, or a copy is taken.
    pub(crate) fn prune(&self, finished_before: Timestamp) -> Result<u64> {
        let _tidying = match self.tidying.try_lock() {
            Ok(tidying) => tidying,
            Err(TryLockError::Poisoned(tidying)) => tidying.into_inner(),
            Err(TryLockError::WouldBlock) => return Ok(0),
        };
        self.catch_up()?;
        let mut forgotten = 0;
        for runs in self.over(finished_before)?.chunks(MOST) {
            forgotten += self.forget(runs)?;
        }
        self.give_back()?;
        let is_bloated = self.index.is_bloated().map_err(|error| self.fail_now(&error))?;
        if is_bloated {
            let before = self.index.bytes();
            self.index.copy_afresh().map_err(|error| self.fail_now(&error))?;
            tracing::info!(before, after = self.index.bytes(), "the index was copied into a smaller file");
        }
        Ok(forgotten)
    }

    /// When the first of the so many runs finished that finished last; none if no more have finished.
    pub(crate) fn finished_since(&self, runs: u64) -> Result<Option<Timestamp>> {
        self.catch_up()?;
        let (mut left, mut since, mut has_more) = (runs, Timestamp::MAX, false);
        self.walk(&Range { is_backwards: true, ..Range::of([keys::FINISHED]) }, |key, _| {
            if left == 0 {
                has_more = true;
                return ControlFlow::Break(());
            }
            left -= 1;
            since = keys::finished_at(key).unwrap_or(since);
            ControlFlow::Continue(())
        })?;
        Ok(has_more.then_some(since))
    }

    /// The runs that finished before this point in time and hold no dedupe key beyond it.
    fn over(&self, finished_before: Timestamp) -> Result<Vec<RunId>> {
        let mut runs = Vec::new();
        let below = Some(keys::finished_before(finished_before));
        self.walk(&Range { below, ..Range::of([keys::FINISHED]) }, |key, _| {
            runs.extend(keys::run_of(key));
            ControlFlow::Continue(())
        })?;
        let mut over = Vec::new();
        for run in runs {
            let row = self.row(run)?;
            let holds_key =
                |row: &crate::row::Row| row.dedupe.as_ref().is_some_and(|key| key.until > finished_before);
            if row.is_some_and(|row| !holds_key(&row)) {
                over.push(run);
            }
        }
        Ok(over)
    }

    fn forget(&self, runs: &[RunId]) -> Result<u64> {
        let mut forgotten = 0;
        let at = self.order_now(|recent| {
            // Something was added to it since the index was asked; it is left for the next time.
            let runs: Vec<RunId> = runs.iter().filter(|run| recent.run(**run).is_none()).copied().collect();
            forgotten = runs.len() as u64;
            (!runs.is_empty()).then_some(Entry::Forgotten { runs, sources: Vec::new() })
        })?;
        match at {
            Some(at) => self.wait_until_applied(at).map(|()| forgotten),
            None => Ok(0),
        }
    }
}
