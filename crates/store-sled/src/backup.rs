//! A copy of a store in one file, a tar archive: the segments of the journal up to the moment at which the copy began,
//! and before and behind them what it takes to tell that it is whole. The index is not in it: it follows from the journal.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::Path;
use std::sync::PoisonError;

use journal::{Audit, SegmentInfo};
use model::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use store::{Error, Result};
use tar::{Archive, Builder, Entries, EntryType, Header};

use crate::shared::{Shared, broken};

const FORMAT: u32 = 1;
const HEAD: &str = "backup.json";
const TAIL: &str = "end.json";
/// The most bytes of a segment, as the journal has it.
const LARGEST_SEGMENT: u64 = 1 << 30;
const LARGEST_HEAD: u64 = 64 << 20;
const PIECE: usize = 1 << 20;

/// What a backup holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backup {
    /// When it began.
    pub at: Timestamp,
    /// The number of segments of the journal.
    pub segments: usize,
    /// Their bytes.
    pub bytes: u64,
    /// How many records they hold.
    pub records: u64,
    /// What in it is not as it was written, a sentence each: the store was damaged when it was copied.
    pub findings: Vec<String>,
}

/// What stands before the segments.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    format: u32,
    at: Timestamp,
    segments: Vec<Listed>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Listed {
    number: u32,
    bytes: u64,
}

/// What stands behind them: without it the copy was cut off.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tail {
    /// Over the bytes of all segments.
    sha256: String,
}

impl Shared {
    /// Writes a copy; gives its bytes. No segment is retired until it is done.
    pub(crate) fn backup(&self, now: Timestamp, to: Box<dyn Write + Send>) -> Result<u64> {
        let _tidying = self.tidying.lock().unwrap_or_else(PoisonError::into_inner);
        let segments = self.journal.snapshot();
        let refused = |error: io::Error| Error::Refused(format!("the copy cannot be written: {error}"));
        let mut archive = Builder::new(BufWriter::with_capacity(PIECE, to));
        let listed = segments.iter().map(|segment| Listed { number: segment.number, bytes: segment.bytes });
        let head = Head { format: FORMAT, at: now, segments: listed.collect() };
        put(&mut archive, now, HEAD, &head).map_err(refused)?;
        let mut hash = Sha256::new();
        let mut bytes = 0;
        for segment in &segments {
            let name = format!("journal/{}", journal::segment_name(segment.number));
            let mut reader =
                Reader { shared: self, segment: *segment, read: 0, hash: &mut hash, failed: None };
            let put = archive.append_data(&mut header(now, segment.bytes), name, &mut reader);
            match reader.failed {
                Some(error) => return Err(error),
                None => put.map_err(refused)?,
            }
            bytes += segment.bytes;
        }
        put(&mut archive, now, TAIL, &Tail { sha256: hex(hash) }).map_err(refused)?;
        archive.into_inner().and_then(|mut to| to.flush()).map_err(refused)?;
        Ok(bytes)
    }
}

/// The bytes of a segment, piece by piece.
struct Reader<'a> {
    shared: &'a Shared,
    segment: SegmentInfo,
    read: u64,
    hash: &'a mut Sha256,
    /// Why the journal did not give them.
    failed: Option<Error>,
}

impl Read for Reader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.segment.bytes - self.read).unwrap_or(usize::MAX);
        let length = left.min(buffer.len());
        let buffer = &mut buffer[..length];
        if let Err(error) = self.shared.journal.read_bytes(self.segment.number, buffer, self.read) {
            self.failed = Some(broken(error));
            return Err(io::Error::other("the journal cannot be read"));
        }
        self.hash.update(&*buffer);
        self.read += length as u64;
        Ok(length)
    }
}

fn header(now: Timestamp, bytes: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_mode(0o600);
    header.set_mtime(u64::try_from(now.as_millis() / 1000).unwrap_or(0));
    header.set_size(bytes);
    header
}

fn put(
    archive: &mut Builder<impl Write>,
    now: Timestamp,
    name: &str,
    value: &impl Serialize,
) -> io::Result<()> {
    let json = serde_json::to_vec(value)?;
    archive.append_data(&mut header(now, json.len() as u64), name, json.as_slice())
}

fn hex(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads a backup from its beginning to its end, and checks it: that it is all there, that it is what was read from the
/// store, and that what was read there is what was once written.
///
/// # Errors
///
/// [`Error::Refused`] if it is no backup, or not the whole of one, or was changed.
pub fn check_backup(from: &Path) -> Result<Backup> {
    read_backup(from, |_, _| Ok(()))
}

/// The same, and shows each segment.
pub(crate) fn read_backup(from: &Path, mut show: impl FnMut(u32, &[u8]) -> Result<()>) -> Result<Backup> {
    let unusable = |why: String| Error::Refused(format!("{} is not a whole backup: {why}", from.display()));
    let file = File::open(from)
        .map_err(|error| Error::Refused(format!("cannot read {}: {error}", from.display())))?;
    let mut archive = Archive::new(BufReader::with_capacity(PIECE, file));
    let mut entries = archive.entries().map_err(|error| unusable(error.to_string()))?;
    let head: Head = parse(&next(&mut entries, HEAD, LARGEST_HEAD).map_err(unusable)?).map_err(unusable)?;
    if head.format != FORMAT {
        return Err(unusable(format!(
            "it is of the format {}, and this program reads {FORMAT}",
            head.format
        )));
    }
    let (mut hash, mut audit, mut total) = (Sha256::new(), Audit::default(), 0);
    for Listed { number, bytes } in &head.segments {
        let name = format!("journal/{}", journal::segment_name(*number));
        let content = next(&mut entries, &name, LARGEST_SEGMENT).map_err(unusable)?;
        if content.len() as u64 != *bytes {
            return Err(unusable(format!("{name} has another length than it should have")));
        }
        hash.update(&content);
        audit.look_at(*number, &content);
        show(*number, &content)?;
        total += bytes;
    }
    let tail: Tail = parse(&next(&mut entries, TAIL, LARGEST_HEAD).map_err(unusable)?).map_err(unusable)?;
    if tail.sha256 != hex(hash) {
        return Err(unusable("its checksum is another: it was changed since it was taken".to_owned()));
    }
    Ok(Backup {
        at: head.at,
        segments: head.segments.len(),
        bytes: total,
        records: audit.records(),
        findings: audit.findings().to_vec(),
    })
}

/// The content of the next file, which has this name.
fn next(entries: &mut Entries<'_, impl Read>, name: &str, most: u64) -> std::result::Result<Vec<u8>, String> {
    let Some(entry) = entries.next() else { return Err(format!("it ends before {name}")) };
    // The words of the archive's reader quote what they could not read, which may be anything.
    let mut entry = entry.map_err(|error| {
        format!("{name} cannot be read: this is no tar archive, or damaged there ({})", error.kind())
    })?;
    if entry.path_bytes() != name.as_bytes() {
        return Err(format!("{name} should come next"));
    }
    let size = entry.size();
    if size > most {
        return Err(format!("{name} is too large"));
    }
    let mut content = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
    entry.read_to_end(&mut content).map_err(|error| format!("{name} cannot be read: {error}"))?;
    if content.len() as u64 != size {
        return Err(format!("it ends within {name}"));
    }
    Ok(content)
}

fn parse<T: DeserializeOwned>(json: &[u8]) -> std::result::Result<T, String> {
    serde_json::from_slice(json).map_err(|error| error.to_string())
}
