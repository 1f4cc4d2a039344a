//! Reading: one record by its position, or all of them in order.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use crate::chain::{self, Link};
use crate::disk::DiskFile;
use crate::error::{Damage, Error, Result};
use crate::folder;
use crate::header::{Header, RECORDS};
use crate::journal::Journal;
use crate::position::Position;
use crate::record::{FRAME, Frame, Key, MARK};
use crate::scan::{Found, record_at, walk};
use crate::state::{Segment, Shared};

/// So much is read at once where the length of a record is not known.
const GUESS: usize = 4096;
/// So many files of segments are kept open for readers.
const OPEN_FILES: usize = 64;

/// A record that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Where it stands.
    pub position: Position,
    /// Whose it is.
    pub key: Key,
    /// What it holds.
    pub payload: Vec<u8>,
    /// Its link in the chain of hashes, which covers every record before it.
    pub link: [u8; 32],
}

impl Record {
    /// The number of bytes that the record takes in its segment.
    pub fn bytes(&self) -> usize {
        crate::record::total(self.payload.len())
    }
}

/// One thing that a scan comes across.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scanned {
    /// A record as it was written.
    Record(Record),
    /// Bytes that are no record.
    Damage(Damage),
    /// The record at this place is whole, but it is not the one that followed the record before it when it was written:
    /// something was changed or taken out.
    Break(Position),
}

impl Journal {
    /// The record at this place; waits for it to be on disk.
    ///
    /// # Errors
    ///
    /// [`Error::Damaged`] if what lies there is not what was written, [`Error::Gone`] if its segment was retired,
    /// [`Error::Io`], [`Error::Stopped`].
    pub fn read(&self, position: Position) -> Result<Record> {
        if position >= self.flushed() {
            self.durable(position)?;
        }
        let shared = &self.shared;
        let answer = shared.file(position).and_then(|file| read(shared, &*file, position));
        // A retired file is another segment's by and by, so what was read from it means nothing.
        let is_there = shared.state().segments.contains_key(&position.segment());
        if is_there { answer } else { Err(Error::Gone(position)) }
    }

    /// Everything from this place on, up to what is on disk at this moment. The place is that of a record, or the
    /// default for the beginning.
    pub fn scan(&self, from: Position) -> Scan<'_> {
        let state = self.shared.state();
        let numbers = state.segments.range(from.segment()..);
        Scan {
            shared: &self.shared,
            left: numbers.map(|(number, segment)| (*number, *segment)).collect(),
            from,
            link: None,
            segment: 0,
            bytes: Vec::new(),
            found: VecDeque::new(),
            queued: None,
        }
    }
}

impl Shared {
    pub(crate) fn file(&self, position: Position) -> Result<Arc<dyn DiskFile>> {
        let number = position.segment();
        let mut files = self.files.lock().expect("nothing panics while it holds the lock");
        if let Some(file) = files.get(&number) {
            return Ok(Arc::clone(file));
        }
        let path = folder::segment(&self.folder, number);
        let gone = |error: io::Error| {
            let is_gone = error.kind() == io::ErrorKind::NotFound;
            if is_gone { Error::Gone(position) } else { Error::io("open", &path)(error) }
        };
        let file = self.disk.open(&path).map_err(gone)?;
        if files.len() >= OPEN_FILES {
            files.pop_first();
        }
        files.insert(number, Arc::clone(&file));
        Ok(file)
    }

    pub(crate) fn forget_file(&self, number: u32) {
        let mut files = self.files.lock().expect("nothing panics while it holds the lock");
        files.remove(&number);
    }
}

