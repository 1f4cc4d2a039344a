//! Files that are ready to become segments: allocated and zeroed ahead, so that a full disk is known before a record is
//! accepted, and writing needs no change of the file's metadata.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::folder;
use crate::state::{Shared, State};

/// How long a full disk is left alone.
const PAUSE: Duration = Duration::from_millis(500);

static ZEROS: [u8; 1 << 20] = [0; 1 << 20];

#[derive(Debug)]
pub(crate) struct Spares {
    /// Files of the full size.
    pub(crate) ready: Vec<PathBuf>,
    /// How many of them are promised to segments that the committer will begin.
    reserved: usize,
    /// Why the last one could not be prepared.
    failure: Option<String>,
    /// Somebody has asked for one since.
    is_asked: bool,
    /// The number of the next file.
    pub(crate) next: u64,
}

impl Spares {
    /// These files are ready; the next one has this number.
    pub(crate) fn new(ready: Vec<PathBuf>, next: u64) -> Spares {
        Spares { ready, reserved: 0, failure: None, is_asked: false, next }
    }

    /// Promises a spare to a segment.
    pub(crate) fn reserve(&mut self) -> Result<()> {
        if self.ready.len() > self.reserved {
            self.reserved += 1;
            return Ok(());
        }
        match self.failure.clone() {
            Some(why) => {
                self.is_asked = true;
                Err(Error::Full(why))
            }
            None => Err(Error::Busy),
        }
    }

    /// Whether there is an answer: a spare, or why there is none.
    pub(crate) fn is_settled(&self) -> bool {
        self.ready.len() > self.reserved || self.failure.is_some()
    }

    /// The file that was promised.
    pub(crate) fn take(&mut self) -> Option<PathBuf> {
        self.reserved = self.reserved.saturating_sub(1);
        self.ready.pop()
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}

/// Prepares one spare.
pub(crate) fn prepare(shared: &Shared) -> Result<()> {
    let number = shared.state().spares.number();
    let unfinished = folder::unfinished(&shared.folder, number);
    let path = folder::spare(&shared.folder, number);
    let disk = &shared.disk;
    let made = (|| {
        let file = disk.create(&unfinished).map_err(Error::io("create", &unfinished))?;
        let bytes = u64::from(shared.settings.segment_bytes);
        let mut offset = 0;
        while offset < bytes {
            let piece = (bytes - offset).min(ZEROS.len() as u64);
            let zeros = &ZEROS[..usize::try_from(piece).expect("a piece is at most a mebibyte")];
            file.write_all_at(zeros, offset).map_err(Error::io("allocate", &unfinished))?;
            offset += piece;
        }
        file.sync_data().map_err(Error::io("allocate", &unfinished))?;
        disk.rename(&unfinished, &path).map_err(Error::io("rename", &unfinished))?;
        disk.sync_dir(&shared.folder).map_err(Error::io("flush", &shared.folder))
    })();
    if made.is_err() {
        // It takes room that others need; if it cannot be removed either, the next start does.
        let _ = disk.remove(&unfinished);
    }
    made?;
    shared.state().spares.ready.push(path);
    Ok(())
}

/// Keeps one spare ready until the journal is closed. Where there is no room for one it is tried again while somebody
/// asks for it, a moment later each time: many may ask, and each try fills what is left of the disk.
pub(crate) fn keep_ready(shared: &Arc<Shared>) {
    let is_over = |state: &State| state.is_closing || state.stopped.is_some();
    loop {
        let rests = |state: &mut State| {
            let is_idle = state.spares.is_settled() && !state.spares.is_asked;
            is_idle && !is_over(state)
        };
        let state = shared.spares.wait_while(shared.state(), rests);
        let mut state = state.expect("nothing panics while it holds the lock");
        if state.spares.failure.is_some() {
            let waited = shared.spares.wait_timeout_while(state, PAUSE, |state| !is_over(state));
            (state, _) = waited.expect("nothing panics while it holds the lock");
        }
        if is_over(&state) {
            return;
        }
        drop(state);
        let failure = prepare(shared).err().map(|error| chain_of(&error));
        let mut state = shared.state();
        state.spares.is_asked = false;
        if let (Some(why), None) = (&failure, &state.spares.failure) {
            tracing::error!(error = %why, "no spare segment");
        }
        state.spares.failure = failure;
        drop(state);
        shared.changed.notify_all();
    }
}

/// The message of an error with its causes.
pub(crate) fn chain_of(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
