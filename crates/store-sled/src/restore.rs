//! A store made from a backup, beside its place first: a restore that is cut off leaves nothing that could be taken for a
//! store.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use model::Timestamp;
use serde_json::json;
use std::sync::Arc;
use store::{Error, Note, Result};

use crate::backup::{Backup, read_backup};
use crate::sled_store::{Settings, SledStore};

/// What a file system may put into a folder that is empty.
const OF_THE_SYSTEM: &str = "lost+found";

/// Makes a store from a backup, in a folder that is empty or not there. The store has the note [`Note::RESTORED`].
///
/// # Errors
///
/// [`Error::Refused`] if the folder is not empty or the backup is not whole, [`Error::Locked`] if a process has a store
/// open there; [`Error::Broken`] if the disk says no: then the folder has to be emptied before another try.
pub fn restore(from: &Path, folder: &Path, settings: &Settings, now: Timestamp) -> Result<Backup> {
    check_is_empty(folder)?;
    read_backup(from, |_, _| Ok(()))?;
    fs::create_dir_all(folder).map_err(failed("create", folder))?;
    let beside = unfinished(folder);
    // Of two at once one is refused here.
    fs::create_dir(&beside).map_err(failed("create", &beside))?;
    let journal = beside.join("journal");
    // An index that is there and empty is no finding.
    for folder in [&journal, &beside.join("index")] {
        fs::create_dir(folder).map_err(failed("create", folder))?;
    }
    let backup =
        read_backup(from, |number, bytes| write(&journal.join(journal::segment_name(number)), bytes))?;
    sync(&journal)?;
    let store = SledStore::open(&beside, settings)?;
    let value = json!({ "at": now, "from": backup.at });
    store.note_now(&Arc::new(Note { key: Note::RESTORED.to_owned(), value }))?;
    drop(store);
    for name in ["index", "journal"] {
        fs::rename(beside.join(name), folder.join(name)).map_err(failed("rename", &beside.join(name)))?;
    }
    sync(folder)?;
    fs::remove_dir(&beside).map_err(failed("remove", &beside))?;
    sync(folder)?;
    Ok(backup)
}

/// Refuses to go on where a restore was cut off.
pub(crate) fn check_is_finished(folder: &Path) -> Result<()> {
    let beside = unfinished(folder);
    if !beside.exists() {
        return Ok(());
    }
    let (folder, beside) = (folder.display(), beside.display());
    Err(Error::Broken(format!("a restore was cut off, see {beside}: empty {folder} and restore again")))
}

fn unfinished(folder: &Path) -> PathBuf {
    folder.join("restoring")
}

fn check_is_empty(folder: &Path) -> Result<()> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed("list", folder)(error)),
    };
    for entry in entries {
        let name = entry.map_err(failed("list", folder))?.file_name();
        if name == OF_THE_SYSTEM {
            continue;
        }
        if let Some(holder) = journal::holder(&folder.join("journal")) {
            let folder = folder.display();
            return Err(Error::Locked(format!("the store in {folder} is open in another process: {holder}")));
        }
        let (folder, name) = (folder.display(), name.display());
        return Err(Error::Refused(format!(
            "{folder} is not empty, it holds `{name}`: a restore never replaces anything, move it away first"
        )));
    }
    Ok(())
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = File::create_new(path).map_err(failed("create", path))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(failed("write", path))
}

fn sync(folder: &Path) -> Result<()> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed("flush", folder))
}

fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error + use<> {
    let path = path.to_owned();
    move |error| Error::Broken(format!("cannot {what} {}: {error}", path.display()))
}
