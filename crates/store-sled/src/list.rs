//! Reading: journals, rows, lists. Everything here may wait for the disk.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use model::{Digest, Record, RunId, RunStatus, RunSummary};
use store::{Append, Error, Page, Query, Result, Source};

use crate::entry::Entry;
use crate::index::{self, Range};
use crate::keys;
use crate::place::{Part, Place};
use crate::recent::{self, Known};
use crate::row::{Head, Row, Shown};
use crate::shared::{Shared, broken};

/// So often a reader looks again when what it looks for is being moved.
const TRIES: usize = 8;

/// What became of reading a record.
enum Read<T> {
    Is(T),
    /// It was moved meanwhile: the index knows where.
    Moved,
    Damaged(String),
}

impl Shared {
    /// The journal of a run.
    pub(crate) fn journal_of(&self, run: RunId) -> Result<Vec<Record>> {
        for _ in 0..TRIES {
            let (recent, lost) = {
                let recent = self.recent();
                (recent.run(run).cloned().unwrap_or_default(), recent.lost.get(&run).cloned())
            };
            if let Some(message) = lost {
                return Err(Error::Damaged { run, message });
            }
            match self.gather(run, &recent)? {
                Read::Is(records) => return Ok(records),
                Read::Moved => {}
                Read::Damaged(message) => {
                    self.lose(run, &message)?;
                    return Err(Error::Damaged { run, message });
                }
            }
        }
        Err(Error::Broken(format!("the records of run {run} cannot be found where the index says")))
    }

    fn gather(&self, run: RunId, recent: &recent::Run) -> Result<Read<Vec<Record>>> {
        let end = recent.appends.first().map(|(_, append)| append.expected_seq());
        let mut records = Vec::new();
        let parts = if recent.gone.is_none() { self.parts(run)? } else { Vec::new() };
        for part in parts.iter().filter(|part| end.is_none_or(|end| part.first < end)) {
            match self.read_append(part.place)? {
                Read::Is(append) => records.extend_from_slice(&append.records),
                Read::Moved => return Ok(Read::Moved),
                Read::Damaged(why) => {
                    return Ok(Read::Damaged(format!("its facts from {} on are lost: {why}", part.first)));
                }
            }
        }
        for (_, append) in &recent.appends {
            records.extend_from_slice(&append.records);
        }
        let gap = (0..).zip(&records).find(|(seq, record)| record.seq != *seq);
        Ok(match gap {
            Some((seq, _)) => Read::Damaged(format!("its facts from {seq} on are missing")),
            None => Read::Is(records),
        })
    }

    /// Where the appends of a run lie, as far as the index knows.
    pub(crate) fn parts(&self, run: RunId) -> Result<Vec<Part>> {
        let known = self.index.row_with_parts(run).map_err(|error| self.fail_now(&error))?;
        Ok(known.map(|(_, parts)| parts).unwrap_or_default())
    }

    fn read_entry(&self, place: Place) -> Result<Read<Entry>> {
        match self.journal.read(place.at) {
            Ok(record) => Ok(match Entry::parse(&record.payload) {
                Ok(entry) => Read::Is(entry),
                Err(error) => {
                    Read::Damaged(format!("the record at {} cannot be understood: {error}", place.at))
                }
            }),
            Err(journal::Error::Gone(_)) => Ok(Read::Moved),
            Err(journal::Error::Damaged(damage)) => Ok(Read::Damaged(damage.to_string())),
            Err(error) => Err(broken(error)),
        }
    }

    fn read_append(&self, place: Place) -> Result<Read<Arc<Append>>> {
        Ok(match self.read_entry(place)? {
            Read::Is(Entry::Append(append)) => Read::Is(append),
            Read::Is(_) => Read::Damaged(format!("the record at {} is another one", place.at)),
            Read::Moved => Read::Moved,
            Read::Damaged(why) => Read::Damaged(why),
        })
    }

    /// The row of one run.
    pub(crate) fn summary_of(&self, run: RunId) -> Result<Option<RunSummary>> {
        let known = self.recent().run(run).map(|recent| (recent.gone.is_some(), recent.summary().cloned()));
        match known {
            Some((_, Some(summary))) => Ok(Some(self.mark(summary))),
            Some((true, None)) => Ok(None),
            Some((false, None)) | None => {
                Ok(self.indexed_summary(run, &Query::default())?.map(|summary| self.mark(summary)))
            }
        }
    }

    /// The row of a run in the index, if this list asks for it.
    fn indexed_summary(&self, run: RunId, query: &Query) -> Result<Option<RunSummary>> {
        let asked = |summary: Option<RunSummary>| summary.filter(|row| query.admits(row));
        for _ in 0..TRIES {
            let row = self.row(run)?.filter(|row| row.may_be_in(query));
            let Some(row) = row else { return Ok(None) };
            match self.shown(run, &row)? {
                Read::Is(summary) => return Ok(asked(Some(summary))),
                Read::Moved => {}
                Read::Damaged(why) => {
                    self.lose(run, &format!("its last facts are lost: {why}"))?;
                    return self.older_summary(run).map(asked);
                }
            }
        }
        if self.recent().lost.contains_key(&run) {
            return self.older_summary(run).map(asked);
        }
        Err(Error::Broken(format!("the row of run {run} cannot be found where the index says")))
    }

