//! Changes to the index that become visible at once, with the sum and the live bytes of segments kept up.

use std::collections::btree_map;
use std::collections::hash_map;
use std::collections::{BTreeMap, HashMap};

use journal::Position;
use model::RunId;
use sled::IVec;

use crate::index::{Error, Index, Meta, Result, weight};
use crate::keys;
use crate::place::{Parts, Place};
use crate::row::Row;

pub(crate) struct Changes<'a> {
    index: &'a Index,
    pub(crate) meta: Meta,
    values: BTreeMap<Vec<u8>, Value>,
    /// Rows and places are kept in their own form until the end: a run often changes several times.
    rows: HashMap<RunId, RowChange>,
    parts: HashMap<(RunId, u32), Parts>,
    live: BTreeMap<u32, i64>,
}

struct RowChange {
    old: Option<Row>,
    new: Option<Row>,
}

struct Value {
    old: Option<IVec>,
    new: Option<IVec>,
}

impl<'a> Changes<'a> {
    pub(crate) fn new(index: &'a Index) -> Changes<'a> {
        Changes {
            index,
            meta: *index.meta(),
            values: BTreeMap::new(),
            rows: HashMap::new(),
            parts: HashMap::new(),
            live: BTreeMap::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.values.len() + self.rows.len() + self.parts.len()
    }

    pub(crate) fn get(&mut self, key: Vec<u8>) -> Result<Option<IVec>> {
        Ok(self.value(key)?.new.clone())
    }

    pub(crate) fn put(&mut self, key: Vec<u8>, value: impl Into<IVec>) -> Result<()> {
        self.value(key)?.new = Some(value.into());
        Ok(())
    }

    pub(crate) fn remove(&mut self, key: Vec<u8>) -> Result<()> {
        self.value(key)?.new = None;
        Ok(())
    }

    pub(crate) fn row(&mut self, run: RunId) -> Result<&mut Option<Row>> {
        match self.rows.entry(run) {
            hash_map::Entry::Occupied(slot) => Ok(&mut slot.into_mut().new),
            hash_map::Entry::Vacant(slot) => {
                let value = self.index.get(&keys::row(run))?;
                let decode = |value: IVec| Row::decode(&value).ok_or_else(|| unreadable("a row"));
                let old = value.map(decode).transpose()?;
                let new = old.clone();
                Ok(&mut slot.insert(RowChange { old, new }).new)
            }
        }
    }

    pub(crate) fn parts(&mut self, run: RunId, span: u32) -> Result<&mut Parts> {
        match self.parts.entry((run, span)) {
            hash_map::Entry::Occupied(slot) => Ok(slot.into_mut()),
            hash_map::Entry::Vacant(slot) => {
                let value = self.index.get(&keys::parts(run, span))?;
                let decode =
                    |value: IVec| Parts::decode(&value).ok_or_else(|| unreadable("a list of places"));
                Ok(slot.insert(value.map(decode).transpose()?.unwrap_or_default()))
            }
        }
    }

    /// This record is needed.
    pub(crate) fn add_live(&mut self, place: Place) {
        *self.live.entry(place.at.segment()).or_default() += i64::from(place.bytes);
    }

    /// This record is not needed any more.
    pub(crate) fn remove_live(&mut self, place: Place) {
        *self.live.entry(place.at.segment()).or_default() -= i64::from(place.bytes);
    }

    /// Brings rows and places into the form of the index.
    fn encode(&mut self) -> Result<()> {
        for (run, row) in std::mem::take(&mut self.rows) {
            let before = row.old.map_or_else(Vec::new, |old| old.keys(run));
            let after = row.new.as_ref().map_or_else(Vec::new, |new| new.keys(run));
            for key in before.iter().filter(|key| !after.contains(key)) {
                self.remove(key.clone())?;
            }
            for key in after.into_iter().filter(|key| !before.contains(key)) {
                self.put(key, &[])?;
            }
            match row.new {
                Some(new) => self.put(keys::row(run), new.encode())?,
                None => self.remove(keys::row(run))?,
            }
        }
        for ((run, span), parts) in std::mem::take(&mut self.parts) {
            let key = keys::parts(run, span);
            if parts.0.is_empty() { self.remove(key)? } else { self.put(key, parts.encode())? }
        }
        Ok(())
    }

    /// Applies everything; the index is then at this record of the journal.
    pub(crate) fn commit(mut self, applied: Position, identity: u128) -> Result<()> {
        self.encode()?;
        for (segment, change) in std::mem::take(&mut self.live) {
            let key = keys::live(segment);
            let live = self.get(key.clone())?.and_then(|bytes| live_bytes(&bytes)).unwrap_or(0) + change;
            if live == 0 {
                self.remove(key)?;
            } else {
                self.put(key, live.to_be_bytes().to_vec())?;
            }
        }
        let mut batch = sled::Batch::default();
        let mut meta = Meta { applied, identity, ..self.meta };
        for (key, value) in self.values {
            if value.old == value.new {
                continue;
            }
            if let Some(old) = &value.old {
                meta.sum = meta.sum.wrapping_sub(weight(&key, old));
            }
            match value.new {
                Some(new) => {
                    meta.sum = meta.sum.wrapping_add(weight(&key, &new));
                    batch.insert(key, new);
                }
                None => batch.remove(key),
            }
        }
        self.index.apply(batch, meta)
    }

    fn value(&mut self, key: Vec<u8>) -> Result<&mut Value> {
        match self.values.entry(key) {
            btree_map::Entry::Occupied(slot) => Ok(slot.into_mut()),
            btree_map::Entry::Vacant(slot) => {
                let old = self.index.get(slot.key())?;
                let new = old.clone();
                Ok(slot.insert(Value { old, new }))
            }
        }
    }
}

/// The live bytes of a segment, from their value.
pub(crate) fn live_bytes(value: &[u8]) -> Option<i64> {
    value.first_chunk().map(|bytes| i64::from_be_bytes(*bytes))
}

pub(crate) fn unreadable(what: &str) -> Error {
    Error::Failed(format!("{what} cannot be read"))
}
