//! What is ordered in the journal and not yet in the index. Readers look here first.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use journal::Position;
use model::{Digest, RunId, RunSummary, Timestamp};
use store::{Append, Fence, Source};

use crate::entry::Entry;
use crate::keys::{self, Hash};
use crate::note::Noted;
use crate::place::Place;

#[derive(Default)]
pub(crate) struct Recent {
    runs: HashMap<RunId, Run>,
    keys: HashMap<Hash, (RunId, Timestamp, Position)>,
    sources: HashMap<Digest, (Option<Arc<Source>>, Position)>,
    notes: HashMap<String, (Noted, Position)>,
    queue: VecDeque<Queued>,
    queue_bytes: usize,
    /// Everything up to here is in the index.
    pub(crate) applied: Position,
    /// How many wait for the index.
    pub(crate) hurried: usize,
    /// The claim that holds.
    pub(crate) claimed: Option<Fence>,
    pub(crate) last_fence: u64,
    /// Runs of which a record is lost, with a word on it.
    pub(crate) lost: BTreeMap<RunId, String>,
    /// Sources that were put since the store was opened.
    pub(crate) put_sources: BTreeSet<Digest>,
    pub(crate) reports: Vec<String>,
    /// Why nothing can be appended any more, where that is not the journal's fault.
    pub(crate) failed: Option<String>,
    /// Why the index is closed, while the disk has no room for it.
    pub(crate) no_room: Option<String>,
}

/// What happened to a run that the index does not know yet.
#[derive(Clone, Default)]
pub(crate) struct Run {
    /// The place at which it was forgotten.
    pub(crate) gone: Option<Position>,
    /// Appends since then.
    pub(crate) appends: Vec<(Position, Arc<Append>)>,
}

impl Run {
    pub(crate) fn summary(&self) -> Option<&RunSummary> {
        self.appends.last().map(|(_, append)| &append.summary)
    }
}

/// What waits to be put into the index.
#[derive(Clone)]
pub(crate) struct Queued {
    pub(crate) place: Place,
    pub(crate) identity: u128,
    pub(crate) entry: Arc<Entry>,
    /// The run that it creates, of which the index knows nothing yet.
    pub(crate) creates: Option<RunId>,
}

/// What is known of something here.
pub(crate) enum Known<T> {
    /// It is this; none: it is gone.
    Here(Option<T>),
    /// The index knows.
    InIndex,
}

impl Recent {
    /// So much may wait to be put into the index.
    const MOST_ENTRIES: usize = 65_536;
    const MOST_BYTES: usize = 64 << 20;

    const WORTH_APPLYING: usize = 2048;
    const MOST_REPORTS: usize = 100;

    pub(crate) fn is_crowded(&self) -> bool {
        self.queue.len() >= Recent::MOST_ENTRIES || self.queue_bytes >= Recent::MOST_BYTES
    }

    pub(crate) fn run(&self, run: RunId) -> Option<&Run> {
        self.runs.get(&run)
    }

    pub(crate) fn runs(&self) -> impl Iterator<Item = (&RunId, &Run)> {
        self.runs.iter()
    }

    /// The number of records of a run.
    pub(crate) fn next_seq(&self, run: RunId) -> Known<u32> {
        match self.runs.get(&run) {
            Some(run) if run.gone.is_some() || !run.appends.is_empty() => {
                Known::Here(run.summary().map(|summary| summary.next_seq))
            }
            Some(_) | None => Known::InIndex,
        }
    }

    /// Who holds a dedupe key, and until when.
    pub(crate) fn holder(&self, key: &Hash) -> Known<(RunId, Timestamp)> {
        match self.keys.get(key) {
            Some((run, until, _)) => Known::Here(Some((*run, *until))),
            None => Known::InIndex,
        }
    }

    pub(crate) fn source(&self, digest: &Digest) -> Known<(Arc<Source>, Position)> {
        match self.sources.get(digest) {
            Some((source, at)) => Known::Here(source.clone().map(|source| (source, *at))),
            None => Known::InIndex,
        }
    }

    /// The note of this name.
    pub(crate) fn noted(&self, name: &str) -> Known<Noted> {
        match self.notes.get(name) {
            Some((noted, _)) => Known::Here(Some(noted.clone())),
            None => Known::InIndex,
        }
    }

