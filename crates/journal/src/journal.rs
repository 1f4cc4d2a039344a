//! The journal as its users see it.

use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::disk::{Disk, RealDisk};
use crate::error::{Error, Result};
use crate::folder;
use crate::header::RECORDS;
use crate::lock::Lock;
use crate::open;
use crate::position::Position;
use crate::record::{Draft, total};
use crate::state::Shared;

/// How a journal uses its disk.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The length of a segment's file in bytes, from 4 KiB to 1 GiB. A record fits into one segment.
    pub segment_bytes: u32,
    /// How many files of retired segments are kept for new ones, beyond the one that is always ready.
    pub spares: usize,
    /// How many bytes may be ordered and wait to be written.
    pub waiting_bytes: usize,
    /// A record that nobody waits for is written after at most twice this time.
    pub linger: Duration,
    /// Added to each flush of records, to measure as on a slower disk.
    pub flush_delay: Duration,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            segment_bytes: 64 << 20,
            spares: 2,
            waiting_bytes: 8 << 20,
            linger: Duration::from_millis(100),
            flush_delay: Duration::ZERO,
        }
    }
}

impl Settings {
    pub(crate) fn held(mut self) -> Settings {
        self.segment_bytes = self.segment_bytes.clamp(4096, 1 << 30).next_multiple_of(4096);
        self.linger = self.linger.max(Duration::from_millis(1));
        self
    }

    pub(crate) fn check_size(&self, draft: &Draft) -> Result<()> {
        if draft.bytes() <= self.room() {
            return Ok(());
        }
        let (bytes, most) = (draft.payload_bytes(), self.largest_payload());
        Err(Error::TooLarge { bytes, most })
    }

    /// The bytes of a segment that records can take.
    fn room(&self) -> usize {
        (self.segment_bytes - RECORDS) as usize
    }

    /// The longest payload of a record, in bytes.
    pub fn largest_payload(&self) -> usize {
        self.clone().held().room() - total(0) - 8
    }
}

/// An open journal. Dropping it writes and flushes what waits, and lets the next process in.
pub struct Journal {
    pub(crate) shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    _lock: Lock,
}

/// What [`Journal::open`] gives.
pub struct Opened {
    /// The journal.
    pub journal: Journal,
    /// What was not as it should be, a sentence each.
    pub findings: Vec<String>,
}

/// A segment on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentInfo {
    /// Its number.
    pub number: u32,
    /// The length of its file in bytes.
    pub bytes: u64,
}

/// Which process has the journal in this folder open; none: nobody, or there is no journal.
pub fn holder(folder: &Path) -> Option<String> {
    crate::lock::holder_of(&folder::lock(folder))
}

impl Journal {
    /// Opens the journal in this folder, or begins one.
    ///
    /// Reads the headers of all segments and the records of the last one. A tail that the machine's end has torn is
    /// ended there without a word, unless whole records stand behind it; then it is among the findings.
    ///
    /// # Errors
    ///
    /// [`Error::Locked`] if another process has it open, [`Error::Io`] if the disk says no.
    pub fn open(folder: &Path, settings: Settings) -> Result<Opened> {
        Journal::open_on(Arc::new(RealDisk), folder, settings)
    }

    /// Opens the journal in this folder of another kind of disk.
    ///
    /// # Errors
    ///
    /// As [`Journal::open`].
    pub fn open_on(disk: Arc<dyn Disk>, folder: &Path, settings: Settings) -> Result<Opened> {
        let recovered = open::recover(disk, folder, settings.held())?;
        let shared = Arc::new(recovered.shared);
        let spawn = |name: &str, work: fn(&Arc<Shared>)| {
            let shared = Arc::clone(&shared);
            let thread = std::thread::Builder::new().name(name.to_owned());
            thread.spawn(move || work(&shared)).map_err(Error::io("start a thread for", folder))
        };
        let threads = vec![
            spawn("journal-write", crate::committer::run)?,
            spawn("journal-spares", crate::spares::keep_ready)?,
        ];
        let journal = Journal { shared: Arc::clone(&shared), threads, _lock: recovered.lock };
        Ok(Opened { journal, findings: recovered.findings })
    }

    /// Orders a record: it has its place when this returns, and is on disk when [`Journal::durable`] says so. Does not
    /// wait for the disk.
    ///
    /// # Errors
    ///
    /// [`Error::Busy`] if too much waits, [`Error::Full`] if the disk has no room for another segment,
    /// [`Error::TooLarge`], [`Error::Stopped`].
    pub fn try_append(&self, draft: &Draft) -> Result<Position> {
        failpoints::reach_disk("append.before").map_err(|error| Error::Full(error.to_string()))?;
        let mut state = self.shared.state();
        let was_urgent = state.is_urgent();
        let answer = state.order(draft, &self.shared.settings);
        let is_urgent = state.is_urgent();
        drop(state);
        match &answer {
            Ok(_) if is_urgent && !was_urgent => self.shared.work.notify_one(),
            Err(Error::Full(_)) => self.shared.spares.notify_all(),
            _ => {}
        }
        failpoints::reach("append.after");
        answer
    }

    /// Whether a record fits into a segment.
    ///
    /// # Errors
    ///
    /// [`Error::TooLarge`].
    pub fn check_size(&self, draft: &Draft) -> Result<()> {
        self.shared.settings.check_size(draft)
    }

    /// Orders a record, and waits for room where there is none.
    ///
    /// # Errors
    ///
    /// As [`Journal::try_append`], but for [`Error::Busy`].
    pub fn append(&self, draft: &Draft) -> Result<Position> {
        loop {
            match self.try_append(draft) {
                Err(Error::Busy) => self.wait_for_room(draft),
                answer => return answer,
            }
        }
    }

