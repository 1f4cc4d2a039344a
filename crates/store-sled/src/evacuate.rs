//! Giving segments of the journal back: what is still needed of the oldest one is copied behind everything else, and
//! once the copies are on disk the segment is retired.
//!
//! Always the oldest one, so that a record which says that something is forgotten outlives what it speaks of. After a
//! crash between copying and retiring there are two copies, of which the younger counts.

use std::collections::BTreeMap;
use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use journal::{Position, Record, Scanned};
use model::Digest;
use store::Result;

use crate::changes::{live_bytes, unreadable};
use crate::entry::Entry;
use crate::index::Range;
use crate::keys;
use crate::note::Noted;
use crate::place::{Parts, Place};
use crate::recent::Known;
use crate::row::Row;
use crate::shared::{Shared, broken, length};

impl Shared {
    /// Retires segments until at least half of what the closed ones take is needed.
    pub(crate) fn give_back(&self) -> Result<()> {
        let closed = self.journal.segments().len().saturating_sub(1);
        for _ in 0..closed {
            let segments = self.journal.segments();
            let Some((_, closed)) = segments.split_last() else { return Ok(()) };
            let Some(oldest) = closed.first() else { return Ok(()) };
            let live = self.live()?;
            let needed: u64 =
                closed.iter().map(|segment| live.get(&segment.number).copied().unwrap_or(0)).sum();
            let taken: u64 = closed.iter().map(|segment| segment.bytes).sum();
            if needed * 2 >= taken && live.contains_key(&oldest.number) {
                return Ok(());
            }
            if !self.evacuate(oldest.number)? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// How many bytes of each segment are needed.
    fn live(&self) -> Result<BTreeMap<u32, u64>> {
        let mut live = BTreeMap::new();
        self.walk(&Range::of([keys::LIVE]), |key, value| {
            if let (Some(segment), Some(bytes)) = (key.last_chunk(), live_bytes(value)) {
                live.insert(u32::from_be_bytes(*segment), u64::try_from(bytes).unwrap_or(0));
            }
            ControlFlow::Continue(())
        })?;
        Ok(live)
    }

    /// Empties a segment, which is the oldest one, and retires it. False: it holds something that should have been
    /// copied and was not.
    fn evacuate(&self, segment: u32) -> Result<bool> {
        let mut sources = None;
        let mut last = None;
        for scanned in self.journal.scan(Position::new(segment, 0)) {
            let at = match scanned.map_err(broken)? {
                Scanned::Record(record) if record.position.segment() > segment => break,
                Scanned::Record(record) => self.carry(&record, &mut sources)?,
                Scanned::Damage(_) | Scanned::Break(_) => None,
            };
            last = at.or(last);
        }
        if let Some(last) = last {
            self.wait_until_applied(last)?;
        }
        if self.live()?.contains_key(&segment) && !self.give_up_damaged(segment)? {
            let report =
                format!("segment {segment} of the journal holds something that was not moved, and is kept");
            self.recent().report(report);
            return Ok(false);
        }
        // What sled has on disk may be older than the segment; then the next start makes the index again.
        self.index.flush().map_err(|error| self.fail_now(&error))?;
        self.journal.retire(segment).map_err(broken)?;
        Ok(true)
    }

    /// Sees to it that what is damaged in this segment is known to be lost. False: something in it is not damaged.
    fn give_up_damaged(&self, segment: u32) -> Result<bool> {
        let (mut parts, mut lost, mut sources) = (Vec::new(), Vec::new(), Vec::new());
        self.walk(&Range::of([]), |key, value| {
            let is_here = |place: &Place| place.at.segment() == segment;
            let placed = Place::decode(value).filter(is_here);
            match (key.first().copied(), keys::run_of(key), placed) {
                (Some(letter @ (keys::ROWS | keys::PARTS)), _, _) => {
                    let known = if letter == keys::ROWS {
                        Row::decode(value).map(|row| row.parts)
                    } else {
                        Parts::decode(value)
                    };
                    let here = known.unwrap_or_default().0.into_iter().filter(|part| is_here(&part.place));
                    parts.extend(here.filter_map(|part| Some((keys::run_of_row(key)?, part))));
                }
                (Some(keys::LOST), Some(run), Some(_)) => {
                    let message = String::from_utf8_lossy(&value[Place::LEN..]).into_owned();
                    lost.push(Entry::Lost { run, message, row: None });
                }
                (Some(keys::NOTES), _, Some(_)) => lost.extend(Noted::entry(key, value)),
                (Some(keys::SOURCES), _, Some(place)) => sources.push((keys::digest_of(key), place)),
                _ => {}
            }
            ControlFlow::Continue(())
        })?;
        for (run, part) in parts {
            match self.journal.read(part.place.at) {
                Err(journal::Error::Damaged(damage)) => {
                    self.lose(run, &format!("its facts from {} on are lost: {damage}", part.first))?;
                }
                _ => return Ok(false),
            }
        }
        let claim = self.index.meta().claim.filter(|claim| claim.at.segment() == segment);
        let fence = self.index.meta().fence;
        lost.extend(claim.map(|_| Entry::Claimed { fence, worker: "whose name is lost".to_owned() }));
        for entry in lost {
            self.copy_now(&Arc::new(entry))?;
        }
        for (digest, place) in sources {
            self.recent().report(format!("a workflow source is lost: the record at {} is damaged", place.at));
            let sources = vec![digest.ok_or_else(|| self.fail_now(&unreadable("a key")))?];
            self.order_now(|_| Some(Entry::Forgotten { runs: Vec::new(), sources: sources.clone() }))?;
        }
        self.catch_up().map(|()| true)
    }

    /// Copies a record if it is needed.
    fn carry(&self, record: &Record, sources: &mut Option<HashSet<u32>>) -> Result<Option<Position>> {
        let place = Place { at: record.position, bytes: length(record.bytes()) };
        let Ok(entry) = Entry::parse(&record.payload) else { return Ok(None) };
        let is_needed = match &entry {
            Entry::Append(append) => {
                let known = self.index.part_at(append.run(), append.expected_seq());
                known.map_err(|error| self.fail_now(&error))? == Some(place)
            }
            Entry::Claimed { .. } => self.index.meta().claim == Some(place),
            Entry::Lost { run, .. } => self.placed(&keys::lost(*run))? == Some(place),
            Entry::Note { note, .. } => self.placed(&keys::note(&note.key))? == Some(place),
            Entry::Forgotten { .. } => false,
            Entry::Source(source) => {
                let is_known = self.placed(&keys::source(&source.digest))? == Some(place);
                if is_known && !self.is_wanted(&source.digest, sources)? {
                    return self.drop_source(&source.digest);
                }
                is_known
            }
        };
        if is_needed { self.copy_now(&Arc::new(entry)).map(Some) } else { Ok(None) }
    }

    /// Whether a run uses this source, or somebody put it since the store was opened.
    fn is_wanted(&self, digest: &Digest, sources: &mut Option<HashSet<u32>>) -> Result<bool> {
        if sources.is_none() {
            let mut used = HashSet::new();
            let rows = self.recent_summaries().into_values().flatten();
            used.extend(rows.map(|row| keys::short_hash(row.source.as_str())));
            self.walk(&Range::of([keys::ROWS]), |_, value| {
                used.extend(Row::decode(value).map(|row| row.source));
                ControlFlow::Continue(())
            })?;
            *sources = Some(used);
        }
        let is_used = sources.as_ref().is_some_and(|used| used.contains(&keys::short_hash(digest.as_str())));
        Ok(is_used || self.recent().put_sources.contains(digest))
    }

    fn drop_source(&self, digest: &Digest) -> Result<Option<Position>> {
        self.order_now(|recent| {
            let is_wanted =
                recent.put_sources.contains(digest) || matches!(recent.source(digest), Known::Here(_));
            let sources = vec![digest.clone()];
            (!is_wanted).then_some(Entry::Forgotten { runs: Vec::new(), sources })
        })
    }
}
