//! The server that is measured: a process of its own, started as anybody would start it, over a folder of its own.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use ::lab::load::Target;
use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

use super::process;

/// How long a server may take to answer after it was started.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often somebody looks whether something has happened.
const TURN: Duration = Duration::from_millis(2);
const SECRET: &str = "secret-of-the-measurement";
const TOKEN: &str = "token-of-the-measurement";

/// What a server is started with.
#[derive(Default)]
pub(super) struct Setup<'a> {
    /// Playbooks, by the name of their file.
    pub(super) playbooks: Vec<(String, String)>,
    /// A hook that is none of a playbook's name.
    pub(super) hook: Option<&'a str>,
    /// Where the world outside is.
    pub(super) outside: Option<&'a str>,
    /// The line `limits` of the configuration.
    pub(super) limits: Option<&'a str>,
    /// Added to each flush.
    pub(super) flush_delay: Duration,
}

/// Configuration, playbooks, data and log of a server. It goes when this is dropped.
pub(super) struct Folder {
    path: PathBuf,
    address: SocketAddr,
    flush_delay: Duration,
}

/// A server process; it goes when this is dropped.
pub(super) struct Server<'a> {
    pub(super) folder: &'a Folder,
    child: Child,
    http: reqwest::Client,
}

/// What a server has counted since it was started, by name and labels.
pub(super) struct Counts(BTreeMap<String, u64>);

impl Folder {
    pub(super) fn new(parent: &Path, setup: &Setup<'_>) -> anyhow::Result<Folder> {
        let path = parent.join(format!("portcullis-bench-{}", uuid::Uuid::new_v4().simple()));
        let address = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let workflows = path.join("workflows");
        std::fs::create_dir_all(&workflows).with_context(|| format!("cannot create {}", path.display()))?;
        let folder = Folder { path, address, flush_delay: setup.flush_delay };
        for (name, text) in &setup.playbooks {
            std::fs::write(workflows.join(format!("{name}.yaml")), text)?;
        }
        std::fs::write(folder.config(), configuration(address, setup))?;
        Ok(folder)
    }

    pub(super) fn data(&self) -> PathBuf {
        self.path.join("data")
    }

    /// Requests to a hook of the server.
    pub(super) fn hook(&self, path: &str) -> Target {
        Target::new(self.address, &format!("/hooks/{path}")).header("x-portcullis-secret", SECRET)
    }

    fn config(&self) -> PathBuf {
        self.path.join("portcullis.yaml")
    }

    fn log(&self) -> PathBuf {
        self.path.join("server.log")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left behind is a folder for temporary files.
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

impl Server<'_> {
    /// Starts a server and waits until it takes alerts.
    pub(super) async fn start(folder: &Folder) -> anyhow::Result<Server<'_>> {
        let mut server = Server::launch(folder)?;
        let started = Instant::now();
        while !server.is_ready().await {
            server.check_lives(started)?;
            tokio::time::sleep(TURN).await;
        }
        Ok(server)
    }

