//! Reads what the index does not have from the journal, and finds out what the journal has lost.

use std::collections::{BTreeMap, BTreeSet};

use journal::{Damage, Journal, Position, Record, Scanned};
use model::RunId;
use sha2::{Digest as _, Sha256};

use crate::apply::apply;
use crate::changes::Changes;
use crate::entry::{Entry, NO_RUN};
use crate::index::{self, Index};
use crate::keys;
use crate::place::Place;
use crate::shared::{identity, length};

/// So many keys of the index are changed at once.
const MOST: usize = 20_000;

/// What was found beside what was to be found.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// Runs of which a record is lost, and the journal does not say so yet.
    pub(crate) lost: BTreeMap<RunId, String>,
    pub(crate) reports: Vec<String>,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Index(#[from] index::Error),
    #[error(transparent)]
    Journal(#[from] journal::Error),
}

/// Brings the index to the end of the journal.
pub(crate) fn replay(journal: &Journal, index: &Index) -> Result<Findings, Error> {
    let from = index.meta().applied;
    let mut replay = Replay::default();
    let mut changes = Changes::new(index);
    let mut last = None;
    for scanned in journal.scan(from) {
        match scanned? {
            Scanned::Record(record) if record.position == from => {}
            Scanned::Record(record) => {
                last = replay.take(&mut changes, &record)?.or(last);
                if let Some((at, identity)) = last.filter(|_| changes.len() >= MOST) {
                    changes.commit(at, identity)?;
                    changes = Changes::new(index);
                }
            }
            Scanned::Damage(damage) => replay.damages.push((damage, format!("{damage}"))),
            Scanned::Break(at) => replay.findings.reports.push(format!(
                "the record at {at} does not follow the one before it: something was changed or taken out"
            )),
        }
    }
    if let Some((at, identity)) = last {
        changes.commit(at, identity)?;
    }
    replay.finish(index)
}

#[derive(Default)]
struct Replay {
    damages: Vec<(Damage, String)>,
    /// Runs of which a record came before the one that it follows. The other may come later, as a copy.
    doubtful: BTreeSet<RunId>,
    findings: Findings,
}

impl Replay {
    fn take(&mut self, changes: &mut Changes, record: &Record) -> index::Result<Option<(Position, u128)>> {
        let place = Place { at: record.position, bytes: length(record.bytes()) };
        let entry = match Entry::parse(&record.payload) {
            Ok(entry) => entry,
            Err(error) => {
                let (position, bytes) = (place.at, place.bytes);
                let damage = Damage { position, bytes, key: Some(record.key) };
                self.damages
                    .push((damage, format!("the record at {position} cannot be understood: {error}")));
                return Ok(None);
            }
        };
        match &entry {
            Entry::Append(append) => {
                let next_seq = changes.row(append.run())?.as_ref().map_or(0, |row| row.next_seq);
                if append.expected_seq() > next_seq {
                    self.doubtful.insert(append.run());
                }
            }
            Entry::Forgotten { runs, .. } => {
                self.damages.retain(|(damage, _)| {
                    damage.key.is_none_or(|key| !runs.contains(&RunId::from_bytes(key.run)))
                });
            }
            Entry::Source(_) | Entry::Note { .. } | Entry::Claimed { .. } | Entry::Lost { .. } => {}
        }
        apply(changes, &entry, place)?;
        let digest = Sha256::digest(&record.payload).into();
        Ok(Some((place.at, identity(&digest))))
    }

    fn finish(mut self, index: &Index) -> Result<Findings, Error> {
        for (damage, what) in std::mem::take(&mut self.damages) {
            match damage.key {
                None => self.findings.reports.push(format!("{what}, and whose they were cannot be told")),
                Some(key) if key.seq == NO_RUN => {
                    self.findings.reports.push(format!("{what}: a record that belongs to no run is lost"));
                }
                Some(key) => self.lose(index, RunId::from_bytes(key.run), key.seq, &what)?,
            }
        }
        for run in std::mem::take(&mut self.doubtful) {
            if let Some(gap) = gap(index, run)? {
                self.add(index, run, gap)?;
            }
        }
        Ok(self.findings)
    }

    /// The append of this run that begins with this number is damaged. It is not lost if there is another copy.
    fn lose(&mut self, index: &Index, run: RunId, seq: u32, what: &str) -> index::Result<()> {
        if index.part_at(run, seq)?.is_some() {
            return Ok(());
        }
        let rest =
            if index.get(&keys::row(run))?.is_none() { ", and nothing else of the run is left" } else { "" };
        self.add(index, run, format!("its facts from {seq} on are lost: {what}{rest}"))
    }

    fn add(&mut self, index: &Index, run: RunId, message: String) -> index::Result<()> {
        if index.get(&keys::lost(run))?.is_none() {
            self.findings.lost.entry(run).or_insert(message);
        }
        Ok(())
    }
}

/// What is missing in the middle of a run's journal.
fn gap(index: &Index, run: RunId) -> index::Result<Option<String>> {
    let Some((row, parts)) = index.row_with_parts(run)? else { return Ok(None) };
    let mut next = 0;
    let mut gap = None;
    for part in parts {
        if part.first != next {
            gap = Some((next, part.first));
            break;
        }
        next = part.next;
    }
    if gap.is_none() && next != row.next_seq {
        gap = Some((next, row.next_seq));
    }
    Ok(gap.map(|(from, to)| format!("its facts {from} to {} are missing", to - 1)))
}
