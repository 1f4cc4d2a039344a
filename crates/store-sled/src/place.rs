//! Where things lie in the journal, as the index keeps it.

use journal::Position;

/// A record of the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) at: Position,
    /// The bytes that it takes in its segment.
    pub(crate) bytes: u32,
}

impl Place {
    pub(crate) const LEN: usize = 12;

    pub(crate) fn encode(self) -> [u8; Place::LEN] {
        let mut out = [0; Place::LEN];
        out[..8].copy_from_slice(&self.at.as_u64().to_be_bytes());
        out[8..].copy_from_slice(&self.bytes.to_be_bytes());
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Place> {
        Some(Place {
            at: Position::from_u64(u64::from_be_bytes(*bytes.first_chunk()?)),
            bytes: u32::from_be_bytes(*bytes.get(8..)?.first_chunk()?),
        })
    }
}

/// The append whose first record has this number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) first: u32,
    /// The number after its last record.
    pub(crate) next: u32,
    pub(crate) place: Place,
}

/// Appends of a run whose first numbers are neighbours, in order. Short enough for sled, which loses large values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Parts(pub(crate) Vec<Part>);

impl Parts {
    /// Appends whose first number is below this one stand in the row of their run.
    pub(crate) const IN_ROW: u32 = 32;
    /// So many first numbers beyond share a value.
    pub(crate) const SPAN: u32 = 128;
    pub(crate) const LEN: usize = 8 + Place::LEN;

    /// Adds an append. If it is known, the younger of its two places counts; gives the other.
    pub(crate) fn put(&mut self, part: Part) -> Option<Place> {
        match self.0.binary_search_by_key(&part.first, |known| known.first) {
            Ok(index) if self.0[index].place.at >= part.place.at => Some(part.place),
            Ok(index) => Some(std::mem::replace(&mut self.0[index], part).place),
            Err(index) => {
                self.0.insert(index, part);
                None
            }
        }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.0.len() * Parts::LEN);
        self.encode_to(&mut out);
        out
    }

    pub(crate) fn encode_to(&self, out: &mut Vec<u8>) {
        for part in &self.0 {
            out.extend_from_slice(&part.first.to_be_bytes());
            out.extend_from_slice(&part.next.to_be_bytes());
            out.extend_from_slice(&part.place.encode());
        }
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Parts> {
        let part = |bytes: &[u8]| {
            Some(Part {
                first: u32::from_be_bytes(*bytes.first_chunk()?),
                next: u32::from_be_bytes(*bytes.get(4..)?.first_chunk()?),
                place: Place::decode(bytes.get(8..)?)?,
            })
        };
        bytes.chunks(Parts::LEN).map(part).collect::<Option<Vec<Part>>>().map(Parts)
    }
}