    fn shown(&self, run: RunId, row: &Row) -> Result<Read<RunSummary>> {
        let at = match &row.summary {
            Shown::Here(json) => {
                let summary = serde_json::from_slice(json);
                let unreadable =
                    |_| self.fail_now(&crate::changes::unreadable(&format!("the row of run {run}")));
                return summary.map(Read::Is).map_err(unreadable);
            }
            Shown::Of(append, _) => return Ok(Read::Is(append.summary.clone())),
            Shown::InJournal(at) => *at,
        };
        Ok(match self.read_append(Place { at, bytes: 0 })? {
            Read::Is(append) => Read::Is(append.summary.clone()),
            Read::Moved => Read::Moved,
            Read::Damaged(why) => Read::Damaged(why),
        })
    }

    /// The row as of the last append that can still be read.
    fn older_summary(&self, run: RunId) -> Result<Option<RunSummary>> {
        for part in self.parts(run)?.iter().rev() {
            if let Read::Is(append) = self.read_append(part.place)? {
                return Ok(Some(append.summary.clone()));
            }
        }
        Ok(None)
    }

    /// Says in the row that the run has lost something.
    fn mark(&self, mut summary: RunSummary) -> RunSummary {
        // What was abandoned says so itself.
        if summary.status.is_finished() && summary.error.is_some() {
            return summary;
        }
        if let Some(message) = self.recent().lost.get(&summary.run) {
            summary.error = Some(format!("this run cannot go on: {message}"));
        }
        summary
    }

    /// A page of rows.
    pub(crate) fn page(&self, query: &Query) -> Result<Page> {
        let mut rows = self.recent_summaries();
        let limit = query.limit.clamp(1, Query::MOST);
        let mut found = 0;
        let mut runs = Vec::new();
        let mut from = query.before;
        // Rows that changed meanwhile are left out below, so there may be need for more than a page of them.
        while found <= limit {
            runs.clear();
            let range = range(query, from);
            self.walk(&range, |key, value| {
                // The values of some keys say nothing.
                if Head::decode(value).is_none_or(|head| head.is_in(query)) {
                    runs.extend(keys::run_of(key));
                }
                if runs.len() > limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })?;
            let Some(last) = runs.last() else { break };
            from = Some(*last);
            for run in &runs {
                if rows.contains_key(run) {
                    continue;
                }
                if let Some(row) = self.indexed_summary(*run, query)? {
                    found += 1;
                    rows.insert(*run, Some(row));
                }
            }
            if runs.len() <= limit {
                break;
            }
        }
        let rows = rows.into_values().rev().flatten();
        let page = Page::of(rows.filter(|row| query.admits(row)), query);
        Ok(Page { runs: page.runs.into_iter().map(|row| self.mark(row)).collect(), ..page })
    }

    /// Rows that the index does not have yet; none for runs that are gone.
    pub(crate) fn recent_summaries(&self) -> BTreeMap<RunId, Option<RunSummary>> {
        let recent = self.recent();
        recent.runs().map(|(run, recent)| (*run, recent.summary().cloned())).collect()
    }

    /// A workflow source. One that is damaged is none, and reported.
    pub(crate) fn source_of(&self, digest: &Digest) -> Result<Option<Arc<Source>>> {
        for _ in 0..TRIES {
            if let Known::Here(source) = self.recent().source(digest) {
                return Ok(source.map(|(source, _)| source));
            }
            let Some(place) = self.placed(&keys::source(digest))? else { return Ok(None) };
            match self.read_entry(place)? {
                Read::Is(Entry::Source(source)) if source.digest == *digest => return Ok(Some(source)),
                Read::Moved => {}
                Read::Is(_) => break,
                Read::Damaged(why) => {
                    self.recent().report(format!("the workflow source {digest} is lost: {why}"));
                    return Ok(None);
                }
            }
        }
        Err(Error::Broken(format!("the workflow source {digest} cannot be found where the index says")))
    }

    /// The place at the beginning of a value.
    pub(crate) fn placed(&self, key: &[u8]) -> Result<Option<Place>> {
        let value = self.index.get(key).map_err(|error| self.fail_now(&error))?;
        Ok(value.and_then(|value| Place::decode(&value)))
    }

    pub(crate) fn walk(
        &self,
        range: &Range,
        show: impl FnMut(&[u8], &[u8]) -> ControlFlow<()>,
    ) -> Result<()> {
        self.index.walk(range, show).map_err(|error: index::Error| self.fail_now(&error))
    }
}

/// The narrowest keys among which the rows of a query are, youngest first.
fn range(query: &Query, before: Option<RunId>) -> Range {
    let prefix = match query.status {
        _ if query.waits_for_people => vec![keys::OPEN],
        _ if query.has_disrupted => vec![keys::DISRUPTED],
        Some(RunStatus::Waiting) => vec![keys::OPEN],
        Some(status @ (RunStatus::Running | RunStatus::Failed | RunStatus::Cancelled)) => {
            keys::status_prefix(status)
        }
        Some(RunStatus::Succeeded) | None if query.is_open => vec![keys::OPEN],
        Some(RunStatus::Succeeded) | None => match &query.workflow {
            Some(workflow) => keys::workflow_prefix(keys::short_hash(workflow)),
            None => vec![keys::ROWS],
        },
    };
    let below = before.map(|run| keys::of_run(&prefix, run));
    Range { below, is_backwards: true, ..Range::of(prefix) }
}
