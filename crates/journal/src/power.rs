//! Disks for tests: one that remembers in which order things became durable and shows what a power cut would have left,
//! and one that asks before each call, so that it can fail or be slow.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use crate::disk::{Disk, DiskFile, RealDisk};

const PAGE: usize = 4096;

/// A disk that writes down what is done to it.
#[derive(Debug, Clone, Default)]
pub struct Recorder {
    log: Arc<Mutex<Vec<Done>>>,
}

#[derive(Debug, Clone)]
enum Done {
    /// The file was there before, with these bytes.
    Found(PathBuf, Vec<u8>),
    Created(PathBuf),
    Written(PathBuf, u64, Vec<u8>),
    Flushed(PathBuf),
    Renamed(PathBuf, PathBuf),
    Removed(PathBuf),
    FlushedFolder(PathBuf),
}

/// What a power cut leaves of that which was not flushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Survivors {
    /// Nothing.
    Nothing,
    /// What was done first, up to some point in the middle of a write.
    Prefix,
    /// Any pages of 4 KiB, in any state that they ever had.
    Pages,
}

impl Recorder {
    /// How much has been done so far.
    pub fn moment(&self) -> usize {
        self.log().len()
    }

    /// Makes `folder` what a power cut at this moment leaves of `original`. Creating, renaming and removing counts only
    /// once the folder was flushed, or, if something survives, as a prefix.
    ///
    /// # Panics
    ///
    /// If `folder` cannot be written.
    pub fn cut(
        &self,
        moment: usize,
        survivors: Survivors,
        chance: &mut Chance,
        original: &Path,
        folder: &Path,
    ) {
        let log = self.log();
        let mut names = Names::default();
        let mut files = Files::default();
        for done in &log[..moment.min(log.len())] {
            names.apply(done, &mut files);
        }
        names.settle(survivors, chance);
        fs::create_dir_all(folder).expect("the folder can be made");
        for (path, id) in &names.durable {
            let Ok(name) = path.strip_prefix(original) else { continue };
            let bytes = files.files[*id].after_cut(survivors, chance);
            fs::write(folder.join(name), bytes).expect("the folder can be written");
        }
    }

    fn log(&self) -> MutexGuard<'_, Vec<Done>> {
        self.log.lock().expect("nothing panics while it holds the lock")
    }
}

#[derive(Default)]
struct Files {
    files: Vec<Cached>,
}

/// A file as the disk knows it, and what only the system knows.
#[derive(Default)]
struct Cached {
    durable: Vec<u8>,
    waiting: Vec<(u64, Vec<u8>)>,
}

/// Names of files as the disk knows them, and changes that only the system knows.
#[derive(Default)]
struct Names {
    durable: BTreeMap<PathBuf, usize>,
    current: BTreeMap<PathBuf, usize>,
    waiting: Vec<BTreeMap<PathBuf, usize>>,
}

impl Names {
    fn apply(&mut self, done: &Done, files: &mut Files) {
        match done {
            Done::Found(path, bytes) => {
                let id = files.add(bytes.clone());
                self.current.insert(path.clone(), id);
                self.durable.insert(path.clone(), id);
            }
            Done::Created(path) => {
                self.current.insert(path.clone(), files.add(Vec::new()));
                self.waiting.push(self.current.clone());
            }
            Done::Written(path, offset, bytes) => {
                let file = &mut files.files[self.current[path]];
                file.waiting.push((*offset, bytes.clone()));
            }
            Done::Flushed(path) => files.files[self.current[path]].flush(),
            Done::Renamed(from, to) => {
                if let Some(id) = self.current.remove(from) {
                    self.current.insert(to.clone(), id);
                }
                self.waiting.push(self.current.clone());
            }
            Done::Removed(path) => {
                self.current.remove(path);
                self.waiting.push(self.current.clone());
            }
            Done::FlushedFolder(folder) => {
                let here = |path: &PathBuf| path.parent() == Some(folder);
                self.durable.retain(|path, _| !here(path));
                let current = self.current.iter().filter(|(path, _)| here(path));
                let current: Vec<_> = current.map(|(path, id)| (path.clone(), *id)).collect();
                if !current.is_empty() {
                    self.waiting.clear();
                }
                self.durable.extend(current);
            }
        }
    }

    fn settle(&mut self, survivors: Survivors, chance: &mut Chance) {
        if survivors == Survivors::Nothing || self.waiting.is_empty() {
            return;
        }
        let kept = chance.below(self.waiting.len() + 1);
        if let Some(names) = kept.checked_sub(1).and_then(|last| self.waiting.get(last)) {
            self.durable = names.clone();
        }
    }
}

impl Files {
    fn add(&mut self, bytes: Vec<u8>) -> usize {
        let durable = bytes;
        let waiting = Vec::new();
        self.files.push(Cached { durable, waiting });
        self.files.len() - 1
    }
}

impl Cached {
    fn flush(&mut self) {
        for (offset, bytes) in std::mem::take(&mut self.waiting) {
            put(&mut self.durable, offset, &bytes);
        }
    }

