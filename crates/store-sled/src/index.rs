//! sled, held at arm's length: its panics become errors, and what it kept is checked against a sum.
//!
//! sled 0.34 can come up with pages that are older than others, or not come up at all. Either shows when it is opened;
//! then the index is made again from the journal.

use std::io::ErrorKind;
use std::ops::{Bound, ControlFlow};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use journal::Position;
use sled::IVec;

use crate::keys;
use crate::place::Place;

/// A file of so many bytes is never too large.
const SMALL: u64 = 64 << 20;
/// The cache of either file while one is copied into the other, in bytes.
const COPY_CACHE_BYTES: u64 = 8 << 20;
/// How long it may take sled to let go of a file that was closed.
const PATIENCE: Duration = Duration::from_secs(10);
/// How sled says that it has not.
const IS_HELD: &str = "could not acquire lock";
/// So many keys are copied and written down at once; what is not written down stays in memory.
const AT_ONCE: usize = 2_000;

pub(crate) type Result<T> = std::result::Result<T, Error>;

#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Error {
    /// It cannot be used any more; the journal can.
    #[error("the index failed: {0}")]
    Failed(String),
    /// It can be opened again once the disk has room.
    #[error("the disk has no room for the index: {0}")]
    NoRoom(String),
}

pub(crate) struct Index {
    db: RwLock<Slot>,
    /// Whether the disk had no room for something since it was opened. sled refuses everything from then on.
    lacks_room: AtomicBool,
    folder: PathBuf,
    pub(crate) cache_bytes: u64,
    /// Whether another version of this program wrote it, in a form that this one does not read.
    pub(crate) is_of_another_version: bool,
    meta: Mutex<Meta>,
    /// The bytes of all keys and values when they were last counted.
    live_bytes: AtomicU64,
}

enum Slot {
    Open(sled::Db),
    /// While it is copied, for those who wait for the lock, and where that has failed.
    Gone,
    /// Until the disk has room again.
    NoRoom(String),
}

/// What the index knows of itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Meta {
    /// The place of the last record of the journal that is in the index.
    pub(crate) applied: Position,
    /// The first half of the SHA-256 of what that record holds: the index belongs to this journal and to no other.
    pub(crate) identity: u128,
    /// The sum over all other keys and values; see [`weight`].
    pub(crate) sum: u64,
    /// The highest fence that was given.
    pub(crate) fence: u64,
    /// Where that is written.
    pub(crate) claim: Option<Place>,
}

/// Which keys, and in which direction.
#[derive(Debug, Clone)]
pub(crate) struct Range {
    pub(crate) prefix: Vec<u8>,
    /// Only keys below this one.
    pub(crate) below: Option<Vec<u8>>,
    pub(crate) is_backwards: bool,
}

impl Range {
    pub(crate) fn of(prefix: impl Into<Vec<u8>>) -> Range {
        Range { prefix: prefix.into(), below: None, is_backwards: false }
    }
}

impl Index {
    pub(crate) fn open(folder: &Path, cache_bytes: u64) -> Result<Index> {
        let mut index = Index {
            db: RwLock::new(Slot::Open(open_sled(folder, cache_bytes)?)),
            lacks_room: AtomicBool::default(),
            folder: folder.to_owned(),
            cache_bytes,
            is_of_another_version: false,
            meta: Mutex::default(),
            live_bytes: AtomicU64::default(),
        };
        if let Some(bytes) = index.get(keys::META)? {
            index.is_of_another_version = bytes.first().is_some_and(|version| *version != Meta::VERSION);
            if !index.is_of_another_version {
                let unreadable = || Error::Failed("its own row cannot be read".to_owned());
                *index.meta() = Meta::decode(&bytes).ok_or_else(unreadable)?;
            }
        }
        Ok(index)
    }

