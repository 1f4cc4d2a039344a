//! What was disrupted in the last hour, from the rows that a process before this one has left.

use std::collections::BTreeMap;
use std::time::Duration;

use model::{RunId, RunStatus, RunSummary, Timestamp};
use store::{Query, Store};

use super::budget::Disruption;

/// Runs that have finished are looked at as far back as this: one that started earlier and disrupted in the last hour has
/// most likely not finished yet.
const LOOKED_BACK: Duration = Duration::from_secs(86_400);

/// The disruptions of the runs that have not finished, and of those that started within a day.
pub async fn recent_disruptions(store: &dyn Store, now: Timestamp) -> Result<Vec<Disruption>, store::Error> {
    let mut found: BTreeMap<RunId, Vec<Disruption>> = BTreeMap::new();
    let since = now.before(LOOKED_BACK);
    let asked = [
        (None, since),
        (Some(RunStatus::Waiting), Timestamp::default()),
        (Some(RunStatus::Running), Timestamp::default()),
    ];
    for (status, since) in asked {
        let mut before = None;
        loop {
            let query = Query { status, before, limit: Query::MOST, ..Query::default() };
            let page = store.runs(query).await?;
            let young = page.runs.iter().filter(|row| row.started_at >= since);
            found.extend(young.map(|row| (row.run, disruptions(row))));
            let goes_on = page.runs.last().is_some_and(|row| row.started_at >= since);
            before = page.next.filter(|_| goes_on);
            if before.is_none() {
                break;
            }
        }
    }
    Ok(found.into_values().flatten().collect())
}

fn disruptions(row: &RunSummary) -> Vec<Disruption> {
    let times = row.disrupted_at.iter();
    times.map(|at| Disruption { at: *at, workflow: row.workflow.clone() }).collect()
}
