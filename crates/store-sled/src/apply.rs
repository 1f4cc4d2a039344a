//! What a record of the journal changes in the index: the same for one that was just written and for one that is read
//! again.
//!
//! Records may come twice and in another order than they were first written, because tidying copies old ones behind
//! younger ones. So places are kept by number, and of rows the one that is furthest counts.

use std::sync::Arc;

use model::{RunId, Timestamp};
use store::Append;

use crate::changes::{Changes, unreadable};
use crate::entry::Entry;
use crate::index::Result;
use crate::keys::{self, Hash};
use crate::note::Noted;
use crate::place::{Part, Parts, Place};
use crate::row::{Row, Taken};

/// Puts this entry, which lies there, into the index.
pub(crate) fn apply(changes: &mut Changes, entry: &Entry, place: Place) -> Result<()> {
    match entry {
        Entry::Append(append) => apply_append(changes, append, place),
        Entry::Source(source) => replace(changes, keys::source(&source.digest), place, &[]),
        Entry::Note { note, version } => {
            let key = keys::note(&note.key);
            let known = changes.get(key.clone())?.and_then(|value| Noted::decode(&value));
            match known {
                Some(known) if known.version > *version => Ok(()),
                _ => replace(changes, key, place, &Noted::encode(*version, &note.value)),
            }
        }
        Entry::Claimed { fence, .. } => {
            if *fence >= changes.meta.fence {
                changes.add_live(place);
                changes.meta.fence = *fence;
                if let Some(before) = changes.meta.claim.replace(place) {
                    changes.remove_live(before);
                }
            }
            Ok(())
        }
        Entry::Lost { run, message, row } => {
            if let Some(summary) = row {
                let known = changes.row(*run)?;
                let (dedupe, parts) = kept(known);
                *known = Some(Row::ended(summary, dedupe, parts));
            }
            replace(changes, keys::lost(*run), place, message.as_bytes())
        }
        Entry::Forgotten { runs, sources } => {
            runs.iter().try_for_each(|run| forget(changes, *run))?;
            sources.iter().try_for_each(|digest| drop_placed(changes, keys::source(digest)))
        }
    }
}

fn apply_append(changes: &mut Changes, append: &Arc<Append>, place: Place) -> Result<()> {
    let run = append.run();
    let first = append.expected_seq();
    let next = append.summary.next_seq;
    let part = Part { first, next, place };
    changes.add_live(place);
    let taken = take_key(changes, append)?;
    let row = changes.row(run)?;
    if row.as_ref().is_none_or(|known| known.next_seq <= next) {
        let (dedupe, parts) = kept(row);
        *row = Some(Row::new(append, place.at, dedupe, parts));
    }
    let mut other = None;
    if let Some(row) = row {
        row.dedupe = taken.or(row.dedupe.take());
        if first < Parts::IN_ROW {
            other = row.parts.put(part);
        }
    }
    if first >= Parts::IN_ROW {
        other = changes.parts(run, first / Parts::SPAN)?.put(part);
    }
    if let Some(other) = other {
        changes.remove_live(other);
    }
    Ok(())
}

/// What a row hands on to the one that takes its stead.
fn kept(row: &mut Option<Row>) -> (Option<Taken>, Parts) {
    row.take().map(|row| (row.dedupe, row.parts)).unwrap_or_default()
}

/// The key that this append took. Of two runs with one key, the one that holds it longer counts.
fn take_key(changes: &mut Changes, append: &Append) -> Result<Option<Taken>> {
    let Some(dedupe) = &append.dedupe else { return Ok(None) };
    let key = keys::hash(&dedupe.key);
    let known = changes.get(keys::dedupe(&key))?;
    let is_older = known.and_then(|value| holder(&value)).is_some_and(|(_, until)| until > dedupe.until);
    if !is_older {
        changes.put(keys::dedupe(&key), encode_holder(append.run(), dedupe.until))?;
    }
    Ok(Some(Taken { key, until: dedupe.until }))
}

fn forget(changes: &mut Changes, run: RunId) -> Result<()> {
    let Some(row) = changes.row(run)?.take() else { return Ok(()) };
    let mut parts = row.parts.0;
    if row.next_seq > Parts::IN_ROW {
        for span in 0..=row.next_seq / Parts::SPAN {
            parts.append(&mut changes.parts(run, span)?.0);
        }
    }
    for part in parts {
        changes.remove_live(part.place);
    }
    if let Some(taken) = row.dedupe {
        release_key(changes, &taken.key, run)?;
    }
    drop_placed(changes, keys::lost(run))
}

fn release_key(changes: &mut Changes, key: &Hash, run: RunId) -> Result<()> {
    let value = changes.get(keys::dedupe(key))?;
    if value.and_then(|value| holder(&value)).is_some_and(|(by, _)| by == run) {
        changes.remove(keys::dedupe(key))?;
    }
    Ok(())
}

/// Puts a value that begins with a place, in the stead of the one that is there.
fn replace(changes: &mut Changes, key: Vec<u8>, place: Place, rest: &[u8]) -> Result<()> {
    drop_placed(changes, key.clone())?;
    changes.add_live(place);
    changes.put(key, [&place.encode(), rest].concat())
}

fn drop_placed(changes: &mut Changes, key: Vec<u8>) -> Result<()> {
    if let Some(value) = changes.get(key.clone())? {
        changes.remove_live(Place::decode(&value).ok_or_else(|| unreadable("a place"))?);
        changes.remove(key)?;
    }
    Ok(())
}

fn encode_holder(run: RunId, until: Timestamp) -> Vec<u8> {
    [run.as_bytes().as_slice(), &until.as_millis().to_be_bytes()].concat()
}

/// Which run holds a dedupe key, and until when.
pub(crate) fn holder(value: &[u8]) -> Option<(RunId, Timestamp)> {
    let (run, until) = value.split_first_chunk()?;
    let until = i64::from_be_bytes(*until.first_chunk()?);
    Some((RunId::from_bytes(*run), Timestamp::from_millis(until)))
}
