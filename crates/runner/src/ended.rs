//! How runs end, for those who wait for it.

use std::collections::BTreeMap;
use std::time::Duration;

use model::{Event, Record, RunId, RunStatus};
use serde_json::Value;
use store::Position;
use tokio::sync::broadcast::error::RecvError;

use crate::error::Error;
use crate::runner::Runner;

/// How a run ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Ended {
    /// How it ended.
    pub status: RunStatus,
    /// What it gives.
    pub outputs: BTreeMap<String, Value>,
    /// Why it failed.
    pub error: Option<String>,
}

/// How a run ended, by its journal.
pub(crate) fn end(journal: Vec<Record>) -> Option<(RunStatus, BTreeMap<String, Value>)> {
    journal.into_iter().rev().find_map(|record| {
        let Event::RunFinished { status, outputs, .. } = record.event else { return None };
        Some((status, outputs))
    })
}

impl Runner {
    /// Waits until a run has ended, for so long at most; none: it has not, or the runner stops. What it says is on disk.
    /// The run does not care whether anybody waits.
    pub async fn ended(&self, run: RunId, within: Duration) -> Result<Option<Ended>, Error> {
        let mut stopped = self.shared.stopped();
        let error = tokio::select! {
            ended = tokio::time::timeout(within, self.until_ended(run)) => match ended {
                Ok(error) => error?,
                Err(_) => return Ok(None),
            },
            _ = stopped.wait_for(Option::is_some) => return Ok(None),
        };
        let store = &self.shared.store;
        store.durable(Position::LATEST).await?;
        let Some((status, outputs)) = end(store.journal(run).await?) else {
            let message = "it has finished, and no fact says how".to_owned();
            return Err(Error::Damaged { run, message });
        };
        Ok(Some(Ended { status, outputs, error }))
    }

    /// Why the run failed, once it has ended.
    async fn until_ended(&self, run: RunId) -> Result<Option<String>, Error> {
        let mut updates = self.updates();
        loop {
            let summary = self.shared.store.summary(run).await?.ok_or(Error::NoSuchRun(run))?;
            if summary.status.is_finished() {
                return Ok(summary.error);
            }
            loop {
                match updates.recv().await {
                    Ok(update) if update.run != run => {}
                    Ok(_) | Err(RecvError::Lagged(_)) => break,
                    Err(RecvError::Closed) => return Err(Error::Stopped("the runner is gone".to_owned())),
                }
            }
        }
    }
}
