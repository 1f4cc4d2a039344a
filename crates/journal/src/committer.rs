//! The thread that writes: it takes all that waits, writes it at once, flushes once, and tells all who waited.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use crate::disk::DiskFile;
use crate::error::{Error, Result};
use crate::folder;
use crate::header::Header;
use crate::spares::chain_of;
use crate::state::{Batch, Part, Segment, Shared};

/// Why a journal takes nothing more after it was closed.
pub(crate) const CLOSED: &str = "it is closed";

pub(crate) struct Committer {
    shared: Arc<Shared>,
    /// The segment that is written to.
    open: Option<(u32, Arc<dyn DiskFile>)>,
}

/// Writes until the journal is closed. A failure stops the journal for good: what a failed flush left on the disk
/// cannot be known.
pub(crate) fn run(shared: &Arc<Shared>) {
    let mut committer = Committer { shared: Arc::clone(shared), open: None };
    let end = catch_unwind(AssertUnwindSafe(|| committer.work()));
    match end {
        Ok(Ok(())) => shared.stop(CLOSED),
        Ok(Err(error)) => {
            let why = chain_of(&error);
            tracing::error!(error = %why, "the journal stops");
            shared.stop(&why);
        }
        Err(_) => shared.stop("the thread that writes panicked"),
    }
    shared.state().is_finished = true;
    shared.changed.notify_all();
}

impl Committer {
    fn work(&mut self) -> Result<()> {
        while let Some(batch) = self.next() {
            let began = Instant::now();
            for part in &batch.parts {
                self.write(part)?;
            }
            let mut state = self.shared.state();
            let answers = state.confirm(&batch, began.elapsed());
            drop(state);
            self.shared.changed.notify_all();
            for answer in answers {
                answer(Ok(()));
            }
        }
        Ok(())
    }

    fn next(&self) -> Option<Batch> {
        let shared = &self.shared;
        let mut state = shared.state();
        let until = Instant::now() + state.patience;
        loop {
            let patience = until.saturating_duration_since(Instant::now());
            if patience.is_zero() {
                state.lose_patience();
            }
            if let Some(batch) = state.take_batch(&shared.settings) {
                return Some(batch);
            }
            if state.is_closing || state.stopped.is_some() {
                return None;
            }
            let most = if patience.is_zero() { shared.settings.linger } else { patience };
            let waited = shared.work.wait_timeout(state, most);
            (state, _) = waited.expect("nothing panics while it holds the lock");
        }
    }

    fn write(&mut self, part: &Part) -> Result<()> {
        let path = folder::segment(&self.shared.folder, part.segment);
        let file = match (&part.header, &self.open) {
            (Some(header), _) => self.begin(header)?,
            (None, Some((segment, file))) if *segment == part.segment => Arc::clone(file),
            (None, _) => self.shared.disk.open(&path).map_err(Error::io("open", &path))?,
        };
        self.open = Some((part.segment, Arc::clone(&file)));
        let written = failpoints::reach_disk("flush.write")
            .and_then(|()| file.write_all_at(&part.bytes, u64::from(part.offset)));
        written.map_err(Error::io("write", &path))?;
        let flushed = failpoints::reach_disk("flush.written").and_then(|()| file.sync_data());
        flushed.map_err(Error::io("flush", &path))?;
        let delay = self.shared.settings.flush_delay;
        if !delay.is_zero() {
            std::thread::sleep(delay);
        }
        failpoints::reach("flush.done");
        Ok(())
    }

    /// Turns a spare into the next segment. Its name and its header are on disk before its first record is written, so
    /// a segment with records always says where the one before it ends.
    fn begin(&self, header: &Header) -> Result<Arc<dyn DiskFile>> {
        let shared = &self.shared;
        let spare = shared.state().spares.take().expect("a segment has a spare promised to it");
        let path = folder::segment(&shared.folder, header.segment);
        let disk = &shared.disk;
        disk.rename(&spare, &path).map_err(Error::io("rename", &spare))?;
        failpoints::reach("segment.renamed");
        disk.sync_dir(&shared.folder).map_err(Error::io("flush", &shared.folder))?;
        let file = disk.open(&path).map_err(Error::io("open", &path))?;
        file.write_all_at(&header.encode(), 0).map_err(Error::io("write", &path))?;
        file.sync_data().map_err(Error::io("flush", &path))?;
        let mut state = shared.state();
        if let Some(before) = state.segments.get_mut(&(header.segment - 1)) {
            before.end = Some(header.before);
        }
        let bytes = u64::from(shared.settings.segment_bytes);
        let end = Some(crate::header::RECORDS);
        state.segments.insert(header.segment, Segment { bytes, end });
        shared.spares.notify_all();
        Ok(file)
    }
}
