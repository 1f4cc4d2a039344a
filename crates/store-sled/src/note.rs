//! Small values under names. The index holds them whole, so they are read without the journal.

use std::sync::Arc;

use serde_json::Value;
use store::{Note, Result};

use crate::entry::Entry;
use crate::index;
use crate::keys;
use crate::place::Place;
use crate::recent::{Known, Recent};
use crate::shared::{Shared, broken};

/// A note as the index has it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Noted {
    /// How often the name was written: tidying copies old records behind younger ones.
    pub(crate) version: u64,
    pub(crate) value: Value,
}

impl Noted {
    /// What stands in the index behind the place of the record.
    pub(crate) fn encode(version: u64, value: &Value) -> Vec<u8> {
        [version.to_be_bytes().as_slice(), value.to_string().as_bytes()].concat()
    }

    /// A value of the index, which begins with a place.
    pub(crate) fn decode(value: &[u8]) -> Option<Noted> {
        let (version, json) = value.get(Place::LEN..)?.split_first_chunk()?;
        Some(Noted { version: u64::from_be_bytes(*version), value: serde_json::from_slice(json).ok()? })
    }

    /// The record that this entry of the index was made from.
    pub(crate) fn entry(key: &[u8], value: &[u8]) -> Option<Entry> {
        let (key, Noted { version, value }) = (keys::name_of(key)?.to_owned(), Noted::decode(value)?);
        Some(Entry::Note { note: Arc::new(Note { key, value }), version })
    }
}

impl Shared {
    /// The note of this name.
    pub(crate) fn noted(&self, name: &str) -> Result<Option<Noted>> {
        let noted = self.noted_beside(&self.recent(), name);
        noted.map_err(|error| self.fail_now(&error))
    }

    /// Keeps a note; waits until it is on disk.
    pub(crate) fn put_note(&self, note: &Arc<Note>) -> Result<()> {
        let mut failed = None;
        let at = self.order_now(|recent| match self.noted_beside(recent, &note.key) {
            Ok(known) => {
                let version = known.map_or(1, |known| known.version + 1);
                Some(Entry::Note { note: Arc::clone(note), version })
            }
            Err(error) => {
                failed = Some(error);
                None
            }
        })?;
        if let Some(error) = failed {
            return Err(self.fail_now(&error));
        }
        self.journal.durable(at.unwrap_or_default()).map_err(broken)
    }

    fn noted_beside(&self, recent: &Recent, name: &str) -> index::Result<Option<Noted>> {
        match recent.noted(name) {
            Known::Here(noted) => Ok(noted),
            Known::InIndex => Ok(self.index.get(&keys::note(name))?.and_then(|value| Noted::decode(&value))),
        }
    }
}
