//! The store as its users see it.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use async_trait::async_trait;
use journal::disk::{Disk, RealDisk};
use model::{Digest, Record, RunId, RunSummary, Timestamp};
use serde_json::Value;
use store::{Append, Appended, Error, Fence, Health, Note, Page, Position, Query, Result, Source, Store};

use crate::applier;
use crate::entry::Entry;
use crate::open;
use crate::recent::Known;
use crate::shared::{Prepared, Shared, Stall, broken};

/// How the store uses its machine.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The length of a file of the journal in bytes. One append fits into one file.
    pub segment_bytes: u32,
    /// How many bytes of what it read sled may keep; in memory they take about three times as much. Runs that are looked
    /// at are mostly young ones, whose keys lie beside each other, and the system keeps the file in memory as well.
    pub cache_bytes: u64,
    /// Added to each flush of the journal, to measure as on a slower disk.
    pub flush_delay: Duration,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { segment_bytes: 64 << 20, cache_bytes: 4 << 20, flush_delay: Duration::ZERO }
    }
}

impl Settings {
    pub(crate) fn journal(&self) -> journal::Settings {
        let Settings { segment_bytes, flush_delay, cache_bytes: _ } = *self;
        journal::Settings { segment_bytes, flush_delay, ..journal::Settings::default() }
    }
}

/// The embedded store: a folder that one process has open. Dropping it writes and flushes what was appended.
pub struct SledStore {
    shared: Arc<Shared>,
    applier: Option<JoinHandle<()>>,
}

impl SledStore {
    /// Opens the store in this folder, or begins one.
    ///
    /// Waits for the disk: seconds where there is much to read. An index that is damaged, or that another version wrote, is
    /// made again from the journal, at some ten thousand appends per second. What was found is in [`Health::reports`].
    ///
    /// # Errors
    ///
    /// [`Error::Locked`] if another process has it open; the text names it. [`Error::Broken`] if the disk says no.
    pub fn open(folder: &Path, settings: &Settings) -> Result<SledStore> {
        SledStore::open_on(Arc::new(RealDisk), folder, settings)
    }

    /// Opens the store in this folder of another kind of disk; for tests and measurements. sled writes to the real one.
    ///
    /// # Errors
    ///
    /// As [`SledStore::open`].
    pub fn open_on(disk: Arc<dyn Disk>, folder: &Path, settings: &Settings) -> Result<SledStore> {
        let shared = Arc::new(open::open(disk, folder, settings)?);
        let thread = std::thread::Builder::new().name("store-index".to_owned());
        let applier = {
            let shared = Arc::clone(&shared);
            thread.spawn(move || applier::run(&shared))
        };
        let applier = applier.map_err(|error| Error::Broken(format!("cannot start a thread: {error}")))?;
        Ok(SledStore { shared, applier: Some(applier) })
    }

    /// Keeps a note; durable when it returns.
    pub(crate) fn note_now(&self, note: &Arc<Note>) -> Result<()> {
        self.shared.put_note(note)
    }

    /// Runs something that may wait for the disk where it keeps nobody waiting.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Shared) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let shared = Arc::clone(&self.shared);
        let done = tokio::task::spawn_blocking(move || work(&shared)).await;
        done.unwrap_or_else(|error| Err(Error::Broken(format!("reading panicked: {error}"))))
    }

    async fn append_one(&self, prepared: Prepared) -> Result<Appended> {
        let prepared = Arc::new(prepared);
        loop {
            // Asked for before the look, so that room which is made in between is not missed.
            let mut room = std::pin::pin!(self.shared.room.notified());
            room.as_mut().enable();
            match self.shared.append(&prepared) {
                Ok(appended) => return Ok(appended),
                Err(Stall::Failed(error)) => return Err(error),
                Err(Stall::Busy) if self.shared.recent().is_crowded() => room.await,
                Err(Stall::Busy) => {
                    let prepared = Arc::clone(&prepared);
                    let wait = move |shared: &Shared| {
                        shared.journal.wait_for_room(&prepared.draft);
                        Ok(())
                    };
                    self.blocking(wait).await?;
                }
            }
        }
    }
}

#[async_trait]
impl Store for SledStore {
    async fn append(&self, appends: Vec<Append>) -> Result<Vec<Appended>> {
        appends.iter().try_for_each(Append::check)?;
        let prepared: Vec<Prepared> = appends.into_iter().map(Prepared::new).collect();
        for append in &prepared {
            self.shared.check_size(append)?;
        }
        let mut answers = Vec::with_capacity(prepared.len());
        for append in prepared {
            answers.push(self.append_one(append).await?);
        }
        Ok(answers)
    }

