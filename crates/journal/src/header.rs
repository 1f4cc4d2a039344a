//! The first bytes of a segment: where the segment before it ended, and the link of the last record there.
//!
//! Written twice. If both are damaged nothing is lost but knowledge of where the segment before ends exactly; the
//! segment's own number is also in its name.

use crate::chain::Link;

/// The offset of the first record of a segment.
pub(crate) const RECORDS: u32 = 128;
const COPY: usize = 64;
const MAGIC: [u8; 8] = *b"portjrn1";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    /// The number of the segment.
    pub(crate) segment: u32,
    /// The offset at which the records of the segment before end; 0 if there is none.
    pub(crate) before: u32,
    /// The link of the last record before this segment.
    pub(crate) link: Link,
}

impl Header {
    pub(crate) fn encode(&self) -> [u8; RECORDS as usize] {
        let mut copy = [0; COPY];
        copy[..8].copy_from_slice(&MAGIC);
        copy[8..12].copy_from_slice(&self.segment.to_le_bytes());
        copy[12..16].copy_from_slice(&self.before.to_le_bytes());
        copy[16..48].copy_from_slice(&self.link);
        let crc = crc32fast::hash(&copy[..60]);
        copy[60..].copy_from_slice(&crc.to_le_bytes());
        let mut out = [0; RECORDS as usize];
        out[..COPY].copy_from_slice(&copy);
        out[COPY..].copy_from_slice(&copy);
        out
    }

    /// The header in these bytes, if one of its copies is that of this segment.
    pub(crate) fn decode(bytes: &[u8], segment: u32) -> Option<Header> {
        let copies = bytes.get(..RECORDS as usize)?.chunks_exact(COPY);
        copies.filter_map(decode).find(|header| header.segment == segment)
    }
}

fn decode(copy: &[u8]) -> Option<Header> {
    let word = |at: usize| Some(u32::from_le_bytes(*copy.get(at..)?.first_chunk()?));
    if !copy.starts_with(&MAGIC) || word(60)? != crc32fast::hash(copy.get(..60)?) {
        return None;
    }
    Some(Header { segment: word(8)?, before: word(12)?, link: *copy.get(16..)?.first_chunk()? })
}
