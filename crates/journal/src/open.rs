//! Opens a journal: finds out where it ends and what of it is missing.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::chain::{self, Link};
use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::folder::{self, Folder};
use crate::header::{Header, RECORDS};
use crate::journal::Settings;
use crate::lock::Lock;
use crate::position::Position;
use crate::record::MARK;
use crate::scan::{Found, settle, walk};
use crate::spares::{Spares, prepare};
use crate::state::{Segment, Shared, State, Tail};

pub(crate) struct Recovered {
    pub(crate) shared: Shared,
    pub(crate) lock: Lock,
    pub(crate) findings: Vec<String>,
}

pub(crate) fn recover(disk: Arc<dyn Disk>, path: &Path, settings: Settings) -> Result<Recovered> {
    fs::create_dir_all(path).map_err(Error::io("create", path))?;
    if let Some(parent) = path.parent() {
        disk.sync_dir(parent).map_err(Error::io("flush", parent))?;
    }
    let lock = Lock::take(&folder::lock(path))?;
    let mut opening =
        Opening { disk, path: path.to_owned(), settings, folder: folder::list(path)?, findings: Vec::new() };
    opening.clear_blank_segment()?;
    let segments = opening.segments()?;
    let (tail, is_confirmed) = opening.tail(&segments)?;
    let spares = opening.spares()?;
    opening.flush(tail)?;
    let mut segments = segments;
    if let Some(last) = segments.get_mut(&tail.segment) {
        last.end = Some(tail.end);
    }
    let needs_spare = (tail.segment == 0 || tail.is_closed) && spares.ready.is_empty();
    let state = State::new(tail, segments, spares, is_confirmed);
    let shared = Shared::new(opening.disk, opening.path, opening.settings, state);
    if needs_spare {
        prepare(&shared)?;
    }
    Ok(Recovered { shared, lock, findings: opening.findings })
}

struct Opening {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    settings: Settings,
    folder: Folder,
    findings: Vec<String>,
}

impl Opening {
    /// A last segment that got its name and nothing else is as good as a spare.
    fn clear_blank_segment(&mut self) -> Result<()> {
        let Some((&number, path)) = self.folder.segments.last_key_value() else { return Ok(()) };
        let bytes = self.read(path, None)?;
        let is_blank =
            Header::decode(&bytes, number).is_none() && walk(&bytes, number, RECORDS, false).is_empty();
        if !is_blank || bytes.len() != self.settings.segment_bytes as usize {
            return Ok(());
        }
        let spare = folder::spare(&self.path, self.next_spare());
        self.disk.rename(path, &spare).map_err(Error::io("rename", path))?;
        self.disk.sync_dir(&self.path).map_err(Error::io("flush", &self.path))?;
        self.folder.segments.remove(&number);
        self.folder.spares.push(spare);
        Ok(())
    }

    fn next_spare(&self) -> u64 {
        let known = self.folder.spares.iter().chain(&self.folder.unfinished);
        known.map(|path| folder::number(path)).max().unwrap_or(0) + 1
    }

    /// All segments, with their ends as far as the header of the next one tells.
    fn segments(&mut self) -> Result<BTreeMap<u32, Segment>> {
        let mut segments: BTreeMap<u32, Segment> = BTreeMap::new();
        for (&number, path) in &self.folder.segments {
            let file = self.disk.open(path).map_err(Error::io("open", path))?;
            let bytes = file.len().map_err(Error::io("open", path))?;
            let header = Header::decode(&self.read(path, Some(RECORDS))?, number);
            if header.is_none() {
                self.findings.push(format!("the header of segment {number} is damaged"));
            }
            let last = segments.last_key_value().map(|(last, _)| *last);
            if let Some(last) = last.filter(|last| last + 1 != number) {
                self.findings.push(format!("segments {} to {} are missing", last + 1, number - 1));
            }
            if let (Some(header), Some(before)) = (header, segments.get_mut(&(number.saturating_sub(1)))) {
                before.end = Some(header.before);
            }
            segments.insert(number, Segment { bytes, end: None });
        }
        Ok(segments)
    }

    /// Where the next record goes, and whether a mark is the last thing before.
    fn tail(&mut self, segments: &BTreeMap<u32, Segment>) -> Result<(Tail, bool)> {
        let Some((&segment, _)) = segments.last_key_value() else {
            let link = chain::START;
            let nowhere = Tail { segment: 0, end: 0, link, is_closed: true };
            return Ok((nowhere, true));
        };
        let bytes = self.read(&self.folder.segments[&segment], None)?;
        let settled = settle(walk(&bytes, segment, RECORDS, false));
        let end = Position::new(segment, settled.end);
        if settled.dropped > 0 {
            let records = settled.dropped;
            self.findings.push(format!(
                "the journal is torn at {end}: {records} records behind it, of which nobody was told that they are safe, are left out"
            ));
        }
        let link =
            last_link(&settled.found).or_else(|| Header::decode(&bytes, segment).map(|header| header.link));
        let tail = Tail {
            segment,
            end: settled.end,
            link: link.unwrap_or(chain::START),
            is_closed: settled.has_traces || bytes.len() != self.settings.segment_bytes as usize,
        };
        let is_mark = |thing: &Found| matches!(thing, Found::Whole { frame, .. } if frame.is(MARK));
        Ok((tail, settled.found.last().is_none_or(is_mark)))
    }

    /// What was read may never have been flushed: whoever reads it may rely on it only after this.
    fn flush(&self, tail: Tail) -> Result<()> {
        if let Some(path) = self.folder.segments.get(&tail.segment) {
            let file = self.disk.open(path).map_err(Error::io("open", path))?;
            file.sync_data().map_err(Error::io("flush", path))?;
        }
        self.disk.sync_dir(&self.path).map_err(Error::io("flush", &self.path))
    }

    /// The spares that can be used. Without segments none can: their old records would be taken for those of the
    /// segments to come, which begin at the same number again.
    fn spares(&self) -> Result<Spares> {
        let mut ready = Vec::new();
        let most = if self.folder.segments.is_empty() { 0 } else { self.settings.spares + 1 };
        for path in &self.folder.spares {
            let file = self.disk.open(path).map_err(Error::io("open", path))?;
            let bytes = file.len().map_err(Error::io("open", path))?;
            if bytes == u64::from(self.settings.segment_bytes) && ready.len() < most {
                ready.push(path.clone());
            } else {
                self.disk.remove(path).map_err(Error::io("remove", path))?;
            }
        }
        for path in &self.folder.unfinished {
            self.disk.remove(path).map_err(Error::io("remove", path))?;
        }
        Ok(Spares::new(ready, self.next_spare()))
    }

    fn read(&self, path: &Path, most: Option<u32>) -> Result<Vec<u8>> {
        let read = || {
            let file = self.disk.open(path)?;
            let len = most.map_or(file.len()?, u64::from);
            let mut bytes = vec![0; usize::try_from(len).unwrap_or(usize::MAX)];
            let read = file.read_at(&mut bytes, 0)?;
            bytes.truncate(read);
            Ok(bytes)
        };
        read().map_err(Error::io("read", path))
    }
}

fn last_link(found: &[Found]) -> Option<Link> {
    found.iter().rev().find_map(|thing| match thing {
        Found::Whole { link, .. } => Some(*link),
        Found::Hole { .. } => None,
    })
}
