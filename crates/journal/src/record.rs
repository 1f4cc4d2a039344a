//! The form of a record on disk.
//!
//! ```text
//! frame 40 | link 32 | payload, padded to 8 | frame 40
//! frame:  magic 4 | len 4 | seq 4 | flags 4 | run 16 | crc of link and payload 4 | crc of the frame 4
//! ```
//!
//! The frame stands at both ends: whichever is hit, the other tells whose record it was and how long. All checksums
//! cover the segment's number and the record's offset, so bytes that lie in another place (in a recycled file's earlier
//! life, in somebody's payload) are never taken for a record. The magic is no UTF-8, so text never contains it.

use crc32fast::Hasher;

use crate::chain::{self, Link};
use crate::position::Position;

pub(crate) const FRAME: usize = 40;
pub(crate) const ALIGN: usize = 8;
const LINK: usize = 32;
const FRONT: [u8; 4] = [0xF7, b'P', b'J', 0xFE];
const BACK: [u8; 4] = [0xF8, b'P', b'J', 0xFD];

/// The record is the first after a flush: everything before it is known to be on disk.
pub(crate) const FIRST: u32 = 1;
/// The record carries nothing; it stands there to say that everything before it is on disk.
pub(crate) const MARK: u32 = 2;

/// Whose record it is; the journal only keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Key {
    /// Sixteen bytes, for example a run's id.
    pub run: [u8; 16],
    /// A number within the run.
    pub seq: u32,
}

/// A record that is ready to be appended: everything is computed that does not depend on its place.
#[derive(Debug, Clone)]
pub struct Draft {
    key: Key,
    payload: Vec<u8>,
    digest: Link,
    crc: Hasher,
    flags: u32,
}

impl Draft {
    /// A record with this key and payload.
    pub fn new(key: Key, payload: Vec<u8>) -> Draft {
        let mut crc = Hasher::new();
        crc.update(&payload);
        let digest = chain::digest(&payload);
        Draft { key, payload, digest, crc, flags: 0 }
    }

    pub(crate) fn mark() -> Draft {
        Draft { flags: MARK, ..Draft::new(Key::default(), Vec::new()) }
    }

    /// The number of bytes that the record takes in a segment.
    pub fn bytes(&self) -> usize {
        total(self.payload.len())
    }

    /// The SHA-256 of the payload.
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// The length of the payload in bytes.
    pub fn payload_bytes(&self) -> usize {
        self.payload.len()
    }

    /// Writes the record for this place to the end of `out`; gives its link.
    pub(crate) fn encode(&self, at: Position, flags: u32, before: &Link, out: &mut Vec<u8>) -> Link {
        let link = chain::next(before, self.key, &self.digest);
        let mut body_crc = crc_at(at);
        body_crc.update(&link);
        body_crc.combine(&self.crc);
        let frame = Frame {
            len: u32::try_from(self.payload.len()).expect("a payload fits into a segment"),
            key: self.key,
            flags: self.flags | flags,
            body_crc: body_crc.finalize(),
        };
        out.extend_from_slice(&frame.encode(at, FRONT));
        out.extend_from_slice(&link);
        out.extend_from_slice(&self.payload);
        out.resize(out.len().next_multiple_of(ALIGN), 0);
        out.extend_from_slice(&frame.encode(at, BACK));
        link
    }
}

/// The bytes of a record with a payload of this length.
pub(crate) const fn total(payload: usize) -> usize {
    FRAME + LINK + payload.next_multiple_of(ALIGN) + FRAME
}

/// What a record says of itself at both of its ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) len: u32,
    pub(crate) key: Key,
    pub(crate) flags: u32,
    body_crc: u32,
}

impl Frame {
    /// The bytes of the whole record.
    pub(crate) fn total(&self) -> usize {
        total(self.len as usize)
    }

    pub(crate) fn is(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }

    fn encode(&self, at: Position, magic: [u8; 4]) -> [u8; FRAME] {
        let mut out = [0; FRAME];
        out[..4].copy_from_slice(&magic);
        out[4..8].copy_from_slice(&self.len.to_le_bytes());
        out[8..12].copy_from_slice(&self.key.seq.to_le_bytes());
        out[12..16].copy_from_slice(&self.flags.to_le_bytes());
        out[16..32].copy_from_slice(&self.key.run);
        out[32..36].copy_from_slice(&self.body_crc.to_le_bytes());
        let mut crc = crc_at(at);
        crc.update(&out[..36]);
        out[36..].copy_from_slice(&crc.finalize().to_le_bytes());
        out
    }

    /// The frame at the front of the record at `at`, from the bytes that begin there.
    pub(crate) fn front(bytes: &[u8], at: Position) -> Option<Frame> {
        let bytes = bytes.first_chunk::<FRAME>()?;
        (bytes[..4] == FRONT).then(|| Frame::decode(bytes, at)).flatten()
    }

    /// The frame at the back of some record, from the bytes at this place; with the place where the record begins.
    pub(crate) fn back(bytes: &[u8], at: Position) -> Option<(Position, Frame)> {
        let bytes = bytes.first_chunk::<FRAME>()?;
        if bytes[..4] != BACK {
            return None;
        }
        let before = total(word(bytes, 4) as usize) - FRAME;
        let offset = at.offset().checked_sub(u32::try_from(before).ok()?)?;
        let start = Position::new(at.segment(), offset);
        Some((start, Frame::decode(bytes, start)?))
    }

    fn decode(bytes: &[u8; FRAME], start: Position) -> Option<Frame> {
        let mut crc = crc_at(start);
        crc.update(&bytes[..36]);
        if crc.finalize() != word(bytes, 36) {
            return None;
        }
        let mut run = [0; 16];
        run.copy_from_slice(&bytes[16..32]);
        Some(Frame {
            len: word(bytes, 4),
            key: Key { run, seq: word(bytes, 8) },
            flags: word(bytes, 12),
            body_crc: word(bytes, 32),
        })
    }

    /// Link and payload, from the bytes that begin at the record's place; none if they are not what was written.
    pub(crate) fn body<'a>(&self, bytes: &'a [u8], at: Position) -> Option<(Link, &'a [u8])> {
        let link = bytes.get(FRAME..)?.first_chunk::<LINK>()?;
        let payload = bytes.get(FRAME + LINK..)?.get(..self.len as usize)?;
        let mut crc = crc_at(at);
        crc.update(link);
        crc.update(payload);
        (crc.finalize() == self.body_crc).then_some((*link, payload))
    }
}

/// Whether a frame may begin here; cheap.
pub(crate) fn looks_like_frame(bytes: &[u8]) -> bool {
    bytes.starts_with(&FRONT) || bytes.starts_with(&BACK)
}

fn crc_at(at: Position) -> Hasher {
    let mut crc = Hasher::new();
    crc.update(&at.as_u64().to_le_bytes());
    crc
}

fn word(bytes: &[u8; FRAME], at: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(word)
}
