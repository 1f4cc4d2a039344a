//! The files of a journal by their names.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// What lies in the folder of a journal.
#[derive(Debug, Default)]
pub(crate) struct Folder {
    /// Segments by their numbers.
    pub(crate) segments: BTreeMap<u32, PathBuf>,
    /// Files that can become a segment.
    pub(crate) spares: Vec<PathBuf>,
    /// Files that were to become spares when the process ended.
    pub(crate) unfinished: Vec<PathBuf>,
}

pub(crate) fn segment(folder: &Path, number: u32) -> PathBuf {
    folder.join(segment_name(number))
}

/// The name of a segment's file.
pub fn segment_name(number: u32) -> String {
    format!("{number:010}.segment")
}

pub(crate) fn spare(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:010}.spare"))
}

pub(crate) fn unfinished(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:010}.unfinished"))
}

pub(crate) fn lock(folder: &Path) -> PathBuf {
    folder.join("lock")
}

/// Looks into the folder; files of other names are nobody's business.
pub(crate) fn list(folder: &Path) -> Result<Folder> {
    let mut listed = Folder::default();
    for entry in fs::read_dir(folder).map_err(Error::io("list", folder))? {
        let path = entry.map_err(Error::io("list", folder))?.path();
        let stem = path.file_stem().and_then(|stem| stem.to_str());
        let Some(number) = stem.and_then(|stem| stem.parse::<u64>().ok()) else { continue };
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("segment") => {
                if let Ok(number) = u32::try_from(number) {
                    listed.segments.insert(number, path);
                }
            }
            Some("spare") => listed.spares.push(path),
            Some("unfinished") => listed.unfinished.push(path),
            Some(_) | None => {}
        }
    }
    listed.spares.sort();
    Ok(listed)
}

/// The number in a file's name, 0 if there is none.
pub(crate) fn number(path: &Path) -> u64 {
    let stem = path.file_stem().and_then(|stem| stem.to_str());
    stem.and_then(|stem| stem.parse().ok()).unwrap_or(0)
}