    pub(crate) fn meta(&self) -> MutexGuard<'_, Meta> {
        self.meta.lock().expect("nothing panics while it holds the lock")
    }

    /// Reads everything and compares it with the sum.
    pub(crate) fn verify(&self) -> Result<()> {
        // The rows take about as long as all the rest.
        let (rows, rest) = std::thread::scope(|scope| {
            let rows = scope.spawn(|| self.weigh([keys::ROWS]));
            let rest = self.weigh((0..=u8::MAX).filter(|letter| *letter != keys::ROWS));
            (rows.join(), rest)
        });
        let rows = rows.map_err(|_| Error::Failed("it cannot be read".to_owned()))??;
        let rest = rest?;
        let (sum, bytes) = (rows.0.wrapping_add(rest.0), rows.1 + rest.1);
        self.live_bytes.store(bytes, Ordering::Relaxed);
        if sum == self.meta().sum {
            return Ok(());
        }
        Err(Error::Failed("it does not hold what was put into it".to_owned()))
    }

    /// The sum over the keys that begin with one of these letters, and their bytes with those of their values.
    fn weigh(&self, letters: impl IntoIterator<Item = u8>) -> Result<(u64, u64)> {
        let (mut sum, mut bytes) = (0_u64, 0);
        for letter in letters {
            self.walk(&Range::of([letter]), |key, value| {
                bytes += (key.len() + value.len()) as u64;
                if key != keys::META {
                    sum = sum.wrapping_add(weight(key, value));
                }
                ControlFlow::Continue(())
            })?;
        }
        Ok((sum, bytes))
    }

    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<IVec>> {
        self.with(|db| db.get(key))
    }

    /// Shows keys with their values until told to stop.
    pub(crate) fn walk(
        &self,
        range: &Range,
        mut show: impl FnMut(&[u8], &[u8]) -> ControlFlow<()>,
    ) -> Result<()> {
        let end = range.below.clone().or_else(|| after(&range.prefix));
        let end = end.map_or(Bound::Unbounded, Bound::Excluded);
        let bounds = (Bound::Included(range.prefix.clone()), end);
        self.with(|db| {
            let mut iter = db.range::<Vec<u8>, _>(bounds);
            while let Some(next) = if range.is_backwards { iter.next_back() } else { iter.next() } {
                let (key, value) = next?;
                if show(&key, &value).is_break() {
                    break;
                }
            }
            Ok(())
        })
    }

    /// Applies changes at once, and what the index knows of itself with them.
    pub(crate) fn apply(&self, mut batch: sled::Batch, meta: Meta) -> Result<()> {
        batch.insert(keys::META, meta.encode());
        self.with(|db| db.apply_batch(batch))?;
        *self.meta() = meta;
        Ok(())
    }

    /// Asks sled to write down what it has. Not a promise; see the module.
    pub(crate) fn flush(&self) -> Result<()> {
        self.with(|db| db.flush()).map(|_| ())
    }

    fn with<T>(&self, action: impl FnOnce(&sled::Db) -> sled::Result<T>) -> Result<T> {
        let db = self.db.read().unwrap_or_else(PoisonError::into_inner);
        let done = match &*db {
            Slot::Open(db) => guard(|| action(db)),
            Slot::Gone => Err(Error::Failed("it could not be copied".to_owned())),
            Slot::NoRoom(why) => Err(Error::NoRoom(why.clone())),
        };
        if matches!(done, Err(Error::NoRoom(_))) {
            self.lacks_room.store(true, Ordering::Relaxed);
        }
        done
    }

    /// Whether somebody has met with [`Error::NoRoom`]; asks sled too, which writes on its own.
    pub(crate) fn lacks_room(&self) -> bool {
        let _ = self.get(keys::META);
        self.lacks_room.load(Ordering::Relaxed)
    }

    /// Closes it until there is room: sled does not get over it while it is open.
    pub(crate) fn close(&self, why: &str) {
        *self.db.write().unwrap_or_else(PoisonError::into_inner) = Slot::NoRoom(why.to_owned());
    }

    /// Goes on with what was opened again.
    pub(crate) fn adopt(&self, opened: Index) {
        *self.meta() = *opened.meta();
        let db = opened.db.into_inner().unwrap_or_else(PoisonError::into_inner);
        *self.db.write().unwrap_or_else(PoisonError::into_inner) = db;
        self.lacks_room.store(false, Ordering::Relaxed);
    }

    /// Whether its file is much larger than what it holds: sled takes some 300 bytes for each run that comes and goes,
    /// and never gives them back.
    pub(crate) fn is_bloated(&self) -> Result<bool> {
        let is_much = |live: u64| self.bytes() > SMALL + live * 4;
        if !is_much(self.live_bytes.load(Ordering::Relaxed)) {
            return Ok(false);
        }
        let mut live = 0;
        self.walk(&Range::of([]), |key, value| {
            live += (key.len() + value.len()) as u64;
            ControlFlow::Continue(())
        })?;
        self.live_bytes.store(live, Ordering::Relaxed);
        Ok(is_much(live))
    }

    /// Copies what it holds into a new file, in the stead of the old one. Everybody waits meanwhile: a second for each
    /// hundred thousand keys or so. Where the process ends in the middle the next start finds no index and makes it again.
    pub(crate) fn copy_afresh(&self) -> Result<()> {
        let mut slot = self.db.write().unwrap_or_else(PoisonError::into_inner);
        if let Slot::NoRoom(why) = &*slot {
            return Err(Error::NoRoom(why.clone()));
        }
        // Closed and opened again with a small cache: memory that was taken once is seldom given back, so that what counts
        // is the most that is taken at one time.
        *slot = Slot::Gone;
        let beside = self.folder.with_extension("afresh");
        let copied = self.copy_to(&beside).and_then(|()| open_sled(&self.folder, self.cache_bytes));
        let (next, done) = match copied {
            Ok(db) => (Slot::Open(db), Ok(())),
            Err(Error::NoRoom(why)) => {
                self.lacks_room.store(true, Ordering::Relaxed);
                // What was copied stands where room is wanted.
                let _ = std::fs::remove_dir_all(&beside);
                (Slot::NoRoom(why.clone()), Err(Error::NoRoom(why)))
            }
            Err(error @ Error::Failed(_)) => (Slot::Gone, Err(error)),
        };
        *slot = next;
        done
    }

    fn copy_to(&self, beside: &Path) -> Result<()> {
        let failed = |error: std::io::Error| lost(&error, format!("it cannot be copied: {error}"));
        let old = open_sled(&self.folder, COPY_CACHE_BYTES)?;
        if beside.exists() {
            std::fs::remove_dir_all(beside).map_err(failed)?;
        }
        let new = open_sled(beside, COPY_CACHE_BYTES)?;
        guard(|| {
            let mut batch = sled::Batch::default();
            for (number, entry) in old.iter().enumerate() {
                let (key, value) = entry?;
                batch.insert(key, value);
                if number % AT_ONCE == AT_ONCE - 1 {
                    new.apply_batch(std::mem::take(&mut batch))?;
                    new.flush()?;
                }
            }
            new.apply_batch(batch)?;
            new.flush()
        })?;
        // Both are closed before their files change places.
        drop((old, new));
        std::fs::remove_dir_all(&self.folder).map_err(failed)?;
        std::fs::rename(beside, &self.folder).map_err(failed)
    }

    pub(crate) fn bytes(&self) -> u64 {
        std::fs::metadata(self.folder.join("db")).map_or(0, |data| data.len())
    }
}

