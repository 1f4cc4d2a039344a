//! The files of playbooks and nodes: reads them, and notices when they change while the server runs.
//!
//! It looks once a second instead of asking the system to be told. That also works where the system says nothing (network
//! mounts, the links of a mounted ConfigMap), it misses nothing, and an editor that renames or a checkout that touches a
//! hundred files needs no special care: a change is taken over once two looks in a row see the same.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::bail;
use nodes::Nodes;
use runner::{Clock, Found, Runner, Trouble, Workflows};
use tokio::signal::unix::Signal;
use tokio::time::MissedTickBehavior;
use tracing::{error, info, warn};
use workflow::Catalog;

use crate::app;
use crate::settings::Folders;

const BETWEEN_LOOKS: Duration = Duration::from_secs(1);
/// How long it takes until a store that refused a change is asked again.
const AFTER_A_REFUSAL: Duration = Duration::from_secs(30);
/// A file that was changed so shortly before it was read is read again: a second change may leave its time as it is.
const RECENT: Duration = Duration::from_secs(3);

/// The files, and what was made of them.
pub(crate) struct Playbooks {
    folders: Folders,
    /// What playbooks are checked with, until a node changes.
    catalog: Catalog,
    /// What was taken over.
    taken: Look,
    /// What the last look saw.
    last: Look,
    /// How many looks in a row saw nothing.
    blind: u32,
}

/// What stands on disk, in the order in which it counts.
#[derive(Clone, Default)]
struct Look {
    workflows: Vec<(PathBuf, File)>,
    nodes: Vec<(PathBuf, File)>,
}

#[derive(Clone)]
struct File {
    modified: Option<SystemTime>,
    bytes: u64,
    read_at: SystemTime,
    text: Result<Arc<str>, String>,
}

impl Playbooks {
    pub(crate) fn new(folders: Folders, catalog: Catalog) -> Playbooks {
        Playbooks { folders, catalog, taken: Look::default(), last: Look::default(), blind: 0 }
    }

    /// Reads everything for the first time.
    pub(crate) fn read(&mut self) -> anyhow::Result<Workflows> {
        self.last = Look::take(&self.folders, &Look::default())?;
        self.taken = self.last.clone();
        Ok(Workflows::default().reread(self.taken.found(), &self.catalog, Clock::System.now()))
    }

    /// Takes over what changes on disk, for ever. The signal is for whoever does not want to wait.
    pub(crate) async fn watch(
        mut self,
        runner: &Runner,
        nodes: &Nodes,
        mut hurry: Signal,
    ) -> anyhow::Result<()> {
        let mut looks = tokio::time::interval(BETWEEN_LOOKS);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let is_urgent = tokio::select! {
                _ = looks.tick() => false,
                _ = hurry.recv() => true,
            };
            let before = runner.workflows();
            let live = before.clone();
            let look = move || (self.look(&live, is_urgent), self);
            let (next, playbooks) = tokio::task::spawn_blocking(look).await?;
            self = playbooks;
            let Some(next) = next else { continue };
            let changed = next.iter().filter(|workflow| {
                before.get(&workflow.name).is_none_or(|before| before.digest != workflow.digest)
            });
            app::warn_of_missing_connections(nodes, changed);
            if let Err(error) = runner.replace_workflows(next).await {
                error!(%error, "the playbooks that have changed were not taken over");
                self.taken = Look::default();
                looks.reset_after(AFTER_A_REFUSAL);
            }
        }
    }

    /// The workflows after a look; none where there is nothing to take over.
    fn look(&mut self, live: &Workflows, is_urgent: bool) -> Option<Workflows> {
        if is_urgent {
            info!("reloading, as asked");
        }
        let now = Clock::System.now();
        let since = live.trouble().map_or(now, |trouble| trouble.since);
        let known = if is_urgent { &Look::default() } else { &self.last };
        let look = match Look::take(&self.folders, known) {
            Ok(look) => look,
            // A folder that cannot be read does not take its workflows away. Once may be a file that went in between.
            Err(error) => {
                self.blind += 1;
                let trouble = Trouble { since, reason: format!("{error:#}") };
                let is_news = live.trouble() != Some(&trouble) && (self.blind > 1 || is_urgent);
                return is_news.then(|| live.clone().in_trouble(trouble));
            }
        };
        let is_settled = is_urgent || look.is_same(&self.last);
        self.last = look;
        let was_blind = std::mem::take(&mut self.blind) > 0;
        if !is_settled || !(is_urgent || was_blind || !self.last.is_same(&self.taken)) {
            return None;
        }
        let nodes = self.read_nodes();
        self.taken = self.last.clone();
        let next = live.reread(self.taken.found(), &self.catalog, now);
        Some(match nodes {
            Ok(()) => next,
            Err(error) => {
                let reason = format!("the nodes are as they were before, because of this:\n{error:#}");
                next.in_trouble(Trouble { since, reason })
            }
        })
    }

    /// Takes over the nodes of the last look; where one has an error, none of them.
    fn read_nodes(&mut self) -> anyhow::Result<()> {
        if self.last.nodes.is_empty() && self.taken.nodes.is_empty() {
            return Ok(());
        }
        let mut files = Vec::new();
        for (path, file) in &self.last.nodes {
            match &file.text {
                Ok(text) => files.push((path.display().to_string(), text.as_ref().to_owned())),
                Err(reason) => bail!("{reason}"),
            }
        }
        self.catalog = app::load_nodes(files)?.0;
        let is_recipe = |(path, _): &&(PathBuf, File)| path.ends_with("connection.yaml");
        let recipes = |look: &Look| look.nodes.iter().filter(is_recipe).cloned().collect::<Vec<_>>();
        if !Look::are_same(&recipes(&self.last), &recipes(&self.taken)) {
            warn!("a connection.yaml has changed: how to log in is read when the server starts");
        }
        Ok(())
    }
}