    /// Takes note of what was ordered, and nothing spoke against it.
    pub(crate) fn note(&mut self, mut queued: Queued) {
        let at = queued.place.at;
        match &*queued.entry {
            Entry::Append(append) => {
                if let Some(dedupe) = &append.dedupe {
                    self.keys.insert(keys::hash(&dedupe.key), (append.run(), dedupe.until, at));
                }
                // A run that waits for the index to forget it is known here.
                let is_known = append.expected_seq() > 0 || self.runs.contains_key(&append.run());
                queued.creates = (!is_known).then(|| append.run());
                let run = self.runs.entry(append.run()).or_default();
                run.appends.push((at, Arc::clone(append)));
            }
            Entry::Source(source) => {
                self.sources.insert(source.digest.clone(), (Some(Arc::clone(source)), at));
            }
            Entry::Note { note, version } => {
                let noted = Noted { version: *version, value: note.value.clone() };
                self.notes.insert(note.key.clone(), (noted, at));
            }
            Entry::Claimed { fence, .. } => self.last_fence = self.last_fence.max(*fence),
            Entry::Lost { run, message, .. } => {
                self.lost.insert(*run, message.clone());
            }
            Entry::Forgotten { runs, sources } => {
                for run in runs {
                    self.lost.remove(run);
                    self.runs.insert(*run, Run { gone: Some(at), appends: Vec::new() });
                }
                for digest in sources {
                    self.sources.insert(digest.clone(), (None, at));
                }
            }
        }
        self.note_copy(queued);
    }

    /// Takes note of a copy of something older, which changes nothing but its place.
    pub(crate) fn note_copy(&mut self, queued: Queued) {
        self.queue_bytes += queued.place.bytes as usize;
        self.queue.push_back(queued);
    }

    /// Takes note of something that an operator should know.
    pub(crate) fn report(&mut self, report: String) {
        tracing::error!(report, "the store found something");
        if self.reports.len() < Recent::MOST_REPORTS {
            self.reports.push(report);
        }
    }

    /// The place of the youngest that waits.
    pub(crate) fn youngest(&self) -> Option<Position> {
        self.queue.back().map(|queued| queued.place.at)
    }

    /// Whether it is worth bringing the index up to date.
    pub(crate) fn is_worth_applying(&self) -> bool {
        self.hurried > 0 || self.queue.len() >= Recent::WORTH_APPLYING
    }

    /// The oldest that wait, as far as they lie before this place.
    pub(crate) fn oldest(&self, before: Position, most: usize) -> Vec<Queued> {
        let due = self.queue.iter().take_while(|queued| queued.place.at < before);
        due.take(most).cloned().collect()
    }

    /// Forgets what is in the index: everything up to here. Gives it back, for it takes time to drop.
    pub(crate) fn settle(&mut self, applied: Position) -> Vec<Queued> {
        self.applied = applied;
        let mut settled = Vec::new();
        while let Some(queued) = self.queue.pop_front_if(|queued| queued.place.at <= applied) {
            self.queue_bytes -= queued.place.bytes as usize;
            match &*queued.entry {
                Entry::Append(append) => {
                    self.settle_run(append.run(), applied);
                    if let Some(dedupe) = &append.dedupe {
                        self.settle_key(&keys::hash(&dedupe.key), applied);
                    }
                }
                Entry::Source(source) => self.settle_source(&source.digest, applied),
                Entry::Note { note, .. } => self.settle_note(&note.key, applied),
                Entry::Claimed { .. } | Entry::Lost { .. } => {}
                Entry::Forgotten { runs, sources } => {
                    runs.iter().for_each(|run| self.settle_run(*run, applied));
                    sources.iter().for_each(|digest| self.settle_source(digest, applied));
                }
            }
            settled.push(queued);
        }
        settled
    }

    fn settle_run(&mut self, id: RunId, applied: Position) {
        let Some(run) = self.runs.get_mut(&id) else { return };
        run.gone = run.gone.filter(|at| *at > applied);
        run.appends.retain(|(at, _)| *at > applied);
        if run.gone.is_none() && run.appends.is_empty() {
            self.runs.remove(&id);
        }
    }

    fn settle_key(&mut self, key: &Hash, applied: Position) {
        if self.keys.get(key).is_some_and(|(_, _, at)| *at <= applied) {
            self.keys.remove(key);
        }
    }

    fn settle_note(&mut self, name: &str, applied: Position) {
        if self.notes.get(name).is_some_and(|(_, at)| *at <= applied) {
            self.notes.remove(name);
        }
    }

    fn settle_source(&mut self, digest: &Digest, applied: Position) {
        if self.sources.get(digest).is_some_and(|(_, at)| *at <= applied) {
            self.sources.remove(digest);
        }
    }
}
