//! What was disrupted in the last hour, from the rows that a process before this one has left.

use model::RunSummary;
use store::{Query, Store};

use super::budget::Disruption;

/// The disruptions that rows tell of: each row of those in the hour before its last fact.
pub async fn recent_disruptions(store: &dyn Store) -> Result<Vec<Disruption>, store::Error> {
    let mut found = Vec::new();
    let mut query = Query { has_disrupted: true, limit: Query::MOST, ..Query::default() };
    loop {
        let page = store.runs(query.clone()).await?;
        found.extend(page.runs.iter().flat_map(disruptions));
        query.before = page.next;
        if query.before.is_none() {
            return Ok(found);
        }
    }
}

fn disruptions(row: &RunSummary) -> impl Iterator<Item = Disruption> {
    row.disrupted_at.iter().map(|at| Disruption { at: *at, workflow: row.workflow.clone() })
}
