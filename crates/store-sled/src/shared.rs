//! Journal, index and what is between them: the rules by which an append is taken.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use journal::{Draft, Journal, Position};
use model::{RunId, RunSummary};
use store::{Append, Appended, Error, Result};

use crate::apply::holder;
use crate::entry::Entry;
use crate::index::{self, Index};
use crate::keys::{self, Hash};
use crate::place::Place;
use crate::recent::{Known, Queued, Recent};
use crate::row::Row;

/// The index may be so far behind.
const LINGER: Duration = Duration::from_millis(50);

pub(crate) struct Shared {
    pub(crate) journal: Journal,
    pub(crate) index: Index,
    pub(crate) folder: PathBuf,
    recent: Mutex<Recent>,
    /// Those who wait for the index to catch up sleep here.
    caught_up: Condvar,
    /// The thread that brings the index up to date sleeps here.
    hurried: Condvar,
    /// Told whenever there may be room for appends again.
    pub(crate) room: tokio::sync::Notify,
    /// Held while records are moved and segments retired, and by whoever needs them to stay where they are.
    pub(crate) tidying: Mutex<()>,
}

/// An append with everything computed that needs no lock.
pub(crate) struct Prepared {
    pub(crate) draft: Draft,
    append: Arc<Append>,
    entry: Arc<Entry>,
    key: Option<Hash>,
}

/// Why something was not ordered.
pub(crate) enum Stall {
    /// It can be tried again when there is room.
    Busy,
    Failed(Error),
}

impl Prepared {
    pub(crate) fn new(append: Append) -> Prepared {
        let append = Arc::new(append);
        let entry = Arc::new(Entry::Append(Arc::clone(&append)));
        Prepared {
            draft: entry.draft(),
            key: append.dedupe.as_ref().map(|dedupe| keys::hash(&dedupe.key)),
            append,
            entry,
        }
    }
}

impl Shared {
    pub(crate) fn new(journal: Journal, index: Index, folder: PathBuf, recent: Recent) -> Shared {
        Shared {
            journal,
            index,
            folder,
            recent: Mutex::new(recent),
            caught_up: Condvar::new(),
            hurried: Condvar::new(),
            room: tokio::sync::Notify::new(),
            tidying: Mutex::default(),
        }
    }

    pub(crate) fn recent(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().expect("nothing panics while it holds the lock")
    }

    /// Takes an append, or says why not. Does not wait for anything.
    pub(crate) fn append(&self, prepared: &Prepared) -> std::result::Result<Appended, Stall> {
        let mut recent = self.recent();
        if let Some(why) = &recent.failed {
            return Err(Stall::Failed(Error::Broken(why.clone())));
        }
        if recent.is_crowded() {
            let no_room = recent.no_room.clone().map(Error::Full);
            let stopped = self.journal.stopped().map(Error::Broken).or(no_room);
            return Err(stopped.map_or(Stall::Busy, Stall::Failed));
        }
        match self.objection(&recent, prepared) {
            Ok(None) => {}
            Ok(Some(answer)) => return Ok(answer),
            Err(error) => {
                let error = self.fail(&error);
                if let Error::Broken(why) = &error {
                    recent.failed = Some(why.clone());
                }
                return Err(Stall::Failed(error));
            }
        }
        let at = self.order(&mut recent, &prepared.draft, &prepared.entry)?;
        Ok(Appended::At(store::Position(at.as_u64())))
    }

    /// Whether an append fits into a segment.
    pub(crate) fn check_size(&self, prepared: &Prepared) -> Result<()> {
        self.journal.check_size(&prepared.draft).map_err(broken)
    }

    /// What speaks against an append.
    fn objection(&self, recent: &Recent, prepared: &Prepared) -> index::Result<Option<Appended>> {
        let append = &prepared.append;
        if append.fence.is_some() && append.fence != recent.claimed {
            return Ok(Some(Appended::Fenced));
        }
        if let (Some(key), Some(first)) = (&prepared.key, append.records.first())
            && let Some((by, until)) = self.holder(recent, key)?
            && first.at < until
        {
            return Ok(Some(Appended::Duplicate(by)));
        }
        let is_next = self.next_seq(recent, append.run())? == append.expected_seq();
        // Nobody can have replayed a run that lost a record; who tries finds that out.
        let is_whole = !recent.lost.contains_key(&append.run());
        Ok((!is_next || !is_whole).then_some(Appended::Conflict))
    }

