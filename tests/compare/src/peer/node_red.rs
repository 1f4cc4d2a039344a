//! Node-RED: nothing of a run is on disk.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use lab::load::Target;
use rustix::process::Signal;

use super::{Later, Peer, free_address};
use crate::install::Cache;
use crate::process::Processes;
use crate::work::Work;

pub(super) struct NodeRed {
    cache: Cache,
    installed: PathBuf,
    world: String,
    address: SocketAddr,
}

impl NodeRed {
    pub(super) async fn install(cache: Cache, world: &str) -> anyhow::Result<NodeRed> {
        let installed = cache.install("node-red", &[]).await?;
        Ok(NodeRed { cache, installed, world: world.to_owned(), address: free_address()? })
    }
}

#[async_trait]
impl Peer for NodeRed {
    fn name(&self) -> &'static str {
        "Node-RED"
    }

    fn version(&self) -> String {
        self.cache.version("node-red", "node-red")
    }

    async fn prepare(&self, folder: &Path) -> anyhow::Result<()> {
        std::fs::create_dir_all(folder)?;
        let mut command = self.cache.run(&self.installed.join("flows.ts"));
        command.arg(folder.join("flows.json")).env("WORLD", &self.world);
        let status = command.status().await?;
        anyhow::ensure!(status.success(), "flows.ts: {status}");
        Ok(())
    }

    async fn start(&self, folder: &Path) -> anyhow::Result<Processes> {
        let mut command = self.cache.run(&self.installed.join("node_modules/node-red/red.js"));
        command.arg("--userDir").arg(folder).arg("--settings").arg(self.installed.join("settings.cjs"));
        command.env("PORT", self.address.port().to_string());
        let mut processes = Processes::default();
        processes.spawn(command, folder, Signal::TERM)?;
        Ok(processes)
    }

    fn target(&self, work: Work) -> Target {
        Target::new(self.address, &format!("/{}", work.name()))
    }

    fn later(&self, later: Later) -> Option<Target> {
        (later == Later::Loop).then(|| Target::new(self.address, "/c_now"))
    }
}
