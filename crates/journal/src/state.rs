//! What the threads of a journal share, and the rules by which it changes.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::chain::Link;
use crate::disk::{Disk, DiskFile};
use crate::error::{Error, Result};
use crate::header::{Header, RECORDS};
use crate::journal::Settings;
use crate::position::Position;
use crate::record::{Draft, FIRST};
use crate::spares::Spares;

/// So much may be ordered before it is written though nobody waits for it, in bytes.
const MODEST: usize = 1 << 20;

pub(crate) struct Shared {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) folder: PathBuf,
    pub(crate) settings: Settings,
    /// Open files of segments, for readers.
    pub(crate) files: Mutex<BTreeMap<u32, Arc<dyn DiskFile>>>,
    state: Mutex<State>,
    /// The committer sleeps here.
    pub(crate) work: Condvar,
    /// Those who wait for a flush or for room sleep here.
    pub(crate) changed: Condvar,
    /// The thread that prepares spares sleeps here.
    pub(crate) spares: Condvar,
}

impl Shared {
    pub(crate) fn new(disk: Arc<dyn Disk>, folder: PathBuf, settings: Settings, state: State) -> Shared {
        Shared {
            disk,
            folder,
            settings,
            files: Mutex::default(),
            state: Mutex::new(state),
            work: Condvar::new(),
            changed: Condvar::new(),
            spares: Condvar::new(),
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it holds the lock")
    }

    /// Nothing is appended or confirmed from here on.
    pub(crate) fn stop(&self, why: &str) {
        let mut state = self.state();
        let why = state.stopped.get_or_insert_with(|| why.to_owned()).clone();
        let waiters = std::mem::take(&mut state.waiters);
        drop(state);
        for waiter in waiters {
            (waiter.answer)(Err(Error::Stopped(why.clone())));
        }
        self.work.notify_all();
        self.changed.notify_all();
        self.spares.notify_all();
    }
}

pub(crate) struct State {
    /// Where the next record goes.
    pub(crate) tail: Tail,
    /// What is ordered and not yet taken by the committer.
    pending: Vec<Part>,
    pub(crate) pending_bytes: usize,
    pending_since: Option<Instant>,
    /// The place of the youngest record since the journal was opened.
    last: Option<Position>,
    /// Everything before this place is on disk.
    pub(crate) flushed: Position,
    flushed_at: Instant,
    /// How often something was flushed since the journal was opened, and how many bytes.
    pub(crate) flushes: u64,
    pub(crate) flushed_bytes: u64,
    /// The youngest place that somebody waits for.
    wanted: Position,
    waiters: Vec<Waiter>,
    /// So many are expected to wait before it is worth to flush: see [`State::confirm`].
    expected: usize,
    /// How long that is worth waiting for.
    pub(crate) patience: Duration,
    pub(crate) waiting_for_room: usize,
    /// Whether a mark says that the last flush is complete.
    is_confirmed: bool,
    pub(crate) is_closing: bool,
    pub(crate) is_finished: bool,
    pub(crate) stopped: Option<String>,
    pub(crate) segments: BTreeMap<u32, Segment>,
    pub(crate) spares: Spares,
}

/// Where the next record goes, and what it is chained to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tail {
    /// 0 before the first segment.
    pub(crate) segment: u32,
    pub(crate) end: u32,
    pub(crate) link: Link,
    /// Whether nothing may be written behind `end` any more.
    pub(crate) is_closed: bool,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Segment {
    /// The length of the file.
    pub(crate) bytes: u64,
    /// Where the records end; none if that is not known.
    pub(crate) end: Option<u32>,
}

/// Bytes to be written in one go to one segment.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) segment: u32,
    /// Set if the segment begins with this part.
    pub(crate) header: Option<Header>,
    pub(crate) offset: u32,
    pub(crate) bytes: Vec<u8>,
}

pub(crate) type Answer = Box<dyn FnOnce(Result<()>) + Send>;

struct Waiter {
    position: Position,
    answer: Answer,
}

/// What the committer takes at once.
pub(crate) struct Batch {
    pub(crate) parts: Vec<Part>,
    is_mark: bool,
}

impl State {
    pub(crate) fn new(
        tail: Tail,
        segments: BTreeMap<u32, Segment>,
        spares: Spares,
        is_confirmed: bool,
    ) -> State {
        State {
            tail,
            pending: Vec::new(),
            pending_bytes: 0,
            pending_since: None,
            last: None,
            flushed: Position::new(tail.segment, tail.end),
            flushed_at: Instant::now(),
            flushes: 0,
            flushed_bytes: 0,
            wanted: Position::default(),
            waiters: Vec::new(),
            expected: 0,
            patience: Duration::ZERO,
            waiting_for_room: 0,
            is_confirmed,
            is_closing: false,
            is_finished: false,
            stopped: None,
            segments,
            spares,
        }
    }

    /// Gives the record its place.
    pub(crate) fn order(&mut self, draft: &Draft, settings: &Settings) -> Result<Position> {
        if let Some(why) = &self.stopped {
            return Err(Error::Stopped(why.clone()));
        }
        let bytes = draft.bytes();
        settings.check_size(draft)?;
        if self.is_crowded(bytes, settings) {
            return Err(Error::Busy);
        }
        if !self.tail.takes(bytes, settings) {
            self.spares.reserve()?;
            self.roll();
        }
        Ok(self.place(draft))
    }

