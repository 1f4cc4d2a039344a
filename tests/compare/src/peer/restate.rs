//! Restate: one server, and the service in which the handlers run.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use lab::load::Target;
use rustix::process::Signal;
use serde_json::{Value, json};

use super::{Later, Peer, client, free_address};
use crate::install::Cache;
use crate::process::Processes;
use crate::work::Work;

/// How long the server may take until it knows the service.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) struct Restate {
    cache: Cache,
    installed: PathBuf,
    world: String,
    service: SocketAddr,
    ingress: SocketAddr,
    admin: SocketAddr,
    node: SocketAddr,
}

impl Restate {
    pub(super) async fn install(cache: Cache, world: &str) -> anyhow::Result<Restate> {
        let installed = cache.install("restate", &[]).await?;
        let [service, ingress, admin, node] =
            [free_address()?, free_address()?, free_address()?, free_address()?];
        Ok(Restate { cache, installed, world: world.to_owned(), service, ingress, admin, node })
    }

    async fn ask(&self, path: &str, question: &Value) -> anyhow::Result<Value> {
        let request = client()?.post(format!("http://{}{path}", self.admin)).json(question);
        let answer = request.header("accept", "application/json").send().await?.error_for_status()?;
        Ok(serde_json::from_str(&answer.text().await?)?)
    }
}

#[async_trait]
impl Peer for Restate {
    fn name(&self) -> &'static str {
        "Restate"
    }

    fn version(&self) -> String {
        let version = |package| self.cache.version("restate", package);
        format!("{}, SDK {}", version("@restatedev/restate-server"), version("@restatedev/restate-sdk"))
    }

    async fn prepare(&self, folder: &Path) -> anyhow::Result<()> {
        std::fs::create_dir_all(folder)?;
        let processes = self.start(folder).await?;
        let deployment = json!({ "uri": format!("http://{}", self.service) });
        let register = async {
            while self.ask("/deployments", &deployment).await.is_err() {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::time::timeout(PATIENCE, register).await?;
        processes.stop().await;
        Ok(())
    }

    async fn start(&self, folder: &Path) -> anyhow::Result<Processes> {
        let mut processes = Processes::default();
        let mut service = self.cache.run(&self.installed.join("service.ts"));
        service.env("PORT", self.service.port().to_string()).env("WORLD", &self.world);
        service.env("RESTATE_LOGGING", "ERROR");
        processes.spawn(service, folder, Signal::TERM)?;
        let mut server = self.cache.run(&self.installed.join("node_modules/.bin/restate-server"));
        // The production profile is the usual one but for the first start of a cluster, which is asked for here.
        server.args(["--production", "--auto-provision", "true", "--no-logo", "--log-filter", "error"]);
        server.arg("--base-dir").arg(folder.join("data"));
        server.env("RESTATE_LISTEN_MODE", "tcp").env("RESTATE_NODE_NAME", "compare");
        server.env("RESTATE_BIND_IP", "127.0.0.1").env("RESTATE_BIND_ADDRESS", self.node.to_string());
        server.env("RESTATE_INGRESS__BIND_ADDRESS", self.ingress.to_string());
        server.env("RESTATE_ADMIN__BIND_ADDRESS", self.admin.to_string());
        server.env("RESTATE_DISABLE_TELEMETRY", "true");
        processes.spawn(server, folder, Signal::TERM)?;
        Ok(processes)
    }

    fn target(&self, work: Work) -> Target {
        Target::new(self.ingress, &format!("/alerts/{}", work.name()))
    }

    fn later(&self, later: Later) -> Option<Target> {
        // A workflow is known by a key in the path, so each has a path of its own.
        Some(Target::new(
            self.ingress,
            match later {
                Later::Loop => "/alerts/c/send",
                Later::Approval => "/approval/NUMBER/run/send",
            },
        ))
    }

    fn approval(&self, number: u64, _accepted: &Value) -> Option<Target> {
        Some(Target::new(self.ingress, &format!("/approval/{number}/approve")))
    }

    async fn completed(&self, _folder: &Path) -> anyhow::Result<Option<u64>> {
        let query = "SELECT count(*) AS n FROM sys_invocation WHERE completion_result = 'success'";
        let answer = self.ask("/query", &json!({ "query": query })).await?;
        Ok(answer.pointer("/rows/0/n").and_then(Value::as_u64))
    }
}
