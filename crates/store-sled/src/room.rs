//! What becomes of the index when the disk is full: it is closed, and opened again when there is room.
//!
//! sled refuses everything once it could not write, reading too, and what it had not written by then is lost. The journal
//! has it. Until the index is back, appends are taken only for what [`crate::recent`] knows, and all else is told that
//! there is no room.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use journal::Position;

use crate::index::Error;
use crate::open::{Unusable, existing};
use crate::shared::Shared;

/// How often it is looked whether there is room again.
const PAUSE: Duration = Duration::from_secs(1);
/// The index is not opened before so many bytes fit onto the disk.
const WANTED: usize = 4 << 20;

impl Shared {
    /// Waits until the disk has room for the index, and opens it again. False: the store is closed before that.
    pub(crate) fn wait_for_index(&self, why: &str) -> Result<bool, Error> {
        tracing::error!(why, "the disk is full: the index waits for room, and what needs it is refused");
        self.recent().no_room = Some(why.to_owned());
        self.let_go();
        self.index.close(why);
        let folder = self.folder.join("index");
        // Nothing that is awaited can be so far: this is a pause that ends when the journal is closed.
        while self.journal.next_flush(Position::from_u64(u64::MAX), PAUSE).is_some() {
            if !has_room(&folder) {
                continue;
            }
            match existing(&self.journal, &folder, self.index.cache_bytes) {
                Ok((index, found)) => {
                    let applied = index.meta().applied;
                    self.index.adopt(index);
                    self.recent().no_room = None;
                    self.settle(applied);
                    found.reports.into_iter().for_each(|report| self.recent().report(report));
                    for (run, message) in found.lost {
                        if let Err(error) = self.lose(run, &message) {
                            tracing::error!(%run, message, %error, "a run lost a record, which cannot be noted");
                        }
                    }
                    tracing::warn!("the disk has room for the index again");
                    return Ok(true);
                }
                Err(Unusable::NoRoom(_)) => {}
                Err(Unusable::Unfit(why)) => return Err(Error::Failed(why)),
                Err(Unusable::OfAnotherVersion) => {
                    return Err(Error::Failed("another version wrote it meanwhile".to_owned()));
                }
            }
        }
        Ok(false)
    }
}

/// Whether something can be written beside the index.
fn has_room(folder: &Path) -> bool {
    let path = folder.with_extension("room");
    let written = File::create(&path).and_then(|mut file| {
        file.write_all(&vec![0; WANTED])?;
        file.sync_all()
    });
    let removed = fs::remove_file(&path);
    written.is_ok() && removed.is_ok()
}
