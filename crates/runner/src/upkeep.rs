//! What an operator does with the store while it is open: copy it, give up what cannot go on.

use std::io::Write;

use model::{Person, RunId, RunStatus, RunSummary, Timestamp};
use store::Store;
use tracing::{info, warn};

use crate::drive;
use crate::error::Error;
use crate::halt::LONGEST_REASON;
use crate::runner::{Runner, Shared};

/// When the store was restored from a backup; none: it never was.
pub(crate) async fn restored_at(store: &dyn Store) -> Result<Option<Timestamp>, Error> {
    let Some(note) = store.note(store::Note::RESTORED).await? else { return Ok(None) };
    let at = note.get("at").and_then(|at| at.as_str()).and_then(|at| at.parse().ok());
    let from = note.get("from").and_then(|from| from.as_str()).unwrap_or_default();
    info!(?at, from, "the store was restored from a backup");
    // A mark that cannot be read is one all the same.
    Ok(Some(at.unwrap_or(Timestamp::MAX)))
}

impl Shared {
    /// Whether nothing has happened in a run since the store was restored: it may have gone further than is known here.
    pub(crate) fn is_of_a_copy(&self, row: &RunSummary) -> bool {
        self.restored_at.is_some_and(|at| row.updated_at < at)
    }
}

impl Runner {
    /// Writes a copy of the store to there, beside everything else; who reads it can tell whether it is whole.
    pub fn back_up(&self, by: Person, to: Box<dyn Write + Send>) {
        let shared = self.shared.clone();
        tokio::spawn(async move {
            info!(by = by.name, "a backup is taken");
            match shared.store.backup(shared.clock.now(), to).await {
                Ok(bytes) => info!(by = by.name, bytes, "a backup was taken"),
                Err(error) => warn!(by = by.name, %error, "a backup was not taken to its end"),
            }
        });
    }

    /// A person gives up a run that cannot be replayed: it has failed from then on, and nothing more is said of it. On
    /// disk when it returns.
    pub async fn abandon(&self, run: RunId, by: Person, reason: &str) -> Result<RunSummary, Error> {
        let shared = &self.shared;
        let reason = reason.trim();
        if reason.is_empty() {
            return Err(engine::Rejected::ReasonRequired.into());
        }
        let damage = match drive::load(shared, run).await {
            Ok(_) => {
                let message = format!("the run {run} can go on, so it is not given up: cancel it");
                return Err(Error::NotAllowed(message));
            }
            Err(Error::Damaged { message, .. }) => message,
            Err(error) => return Err(error),
        };
        let Some(mut row) = shared.store.summary(run).await? else { return Err(Error::NoSuchRun(run)) };
        if row.is_over() {
            return Err(engine::Rejected::Finished.into());
        }
        let held: Vec<String> =
            std::mem::take(&mut row.containments).into_iter().map(|held| held.target).collect();
        let held = match held.as_slice() {
            [] => String::new(),
            targets => format!("; it held {}, and nothing here lets go of that any more", targets.join(", ")),
        };
        let reason: String = reason.chars().take(LONGEST_REASON).collect();
        let (workflow, key) = (row.workflow.clone(), row.concurrency.take());
        row.status = RunStatus::Failed;
        row.error = Some(format!("given up by {}: {reason} ({damage}){held}", by.name));
        row.next_seq += 1;
        row.updated_at = shared.clock.now();
        row.wake_at = None;
        row.waiting.clear();
        row.calls.clear();
        row.is_queued = false;
        row.is_unsettled = false;
        shared.store.abandon(row.clone()).await?;
        warn!(%run, workflow, by = by.name, held, "a damaged run was given up");
        shared.settle_ledger(run, &workflow, &row.containments);
        shared.metrics.note(run, false);
        shared.timers.set(run, None);
        shared.give_up_turn(&workflow, key.as_deref(), run);
        // Whoever called it hears that nobody knows what it gave.
        for caller in self.callers_of(run).await? {
            let children = drive::load(shared, caller).await?.children();
            for child in children.iter().filter(|child| child.run == run) {
                shared.call(child).await?;
            }
        }
        Ok(row)
    }

    /// The runs that wait for the end of this one.
    async fn callers_of(&self, run: RunId) -> Result<Vec<RunId>, Error> {
        let mut callers = Vec::new();
        for status in [RunStatus::Waiting, RunStatus::Running] {
            let mut query =
                store::Query { status: Some(status), limit: store::Query::MOST, ..Default::default() };
            loop {
                let page = self.shared.store.runs(query.clone()).await?;
                callers.extend(page.runs.iter().filter(|row| row.calls.contains(&run)).map(|row| row.run));
                let Some(next) = page.next else { break };
                query.before = Some(next);
            }
        }
        Ok(callers)
    }
}
