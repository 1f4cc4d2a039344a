//! Finds the records in the bytes of a segment, whatever happened to them.

use crate::chain::Link;
use crate::error::Damage;
use crate::header::RECORDS;
use crate::position::Position;
use crate::record::{ALIGN, FIRST, FRAME, Frame, looks_like_frame};

/// One thing in a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// A record as it was written.
    Whole { at: Position, frame: Frame, link: Link },
    /// Bytes that are no record.
    Hole { damage: Damage, frame: Option<Frame> },
}

impl Found {
    pub(crate) fn offset(&self) -> u32 {
        match self {
            Found::Whole { at, .. } => at.offset(),
            Found::Hole { damage, .. } => damage.position.offset(),
        }
    }

    fn end(&self) -> u32 {
        match self {
            Found::Whole { at, frame, .. } => clip(at.offset() as usize + frame.total()),
            Found::Hole { damage, .. } => damage.position.offset().saturating_add(damage.bytes),
        }
    }

    fn frame(&self) -> Option<&Frame> {
        match self {
            Found::Whole { frame, .. } => Some(frame),
            Found::Hole { frame, .. } => frame.as_ref(),
        }
    }
}

/// What a segment holds from an offset to the end of the bytes. If `is_exact`, the bytes end where the records end;
/// otherwise anything may follow the last record.
pub(crate) fn walk(bytes: &[u8], segment: u32, from: u32, is_exact: bool) -> Vec<Found> {
    let end = clip(bytes.len());
    let mut found = Vec::new();
    let mut at = from;
    while at < end {
        let position = Position::new(segment, at);
        let rest = &bytes[at as usize..];
        let next = match Frame::front(rest, position) {
            Some(frame) => (position, Some(frame)),
            None => match resync(bytes, position) {
                Some(next) => next,
                None if is_exact => (Position::new(segment, end), None),
                None => break,
            },
        };
        if next.0 > position {
            found.push(hole(position, next.0.offset() - at, None));
            at = next.0.offset();
        }
        if let Some(frame) = next.1 {
            let thing = record(bytes, next.0, frame);
            at = thing.end();
            found.push(thing);
        }
    }
    found
}

/// The records of a segment whose end nobody wrote down: the bytes behind the last flush may be torn. Gives what counts,
/// the offset at which it ends, and whether anything behind that could be mistaken for a record.
///
/// Damage counts as such if a later flush is seen behind it, for then it had been on disk. Otherwise it is where the
/// last flush was cut off, and nobody was told that what stands behind it is safe.
pub(crate) fn settle(mut found: Vec<Found>) -> Settled {
    let last_flush =
        found.iter().rposition(|thing| thing.frame().is_some_and(|frame| frame.is(FIRST))).unwrap_or(0);
    let torn = (last_flush..found.len()).find(|index| matches!(found[*index], Found::Hole { .. }));
    let behind = torn.map_or_else(Vec::new, |index| found.split_off(index));
    let end = match (found.last(), behind.first()) {
        (_, Some(torn)) => torn.offset(),
        (Some(last), None) => last.end(),
        (None, None) => RECORDS,
    };
    Settled {
        found,
        end,
        has_traces: behind.iter().any(|thing| thing.frame().is_some()),
        dropped: behind.iter().filter(|thing| matches!(thing, Found::Whole { .. })).count(),
    }
}

#[derive(Debug)]
pub(crate) struct Settled {
    /// What counts.
    pub(crate) found: Vec<Found>,
    /// The offset behind it.
    pub(crate) end: u32,
    /// Whether a frame stands behind the end.
    pub(crate) has_traces: bool,
    /// How many whole records stand behind the end.
    pub(crate) dropped: usize,
}

/// The record at this place of a segment's bytes, by its front or, if that is hit, by its back.
pub(crate) fn record_at(bytes: &[u8], at: Position) -> Found {
    let frame = bytes.get(at.offset() as usize..).and_then(|rest| Frame::front(rest, at));
    match frame.map(|frame| (at, Some(frame))).or_else(|| resync(bytes, at)) {
        Some((start, Some(frame))) if start == at => record(bytes, at, frame),
        Some((next, _)) => hole(at, next.offset() - at.offset(), None),
        None => hole(at, clip(bytes.len()).saturating_sub(at.offset()), None),
    }
}

fn record(bytes: &[u8], at: Position, frame: Frame) -> Found {
    let rest = &bytes[at.offset() as usize..];
    match frame.body(rest, at) {
        Some((link, _)) => Found::Whole { at, frame, link },
        None => hole(at, clip(frame.total().min(rest.len())), Some(frame)),
    }
}

/// The next place at or behind `at` where a record begins, and its frame.
fn resync(bytes: &[u8], at: Position) -> Option<(Position, Option<Frame>)> {
    let first = (at.offset() as usize).next_multiple_of(ALIGN);
    for offset in (first..bytes.len().saturating_sub(FRAME - 1)).step_by(ALIGN) {
        let rest = &bytes[offset..];
        if !looks_like_frame(rest) {
            continue;
        }
        let here = Position::new(at.segment(), clip(offset));
        if let Some(frame) = Frame::front(rest, here) {
            return Some((here, Some(frame)));
        }
        match Frame::back(rest, here) {
            Some((start, frame)) if start >= at => return Some((start, Some(frame))),
            _ => {}
        }
    }
    None
}

fn hole(position: Position, bytes: u32, frame: Option<Frame>) -> Found {
    let key = frame.map(|frame| frame.key);
    Found::Hole { damage: Damage { position, bytes, key }, frame }
}

fn clip(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
