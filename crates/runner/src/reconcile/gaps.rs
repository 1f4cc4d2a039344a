//! The alerts that did not come by themselves, and what the runs in the store say of those that have come.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use model::{Event, Record, RunId, RunSummary, Timestamp, TriggerKind};
use serde::{Deserialize, Serialize};
use store::{Query, Store};
use tracing::{info, warn};

use super::known::{Known, MOST_KNOWN, REMEMBERED};
use super::locked;
use crate::error::Error;
use crate::workflows::Workflows;

/// So many are listed; of more, the latest.
const MOST_LISTED: usize = 1000;

/// An alert that did not come by itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Gap {
    /// When it was found and admitted.
    pub at: Timestamp,
    /// Which alert: the manager that raised it, and its id there.
    pub alert: String,
    /// Its rule and its agent, in a line.
    pub about: String,
    /// The workflow that it belongs to.
    pub workflow: String,
    /// The run that it is in.
    pub run: RunId,
    /// Whether that run was there already.
    pub joined: bool,
}

/// The latest gaps.
#[derive(Default)]
pub(super) struct Gaps {
    gaps: Mutex<VecDeque<Gap>>,
}

impl Gaps {
    pub(super) fn add(&self, gap: Gap) {
        let mut gaps = locked(&self.gaps);
        gaps.push_front(gap);
        gaps.truncate(MOST_LISTED);
    }

    /// All of them, the latest first.
    pub(super) fn all(&self) -> Vec<Gap> {
        locked(&self.gaps).iter().cloned().collect()
    }
}

/// An alert that a run of the store has.
struct Kept {
    since: Timestamp,
    alert: String,
    workflow: String,
    run: RunId,
    /// What it is about, where it did not come by itself.
    gap: Option<(String, bool)>,
}

/// Which alerts of the last days have a run, and which of them did not come by themselves.
pub(super) async fn read(
    store: &dyn Store,
    workflows: &Workflows,
    now: Timestamp,
) -> Result<(Known, Gaps), Error> {
    let mut kept = Vec::new();
    let horizon = now.before(REMEMBERED);
    // A run that started earlier may have taken up an alert since.
    let windows = workflows.iter().filter_map(|workflow| Some(workflow.dedupe.as_ref()?.window));
    let oldest = horizon.before(windows.max().unwrap_or(Duration::ZERO));
    let mut query = Query { limit: Query::MOST, ..Query::default() };
    loop {
        let page = store.runs(query).await?;
        let is_wanted = |row: &&RunSummary| row.alert.is_some() && row.updated_at >= horizon;
        for row in page.runs.iter().filter(is_wanted) {
            read_run(store, row, &mut kept).await?;
        }
        let goes_on = page.runs.last().is_some_and(|row| row.started_at >= oldest) && kept.len() < MOST_KNOWN;
        let Some(next) = page.next.filter(|_| goes_on) else { break };
        query = Query { before: Some(next), limit: Query::MOST, ..Query::default() };
    }
    kept.sort_by_key(|kept| kept.since);
    let (known, gaps) = (Known::default(), Gaps::default());
    if let Some(oldest) = kept.first().filter(|_| kept.len() >= MOST_KNOWN) {
        known.forget(oldest.since);
    }
    info!(alerts = kept.len(), "alerts of the last days are known");
    for Kept { since, alert, workflow, run, gap } in kept {
        if let Some((about, joined)) = gap {
            let (alert, workflow) = (alert.clone(), workflow.clone());
            gaps.add(Gap { at: since, alert, about, workflow, run, joined });
        }
        known.note((workflow, alert), run, since);
    }
    Ok((known, gaps))
}

/// The alerts of one run. Its row knows of the first; only where there is more to know, its journal is read.
async fn read_run(store: &dyn Store, row: &RunSummary, kept: &mut Vec<Kept>) -> Result<(), Error> {
    let entry = |alert: String, since: Timestamp, gap| Kept {
        since,
        alert,
        workflow: row.workflow.clone(),
        run: row.run,
        gap,
    };
    if row.reconciled || row.alerts_again > 0 {
        match store.journal(row.run).await {
            Ok(records) => {
                kept.extend(
                    records.iter().filter_map(read_record).map(|(alert, at, gap)| entry(alert, at, gap)),
                );
                return Ok(());
            }
            Err(store::Error::Damaged { run, message }) => {
                warn!(%run, why = message, "the alerts of a damaged run are not known");
            }
            Err(error) => return Err(error.into()),
        }
    }
    kept.extend(row.alert.clone().map(|alert| entry(alert, row.started_at, None)));
    Ok(())
}

/// The alert that a fact brings: which, when it was admitted, and where it did not come by itself, what it is about and
/// whether it joined a run.
type Brought = (String, Timestamp, Option<(String, bool)>);

#[expect(clippy::wildcard_enum_match_arm, reason = "no other fact brings an alert")]
fn read_record(record: &Record) -> Option<Brought> {
    match &record.event {
        Event::RunStarted { trigger, alert, .. } if trigger.kind == TriggerKind::Webhook => {
            let gap = trigger.reconciled.then(|| (engine::about(alert), false));
            Some((engine::alert_id(alert)?, trigger.received_at, gap))
        }
        Event::AlertJoined { alert, id, received_at, reconciled } => {
            let about = alert.as_deref().map(engine::about).unwrap_or_default();
            let id = id.clone().or_else(|| engine::alert_id(alert.as_deref()?))?;
            Some((id, *received_at, reconciled.then_some((about, true))))
        }
        _ => None,
    }
}
