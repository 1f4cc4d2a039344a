//! Portcullis, built from this repository.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use async_trait::async_trait;
use lab::load::Target;
use rustix::process::Signal;
use serde_json::Value;
use tokio::process::Command;

use super::{Later, Peer, client, free_address, repository};
use crate::process::{Processes, copy};
use crate::{say, work::Work};

const SECRET: &str = "secret-of-the-measurement";
const TOKEN: &str = "token-of-the-measurement";

pub(crate) struct Portcullis {
    program: PathBuf,
    world: String,
    address: SocketAddr,
}

impl Portcullis {
    pub(super) async fn build(world: &str) -> anyhow::Result<Portcullis> {
        say("building portcullis ...");
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let program = std::env::current_exe()?;
        let folder = program.parent().context("the program stands in a folder")?;
        let mut command = Command::new(cargo);
        command.args(["build", "--quiet", "-p", "portcullis"]).current_dir(repository());
        // Both are built alike, so that a debug build is not taken for a fast one.
        if !cfg!(debug_assertions) {
            command.arg("--release");
        }
        let status = command.status().await.context("cannot start cargo")?;
        anyhow::ensure!(status.success(), "cargo build: {status}");
        Ok(Portcullis {
            program: folder.join("portcullis"),
            world: world.to_owned(),
            address: free_address()?,
        })
    }

    async fn get(&self, path: &str) -> anyhow::Result<String> {
        let request = client()?.get(format!("http://{}{path}", self.address)).bearer_auth(TOKEN);
        Ok(request.send().await?.error_for_status()?.text().await?)
    }

    fn hook(&self, name: &str) -> Target {
        Target::new(self.address, &format!("/hooks/{name}")).header("x-portcullis-secret", SECRET)
    }

    /// The sum of the samples of a metric that have this in their labels.
    async fn metric(&self, name: &str, label: &str) -> anyhow::Result<u64> {
        let text = self.get("/metrics").await?;
        let lines = text.lines().filter(|line| line.starts_with(name) && line.contains(label));
        Ok(lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok()).sum())
    }
}

#[async_trait]
impl Peer for Portcullis {
    fn name(&self) -> &'static str {
        "Portcullis"
    }

    fn version(&self) -> String {
        env!("CARGO_PKG_VERSION").to_owned()
    }

    async fn prepare(&self, folder: &Path) -> anyhow::Result<()> {
        copy(&repository().join("tests/compare/peers/portcullis"), folder).await?;
        let config = folder.join("portcullis.yaml");
        let text = std::fs::read_to_string(&config)?;
        let text = text
            .replace("LISTEN", &self.address.to_string())
            .replace("WORLD", &format!("\"{}\"", self.world));
        Ok(std::fs::write(config, text)?)
    }

    async fn start(&self, folder: &Path) -> anyhow::Result<Processes> {
        let mut command = Command::new(&self.program);
        command.args(["serve", "--config", "portcullis.yaml"]).env_remove("RUST_LOG");
        command.env("COMPARE_SECRET", SECRET).env("COMPARE_TOKEN", TOKEN);
        let mut processes = Processes::default();
        processes.spawn(command, folder, Signal::TERM)?;
        Ok(processes)
    }

    fn target(&self, work: Work) -> Target {
        self.hook(work.name())
    }

    fn later(&self, later: Later) -> Option<Target> {
        Some(match later {
            Later::Loop => self.hook("c_now"),
            Later::Approval => self.hook("approval"),
        })
    }

    fn approval(&self, _number: u64, accepted: &Value) -> Option<Target> {
        let run = accepted.pointer("/runs/0/run")?.as_str()?;
        let target = Target::new(self.address, &format!("/api/v1/approvals/{run}/question"));
        Some(target.header("authorization", &format!("Bearer {TOKEN}")))
    }

    async fn completed(&self, _folder: &Path) -> anyhow::Result<Option<u64>> {
        self.metric("portcullis_runs_finished_total", "succeeded").await.map(Some)
    }

    async fn in_doubt(&self) -> anyhow::Result<u64> {
        self.metric("portcullis_runs_waiting", "").await
    }
}
