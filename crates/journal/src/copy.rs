//! Copies of a journal: what to copy of one that is open, and whether a copy is whole.

use std::io;

use crate::chain::{self, Link};
use crate::error::{Error, Result};
use crate::folder;
use crate::header::{Header, RECORDS};
use crate::journal::{Journal, SegmentInfo};
use crate::position::Position;
use crate::record::MARK;
use crate::scan::{Found, walk};

impl Journal {
    /// The segments with everything that is on disk at this moment, oldest first; each with as many bytes as records take
    /// of it. What is copied of them is a journal of its own, up to this moment, as long as none of them is retired before
    /// it was copied: that is for the caller to see to.
    pub fn snapshot(&self) -> Vec<SegmentInfo> {
        let state = self.shared.state();
        let flushed = state.flushed;
        let info = |(number, segment): (&u32, &crate::state::Segment)| {
            let is_last = *number == flushed.segment();
            let end = if is_last { Some(flushed.offset()) } else { segment.end };
            SegmentInfo { number: *number, bytes: end.map_or(segment.bytes, u64::from) }
        };
        state.segments.range(..=flushed.segment()).map(info).collect()
    }

    /// Reads the bytes of a segment as they lie on the disk, from this offset on.
    ///
    /// # Errors
    ///
    /// [`Error::Gone`] if there is no such segment, [`Error::Io`].
    pub fn read_bytes(&self, segment: u32, buffer: &mut [u8], offset: u64) -> Result<()> {
        let file = self.shared.file(Position::new(segment, 0))?;
        let failed = || Error::io("read", &folder::segment(&self.shared.folder, segment));
        let read = file.read_at(buffer, offset).map_err(|error| failed()(error))?;
        if read < buffer.len() {
            return Err(failed()(io::Error::from(io::ErrorKind::UnexpectedEof)));
        }
        Ok(())
    }
}

/// Goes through the segments of a copy in their order, and finds out whether they hold what was written: each record by
/// its checksum, all of them by the chain of hashes.
#[derive(Debug, Default)]
pub struct Audit {
    last: Option<(u32, Link)>,
    records: u64,
    findings: Vec<String>,
}

impl Audit {
    /// Looks at the next segment: all bytes that records take of it.
    pub fn look_at(&mut self, segment: u32, bytes: &[u8]) {
        let header = Header::decode(bytes, segment);
        if header.is_none() {
            self.findings.push(format!("the header of segment {segment} is damaged"));
        }
        let follows = self.last.is_none_or(|(before, _)| before + 1 == segment);
        if !follows {
            self.findings.push(format!("a segment before segment {segment} is missing"));
        }
        let mut link = match self.last {
            Some((_, link)) if follows => Some(link),
            Some(_) | None => header.map(|header| header.link),
        };
        for found in walk(bytes, segment, RECORDS, true) {
            match found {
                Found::Hole { damage, .. } => {
                    self.findings.push(damage.to_string());
                    link = None;
                }
                Found::Whole { at, frame, link: own } => {
                    let payload = frame.body(&bytes[at.offset() as usize..], at).map(|(_, payload)| payload);
                    let digest = chain::digest(payload.unwrap_or_default());
                    if link.is_some_and(|before| chain::next(&before, frame.key, &digest) != own) {
                        self.findings.push(format!("the record at {at} does not follow the one before it"));
                    }
                    self.records += u64::from(!frame.is(MARK));
                    link = Some(own);
                }
            }
        }
        self.last = link.map(|link| (segment, link));
    }

    /// How many whole records there are.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// What is not as it was written, a sentence each.
    pub fn findings(&self) -> &[String] {
        &self.findings
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use tempfile::TempDir;

    use super::*;
    use crate::journal::Settings;
    use crate::read::Scanned;
    use crate::record::{Draft, Key};

    fn fill(journal: &Journal, seqs: std::ops::Range<u32>) {
        for seq in seqs {
            journal.append(&Draft::new(Key { run: [1; 16], seq }, vec![7; 300])).unwrap();
        }
        journal.durable(Position::new(u32::MAX, 0)).unwrap();
    }

    fn open(folder: &Path) -> Journal {
        Journal::open(folder, Settings { segment_bytes: 8192, ..Settings::default() }).unwrap().journal
    }

    fn copy(journal: &Journal, segments: &[SegmentInfo]) -> Vec<(u32, Vec<u8>)> {
        let read = |segment: &SegmentInfo| {
            let mut bytes = vec![0; usize::try_from(segment.bytes).unwrap()];
            journal.read_bytes(segment.number, &mut bytes, 0).unwrap();
            (segment.number, bytes)
        };
        segments.iter().map(read).collect()
    }

    fn audit(segments: &[(u32, Vec<u8>)]) -> (u64, usize) {
        let mut audit = Audit::default();
        segments.iter().for_each(|(number, bytes)| audit.look_at(*number, bytes));
        (audit.records(), audit.findings().len())
    }

    #[test]
    fn a_copy_is_a_journal_up_to_the_moment_at_which_it_began() {
        let folder = TempDir::new().unwrap();
        let journal = open(folder.path());
        for seqs in [0..1, 1..100, 100..301] {
            let records = seqs.end;
            fill(&journal, seqs);
            let segments = journal.snapshot();
            fill(&journal, 1000..1030);
            let copied = copy(&journal, &segments);
            fill(&journal, 1030..1060);
            let other = TempDir::new().unwrap();
            for (number, bytes) in &copied {
                fs::write(folder::segment(other.path(), *number), bytes).unwrap();
            }
            let (found, wrong) = audit(&copied);
            assert_eq!(wrong, 0);
            let copy = open(other.path());
            let read = copy.scan(Position::default()).filter(|thing| matches!(thing, Ok(Scanned::Record(_))));
            assert_eq!(read.count() as u64, found);
            assert!(found >= u64::from(records));
            fill(&copy, 0..10);
        }
    }

    #[test]
    fn whatever_is_changed_or_missing_in_a_copy_is_found() {
        let folder = TempDir::new().unwrap();
        let journal = open(folder.path());
        fill(&journal, 0..100);
        let good = copy(&journal, &journal.snapshot());
        assert_eq!(audit(&good), (100, 0));
        for (segment, offset) in [(0, 200), (1, 4000), (2, 1000)] {
            let mut bad = good.clone();
            bad[segment].1[offset] ^= 1;
            assert!(audit(&bad).1 > 0, "byte {offset} of segment {segment}");
        }
        let mut gap = good.clone();
        gap.remove(1);
        assert!(audit(&gap).1 > 0);
        let mut short = good.clone();
        short[1].1.truncate(4000);
        assert!(audit(&short).1 > 0);
        let mut whole_record_gone = good;
        let record = Draft::new(Key::default(), vec![7; 300]).bytes();
        let last = &mut whole_record_gone[1].1;
        last.truncate(last.len() - record);
        assert!(audit(&whole_record_gone).1 > 0, "the chain tells");
    }
}
