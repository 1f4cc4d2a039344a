//! One process at a time: a locked file that says who holds it.
//!
//! The lock is the system's, and nothing else decides. The text in the file only names its holder, and it is believed
//! only as far as that process can be seen: one that was killed leaves its text behind.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, SystemTime};

use chrono::{DateTime, SecondsFormat, Utc};

use crate::error::{Error, Result};

/// Who holds the lock may be about to write who it is.
const TRIES: u32 = 10;
const PAUSE: Duration = Duration::from_millis(20);
const LONGEST: usize = 200;

/// Held as long as the file is open; the system lets go of it when the process ends, however it ends.
#[derive(Debug)]
pub(crate) struct Lock {
    file: File,
}

impl Lock {
    pub(crate) fn take(path: &Path) -> Result<Lock> {
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(path).map_err(Error::io("open", path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let folder = path.parent().unwrap_or(path).to_owned();
                return Err(Error::Locked { path: folder, holder: holder(path) });
            }
            Err(TryLockError::Error(source)) => return Err(Error::io("lock", path)(source)),
        }
        introduce(&mut file).map_err(Error::io("write", path))?;
        Ok(Lock { file })
    }
}

/// Who holds the lock of this file; none: nobody does.
pub(crate) fn holder_of(path: &Path) -> Option<String> {
    let file = File::open(path).ok()?;
    matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)).then(|| holder(path))
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Only a courtesy: what stands there is not believed once the process is gone.
        let _ = self.file.set_len(0);
    }
}

fn introduce(file: &mut File) -> io::Result<()> {
    let now = DateTime::<Utc>::from(SystemTime::now()).to_rfc3339_opts(SecondsFormat::Secs, true);
    file.set_len(0)?;
    writeln!(file, "process {} on {} since {now}", std::process::id(), host())
}

fn host() -> String {
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    if host.trim().is_empty() { "an unnamed host".to_owned() } else { host.trim().to_owned() }
}

/// Who holds the lock, as far as that can be told.
fn holder(path: &Path) -> String {
    let mut text = String::new();
    for _ in 0..TRIES {
        text = String::from_utf8_lossy(&fs::read(path).unwrap_or_default())
            .chars()
            .filter(|character| !character.is_control())
            .take(LONGEST)
            .collect();
        if may_hold(&text) {
            return text;
        }
        std::thread::sleep(PAUSE);
    }
    if text.is_empty() {
        return "one that has not said who it is".to_owned();
    }
    format!("one that has not said who it is; the last one that did is gone: {text}")
}

/// Whether the process that this text names can hold the lock: it is on another host, or it lives.
fn may_hold(text: &str) -> bool {
    let words: Vec<&str> = text.split(' ').collect();
    let ["process", process, "on", rest @ ..] = words.as_slice() else { return false };
    let is_here = rest.join(" ").starts_with(&format!("{} since ", host()));
    !is_here || !Path::new("/proc/self").exists() || Path::new("/proc").join(process).exists()
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    fn refused(path: &Path) -> String {
        match Lock::take(path) {
            Err(Error::Locked { holder, .. }) => holder,
            other => panic!("it is taken: {other:?}"),
        }
    }

    #[test]
    fn who_comes_second_is_told_who_holds_it_and_since_when() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("lock");
        let first = Lock::take(&path).unwrap();
        let holder = refused(&path);
        let words: Vec<&str> = holder.split(' ').collect();
        assert_eq!(words[..2], ["process", &std::process::id().to_string()]);
        let since: DateTime<Utc> = words.last().unwrap().parse().unwrap();
        assert!((since - DateTime::<Utc>::from(SystemTime::now())).num_minutes().abs() < 5, "{holder}");
        drop(first);
        assert_eq!(fs::read(&path).unwrap(), b"", "whoever lets go takes its name away");
        Lock::take(&path).unwrap();
    }

    #[test]
    fn the_name_of_a_process_that_is_gone_locks_nothing_and_misleads_nobody() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("lock");
        let gone = format!("process 4294967295 on {} since 2020-01-01T00:00:00Z\n", host());
        fs::write(&path, &gone).unwrap();
        assert_eq!(holder_of(&path), None);
        let lock = Lock::take(&path).unwrap();
        assert!(holder_of(&path).unwrap().starts_with("process "));
        assert!(refused(&path).starts_with(&format!("process {} on ", std::process::id())));
        // As a holder that has not come to write who it is.
        fs::write(&path, &gone).unwrap();
        assert!(refused(&path).starts_with("one that has not said who it is; the last one that did is gone"));
        fs::write(&path, "").unwrap();
        assert_eq!(refused(&path), "one that has not said who it is");
        fs::write(&path, "process 1 on another.example since 2026-11-22T10:00:00Z\n").unwrap();
        assert_eq!(refused(&path), "process 1 on another.example since 2026-11-22T10:00:00Z");
        drop(lock);
    }
}
