//! How runs end, for those who wait for it.

use std::collections::BTreeMap;
use std::time::Duration;

use engine::Run;
use model::{Event, Record, RunId, RunStatus};
use serde_json::Value;
use store::Position;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use crate::error::Error;
use crate::runner::Runner;

/// A run that ends so soon is answered with one flush: its alert and its end go to disk together. Of others the alert goes
/// first.
const A_MOMENT: Duration = Duration::from_millis(20);

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

impl Ended {
    pub(crate) fn of(run: &Run) -> Ended {
        let (status, outputs) = (run.status(), run.outputs().clone());
        Ended { status, outputs, error: run.error().map(str::to_owned) }
    }
}

/// How a run ended, once it has in the process that made it, and where that was recorded; dropped where it has come to
/// rest before.
pub(crate) type End = oneshot::Receiver<(Ended, Position)>;

/// How a run ended, by its journal.
pub(crate) fn end(journal: Vec<Record>) -> Option<(RunStatus, BTreeMap<String, Value>)> {
    journal.into_iter().rev().find_map(|record| {
        let Event::RunFinished { status, outputs, .. } = record.event else { return None };
        Some((status, outputs))
    })
}

/// The end of a run that a sender waits for.
#[derive(Debug)]
pub struct Ending {
    /// For how long.
    by: Instant,
    ended: Option<Ended>,
    end: Option<End>,
}

impl Ending {
    pub(crate) fn of(end: Option<End>, within: Duration) -> Ending {
        Ending { by: Instant::now() + within, ended: None, end }
    }

    /// Gives the run a moment; where it has ended then, gives where that was recorded.
    pub(crate) async fn give_a_moment(&mut self) -> Position {
        let Some(end) = &mut self.end else { return Position::default() };
        match timeout_at(self.by.min(Instant::now() + A_MOMENT), end).await {
            Ok(Ok((ended, position))) => {
                (self.end, self.ended) = (None, Some(ended));
                position
            }
            Ok(Err(_)) => {
                self.end = None;
                Position::default()
            }
            Err(_) => Position::default(),
        }
    }
}

impl Runner {
    /// Waits until a run has ended, for as long as its sender waits; none: it has not, or the runner stops. What it says is
    /// on disk. The run does not care whether anybody waits.
    pub async fn end_of(&self, run: RunId, ending: Ending) -> Result<Option<Ended>, Error> {
        let Ending { by, ended, end } = ending;
        if ended.is_some() {
            return Ok(ended);
        }
        if let Some(end) = end {
            let mut stopped = self.shared.stopped();
            let ended = tokio::select! {
                ended = timeout_at(by, end) => ended,
                _ = stopped.wait_for(Option::is_some) => return Ok(None),
            };
            match ended {
                Ok(Ok((ended, position))) => {
                    self.shared.store.durable(position).await?;
                    return Ok(Some(ended));
                }
                // It has come to rest, and somebody may wake it.
                Ok(Err(_)) => {}
                Err(_) => return Ok(None),
            }
        }
        self.ended(run, by.saturating_duration_since(Instant::now())).await
    }

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
