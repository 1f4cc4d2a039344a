//! n8n with SQLite, as it comes.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use async_trait::async_trait;
use lab::load::Target;
use rustix::process::Signal;
use serde_json::Value;
use tokio::process::Command;

use super::{Later, Peer, free_address};
use crate::install::Cache;
use crate::process::Processes;
use crate::work::Work;

/// Nothing is reported, and nobody is asked for news.
const QUIET: [(&str, &str); 8] = [
    ("N8N_DIAGNOSTICS_ENABLED", "false"),
    ("N8N_VERSION_NOTIFICATIONS_ENABLED", "false"),
    ("N8N_VERSION_NOTIFICATIONS_WHATS_NEW_ENABLED", "false"),
    ("N8N_TEMPLATES_ENABLED", "false"),
    ("N8N_PERSONALIZATION_ENABLED", "false"),
    ("N8N_DISABLED_MODULES", "mcp-registry"),
    ("N8N_LOG_LEVEL", "error"),
    ("N8N_LISTEN_ADDRESS", "127.0.0.1"),
];

pub(super) struct N8n {
    cache: Cache,
    installed: PathBuf,
    world: String,
    /// With `N8N_EXPRESSION_ENGINE=legacy`, which is faster.
    is_legacy: bool,
    address: SocketAddr,
    broker: SocketAddr,
}

impl N8n {
    pub(super) async fn install(cache: Cache, world: &str, is_legacy: bool) -> anyhow::Result<N8n> {
        let installed = cache.install("n8n", &["sqlite3", "isolated-vm"]).await?;
        let (address, broker) = (free_address()?, free_address()?);
        Ok(N8n { cache, installed, world: world.to_owned(), is_legacy, address, broker })
    }

    fn command(&self, folder: &Path, argument: &str) -> Command {
        let mut command = self.cache.run(&self.installed.join("node_modules/n8n/bin/n8n"));
        command.arg(argument).envs(QUIET).env("N8N_USER_FOLDER", folder);
        command.env("N8N_HOST", "127.0.0.1").env("N8N_PORT", self.address.port().to_string());
        command.env("N8N_RUNNERS_BROKER_PORT", self.broker.port().to_string());
        if self.is_legacy {
            command.env("N8N_EXPRESSION_ENGINE", "legacy");
        }
        command
    }
}

async fn finish(mut command: Command) -> anyhow::Result<Vec<u8>> {
    let output = command.kill_on_drop(true).output().await.context("cannot start it")?;
    let what = command.as_std().get_args().nth(1).unwrap_or_default().to_owned();
    anyhow::ensure!(output.status.success(), "{what:?}: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(output.stdout)
}

#[async_trait]
impl Peer for N8n {
    fn name(&self) -> &'static str {
        if self.is_legacy { "n8n (legacy)" } else { "n8n" }
    }

    fn version(&self) -> String {
        let engine = if self.is_legacy { ", N8N_EXPRESSION_ENGINE=legacy" } else { "" };
        format!("{}{engine}", self.cache.version("n8n", "n8n"))
    }

    async fn prepare(&self, folder: &Path) -> anyhow::Result<()> {
        std::fs::create_dir_all(folder)?;
        let workflows = folder.join("workflows");
        let mut command = self.cache.run(&self.installed.join("workflows.ts"));
        command.arg(&workflows).env("WORLD", &self.world);
        finish(command).await?;
        let mut import = self.command(folder, "import:workflow");
        import.arg("--separate").arg(format!("--input={}", workflows.display()));
        finish(import).await?;
        for file in std::fs::read_dir(&workflows)? {
            let path = file?.path();
            let name = path.file_stem().and_then(|name| name.to_str()).context("a workflow has a name")?;
            let mut publish = self.command(folder, "publish:workflow");
            publish.arg(format!("--id=compare-{name}"));
            finish(publish).await?;
        }
        Ok(())
    }

    async fn start(&self, folder: &Path) -> anyhow::Result<Processes> {
        let mut processes = Processes::default();
        processes.spawn(self.command(folder, "start"), folder, Signal::TERM)?;
        Ok(processes)
    }

    fn target(&self, work: Work) -> Target {
        Target::new(self.address, &format!("/webhook/{}", work.name()))
    }

    fn later(&self, later: Later) -> Option<Target> {
        Some(Target::new(
            self.address,
            match later {
                Later::Loop => "/webhook/c_now",
                Later::Approval => "/webhook/approval",
            },
        ))
    }

    fn approval(&self, _number: u64, accepted: &Value) -> Option<Target> {
        let url = accepted.get("resume")?.as_str()?;
        let path = url.strip_prefix("http://")?;
        Some(Target::new(self.address, path.get(path.find('/')?..)?))
    }

    fn is_whole(&self) -> bool {
        !self.is_legacy
    }

    async fn completed(&self, folder: &Path) -> anyhow::Result<Option<u64>> {
        let mut command = self.cache.run(&self.installed.join("completed.ts"));
        command.arg(folder.join(".n8n/database.sqlite"));
        let answer: Value = serde_json::from_slice(&finish(command).await?)?;
        Ok(answer.get("completed").and_then(Value::as_u64))
    }
}
