//! One process at a time: a locked file that says who holds it.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::Path;

use crate::error::{Error, Result};

/// Held as long as the file is open; the system lets go of it when the process ends, however it ends.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    pub(crate) fn take(path: &Path) -> Result<Lock> {
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(path).map_err(Error::io("open", path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let holder = fs::read(path).unwrap_or_default();
                let holder: String = String::from_utf8_lossy(&holder).trim().chars().take(200).collect();
                return Err(Error::Locked { path: path.to_owned(), holder });
            }
            Err(TryLockError::Error(source)) => return Err(Error::io("lock", path)(source)),
        }
        introduce(&mut file).map_err(Error::io("write", path))?;
        Ok(Lock { _file: file })
    }
}

fn introduce(file: &mut File) -> io::Result<()> {
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = if host.trim().is_empty() { "an unnamed host" } else { host.trim() };
    file.set_len(0)?;
    writeln!(file, "process {} on {host}", std::process::id())
}
