//! A store in memory: everything a store promises but to survive its process.
//!
//! It is what tests above this floor run on; [`MemoryStore::after_crash`] shows them what a crash would have left.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::Write;
use std::sync::{Mutex, MutexGuard};

use async_trait::async_trait;
use model::{Digest, Record, RunId, RunSummary, Timestamp};
use serde_json::Value;

use crate::store::{
    Append, Appended, Dedupe, Error, Fence, Health, Note, Page, Position, Query, Result, Source, Store,
};

/// Keeps runs in memory.
#[derive(Debug, Default)]
pub struct MemoryStore {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    runs: BTreeMap<RunId, Run>,
    keys: HashMap<String, Taken>,
    sources: BTreeMap<Digest, Source>,
    notes: BTreeMap<String, Value>,
    log: Vec<(Position, Append)>,
    ordered: Position,
    durable: Position,
    claimed: Option<Fence>,
    last_fence: u64,
}

#[derive(Debug)]
struct Run {
    records: Vec<Record>,
    summary: RunSummary,
    dedupe: Option<Dedupe>,
    /// Why nothing can be appended any more.
    abandoned: Option<String>,
}

#[derive(Debug)]
struct Taken {
    by: RunId,
    until: Timestamp,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> MemoryStore {
        MemoryStore::default()
    }

    /// What would be found after a crash at this moment, at worst: sources, notes, and the appends that somebody waited for
    /// with [`Store::durable`], with everything before them.
    #[must_use]
    pub fn after_crash(&self) -> MemoryStore {
        let old = self.state();
        let mut state = State {
            sources: old.sources.clone(),
            notes: old.notes.clone(),
            last_fence: old.last_fence,
            ..State::default()
        };
        for (position, append) in old.log.iter().take_while(|(position, _)| *position <= old.durable) {
            state.ordered = *position;
            state.keep(append.clone());
        }
        state.durable = state.ordered;
        MemoryStore { state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it holds the lock")
    }
}

impl State {
    fn append(&mut self, append: Append) -> Appended {
        if append.fence.is_some() && append.fence != self.claimed {
            return Appended::Fenced;
        }
        let first_at = append.records.first().map_or(Timestamp::MAX, |record| record.at);
        if let Some(taken) = append.dedupe.as_ref().and_then(|dedupe| self.keys.get(&dedupe.key))
            && first_at < taken.until
        {
            return Appended::Duplicate(taken.by);
        }
        if self.runs.get(&append.run()).is_some_and(|run| run.abandoned.is_some()) {
            return Appended::Conflict;
        }
        let next_seq = self.runs.get(&append.run()).map_or(0, |run| run.summary.next_seq);
        if append.expected_seq() != next_seq {
            return Appended::Conflict;
        }
        self.ordered.0 += 1;
        self.keep(append);
        Appended::At(self.ordered)
    }

    fn keep(&mut self, append: Append) {
        self.log.push((self.ordered, append.clone()));
        let run = append.run();
        if let Some(Dedupe { key, until }) = append.dedupe.clone() {
            self.keys.insert(key, Taken { by: run, until });
        }
        let Append { records, summary, dedupe, .. } = append;
        match self.runs.get_mut(&run) {
            Some(known) => {
                known.records.extend(records);
                known.summary = summary;
            }
            None => {
                self.runs.insert(run, Run { records, summary, dedupe, abandoned: None });
            }
        }
    }