fn open_sled(folder: &Path, cache_bytes: u64) -> Result<sled::Db> {
    let config = sled::Config::new()
        .path(folder)
        .mode(sled::Mode::HighThroughput)
        .cache_capacity(cache_bytes)
        .flush_every_ms(Some(500));
    // Threads of sled's own may hold the file for a moment after it was closed; nobody else opens it.
    let patience = Instant::now() + PATIENCE;
    loop {
        match guard(|| config.open()) {
            Err(Error::Failed(why) | Error::NoRoom(why))
                if why.contains(IS_HELD) && Instant::now() < patience =>
            {
                std::thread::sleep(Duration::from_millis(10));
            }
            opened => return opened,
        }
    }
}

/// What a key and its value add to the sum over all of them.
pub(crate) fn weight(key: &[u8], value: &[u8]) -> u64 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(key);
    crc.update(&[0xFF]);
    crc.update(value);
    1 << 32 | u64::from(crc.finalize())
}

/// Does something with sled; its panics are errors.
fn guard<T>(action: impl FnOnce() -> sled::Result<T>) -> Result<T> {
    match catch_unwind(AssertUnwindSafe(action)) {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(sled::Error::Io(error))) => Err(lost(&error, format!("IO error: {error}"))),
        Ok(Err(error)) => Err(Error::Failed(error.to_string())),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("for no reason");
            Err(Error::Failed(format!("sled panicked: {text}")))
        }
    }
}

