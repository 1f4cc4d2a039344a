//! The keys of the index: one tree, a letter first.

use model::{Digest, RunId, RunStatus, Timestamp};
use sha2::{Digest as _, Sha256};

pub(crate) type Hash = [u8; 32];

/// What the index knows of itself.
pub(crate) const META: &[u8] = b"m";

/// Its rows: `r` run.
pub(crate) const ROWS: u8 = b'r';
/// Runs that are not over or wait for people, with the head of their row: `u` run. No change between such states takes
/// it away, so whoever walks through it meets them all.
pub(crate) const OPEN: u8 = b'u';
/// Runs whose row says when they disrupted something: `a` run.
pub(crate) const DISRUPTED: u8 = b'a';
/// When finished runs finished: `t` time run.
pub(crate) const FINISHED: u8 = b't';
/// Live bytes of segments: `g` segment.
pub(crate) const LIVE: u8 = b'g';
/// Where the appends of runs lie, but for those in their rows: `p` run span.
pub(crate) const PARTS: u8 = b'p';
/// Where workflow sources lie: `s` digest.
pub(crate) const SOURCES: u8 = b's';
/// Notes: `n` name.
pub(crate) const NOTES: u8 = b'n';
/// Runs of which a record is lost: `x` run.
pub(crate) const LOST: u8 = b'x';

pub(crate) fn row(run: RunId) -> Vec<u8> {
    of_run(&[ROWS], run)
}

/// Where the appends lie whose first number is in this span.
pub(crate) fn parts(run: RunId, span: u32) -> Vec<u8> {
    let mut key = of_run(&[PARTS], run);
    key.extend_from_slice(&span.to_be_bytes());
    key
}

pub(crate) fn all_parts(run: RunId) -> Vec<u8> {
    of_run(&[PARTS], run)
}

/// Runs that run, failed or were cancelled, which are few among many: `i` status run. Those that wait are most of
/// [`OPEN`], and those that succeeded most of [`ROWS`].
pub(crate) fn status_prefix(status: RunStatus) -> Vec<u8> {
    vec![b'i', status_code(status)]
}

pub(crate) fn status_code(status: RunStatus) -> u8 {
    match status {
        RunStatus::Running => 1,
        RunStatus::Waiting => 2,
        RunStatus::Succeeded => 3,
        RunStatus::Failed => 4,
        RunStatus::Cancelled => 5,
    }
}

/// Runs by the hash of their workflow's name: `f` hash run.
pub(crate) fn workflow_prefix(hash: u32) -> Vec<u8> {
    let mut key = vec![b'f'];
    key.extend_from_slice(&hash.to_be_bytes());
    key
}

pub(crate) fn of_run(prefix: &[u8], run: RunId) -> Vec<u8> {
    [prefix, run.as_bytes()].concat()
}

pub(crate) fn finished(at: Timestamp, run: RunId) -> Vec<u8> {
    let mut key = finished_before(at);
    key.extend_from_slice(run.as_bytes());
    key
}

/// The first key of those that finished then or later.
pub(crate) fn finished_before(at: Timestamp) -> Vec<u8> {
    let mut key = vec![FINISHED];
    key.extend_from_slice(&at.as_millis().to_be_bytes());
    key
}

/// The time in a key of [`FINISHED`].
pub(crate) fn finished_at(key: &[u8]) -> Option<Timestamp> {
    let millis = key.get(1..)?.first_chunk()?;
    Some(Timestamp::from_millis(i64::from_be_bytes(*millis)))
}

pub(crate) fn dedupe(hash: &Hash) -> Vec<u8> {
    [b"d", hash.as_slice()].concat()
}

pub(crate) fn source(digest: &Digest) -> Vec<u8> {
    [&[SOURCES], digest.as_str().as_bytes()].concat()
}

pub(crate) fn note(name: &str) -> Vec<u8> {
    [&[NOTES], name.as_bytes()].concat()
}

/// The name in a key of [`NOTES`].
pub(crate) fn name_of(key: &[u8]) -> Option<&str> {
    std::str::from_utf8(key.get(1..)?).ok()
}

pub(crate) fn live(segment: u32) -> Vec<u8> {
    let mut key = vec![LIVE];
    key.extend_from_slice(&segment.to_be_bytes());
    key
}

pub(crate) fn lost(run: RunId) -> Vec<u8> {
    of_run(&[LOST], run)
}

/// The run at the end of a key.
pub(crate) fn run_of(key: &[u8]) -> Option<RunId> {
    key.last_chunk().map(|bytes| RunId::from_bytes(*bytes))
}

/// The run in a key of [`ROWS`] or [`PARTS`].
pub(crate) fn run_of_row(key: &[u8]) -> Option<RunId> {
    key.get(1..)?.first_chunk().map(|bytes| RunId::from_bytes(*bytes))
}

/// The digest in a key of [`SOURCES`].
pub(crate) fn digest_of(key: &[u8]) -> Option<Digest> {
    std::str::from_utf8(key.get(1..)?).ok()?.parse().ok()
}

pub(crate) fn hash(text: &str) -> Hash {
    Sha256::digest(text.as_bytes()).into()
}

/// A number of this text that others may share.
pub(crate) fn short_hash(text: &str) -> u32 {
    crc32fast::hash(text.as_bytes())
}