fn read(shared: &Shared, file: &dyn DiskFile, at: Position) -> Result<Record> {
    let failed = || Error::io("read", &folder::segment(&shared.folder, at.segment()));
    let offset = u64::from(at.offset());
    let mut bytes = vec![0; GUESS];
    let read = file.read_at(&mut bytes, offset).map_err(|error| failed()(error))?;
    bytes.truncate(read);
    let frame = Frame::front(&bytes, at);
    if let Some(frame) = frame {
        if frame.total() > bytes.len() {
            bytes.resize(frame.total().min(shared.settings.segment_bytes as usize), 0);
            let rest = file.read_at(&mut bytes[read..], offset + read as u64);
            rest.map_err(|error| failed()(error))?;
        }
        if let Some((link, payload)) = frame.body(&bytes, at) {
            return Ok(Record { position: at, key: frame.key, payload: payload.to_vec(), link });
        }
    }
    let mut bytes = vec![0; usize::try_from(file.len().map_err(|error| failed()(error))?).unwrap_or(0)];
    file.read_at(&mut bytes, 0).map_err(|error| failed()(error))?;
    match record_at(&bytes, at) {
        Found::Whole { frame, link, .. } => Ok(whole(&bytes, at, &frame, link)),
        Found::Hole { damage, .. } => Err(Error::Damaged(damage)),
    }
}

fn whole(bytes: &[u8], at: Position, frame: &Frame, link: Link) -> Record {
    let start = at.offset() as usize + FRAME + link.len();
    let payload = bytes[start..start + frame.len as usize].to_vec();
    Record { position: at, key: frame.key, payload, link }
}

/// A walk through the records; see [`Journal::scan`].
pub struct Scan<'a> {
    shared: &'a Shared,
    left: VecDeque<(u32, Segment)>,
    from: Position,
    /// The link of the record before, where it is known.
    link: Option<Link>,
    segment: u32,
    bytes: Vec<u8>,
    found: VecDeque<Found>,
    /// What comes after a break.
    queued: Option<Record>,
}

impl Iterator for Scan<'_> {
    type Item = Result<Scanned>;

    fn next(&mut self) -> Option<Result<Scanned>> {
        if let Some(record) = self.queued.take() {
            return Some(Ok(Scanned::Record(record)));
        }
        loop {
            match self.found.pop_front() {
                Some(Found::Hole { damage, frame }) => {
                    self.link = None;
                    // A mark holds nothing that could be lost.
                    if frame.is_none_or(|frame| !frame.is(MARK)) {
                        return Some(Ok(Scanned::Damage(damage)));
                    }
                }
                Some(Found::Whole { at, frame, link }) => {
                    let record = whole(&self.bytes, at, &frame, link);
                    let is_next = self.follows(&record);
                    self.link = Some(link);
                    match (is_next, frame.is(MARK)) {
                        (true, true) => {}
                        (true, false) => return Some(Ok(Scanned::Record(record))),
                        (false, is_mark) => {
                            self.queued = (!is_mark).then_some(record);
                            return Some(Ok(Scanned::Break(at)));
                        }
                    }
                }
                None => {
                    let (number, segment) = self.left.pop_front()?;
                    if let Err(error) = self.load(number, segment) {
                        return Some(Err(error));
                    }
                }
            }
        }
    }
}

impl Scan<'_> {
    fn follows(&self, record: &Record) -> bool {
        let digest = chain::digest(&record.payload);
        self.link.is_none_or(|before| chain::next(&before, record.key, &digest) == record.link)
    }

    fn load(&mut self, number: u32, segment: Segment) -> Result<()> {
        let path = folder::segment(&self.shared.folder, number);
        let from = if number == self.from.segment() { self.from.offset().max(RECORDS) } else { RECORDS };
        let read = || {
            let file = self.shared.file(Position::new(number, from))?;
            let len = segment.end.map_or(segment.bytes, u64::from);
            let mut bytes = vec![0; usize::try_from(len).unwrap_or(usize::MAX)];
            file.read_at(&mut bytes, 0).map_err(Error::io("read", &path))?;
            Ok::<_, Error>(bytes)
        };
        self.bytes = read()?;
        if self.segment == 0 && from == RECORDS {
            self.link = Header::decode(&self.bytes, number).map(|header| header.link);
        }
        self.segment = number;
        self.found = walk(&self.bytes, number, from, segment.end.is_some()).into();
        Ok(())
    }
}