    async fn durable(&self, position: Position) -> Result<()> {
        let (answer, answered) = tokio::sync::oneshot::channel();
        let position = journal::Position::from_u64(position.0);
        self.shared.journal.when_durable(position, move |result| {
            // Whoever asked may have gone.
            let _ = answer.send(result);
        });
        let gone = |_| Err(journal::Error::Stopped("the thread that writes is gone".to_owned()));
        answered.await.unwrap_or_else(gone).map_err(broken)
    }

    async fn journal(&self, run: RunId) -> Result<Vec<Record>> {
        self.blocking(move |shared| shared.journal_of(run)).await
    }

    async fn summary(&self, run: RunId) -> Result<Option<RunSummary>> {
        self.blocking(move |shared| shared.summary_of(run)).await
    }

    async fn runs(&self, query: Query) -> Result<Page> {
        self.blocking(move |shared| shared.page(&query)).await
    }

    async fn claim(&self, worker: &str) -> Result<Fence> {
        let worker = worker.to_owned();
        self.blocking(move |shared| {
            let mut taken = None;
            let at = shared.order_now(|recent| {
                let fence = recent.last_fence + 1;
                // Before anything else is looked at: whoever held the claim is fenced off from here on.
                recent.claimed = Some(Fence(fence));
                taken = Some(Fence(fence));
                Some(Entry::Claimed { fence, worker: worker.clone() })
            })?;
            shared.journal.durable(at.unwrap_or_default()).map_err(broken)?;
            Ok(taken.unwrap_or(Fence(0)))
        })
        .await
    }

    async fn release(&self, fence: Fence) -> Result<()> {
        let mut recent = self.shared.recent();
        recent.claimed = recent.claimed.filter(|claimed| *claimed != fence);
        Ok(())
    }

    async fn put_source(&self, source: Source) -> Result<()> {
        self.blocking(move |shared| shared.put_source(source)).await
    }

    async fn source(&self, digest: &Digest) -> Result<Option<Source>> {
        let digest = digest.clone();
        let read = self.blocking(move |shared| shared.source_of(&digest)).await?;
        Ok(read.map(Arc::unwrap_or_clone))
    }

    async fn put_note(&self, note: Note) -> Result<()> {
        note.check()?;
        self.blocking(move |shared| shared.put_note(&Arc::new(note))).await
    }

    async fn note(&self, key: &str) -> Result<Option<Value>> {
        let key = key.to_owned();
        let noted = self.blocking(move |shared| shared.noted(&key)).await?;
        Ok(noted.map(|noted| noted.value).filter(|value| !value.is_null()))
    }

    async fn prune(&self, finished_before: Timestamp) -> Result<u64> {
        self.blocking(move |shared| shared.prune(finished_before)).await
    }

    async fn finished_since(&self, runs: u64) -> Result<Option<Timestamp>> {
        self.blocking(move |shared| shared.finished_since(runs)).await
    }

    async fn abandon(&self, row: RunSummary) -> Result<()> {
        self.blocking(move |shared| shared.abandon(&row)).await
    }

    async fn backup(&self, now: Timestamp, to: Box<dyn Write + Send>) -> Result<u64> {
        self.blocking(move |shared| shared.backup(now, to)).await
    }

    async fn health(&self) -> Health {
        let bytes = self.shared.journal.bytes() + self.shared.index.bytes();
        let (flushes, flushed_bytes) = self.shared.journal.flushes();
        let stopped = self.shared.journal.stopped();
        let recent = self.shared.recent();
        let mut reports = recent.reports.clone();
        let failed = recent.failed.clone().or(stopped);
        let why = failed.clone().or(recent.no_room.clone());
        let is_writable = why.is_none();
        reports.extend(why);
        Health { is_writable, failed, bytes, flushes, flushed_bytes, reports }
    }
}

impl Shared {
    fn put_source(&self, source: Source) -> Result<()> {
        let source = Arc::new(source);
        self.recent().put_sources.insert(source.digest.clone());
        let is_kept = self.source_of(&source.digest)?.is_some();
        let at = self.order_now(|recent| match recent.source(&source.digest) {
            Known::Here(Some(_)) => None,
            Known::InIndex if is_kept => None,
            Known::Here(None) | Known::InIndex => Some(Entry::Source(Arc::clone(&source))),
        })?;
        let recent = match self.recent().source(&source.digest) {
            Known::Here(Some((_, at))) => Some(at),
            Known::Here(None) | Known::InIndex => None,
        };
        match at.or(recent) {
            Some(at) => self.journal.durable(at).map_err(broken),
            None => Ok(()),
        }
    }
}

impl Drop for SledStore {
    fn drop(&mut self) {
        self.shared.hurry();
        if let Err(error) = self.shared.journal.close() {
            tracing::error!(%error, "the journal was not closed as it should be");
        }
        if let Some(applier) = self.applier.take() {
            let _ = applier.join();
        }
    }
}

#[cfg(test)]
mod tests;
