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
    parts: HashMap<(RunId, u32), PartsChange>,
    live: BTreeMap<u32, i64>,
}

struct RowChange {
    old: Option<IVec>,
    new: Option<Row>,
}

struct PartsChange {
    old: Option<IVec>,
    new: Parts,
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

    /// The index has nothing of this run, so it is not read for it.
    pub(crate) fn expect_none(&mut self, run: RunId) {
        self.rows.entry(run).or_insert(RowChange { old: None, new: None });
    }

    pub(crate) fn row(&mut self, run: RunId) -> Result<&mut Option<Row>> {
        match self.rows.entry(run) {
            hash_map::Entry::Occupied(slot) => Ok(&mut slot.into_mut().new),
            hash_map::Entry::Vacant(slot) => {
                let old = self.index.get(&keys::row(run))?;
                let new = old.as_deref().map(decode_row).transpose()?;
                Ok(&mut slot.insert(RowChange { old, new }).new)
            }
        }
    }

    pub(crate) fn parts(&mut self, run: RunId, span: u32) -> Result<&mut Parts> {
        match self.parts.entry((run, span)) {
            hash_map::Entry::Occupied(slot) => Ok(&mut slot.into_mut().new),
            hash_map::Entry::Vacant(slot) => {
                let old = self.index.get(&keys::parts(run, span))?;
                let decode = |value| Parts::decode(value).ok_or_else(|| unreadable("a list of places"));
                let new = old.as_deref().map(decode).transpose()?.unwrap_or_default();
                Ok(&mut slot.insert(PartsChange { old, new }).new)
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

    /// Applies everything; the index is then at this record of the journal.
    pub(crate) fn commit(mut self, applied: Position, identity: u128) -> Result<()> {
        for (segment, change) in std::mem::take(&mut self.live) {
            let key = keys::live(segment);
            let live = self.get(key.clone())?.and_then(|bytes| live_bytes(&bytes)).unwrap_or(0) + change;
            if live == 0 {
                self.remove(key)?;
            } else {
                self.put(key, live.to_be_bytes().to_vec())?;
            }
        }
        let mut batch = Batch { sum: self.meta.sum, writes: sled::Batch::default() };
        for (run, row) in self.rows {
            batch.change_row(run, row)?;
        }
        for ((run, span), PartsChange { old, new }) in self.parts {
            let new = (!new.0.is_empty()).then(|| new.encode().into());
            batch.change(keys::parts(run, span).into(), old.as_deref(), new);
        }
        for (key, Value { old, new }) in self.values {
            batch.change(key.into(), old.as_deref(), new);
        }
        let meta = Meta { applied, identity, sum: batch.sum, ..self.meta };
        self.index.apply(batch.writes, meta)
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

/// What is written at once, and the sum over all keys and values after it.
struct Batch {
    sum: u64,
    writes: sled::Batch,
}

impl Batch {
    fn change(&mut self, key: IVec, old: Option<&[u8]>, new: Option<IVec>) {
        if old == new.as_deref() {
            return;
        }
        if let Some(old) = old {
            self.sum = self.sum.wrapping_sub(weight(&key, old));
        }
        match new {
            Some(new) => {
                self.sum = self.sum.wrapping_add(weight(&key, &new));
                self.writes.insert(key, new);
            }
            None => self.writes.remove(key),
        }
    }

    /// Changes a row and what follows from it, which needs no look: it stands there for the row before and for no other
    /// reason.
    fn change_row(&mut self, run: RunId, RowChange { old, new }: RowChange) -> Result<()> {
        let listed = |row: &Row| row.listed(run);
        let mut before = old.as_deref().map(decode_row).transpose()?.as_ref().map_or_else(Vec::new, listed);
        for (key, value) in new.as_ref().map_or_else(Vec::new, listed) {
            let known = before.iter().position(|(known, _)| *known == key);
            let known = known.map(|at| before.swap_remove(at).1);
            self.change(key, known.as_deref(), Some(value));
        }
        for (key, value) in before {
            self.change(key, Some(&value), None);
        }
        self.change(keys::row(run).into(), old.as_deref(), new.map(|row| row.encode().into()));
        Ok(())
    }
}

fn decode_row(value: &[u8]) -> Result<Row> {
    Row::decode(value).ok_or_else(|| unreadable("a row"))
}

/// The live bytes of a segment, from their value.
pub(crate) fn live_bytes(value: &[u8]) -> Option<i64> {
    value.first_chunk().map(|bytes| i64::from_be_bytes(*bytes))
}

pub(crate) fn unreadable(what: &str) -> Error {
    Error::Failed(format!("{what} cannot be read"))
}
