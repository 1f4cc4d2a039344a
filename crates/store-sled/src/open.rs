//! Opens the store: the journal as it is, the index as it is or made again.

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use journal::disk::Disk;
use journal::{Journal, Opened, Position};
use sha2::{Digest as _, Sha256};
use store::{Error, Result};

use crate::index::{self, Index, Range};
use crate::keys;
use crate::place::Place;
use crate::recent::Recent;
use crate::replay::{self, Findings, replay};
use crate::restore;
use crate::shared::{Shared, broken, identity, suspect};
use crate::sled_store::Settings;

/// So many indexes that were moved aside are kept.
const KEPT: usize = 2;

pub(crate) fn open(disk: Arc<dyn Disk>, folder: &Path, settings: &Settings) -> Result<Shared> {
    restore::check_is_finished(folder)?;
    fs::create_dir_all(folder).map_err(failed("create", folder))?;
    let opened = Journal::open_on(disk, &folder.join("journal"), settings.journal());
    let Opened { journal, findings } = opened.map_err(broken)?;
    let mut reports = findings;
    let (index, found) = open_index(&journal, folder, settings, &mut reports)?;
    reports.extend(found.reports);
    let mut recent = Recent::default();
    reports.into_iter().for_each(|report| recent.report(report));
    let meta = *index.meta();
    recent.applied = meta.applied;
    recent.last_fence = meta.fence;
    let lost = |key: &[u8], value: &[u8]| {
        if let (Some(run), Some(message)) = (keys::run_of(key), value.get(Place::LEN..)) {
            recent.lost.insert(run, String::from_utf8_lossy(message).into_owned());
        }
        ControlFlow::Continue(())
    };
    index.walk(&Range::of([keys::LOST]), lost).map_err(|error| Error::Broken(error.to_string()))?;
    let shared = Shared::new(journal, index, folder.to_owned(), recent);
    for (run, message) in found.lost {
        shared.lose(run, &message)?;
    }
    Ok(shared)
}

/// The index at the end of the journal. While this goes on a file says that the index is not to be trusted, so that one
/// that ends the process is not met twice.
fn open_index(
    journal: &Journal,
    folder: &Path,
    settings: &Settings,
    reports: &mut Vec<String>,
) -> Result<(Index, Findings)> {
    let path = folder.join("index");
    let suspect = suspect(folder);
    let reason = if suspect.exists() {
        Some("it failed, or the process ended while it was opened".to_owned())
    } else {
        None
    };
    fs::write(&suspect, []).map_err(failed("create", &suspect))?;
    let is_new = !path.exists();
    let opened = match reason {
        Some(reason) => Err(Unusable::Unfit(reason)),
        None => existing(journal, &path, settings.cache_bytes),
    };
    let index = match opened {
        Err(Unusable::NoRoom(why)) => {
            fs::remove_file(&suspect).map_err(failed("remove", &suspect))?;
            return Err(Error::Full(format!("the index cannot be opened: {why}")));
        }
        Ok(index) => {
            if is_new && journal.flushed() > Position::default() {
                reports.push("the index was missing and was made again from the journal".to_owned());
            }
            index
        }
        Err(Unusable::OfAnotherVersion) => {
            tracing::info!("another version wrote the index: it is made again from the journal");
            fs::remove_dir_all(&path).map_err(failed("remove", &path))?;
            let made = make(journal, &path, settings)?;
            tracing::info!("the index was made again");
            made
        }
        Err(Unusable::Unfit(reason)) => {
            if path.exists() {
                let aside = move_aside(folder, &path)?;
                reports.push(format!(
                    "the index was made again from the journal, because {reason}; the old one is in {}",
                    aside.display()
                ));
            }
            make(journal, &path, settings)?
        }
    };
    fs::remove_file(&suspect).map_err(failed("remove", &suspect))?;
    Ok(index)
}

/// An index made from the journal alone.
fn make(journal: &Journal, path: &Path, settings: &Settings) -> Result<(Index, Findings)> {
    let made = Index::open(path, settings.cache_bytes).map_err(replay::Error::from);
    let made = made.and_then(|index| Ok((replay(journal, &index)?, index)));
    let (found, index) = made.map_err(|error| Error::Broken(error.to_string()))?;
    Ok((index, found))
}

/// Why the index cannot be used as it is.
pub(crate) enum Unusable {
    /// It is as it should, and has to be made again in the form that this version reads.
    OfAnotherVersion,
    /// It has to be made again.
    Unfit(String),
    /// There is no room to open it, and it may be as it should.
    NoRoom(String),
}

impl<E: Into<replay::Error>> From<E> for Unusable {
    fn from(error: E) -> Unusable {
        match error.into() {
            replay::Error::Index(index::Error::NoRoom(why)) => Unusable::NoRoom(why),
            error @ (replay::Error::Index(_) | replay::Error::Journal(_)) => {
                Unusable::Unfit(error.to_string())
            }
        }
    }
}

/// The index as it is, brought to the end of the journal.
pub(crate) fn existing(
    journal: &Journal,
    path: &Path,
    cache_bytes: u64,
) -> std::result::Result<(Index, Findings), Unusable> {
    let index = Index::open(path, cache_bytes)?;
    if index.is_of_another_version {
        return Err(Unusable::OfAnotherVersion);
    }
    index.verify()?;
    let meta = *index.meta();
    if meta != index::Meta::default() {
        if meta.applied >= journal.flushed() {
            let why = "the journal has lost its end, and with it records that were on disk; or it is another journal";
            return Err(Unusable::Unfit(why.to_owned()));
        }
        let last = journal.read(meta.applied);
        let is_ours =
            last.is_ok_and(|record| identity(&Sha256::digest(&record.payload).into()) == meta.identity);
        if !is_ours {
            return Err(Unusable::Unfit("it does not belong to this journal".to_owned()));
        }
    }
    let found = replay(journal, &index)?;
    Ok((index, found))
}

fn move_aside(folder: &Path, path: &Path) -> Result<PathBuf> {
    let mut kept = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed("list", folder))? {
        let name = entry.map_err(failed("list", folder))?.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix("index.damaged-")?.parse::<u32>().ok());
        kept.extend(number);
    }
    kept.sort_unstable();
    let name = |number: u32| folder.join(format!("index.damaged-{number}"));
    let surplus = kept.len().saturating_sub(KEPT - 1);
    for number in &kept[..surplus] {
        let old = name(*number);
        fs::remove_dir_all(&old).map_err(failed("remove", &old))?;
    }
    let aside = name(kept.last().map_or(1, |last| last + 1));
    fs::rename(path, &aside).map_err(failed("rename", path))?;
    Ok(aside)
}

fn failed(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error + use<> {
    let path = path.to_owned();
    move |error| Error::Broken(format!("cannot {what} {}: {error}", path.display()))
}
