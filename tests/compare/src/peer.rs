//! What is measured: one system each, with its processes, its paths, and its own word on what it has done.

mod dbos;
mod n8n;
mod node_red;
mod portcullis;
mod restate;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use async_trait::async_trait;
use lab::load::Target;
use serde_json::Value;

use crate::install::Cache;
use crate::options::PeerName;
use crate::process::Processes;
use crate::{say, work::Work};

pub(crate) use portcullis::Portcullis;

/// A path that answers before the work is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Later {
    /// The loop of a SOC.
    Loop,
    /// A run that waits for a person.
    Approval,
}

/// A system that is measured.
#[async_trait]
pub(crate) trait Peer: Send + Sync {
    /// Its name in tables.
    fn name(&self) -> &'static str;

    /// Its version, and that of what it stands on.
    fn version(&self) -> String;

    /// Makes the folder from whose copies it is started.
    async fn prepare(&self, folder: &Path) -> anyhow::Result<()>;

    /// Starts it over a folder; it need not be ready.
    async fn start(&self, folder: &Path) -> anyhow::Result<Processes>;

    /// Where work is asked for that is answered when it is done.
    fn target(&self, work: Work) -> Target;

    /// Where work is asked for that is done later; none where it knows no such thing.
    fn later(&self, later: Later) -> Option<Target>;

    /// The request that lets a run go on which waits; `accepted` is what was answered when it began.
    fn approval(&self, _number: u64, _accepted: &Value) -> Option<Target> {
        None
    }

    /// Whether everything is measured of it, or only runs under load: a variant that differs in nothing else.
    fn is_whole(&self) -> bool {
        true
    }

    /// How many runs it has kept as done; none where it keeps no list.
    async fn completed(&self, _folder: &Path) -> anyhow::Result<Option<u64>> {
        Ok(None)
    }

    /// How many runs wait until a person has said what became of a call.
    async fn in_doubt(&self) -> anyhow::Result<u64> {
        Ok(0)
    }
}

/// Who is measured: Portcullis first. Who cannot be is named in a line.
pub(crate) async fn all(names: &[PeerName], world: &str) -> anyhow::Result<Vec<Box<dyn Peer>>> {
    let mut peers: Vec<Box<dyn Peer>> = vec![Box::new(Portcullis::build(world).await?)];
    if names.is_empty() {
        return Ok(peers);
    }
    let cache = Cache::new()?;
    if let Err(error) = cache.install("node", &["node"]).await {
        say(format_args!("no peer is measured, for there is no Node: {error:#}"));
        return Ok(peers);
    }
    for name in names {
        match install(*name, world).await {
            Ok(some) => peers.extend(some),
            Err(error) => say(format_args!("{name:?} is not measured: {error:#}")),
        }
    }
    Ok(peers)
}

async fn install(name: PeerName, world: &str) -> anyhow::Result<Vec<Box<dyn Peer>>> {
    let cache = Cache::new()?;
    Ok(match name {
        PeerName::N8n => vec![
            Box::new(n8n::N8n::install(cache, world, false).await?),
            Box::new(n8n::N8n::install(Cache::new()?, world, true).await?),
        ],
        PeerName::Restate => vec![Box::new(restate::Restate::install(cache, world).await?)],
        PeerName::Dbos => vec![Box::new(dbos::Dbos::install(cache, world).await?)],
        PeerName::NodeRed => vec![Box::new(node_red::NodeRed::install(cache, world).await?)],
        PeerName::None => Vec::new(),
    })
}

/// A port on 127.0.0.1 that nobody has.
fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// A client for questions, not for load.
pub(crate) fn client() -> anyhow::Result<reqwest::Client> {
    static CLIENT: OnceLock<reqwest::Client> = OnceLock::new();
    if let Some(client) = CLIENT.get() {
        return Ok(client.clone());
    }
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(30)).build()?;
    Ok(CLIENT.get_or_init(|| client).clone())
}

/// The folder of the repository.
fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}
