//! `portcullis backup` and `portcullis restore`.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, anyhow, bail};
use store_sled::Backup;

use crate::client::Client;
use crate::{settings, show};

/// Copies what a running server keeps, and looks at the copy before it gets its name.
pub(crate) async fn backup(client: &Client, to: &Path) -> anyhow::Result<()> {
    if to.exists() {
        bail!("{} is there already: name a new file", to.display());
    }
    let began = Instant::now();
    let mut name = to.as_os_str().to_owned();
    name.push(".partial");
    let unchecked = Unchecked(PathBuf::from(name));
    fetch(client, &unchecked.0).await?;
    let path = unchecked.0.clone();
    let backup = tokio::task::spawn_blocking(move || store_sled::check_backup(&path)).await?;
    let backup = backup
        .map_err(words)
        .context("the copy is not whole, and was removed: the server's log may say why")?;
    std::fs::hard_link(&unchecked.0, to).with_context(|| format!("cannot make {}", to.display()))?;
    drop(unchecked);
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::File::open(folder)?.sync_all()?;
    let seconds = began.elapsed().as_secs_f64();
    show::say(format_args!("{}: {}, in {seconds:.1} s; checked", to.display(), text_of(&backup)));
    report(&backup)
}

/// A file that goes unless it was found good.
struct Unchecked(PathBuf);

impl Drop for Unchecked {
    fn drop(&mut self) {
        // It has another name by then, or it is of no use.
        let _ = std::fs::remove_file(&self.0);
    }
}

async fn fetch(client: &Client, to: &Path) -> anyhow::Result<()> {
    let mut response = client.post_for_pieces("/api/v1/backup").await?;
    // It holds every alert: nobody else reads it.
    let file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(to);
    let mut file = file.with_context(|| format!("cannot make {}", to.display()))?;
    while let Some(piece) = response.chunk().await.context("the copy broke off")? {
        file.write_all(&piece).with_context(|| format!("cannot write {}", to.display()))?;
    }
    file.sync_all().with_context(|| format!("cannot write {}", to.display()))
}

/// Makes a store from a backup.
pub(crate) fn restore(config: &Path, from: &Path) -> anyhow::Result<()> {
    let folder = settings::data_dir_of(config)?;
    let began = Instant::now();
    let now = runner::Clock::System.now();
    let backup = store_sled::restore(from, &folder, &store_sled::Settings::default(), now).map_err(words)?;
    let seconds = began.elapsed().as_secs_f64();
    show::say(format_args!("{}: {}, in {seconds:.1} s", folder.display(), text_of(&backup)));
    show::say(format_args!(
        "what has happened since {} is not in it: calls that were under way then are in doubt, see `portcullis approvals` \
         once the server runs",
        backup.at
    ));
    report(&backup)
}

fn text_of(backup: &Backup) -> String {
    let Backup { at, segments, bytes, records, .. } = backup;
    let megabytes = (*bytes as f64) / 1e6;
    format!("everything up to {at}, {records} records in {segments} segments, {megabytes:.1} MB")
}

/// Says what was damaged before; the copy is as good as the store.
fn report(backup: &Backup) -> anyhow::Result<()> {
    if backup.findings.is_empty() {
        return Ok(());
    }
    let found = backup.findings.join("\n  ");
    bail!("the store was damaged when it was copied, and so is the copy:\n  {found}")
}

fn words(error: store::Error) -> anyhow::Error {
    if let store::Error::Refused(message) = error { anyhow!("{message}") } else { error.into() }
}