    /// Whether [`State::order`] would do better than [`Error::Busy`].
    pub(crate) fn has_room(&self, bytes: usize, settings: &Settings) -> bool {
        let has_place = self.tail.takes(bytes, settings) || self.spares.is_settled();
        self.stopped.is_some() || (has_place && !self.is_crowded(bytes, settings))
    }

    fn is_crowded(&self, bytes: usize, settings: &Settings) -> bool {
        self.pending_bytes > 0 && self.pending_bytes + bytes > settings.waiting_bytes
    }

    fn roll(&mut self) {
        let header = Header {
            segment: self.tail.segment + 1,
            before: if self.tail.segment == 0 { 0 } else { self.tail.end },
            link: self.tail.link,
        };
        self.tail = Tail { segment: header.segment, end: RECORDS, link: header.link, is_closed: false };
        self.pending.push(Part {
            segment: header.segment,
            header: Some(header),
            offset: RECORDS,
            bytes: Vec::new(),
        });
    }

    fn place(&mut self, draft: &Draft) -> Position {
        let at = Position::new(self.tail.segment, self.tail.end);
        if self.pending.is_empty() {
            self.pending.push(Part {
                segment: at.segment(),
                header: None,
                offset: at.offset(),
                bytes: Vec::new(),
            });
        }
        let part = self.pending.last_mut().expect("a part was pushed if there was none");
        let flags = if part.bytes.is_empty() { FIRST } else { 0 };
        self.tail.link = draft.encode(at, flags, &self.tail.link, &mut part.bytes);
        self.tail.end += u32::try_from(draft.bytes()).expect("a record fits into a segment");
        self.pending_bytes += draft.bytes();
        self.pending_since.get_or_insert_with(Instant::now);
        self.last = Some(at);
        at
    }

    /// Whether the committer has nothing to wait for.
    pub(crate) fn is_urgent(&self) -> bool {
        self.pending_bytes > 0
            && ((self.wanted >= self.flushed && self.waiters.len() >= self.expected)
                || self.pending_bytes >= MODEST
                || self.waiting_for_room > 0
                || self.is_closing)
    }

    /// What has to be written, if it is time.
    pub(crate) fn take_batch(&mut self, settings: &Settings) -> Option<Batch> {
        let is_old = |since: Instant| since.elapsed() >= settings.linger;
        let is_due = self.is_urgent() || self.pending_since.is_some_and(is_old);
        let is_mark = self.pending_bytes == 0
            && !self.is_confirmed
            && (self.is_closing || is_old(self.flushed_at))
            && self.tail.takes(Draft::mark().bytes(), settings);
        if is_mark {
            self.place(&Draft::mark());
        }
        if !is_due && !is_mark {
            return None;
        }
        self.pending_bytes = 0;
        self.pending_since = None;
        self.expected = 0;
        let parts = std::mem::take(&mut self.pending);
        Some(Batch { parts, is_mark })
    }

    /// Nobody else is expected.
    pub(crate) fn lose_patience(&mut self) {
        self.expected = 0;
    }

    /// The batch is on disk, which took so long; gives who waited for that.
    ///
    /// Whoever is served is likely to be back in a moment with the next record. To flush for the others right away would
    /// make two groups, each of which waits for the flush of the other; a fraction of the time of a flush makes one.
    pub(crate) fn confirm(&mut self, batch: &Batch, took: Duration) -> Vec<Answer> {
        self.is_confirmed = batch.is_mark;
        self.flushed_at = Instant::now();
        self.flushes += batch.parts.len() as u64;
        self.flushed_bytes += batch.parts.iter().map(|part| part.bytes.len() as u64).sum::<u64>();
        if let Some(part) = batch.parts.last() {
            let end = part.offset + u32::try_from(part.bytes.len()).expect("a part fits into a segment");
            self.flushed = Position::new(part.segment, end);
            if let Some(segment) = self.segments.get_mut(&part.segment) {
                segment.end = Some(end);
            }
        }
        self.expected = self.waiters.len();
        self.patience = took / 4;
        let flushed = self.flushed;
        let served = self.waiters.extract_if(.., |waiter| waiter.position < flushed);
        served.map(|waiter| waiter.answer).collect()
    }

    /// Registers somebody who waits, or gives the answer back together with what it has to say.
    pub(crate) fn wait(&mut self, position: Position, answer: Answer) -> Option<(Answer, Result<()>)> {
        let awaited = self.last.map(|last| position.min(last));
        let Some(position) = awaited.filter(|position| *position >= self.flushed) else {
            return Some((answer, Ok(())));
        };
        if let Some(why) = &self.stopped {
            return Some((answer, Err(Error::Stopped(why.clone()))));
        }
        self.wanted = self.wanted.max(position);
        self.waiters.push(Waiter { position, answer });
        None
    }
}

impl Tail {
    pub(crate) fn takes(&self, bytes: usize, settings: &Settings) -> bool {
        self.segment > 0 && !self.is_closed && self.end as usize + bytes <= settings.segment_bytes as usize
    }
}