    /// Gives an entry its place in the journal and takes note of it.
    fn order(
        &self,
        recent: &mut Recent,
        draft: &Draft,
        entry: &Arc<Entry>,
    ) -> std::result::Result<Position, Stall> {
        let at = self.journal.try_append(draft).map_err(stall)?;
        recent.note(queued(at, draft, entry));
        Ok(at)
    }

    /// Gives an entry its place; waits for room. `decide` says under the lock what to write, or that there is no need.
    pub(crate) fn order_now(
        &self,
        mut decide: impl FnMut(&mut Recent) -> Option<Entry>,
    ) -> Result<Option<Position>> {
        loop {
            let mut recent = self.recent();
            if let Some(why) = &recent.failed {
                return Err(Error::Broken(why.clone()));
            }
            let Some(entry) = decide(&mut recent) else { return Ok(None) };
            let draft = entry.draft();
            match self.order(&mut recent, &draft, &Arc::new(entry)) {
                Ok(at) => return Ok(Some(at)),
                Err(Stall::Failed(error)) => return Err(error),
                Err(Stall::Busy) => {
                    drop(recent);
                    self.journal.wait_for_room(&draft);
                }
            }
        }
    }

    /// Writes an entry again, behind everything else.
    pub(crate) fn copy_now(&self, entry: &Arc<Entry>) -> Result<Position> {
        let draft = entry.draft();
        loop {
            let mut recent = self.recent();
            match self.journal.try_append(&draft).map_err(stall) {
                Ok(at) => {
                    recent.note_copy(queued(at, &draft, entry));
                    return Ok(at);
                }
                Err(Stall::Failed(error)) => return Err(error),
                Err(Stall::Busy) => {
                    drop(recent);
                    self.journal.wait_for_room(&draft);
                }
            }
        }
    }

    fn next_seq(&self, recent: &Recent, run: RunId) -> index::Result<u32> {
        match recent.next_seq(run) {
            Known::Here(next_seq) => Ok(next_seq.unwrap_or(0)),
            Known::InIndex => Ok(self.index.row(run)?.map_or(0, |row| row.next_seq)),
        }
    }

    fn holder(&self, recent: &Recent, key: &Hash) -> index::Result<Option<(RunId, model::Timestamp)>> {
        match recent.holder(key) {
            Known::Here(holder) => Ok(holder),
            Known::InIndex => {
                let value = self.index.get(&keys::dedupe(key))?;
                Ok(value.and_then(|value| holder(&value)))
            }
        }
    }

    /// The row of a run as the index knows it.
    pub(crate) fn row(&self, run: RunId) -> Result<Option<Row>> {
        self.index.row(run).map_err(|error| self.fail_now(&error))
    }

    /// The index has everything up to here.
    pub(crate) fn settle(&self, applied: Position) {
        let settled = self.recent().settle(applied);
        drop(settled);
        self.caught_up.notify_all();
        self.room.notify_waiters();
    }

    /// Waits until the index has everything up to here, which makes it durable too.
    pub(crate) fn wait_until_applied(&self, at: Position) -> Result<()> {
        self.journal.durable(at).map_err(broken)?;
        self.hurry();
        let waits =
            |recent: &mut Recent| recent.applied < at && recent.failed.is_none() && recent.no_room.is_none();
        let recent = self.caught_up.wait_while(self.recent(), waits);
        let mut recent = recent.expect("nothing panics while it holds the lock");
        recent.hurried -= 1;
        match (&recent.failed, &recent.no_room) {
            (Some(why), _) => Err(Error::Broken(why.clone())),
            (None, Some(why)) if recent.applied < at => Err(Error::Full(why.clone())),
            (None, _) => Ok(()),
        }
    }

    /// Waits until the index has everything that was ordered before.
    pub(crate) fn catch_up(&self) -> Result<()> {
        let last = self.recent().youngest();
        last.map_or(Ok(()), |last| self.wait_until_applied(last))
    }