    /// Waits until it is worth another try after [`Error::Busy`].
    pub fn wait_for_room(&self, draft: &Draft) {
        let shared = &self.shared;
        let mut state = shared.state();
        state.waiting_for_room += 1;
        shared.work.notify_one();
        let full = |state: &mut crate::state::State| !state.has_room(draft.bytes(), &shared.settings);
        let mut state =
            shared.changed.wait_while(state, full).expect("nothing panics while it holds the lock");
        state.waiting_for_room -= 1;
    }

    /// Waits until everything at or before this position is on disk.
    ///
    /// # Errors
    ///
    /// [`Error::Stopped`]: whether it is on disk is not known.
    pub fn durable(&self, position: Position) -> Result<()> {
        let (answer, answered) = mpsc::channel();
        self.when_durable(position, move |result| {
            // Whoever waits is below, in this function.
            let _ = answer.send(result);
        });
        let gone = |_| Err(Error::Stopped("the thread that writes is gone".to_owned()));
        answered.recv().unwrap_or_else(gone)
    }

    /// Calls back when everything at or before this position is on disk, or when that cannot be known any more: from
    /// the thread that writes, or at once. The call must be short.
    pub fn when_durable(&self, position: Position, answer: impl FnOnce(Result<()>) + Send + 'static) {
        let mut state = self.shared.state();
        let was_urgent = state.is_urgent();
        let answered = state.wait(position, Box::new(answer));
        let is_urgent = state.is_urgent();
        drop(state);
        if is_urgent && !was_urgent {
            self.shared.work.notify_one();
        }
        if let Some((answer, result)) = answered {
            answer(result);
        }
    }

    /// Waits for a flush that reaches beyond this position, for so long at most and without asking for one; gives the
    /// position before which everything is on disk. None: the journal is closed or has stopped, and there will be no
    /// further flush.
    pub fn next_flush(&self, after: Position, patience: Duration) -> Option<Position> {
        let state = self.shared.state();
        let waits = |state: &mut crate::state::State| state.flushed <= after && !state.is_finished;
        let waited = self.shared.changed.wait_timeout_while(state, patience, waits);
        let (state, _) = waited.expect("nothing panics while it holds the lock");
        (state.flushed > after || !state.is_finished).then_some(state.flushed)
    }

    /// The position before which everything is on disk.
    pub fn flushed(&self) -> Position {
        self.shared.state().flushed
    }

    /// Why nothing can be appended any more, if so.
    pub fn stopped(&self) -> Option<String> {
        self.shared.state().stopped.clone()
    }

    /// The segments, oldest first; the last one may still grow.
    pub fn segments(&self) -> Vec<SegmentInfo> {
        let state = self.shared.state();
        let info = |(number, segment): (&u32, &crate::state::Segment)| SegmentInfo {
            number: *number,
            bytes: segment.bytes,
        };
        state.segments.iter().map(info).collect()
    }

    /// The bytes of all files.
    pub fn bytes(&self) -> u64 {
        let state = self.shared.state();
        let spares = state.spares.ready.len() as u64 * u64::from(self.shared.settings.segment_bytes);
        state.segments.values().map(|segment| segment.bytes).sum::<u64>() + spares
    }

    /// How often records were flushed since the journal was opened, and how many bytes of them.
    pub fn flushes(&self) -> (u64, u64) {
        let state = self.shared.state();
        (state.flushes, state.flushed_bytes)
    }

    /// Gives the file of a segment back: to later segments, or to the disk. What its records hold is gone.
    ///
    /// # Errors
    ///
    /// [`Error::Gone`] if there is no such segment or it is the last, [`Error::Io`].
    pub fn retire(&self, number: u32) -> Result<()> {
        let shared = &self.shared;
        let mut state = shared.state();
        let segment = match state.segments.get(&number) {
            Some(segment) if number < state.flushed.segment() => *segment,
            Some(_) | None => return Err(Error::Gone(Position::new(number, 0))),
        };
        let fits = segment.bytes == u64::from(shared.settings.segment_bytes);
        let is_wanted = fits && state.spares.ready.len() <= shared.settings.spares;
        state.segments.remove(&number);
        state.spares.next += 1;
        let spare = folder::spare(&shared.folder, state.spares.next);
        drop(state);
        shared.forget_file(number);
        let path = folder::segment(&shared.folder, number);
        if is_wanted {
            shared.disk.rename(&path, &spare).map_err(Error::io("rename", &path))?;
        } else {
            shared.disk.remove(&path).map_err(Error::io("remove", &path))?;
        }
        shared.disk.sync_dir(&shared.folder).map_err(Error::io("flush", &shared.folder))?;
        if is_wanted {
            shared.state().spares.ready.push(spare);
            shared.changed.notify_all();
        }
        Ok(())
    }

    /// Writes and flushes what waits, and takes nothing more.
    ///
    /// # Errors
    ///
    /// [`Error::Stopped`] if that failed, or something before it.
    pub fn close(&self) -> Result<()> {
        let shared = &self.shared;
        shared.state().is_closing = true;
        shared.work.notify_all();
        shared.spares.notify_all();
        let state = shared.state();
        let state = shared.changed.wait_while(state, |state| !state.is_finished);
        let state = state.expect("nothing panics while it holds the lock");
        match &state.stopped {
            Some(why) if why != crate::committer::CLOSED => Err(Error::Stopped(why.clone())),
            Some(_) | None => Ok(()),
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        // Whoever has to know whether it succeeded calls `close` before.
        let _ = self.close();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests;
