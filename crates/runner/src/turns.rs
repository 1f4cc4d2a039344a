//! Which runs hold the keys of `concurrency`, and which wait for them.
//!
//! Only in memory: a start takes it from the rows of the runs that have not finished.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use engine::Turn;
use expr::Scope;
use model::RunId;
use tracing::warn;
use workflow::{OnConflict, Workflow};

use crate::error::Error;

/// How many runs may wait for one key; the next is asked to come again.
const MOST_WAITING: usize = 1000;
/// The length of a key beyond which its digest stands for it.
const LONGEST_KEY: usize = 200;

/// A workflow's name and a key of it.
type Key = (String, String);

/// Who holds each key, first, and who waits for it behind.
#[derive(Debug, Default)]
pub(crate) struct Turns(Mutex<BTreeMap<Key, VecDeque<RunId>>>);

impl Turns {
    /// Takes the key of a run that is about to start, or a place behind the run that holds it.
    pub(crate) fn take(&self, workflow: &Workflow, scope: &Scope, run: RunId) -> Result<Option<Turn>, Error> {
        let Some(concurrency) = &workflow.concurrency else { return Ok(None) };
        let key = match concurrency.key.eval_text(scope) {
            Ok(key) if key.len() > LONGEST_KEY => workflow::digest(&key).to_string(),
            Ok(key) => key,
            Err(_) => {
                // The reason would quote the alert, and an alert may hold anything.
                warn!(workflow = %workflow.name, "an alert has no concurrency key");
                return Ok(None);
            }
        };
        let mut turns = self.turns();
        let queue = turns.entry((workflow.name.clone(), key.clone())).or_default();
        if queue.len() >= MOST_WAITING {
            return Err(Error::Busy);
        }
        let held_by = queue.front().copied().filter(|holder| *holder != run);
        queue.retain(|waiting| *waiting != run);
        if held_by.is_none() || concurrency.on_conflict == OnConflict::Queue {
            queue.push_back(run);
        }
        Ok(Some(Turn { key, held_by }))
    }

    /// Takes up a run that has a key from before this process; those that started first come first.
    pub(crate) fn resume(&self, workflow: &str, key: &str, run: RunId) {
        self.turns().entry((workflow.to_owned(), key.to_owned())).or_default().push_back(run);
    }

    /// Whether it is this run's turn.
    pub(crate) fn is_first(&self, workflow: &str, key: &str, run: RunId) -> bool {
        let turns = self.turns();
        turns.get(&(workflow.to_owned(), key.to_owned())).is_some_and(|queue| queue.front() == Some(&run))
    }

    /// The runs whose turn it is.
    pub(crate) fn holders(&self) -> Vec<RunId> {
        self.turns().values().filter_map(|queue| queue.front().copied()).collect()
    }

    /// Gives up what a run holds or waits for; gives the run whose turn it is now.
    pub(crate) fn leave(&self, workflow: &str, key: &str, run: RunId) -> Option<RunId> {
        let mut turns = self.turns();
        let key = (workflow.to_owned(), key.to_owned());
        let queue = turns.get_mut(&key)?;
        let was_first = queue.front() == Some(&run);
        queue.retain(|waiting| *waiting != run);
        let next = queue.front().copied();
        if next.is_none() {
            turns.remove(&key);
        }
        next.filter(|_| was_first)
    }

    fn turns(&self) -> MutexGuard<'_, BTreeMap<Key, VecDeque<RunId>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