    fn prune(&mut self, finished_before: Timestamp) -> u64 {
        let is_over = |run: &Run| {
            run.summary.is_over()
                && run.summary.updated_at < finished_before
                && run.dedupe.as_ref().is_none_or(|dedupe| dedupe.until <= finished_before)
        };
        let over: HashSet<RunId> =
            self.runs.iter().filter(|(_, run)| is_over(run)).map(|(id, _)| *id).collect();
        self.runs.retain(|run, _| !over.contains(run));
        self.keys.retain(|_, taken| !over.contains(&taken.by));
        self.log.retain(|(_, append)| !over.contains(&append.run()));
        over.len() as u64
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn append(&self, appends: Vec<Append>) -> Result<Vec<Appended>> {
        appends.iter().try_for_each(Append::check)?;
        let mut state = self.state();
        Ok(appends.into_iter().map(|append| state.append(append)).collect())
    }

    async fn durable(&self, position: Position) -> Result<()> {
        let mut state = self.state();
        state.durable = state.durable.max(position.min(state.ordered));
        Ok(())
    }

    async fn journal(&self, run: RunId) -> Result<Vec<Record>> {
        let state = self.state();
        let Some(found) = state.runs.get(&run) else { return Ok(Vec::new()) };
        match found.abandoned.clone() {
            Some(message) => Err(Error::Damaged { run, message }),
            None => Ok(found.records.clone()),
        }
    }

    async fn summary(&self, run: RunId) -> Result<Option<RunSummary>> {
        Ok(self.state().runs.get(&run).map(|run| run.summary.clone()))
    }

    async fn runs(&self, query: Query) -> Result<Page> {
        let state = self.state();
        let rows = state.runs.values().rev().map(|run| &run.summary);
        Ok(Page::of(rows.filter(|row| query.admits(row)).cloned(), &query))
    }

    async fn claim(&self, _worker: &str) -> Result<Fence> {
        let mut state = self.state();
        state.last_fence += 1;
        let fence = Fence(state.last_fence);
        state.claimed = Some(fence);
        Ok(fence)
    }

    async fn release(&self, fence: Fence) -> Result<()> {
        let mut state = self.state();
        state.claimed = state.claimed.filter(|claimed| *claimed != fence);
        Ok(())
    }

    async fn put_source(&self, source: Source) -> Result<()> {
        self.state().sources.entry(source.digest.clone()).or_insert(source);
        Ok(())
    }

    async fn source(&self, digest: &Digest) -> Result<Option<Source>> {
        Ok(self.state().sources.get(digest).cloned())
    }

    async fn put_note(&self, note: Note) -> Result<()> {
        note.check()?;
        self.state().notes.insert(note.key, note.value);
        Ok(())
    }

    async fn note(&self, key: &str) -> Result<Option<Value>> {
        Ok(self.state().notes.get(key).filter(|value| !value.is_null()).cloned())
    }

    async fn prune(&self, finished_before: Timestamp) -> Result<u64> {
        Ok(self.state().prune(finished_before))
    }

    async fn finished_since(&self, runs: u64) -> Result<Option<Timestamp>> {
        let state = self.state();
        let finished = state.runs.values().filter(|run| run.summary.is_over());
        let mut times: Vec<Timestamp> = finished.map(|run| run.summary.updated_at).collect();
        times.sort_unstable();
        let surplus = (times.len() as u64).saturating_sub(runs);
        let first = usize::try_from(surplus).ok().filter(|surplus| *surplus > 0);
        Ok(first.map(|first| times.get(first).copied().unwrap_or(Timestamp::MAX)))
    }

    async fn abandon(&self, row: RunSummary) -> Result<()> {
        let mut state = self.state();
        if let Some(run) = state.runs.get_mut(&row.run) {
            run.abandoned = Some(row.error.clone().unwrap_or_default());
            run.summary = row;
        }
        Ok(())
    }

    async fn backup(&self, _now: Timestamp, _to: Box<dyn Write + Send>) -> Result<u64> {
        Err(Error::Refused("a store in memory cannot be copied".to_owned()))
    }

    async fn health(&self) -> Health {
        Health {
            is_writable: true,
            failed: None,
            bytes: 0,
            flushes: 0,
            flushed_bytes: 0,
            reports: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::conformance;

    #[tokio::test]
    async fn it_passes_the_suite() {
        conformance::check(async || Arc::new(MemoryStore::new()) as Arc<dyn Store>).await;
    }

    #[tokio::test]
    async fn a_crash_leaves_what_somebody_waited_for() {
        let store = MemoryStore::new();
        let positions = conformance::fill(&store, 3).await;
        store.durable(positions[1]).await.unwrap();
        let left = store.after_crash().runs(Query::default()).await.unwrap();
        assert_eq!(left.runs.len(), 2);
    }
}
