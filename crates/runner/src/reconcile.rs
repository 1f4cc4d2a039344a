//! Asks, every few minutes, for alerts where Wazuh keeps them, and admits those that never came by themselves: what carries
//! alerts out of Wazuh drops what it cannot deliver.
//!
//! An alert that is found goes the way of every other one. What it is missed by is only that no run has it; see [`known`].
//! How far it has asked is a note in the store, which follows what was admitted: a crash between the two asks again.

mod asking;
mod gaps;
mod known;
mod sweep;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use engine::Start;
use model::{Failure, RunId, Timestamp};
use serde_json::Value;
use store::Store;

use crate::error::Error;
use crate::metrics::{Counter, Metric};
use crate::runner::Runner;
use crate::workflows::Workflows;

pub use gaps::Gap;

pub(crate) use asking::keep_asking;
pub(crate) use known::Seen;

use gaps::Gaps;
use known::Known;
use sweep::Cursor;

/// What is asked for, and how often.
#[derive(Clone)]
pub struct Reconcile {
    /// The hook on which the alerts should have come.
    pub hook: String,
    /// How often.
    pub every: Duration,
    /// So far back alerts are asked for again: they are found some time after they were raised.
    pub look_back: Duration,
    /// Who knows them.
    pub source: Arc<dyn AlertSource>,
}

/// Where Wazuh keeps its alerts.
#[async_trait]
pub trait AlertSource: Send + Sync {
    /// So many alerts from this time on, up to and without that one, the oldest first; behind `after`, which the page before
    /// gave.
    async fn alerts(
        &self,
        since: Timestamp,
        until: Timestamp,
        after: Option<&Value>,
        size: usize,
    ) -> Result<AlertPage, Failure>;
}

/// Some alerts.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertPage {
    /// As Wazuh wrote them.
    pub alerts: Vec<Value>,
    /// Where the next page begins: a list, first of all the time of the last alert in milliseconds. Null: nowhere.
    pub next: Value,
}

/// How far alerts have been asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reconciled {
    /// Since when it is done.
    pub from: Timestamp,
    /// Up to then all alerts are admitted.
    pub until: Timestamp,
    /// When all that was asked for was given and admitted; none since this process started.
    pub succeeded_at: Option<Timestamp>,
}

/// What a runner that reconciles holds.
pub(crate) struct Reconciling {
    pub(crate) settings: Reconcile,
    pub(crate) known: Known,
    gaps: Gaps,
    cursor: Mutex<Cursor>,
    succeeded_at: Mutex<Option<Timestamp>>,
    admitted: Counter<1>,
    asked: Counter<1>,
}

impl fmt::Debug for Reconcile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Reconcile { hook, every, look_back, source: _ } = self;
        write!(f, "alerts of the hook {hook}, every {every:?}, {look_back:?} back")
    }
}

impl Reconciling {
    /// The name of the note with the cursor.
    fn note(hook: &str) -> String {
        format!("reconcile/{hook}")
    }

    /// What the store knows of the alerts that have come, and of how far it was asked.
    pub(crate) async fn open(
        settings: Reconcile,
        store: &dyn Store,
        workflows: &Workflows,
        now: Timestamp,
    ) -> Result<Reconciling, Error> {
        let note = store.note(&Reconciling::note(&settings.hook)).await?;
        let cursor = note.and_then(|note| serde_json::from_value(note).ok());
        let (known, gaps) = gaps::read(store, workflows, now).await?;
        let reconciling = Reconciling {
            settings,
            known,
            gaps,
            cursor: Mutex::new(cursor.unwrap_or_else(|| Cursor::new(now))),
            succeeded_at: Mutex::default(),
            admitted: Counter::default(),
            asked: Counter::default(),
        };
        if cursor.is_none() {
            reconciling.keep(store, reconciling.cursor()).await?;
        }
        Ok(reconciling)
    }

    /// The name of an alert that may come a second time.
    pub(crate) fn id_of(&self, path: &str, alert: &Value) -> Option<String> {
        engine::alert_id(alert).filter(|_| path == self.settings.hook)
    }

    /// An alert was admitted that never came by itself.
    pub(crate) fn found(&self, workflow: &str, alert: &str, start: &Start, run: RunId, joined: bool) {
        self.admitted.add([workflow]);
        self.gaps.add(Gap {
            at: start.trigger.received_at,
            alert: alert.to_owned(),
            about: engine::about(&start.alert),
            workflow: workflow.to_owned(),
            run,
            joined,
        });
    }

    fn cursor(&self) -> Cursor {
        *locked(&self.cursor)
    }

    /// Keeps how far all alerts are admitted; on disk when it returns.
    async fn keep(&self, store: &dyn Store, cursor: Cursor) -> Result<(), Error> {
        let value = serde_json::to_value(cursor).expect("two times have a JSON form");
        store.put_note(store::Note { key: Reconciling::note(&self.settings.hook), value }).await?;
        *locked(&self.cursor) = cursor;
        Ok(())
    }

    pub(crate) fn metrics(&self, now: Timestamp) -> Vec<Metric> {
        let seconds = |time: Duration| usize::try_from(time.as_secs()).unwrap_or(usize::MAX);
        let succeeded = locked(&self.succeeded_at).unwrap_or_default();
        vec![
            Metric::counter(
                "portcullis_reconciled_total",
                &["workflow"],
                "Alerts that never came by themselves: each was found in the indexer and admitted.",
                &self.admitted,
            ),
            Metric::counter(
                "portcullis_reconcile_rounds_total",
                &["result"],
                "Times that the indexer was asked: ok, or what kept it from being done.",
                &self.asked,
            ),
            Metric::gauge(
                "portcullis_reconcile_last_success_seconds",
                "When the indexer was asked with success, in seconds since 1970; 0 where this process never did.",
                seconds(succeeded.since(Timestamp::default())),
            ),
            Metric::gauge(
                "portcullis_reconcile_behind_seconds",
                "For how long alerts that did not come by themselves have not been asked for.",
                seconds(now.since(self.cursor().until)),
            ),
        ]
    }
}

impl Runner {
    /// How far alerts that did not come by themselves have been asked for; none where nobody asks.
    pub fn reconciled(&self) -> Option<Reconciled> {
        let reconciling = self.shared.reconciling.as_ref()?;
        let Cursor { from, until } = reconciling.cursor();
        Some(Reconciled { from, until, succeeded_at: *locked(&reconciling.succeeded_at) })
    }

    /// The alerts of the last days that did not come by themselves, the latest first.
    pub fn gaps(&self) -> Vec<Gap> {
        self.shared.reconciling.as_ref().map(|reconciling| reconciling.gaps.all()).unwrap_or_default()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