    /// Starts a server; gives how long it took from there to the first alert that it took.
    pub(super) async fn start_with_alert<'a>(
        folder: &'a Folder,
        hook: &str,
        alert: &[u8],
    ) -> anyhow::Result<(Server<'a>, Duration)> {
        let url = format!("http://{}/hooks/{hook}", folder.address);
        let started = Instant::now();
        let mut server = Server::launch(folder)?;
        loop {
            let request = server.http.post(&url).header("x-portcullis-secret", SECRET).body(alert.to_vec());
            if request.send().await.is_ok_and(|answer| answer.status() == reqwest::StatusCode::ACCEPTED) {
                return Ok((server, started.elapsed()));
            }
            server.check_lives(started)?;
            tokio::time::sleep(TURN).await;
        }
    }

    fn launch(folder: &Folder) -> anyhow::Result<Server<'_>> {
        let log = std::fs::File::options().create(true).append(true).open(folder.log())?;
        let mut command = Command::new(std::env::current_exe()?);
        if folder.flush_delay.is_zero() {
            command.arg("serve");
        } else {
            command.args(["bench-child", "serve"]).arg(folder.flush_delay.as_micros().to_string());
        }
        command.arg("--config").arg(folder.config());
        command.env("BENCH_SECRET", SECRET).env("BENCH_TOKEN", TOKEN).env_remove("RUST_LOG");
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).kill_on_drop(true).spawn();
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(30)).build()?;
        Ok(Server { folder, child: child.context("cannot start the server")?, http })
    }

    fn check_lives(&mut self, started: Instant) -> anyhow::Result<()> {
        let status = self.child.try_wait()?;
        if status.is_none() && started.elapsed() < PATIENCE {
            return Ok(());
        }
        let what = status.map_or_else(|| "does not answer".to_owned(), |status| format!("ended ({status})"));
        let log = std::fs::read_to_string(self.folder.log()).unwrap_or_default();
        bail!("the server {what}:\n{log}")
    }

    async fn is_ready(&self) -> bool {
        let request = self.http.get(format!("http://{}/readyz", self.folder.address));
        request.send().await.is_ok_and(|answer| answer.status().is_success())
    }

    /// What it answers to a question of the API.
    pub(super) async fn get(&self, path: &str) -> anyhow::Result<String> {
        let request = self.http.get(format!("http://{}{path}", self.folder.address)).bearer_auth(TOKEN);
        let answer = request.send().await?.error_for_status();
        Ok(answer.context("the server does not answer")?.text().await?)
    }

    /// What it has counted since it was started.
    pub(super) async fn counts(&self) -> anyhow::Result<Counts> {
        Ok(Counts::parse(&self.get("/metrics").await?))
    }

    /// Waits until so many runs have ended since it was started.
    pub(super) async fn wait_for_runs(&mut self, runs: u64) -> anyhow::Result<()> {
        let (started, mut last) = (Instant::now(), (0, Instant::now()));
        loop {
            let finished = self.counts().await?.finished();
            if finished >= runs {
                return Ok(());
            }
            if finished > last.0 {
                last = (finished, Instant::now());
            }
            if last.1.elapsed() > PATIENCE {
                bail!("{finished} of {runs} runs have ended after {:?}, and no more", started.elapsed());
            }
            self.check_lives(last.1)?;
            tokio::time::sleep(TURN).await;
        }
    }

    /// What it has used of the processors since it was started.
    pub(super) fn cpu(&self) -> anyhow::Result<Duration> {
        process::cpu(&self.id())
    }

    /// What it takes of memory, in bytes.
    pub(super) fn memory(&self) -> anyhow::Result<u64> {
        process::memory(&self.id())
    }

    fn id(&self) -> String {
        self.child.id().unwrap_or_default().to_string()
    }

    /// Asks it to stop, and waits until it has.
    pub(super) async fn stop(mut self) -> anyhow::Result<()> {
        let id = self.child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?));
        kill_process(id.context("the server has ended")?, Signal::TERM)?;
        let status = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        status.context("the server does not stop")??;
        Ok(())
    }

    /// Kills it with SIGKILL.
    pub(super) async fn kill(mut self) -> anyhow::Result<()> {
        Ok(self.child.kill().await?)
    }
}

impl Counts {
    fn parse(text: &str) -> Counts {
        let mut counts = BTreeMap::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let Some((name, value)) = line.rsplit_once(' ') else { continue };
            counts.insert(name.to_owned(), value.parse().unwrap_or_default());
        }
        Counts(counts)
    }

    /// Runs that have ended.
    pub(super) fn finished(&self) -> u64 {
        self.of("portcullis_runs_finished_total", "")
    }

    /// Runs that have ended well.
    pub(super) fn succeeded(&self) -> u64 {
        self.of("portcullis_runs_finished_total", "status=\"succeeded\"")
    }

    /// Flushes of the journal.
    pub(super) fn flushes(&self) -> u64 {
        self.of("portcullis_store_flushes_total", "")
    }

    /// Bytes that were flushed to the journal.
    pub(super) fn flushed_bytes(&self) -> u64 {
        self.of("portcullis_store_flushed_bytes_total", "")
    }

    /// Runs that wait for a person.
    pub(super) fn waiting(&self) -> u64 {
        self.of("portcullis_runs_waiting", "")
    }

    /// Runs in which something is under way.
    pub(super) fn active(&self) -> u64 {
        self.of("portcullis_runs_active", "")
    }

    /// The sum over those with this label.
    fn of(&self, name: &str, label: &str) -> u64 {
        let of_name = |key: &str| key.split('{').next() == Some(name) && key.contains(label);
        self.0.iter().filter(|(key, _)| of_name(key)).map(|(_, value)| value).sum()
    }
}

fn configuration(address: SocketAddr, setup: &Setup<'_>) -> String {
    let connections = setup
        .outside
        .map(|url| format!("connections:\n  outside: {{ product: http, url: \"{url}\", in_flight: 512 }}\n"));
    let limits = setup.limits.map(|limits| format!("limits: {limits}\n"));
    let hooks = setup.playbooks.iter().flat_map(|(name, _)| [name.clone(), format!("{name}_answered")]);
    let hooks: String = hooks
        .chain(setup.hook.map(str::to_owned))
        .map(|hook| format!("  {hook}: {{ secret: {{ env: BENCH_SECRET }} }}\n"))
        .collect();
    format!(
        "listen: {address}\ndata_dir: data\nworkflows: workflows\n{}{}hooks:\n{hooks}api:\n  tokens:\n    - {{ name: bench, token: {{ env: BENCH_TOKEN }}, roles: [admin] }}\n",
        connections.unwrap_or_default(),
        limits.unwrap_or_default(),
    )
}