    fn after_cut(&self, survivors: Survivors, chance: &mut Chance) -> Vec<u8> {
        let mut bytes = self.durable.clone();
        match survivors {
            Survivors::Nothing => {}
            Survivors::Prefix => {
                let whole = chance.below(self.waiting.len() + 1);
                for (offset, written) in &self.waiting[..whole] {
                    put(&mut bytes, *offset, written);
                }
                if let Some((offset, written)) = self.waiting.get(whole) {
                    put(&mut bytes, *offset, &written[..chance.below(written.len() + 1)]);
                }
            }
            Survivors::Pages => {
                for (offset, written) in &self.waiting {
                    let mut at = *offset;
                    let mut left = written.as_slice();
                    while !left.is_empty() {
                        let page = (PAGE - usize::try_from(at).unwrap_or(0) % PAGE).min(left.len());
                        if chance.below(2) == 0 {
                            put(&mut bytes, at, &left[..page]);
                        }
                        at += page as u64;
                        left = &left[page..];
                    }
                }
            }
        }
        bytes
    }
}

fn put(file: &mut Vec<u8>, offset: u64, bytes: &[u8]) {
    let offset = usize::try_from(offset).expect("test files are small");
    let end = offset + bytes.len();
    if file.len() < end {
        file.resize(end, 0);
    }
    file[offset..end].copy_from_slice(bytes);
}

impl Disk for Recorder {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let mut log = self.log();
        let file = RealDisk.create(path)?;
        log.push(Done::Created(path.to_owned()));
        Ok(self.recorded(path, file))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let mut log = self.log();
        let file = RealDisk.open(path)?;
        let is_known = log.iter().any(|done| match done {
            Done::Found(known, _) | Done::Created(known) | Done::Renamed(_, known) => known == path,
            Done::Written(..) | Done::Flushed(_) | Done::Removed(_) | Done::FlushedFolder(_) => false,
        });
        if !is_known {
            log.push(Done::Found(path.to_owned(), fs::read(path)?));
        }
        Ok(self.recorded(path, file))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut log = self.log();
        RealDisk.rename(from, to)?;
        log.push(Done::Renamed(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut log = self.log();
        RealDisk.remove(path)?;
        log.push(Done::Removed(path.to_owned()));
        Ok(())
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.log().push(Done::FlushedFolder(path.to_owned()));
        Ok(())
    }
}

impl Recorder {
    fn recorded(&self, path: &Path, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        let path = path.to_owned();
        let log = Arc::clone(&self.log);
        Arc::new(Recorded { path, file, log })
    }
}

struct Recorded {
    path: PathBuf,
    file: Arc<dyn DiskFile>,
    log: Arc<Mutex<Vec<Done>>>,
}

impl Recorded {
    fn note(&self, done: Done) {
        self.log.lock().expect("nothing panics while it holds the lock").push(done);
    }
}

impl DiskFile for Recorded {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buffer, offset)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)?;
        self.note(Done::Written(self.path.clone(), offset, bytes.to_vec()));
        Ok(())
    }

    /// Nothing is flushed for real: a test does not need it, and it takes its time.
    fn sync_data(&self) -> io::Result<()> {
        self.note(Done::Flushed(self.path.clone()));
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
}

/// A call that is about to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// A file is created or enlarged.
    Create,
    /// A file is written to.
    Write,
    /// A file is flushed.
    Flush,
    /// A name changes.
    Name,
}

type Ask = dyn Fn(Call, &Path) -> io::Result<()> + Send + Sync;

/// The disk of this machine, behind somebody who is asked before each call.
#[derive(Clone)]
pub struct Guarded {
    ask: Arc<Ask>,
}

impl Guarded {
    /// Asks this function; what it gives as an error is what the call gives.
    pub fn new(ask: impl Fn(Call, &Path) -> io::Result<()> + Send + Sync + 'static) -> Guarded {
        Guarded { ask: Arc::new(ask) }
    }

    fn guarded(&self, path: &Path, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        let path = path.to_owned();
        let ask = Arc::clone(&self.ask);
        Arc::new(GuardedFile { path, file, ask })
    }
}

impl Disk for Guarded {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        (self.ask)(Call::Create, path)?;
        Ok(self.guarded(path, RealDisk.create(path)?))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.guarded(path, RealDisk.open(path)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        (self.ask)(Call::Name, from)?;
        RealDisk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        (self.ask)(Call::Name, path)?;
        RealDisk.remove(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        (self.ask)(Call::Flush, path)?;
        RealDisk.sync_dir(path)
    }
}

struct GuardedFile {
    path: PathBuf,
    file: Arc<dyn DiskFile>,
    ask: Arc<Ask>,
}

impl DiskFile for GuardedFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buffer, offset)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        (self.ask)(Call::Write, &self.path)?;
        self.file.write_all_at(bytes, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        (self.ask)(Call::Flush, &self.path)?;
        self.file.sync_data()
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
}

/// Numbers that look random and are the same for the same seed.
#[derive(Debug, Clone)]
pub struct Chance(u64);

impl Chance {
    /// The numbers of this seed.
    pub fn new(seed: u64) -> Chance {
        Chance(seed)
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below this one, which is not 0.
    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.number() % end as u64).expect("it is below a usize")
    }
}
