//! DBOS: a program of ours with its library, over a PostgreSQL of its own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use async_trait::async_trait;
use lab::load::Target;
use rustix::process::Signal;
use serde_json::Value;
use tokio::process::Command;

use super::{Later, Peer, client, free_address};
use crate::install::Cache;
use crate::process::Processes;
use crate::work::Work;

/// What it takes of PostgreSQL.
const PROGRAMS: [&str; 3] = ["initdb", "postgres", "pg_isready"];
/// How long PostgreSQL may take to start.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) struct Dbos {
    cache: Cache,
    installed: PathBuf,
    world: String,
    service: SocketAddr,
    postgres: Postgres,
}

struct Postgres {
    /// The folder of its programs.
    programs: PathBuf,
    /// It refuses to run as root: then as whom.
    user: Option<(u32, u32)>,
    address: SocketAddr,
}

impl Dbos {
    pub(super) async fn install(cache: Cache, world: &str) -> anyhow::Result<Dbos> {
        let postgres = Postgres::find()?;
        let installed = cache.install("dbos", &[]).await?;
        Ok(Dbos { cache, installed, world: world.to_owned(), service: free_address()?, postgres })
    }
}

impl Postgres {
    fn find() -> anyhow::Result<Postgres> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
        let mut debian: Vec<PathBuf> = debian.map(|version| version.path().join("bin")).collect();
        debian.sort();
        let mut folders = std::env::split_paths(&path).chain(debian.into_iter().rev());
        let has_all = |folder: &PathBuf| PROGRAMS.iter().all(|program| folder.join(program).exists());
        let programs = folders.find(has_all);
        let programs =
            programs.with_context(|| format!("there is no PostgreSQL ({})", PROGRAMS.join(", ")))?;
        let user = if rustix::process::geteuid().is_root() {
            Some(user("postgres").or_else(|| user("nobody")).context("PostgreSQL does not run as root")?)
        } else {
            None
        };
        Ok(Postgres { programs, user, address: free_address()? })
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        if let Some((user, group)) = self.user {
            command.uid(user).gid(group);
        }
        command
    }

    async fn initialise(&self, folder: &Path) -> anyhow::Result<()> {
        let data = folder.join("postgres");
        std::fs::create_dir_all(&data)?;
        if let Some((user, group)) = self.user {
            std::os::unix::fs::chown(&data, Some(user), Some(group))?;
        }
        let mut command = self.command("initdb");
        command.arg("-D").arg(&data).args(["--auth=trust", "--username=compare", "--encoding=UTF8"]);
        let output = command.current_dir("/").output().await.context("cannot start initdb")?;
        anyhow::ensure!(
            output.status.success(),
            "initdb: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
        Ok(())
    }

    async fn is_ready(&self) -> anyhow::Result<bool> {
        let mut command = Command::new(self.programs.join("pg_isready"));
        command.args(["-q", "-h", "127.0.0.1", "-p", &self.address.port().to_string()]);
        Ok(command.status().await.context("cannot start pg_isready")?.success())
    }

    /// As it comes: it waits for the disk (`fsync`, `synchronous_commit`) at each commit.
    async fn start(&self, folder: &Path, processes: &mut Processes) -> anyhow::Result<()> {
        let mut command = self.command("postgres");
        command.arg("-D").arg(folder.join("postgres")).arg("-p").arg(self.address.port().to_string());
        command.args([
            "-c",
            "listen_addresses=127.0.0.1",
            "-c",
            "unix_socket_directories=",
            "-c",
            "fsync=on",
        ]);
        processes.spawn(command, folder, Signal::INT)?;
        let listens = async {
            // After a crash it listens before it takes anybody.
            while !self.is_ready().await? {
                processes.check()?;
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            anyhow::Ok(())
        };
        tokio::time::timeout(PATIENCE, listens).await?
    }
}

/// The numbers of a user and its group.
fn user(name: &str) -> Option<(u32, u32)> {
    let users = std::fs::read_to_string("/etc/passwd").ok()?;
    let line = users.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(":"))?;
    let mut fields = line.split(':').skip(1).map(str::parse);
    Some((fields.next()?.ok()?, fields.next()?.ok()?))
}

#[async_trait]
impl Peer for Dbos {
    fn name(&self) -> &'static str {
        "DBOS"
    }

    fn version(&self) -> String {
        let version =
            std::process::Command::new(self.postgres.programs.join("postgres")).arg("--version").output();
        let version =
            version.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
        let postgres = version.split_whitespace().nth(2).unwrap_or("?").to_owned();
        format!("{}, PostgreSQL {postgres}", self.cache.version("dbos", "@dbos-inc/dbos-sdk"))
    }

    async fn prepare(&self, folder: &Path) -> anyhow::Result<()> {
        std::fs::create_dir_all(folder)?;
        self.postgres.initialise(folder).await?;
        // The first start makes its tables.
        let processes = self.start(folder).await?;
        let url = format!("http://{}/completed", self.service);
        let ready = async {
            while client()?.get(&url).send().await.is_err() {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            anyhow::Ok(())
        };
        tokio::time::timeout(PATIENCE, ready).await??;
        processes.stop().await;
        Ok(())
    }

    async fn start(&self, folder: &Path) -> anyhow::Result<Processes> {
        let mut processes = Processes::default();
        self.postgres.start(folder, &mut processes).await?;
        let mut service = self.cache.run(&self.installed.join("service.ts"));
        service.env("DATABASE", format!("postgresql://compare@{}/compare", self.postgres.address));
        service.env("PORT", self.service.port().to_string()).env("WORLD", &self.world);
        processes.spawn(service, folder, Signal::TERM)?;
        Ok(processes)
    }

    fn target(&self, work: Work) -> Target {
        Target::new(self.service, &format!("/run/{}", work.name()))
    }

    fn later(&self, later: Later) -> Option<Target> {
        Some(Target::new(
            self.service,
            match later {
                Later::Loop => "/start/c",
                Later::Approval => "/start/approval",
            },
        ))
    }

    fn approval(&self, number: u64, _accepted: &Value) -> Option<Target> {
        Some(Target::new(self.service, &format!("/approve/{number}")))
    }

    async fn completed(&self, _folder: &Path) -> anyhow::Result<Option<u64>> {
        let answer = client()?.get(format!("http://{}/completed", self.service)).send().await?;
        let answer: Value = serde_json::from_str(&answer.error_for_status()?.text().await?)?;
        Ok(answer.pointer("/completed").and_then(Value::as_u64))
    }
}