impl Look {
    fn take(folders: &Folders, known: &Look) -> anyhow::Result<Look> {
        let mut workflows = read_all(&folders.workflows, &known.workflows)?;
        workflows.retain(|(path, _)| !app::is_test(path));
        Ok(Look { workflows, nodes: read_all(&folders.nodes, &known.nodes)? })
    }

    fn found(&self) -> Vec<Found> {
        let found = |(path, file): &(PathBuf, File)| Found {
            file: path.display().to_string(),
            text: file.text.clone(),
        };
        self.workflows.iter().map(found).collect()
    }

    fn is_same(&self, other: &Look) -> bool {
        Look::are_same(&self.workflows, &other.workflows) && Look::are_same(&self.nodes, &other.nodes)
    }

    fn are_same(these: &[(PathBuf, File)], those: &[(PathBuf, File)]) -> bool {
        let same = |((path, file), (other_path, other)): (&(PathBuf, File), &(PathBuf, File))| {
            path == other_path && file.text == other.text
        };
        these.len() == those.len() && these.iter().zip(those).all(same)
    }
}

fn read_all(paths: &[PathBuf], known: &[(PathBuf, File)]) -> anyhow::Result<Vec<(PathBuf, File)>> {
    let known: BTreeMap<&Path, &File> = known.iter().map(|(path, file)| (path.as_path(), file)).collect();
    let mut files: Vec<(PathBuf, File)> = Vec::new();
    for path in app::yaml_files(paths)? {
        let file = File::read(&path, known.get(path.as_path()).copied());
        files.push((path, file));
    }
    Ok(files)
}

impl File {
    /// Reads a file, unless it is as it was.
    fn read(path: &Path, known: Option<&File>) -> File {
        let read_at = SystemTime::now();
        let metadata = fs::metadata(path).ok();
        let bytes = metadata.as_ref().map_or(0, fs::Metadata::len);
        let modified = metadata.and_then(|metadata| metadata.modified().ok());
        let is_as_known =
            |known: &&File| known.is_settled() && known.modified == modified && known.bytes == bytes;
        if let Some(known) = known.filter(is_as_known) {
            return known.clone();
        }
        let text = fs::read_to_string(path).map(Arc::from);
        let text = text.map_err(|error| format!("cannot read {}: {error}", path.display()));
        File { modified, bytes, read_at, text }
    }

    /// Whether a change since it was read would show in its time.
    fn is_settled(&self) -> bool {
        let age = self.modified.and_then(|modified| self.read_at.duration_since(modified).ok());
        self.text.is_ok() && age.is_some_and(|age| age > RECENT)
    }
}

#[cfg(test)]
mod tests;