    /// The index will not get any further.
    pub(crate) fn let_go(&self) {
        self.caught_up.notify_all();
        self.room.notify_waiters();
    }

    /// Somebody waits for the index.
    pub(crate) fn hurry(&self) {
        self.recent().hurried += 1;
        self.hurried.notify_all();
    }

    /// Lets more come together for the index, which takes many changes of a run as easily as one.
    pub(crate) fn linger(&self) {
        let waits = |recent: &mut Recent| !recent.is_worth_applying();
        let waited = self.hurried.wait_timeout_while(self.recent(), LINGER, waits);
        drop(waited.expect("nothing panics while it holds the lock"));
    }

    /// A record of this run is lost.
    pub(crate) fn lose(&self, run: RunId, message: &str) -> Result<()> {
        let known = |recent: &mut Recent| {
            if recent.lost.contains_key(&run) {
                return None;
            }
            recent.report(format!("run {run}: {message}"));
            let message = message.to_owned();
            Some(Entry::Lost { run, message, row: None })
        };
        self.order_now(known).map(|_| ())
    }

    /// Ends a run that cannot be replayed; waits until it is on disk and in the index.
    pub(crate) fn abandon(&self, row: &RunSummary) -> Result<()> {
        self.catch_up()?;
        let run = row.run;
        if self.row(run)?.is_none() {
            return Ok(());
        }
        let message = row.error.clone().unwrap_or_default();
        let at = self.order_now(|_| {
            Some(Entry::Lost { run, message: message.clone(), row: Some(Box::new(row.clone())) })
        })?;
        at.map_or(Ok(()), |at| self.wait_until_applied(at))
    }

    /// The index cannot be used any more: nothing is appended from here on, and the next start makes it again. But where
    /// the disk is full it is back by and by.
    pub(crate) fn fail(&self, error: &index::Error) -> Error {
        let why = error.to_string();
        if matches!(error, index::Error::NoRoom(_)) {
            return Error::Full(why);
        }
        tracing::error!(error = %why, "the store stops");
        if let Err(error) = std::fs::File::create(suspect(&self.folder)) {
            tracing::error!(%error, "the next start is not told that the index failed");
        }
        Error::Broken(why)
    }

    /// As [`Shared::fail`], for whoever does not hold the lock.
    pub(crate) fn fail_now(&self, error: &index::Error) -> Error {
        let failed = self.fail(error);
        if let Error::Broken(why) = &failed {
            self.recent().failed = Some(why.clone());
            self.let_go();
        }
        failed
    }
}

/// The file that says that the index is not to be trusted.
pub(crate) fn suspect(folder: &Path) -> PathBuf {
    folder.join("index.suspect")
}

pub(crate) fn broken(error: journal::Error) -> Error {
    match error {
        journal::Error::TooLarge { .. } => Error::Refused(error.to_string()),
        journal::Error::Full(why) => Error::Full(why),
        journal::Error::Locked { .. } => Error::Locked(error.to_string()),
        journal::Error::Io { .. }
        | journal::Error::Stopped(_)
        | journal::Error::Busy
        | journal::Error::Damaged(_)
        | journal::Error::Gone(_) => Error::Broken(with_causes(&error)),
    }
}

fn with_causes(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {}", with_causes(cause)),
        None => error.to_string(),
    }
}

fn stall(error: journal::Error) -> Stall {
    if matches!(error, journal::Error::Busy) { Stall::Busy } else { Stall::Failed(broken(error)) }
}

fn queued(at: Position, draft: &Draft, entry: &Arc<Entry>) -> Queued {
    Queued {
        place: Place { at, bytes: length(draft.bytes()) },
        identity: identity(draft.digest()),
        entry: Arc::clone(entry),
        creates: None,
    }
}

pub(crate) fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).expect("a record fits into a segment")
}

/// What the index remembers of the last record that it knows.
pub(crate) fn identity(digest: &[u8; 32]) -> u128 {
    u128::from_be_bytes(*digest.first_chunk().expect("a hash has 32 bytes"))
}