fn lost(error: &std::io::Error, why: String) -> Error {
    let is_full = matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded);
    if is_full { Error::NoRoom(why) } else { Error::Failed(why) }
}

/// The first key behind all that begin like this.
fn after(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte < 0xFF)?;
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    Some(end)
}

impl Meta {
    /// Of the whole index: of keys, rows and places too.
    const VERSION: u8 = 2;

    fn encode(&self) -> Vec<u8> {
        let mut out = vec![Meta::VERSION];
        out.extend_from_slice(&self.applied.as_u64().to_be_bytes());
        out.extend_from_slice(&self.identity.to_be_bytes());
        out.extend_from_slice(&self.sum.to_be_bytes());
        out.extend_from_slice(&self.fence.to_be_bytes());
        out.extend(self.claim.iter().flat_map(|claim| claim.encode()));
        out
    }

    fn decode(bytes: &[u8]) -> Option<Meta> {
        let number = |at: usize| Some(u64::from_be_bytes(*bytes.get(at..)?.first_chunk()?));
        Some(Meta {
            applied: Position::from_u64(number(1)?),
            identity: u128::from_be_bytes(*bytes.get(9..)?.first_chunk()?),
            sum: number(25)?,
            fence: number(33)?,
            claim: Place::decode(bytes.get(41..)?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_is_older_than_the_others_is_noticed() {
        let folder = tempfile::TempDir::new().unwrap();
        let index = Index::open(folder.path(), 1 << 20).unwrap();
        let mut changes = crate::changes::Changes::new(&index);
        changes.put(b"a".to_vec(), b"old".as_slice()).unwrap();
        changes.put(b"b".to_vec(), b"b".as_slice()).unwrap();
        changes.commit(Position::new(1, 128), 1).unwrap();
        let mut changes = crate::changes::Changes::new(&index);
        changes.put(b"a".to_vec(), b"new".as_slice()).unwrap();
        changes.commit(Position::new(1, 256), 2).unwrap();
        index.verify().unwrap();
        index.with(|db| db.insert(b"a", b"old")).unwrap();
        assert!(index.verify().is_err());
        index.with(|db| db.remove(b"a")).unwrap();
        assert!(index.verify().is_err());
    }

    #[test]
    fn what_is_copied_afresh_is_the_same() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("index");
        let index = Index::open(&path, 1 << 20).unwrap();
        for round in 0..3_u32 {
            let mut changes = crate::changes::Changes::new(&index);
            for number in 0..25_000_u32 {
                let key = [b"k".as_slice(), &number.to_be_bytes()].concat();
                changes.put(key, [number + round; 4].map(u32::to_be_bytes).concat()).unwrap();
            }
            changes.commit(Position::new(1, 128 + round), u128::from(round)).unwrap();
            index.copy_afresh().unwrap();
            index.verify().unwrap();
        }
        let meta = *index.meta();
        drop(index);
        let index = Index::open(&path, 1 << 20).unwrap();
        assert_eq!(*index.meta(), meta);
        index.verify().unwrap();
        let files = std::fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(files, 1, "nothing is left beside it");
    }
}
