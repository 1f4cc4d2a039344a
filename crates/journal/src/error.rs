//! What can go wrong, and what can be found lost.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::position::Position;
use crate::record::Key;

/// What an operation of the journal gives.
pub type Result<T> = std::result::Result<T, Error>;

/// The journal cannot do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process has the journal open.
    #[error("the journal in {} is open in another process: {holder}", path.display())]
    Locked {
        /// The journal's folder.
        path: PathBuf,
        /// What the other process wrote about itself.
        holder: String,
    },
    /// The disk said no while the journal was opened, read or tidied; nothing that was promised is affected.
    #[error("cannot {what} {}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A write or a flush failed, or the journal is closed: nothing can be appended or confirmed any more.
    #[error("the journal has stopped: {0}")]
    Stopped(String),
    /// There is no room on the disk for another segment. The record was not accepted; a later one may be.
    #[error("there is no room for another segment: {0}")]
    Full(String),
    /// More waits to be written than may wait; see [`Journal::wait_for_room`](crate::Journal::wait_for_room).
    #[error("too much waits to be written")]
    Busy,
    /// The record does not fit into a segment.
    #[error("a record of {bytes} bytes is larger than a segment takes, {most} bytes")]
    TooLarge {
        /// The length of the payload.
        bytes: usize,
        /// The longest payload.
        most: usize,
    },
    /// The record at this place is not what was written.
    #[error("{0}")]
    Damaged(Damage),
    /// The segment was retired, or never was.
    #[error("there is no {0}")]
    Gone(Position),
}

impl Error {
    pub(crate) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error + use<> {
        let path = path.to_owned();
        move |source| Error::Io { what, path, source }
    }
}

/// Bytes that should be a record, or several, and are not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Damage {
    /// Where they begin.
    pub position: Position,
    /// How many there are.
    pub bytes: u32,
    /// Whose record it was, if that can still be read; then it is exactly one.
    pub key: Option<Key>,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes at {} are damaged", self.bytes, self.position)
    }
}
