//! What every measurement takes: the mock, the alert, a folder for data, and the load.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use lab::load::{Load, Pace, Report, Target};
use lab::outside::Outside;
use serde_json::Value;

use crate::peer::{Peer, client};
use crate::process::{Processes, copy};
use crate::work::{Alert, Work};

/// How long a system may take until it does the first work.
const PATIENCE: Duration = Duration::from_secs(180);
/// How often somebody asks whether it does.
const TURN: Duration = Duration::from_millis(5);

pub(crate) struct Bench {
    pub(crate) world: Outside,
    pub(crate) alert: Alert,
    folder: PathBuf,
    next: AtomicU64,
}

/// A system that runs over a copy of its folder.
pub(crate) struct Running<'a> {
    pub(crate) peer: &'a dyn Peer,
    pub(crate) folder: PathBuf,
    pub(crate) processes: Processes,
    /// From the start of the first process to the first work that was done.
    pub(crate) took: Duration,
}

impl Bench {
    pub(crate) async fn new() -> anyhow::Result<Bench> {
        let folder = std::env::temp_dir().join(format!("portcullis-compare-{}", std::process::id()));
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        let world = Outside::start(Duration::ZERO).await?;
        Ok(Bench { world, alert: Alert::new()?, folder, next: AtomicU64::new(1) })
    }

    /// Where everything is that somebody writes.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The folder from whose copies a system is started.
    pub(crate) fn template(&self, peer: &dyn Peer) -> PathBuf {
        self.folder.join(format!("{}.template", peer.name().replace([' ', '(', ')'], "")))
    }

    /// Starts a system over a fresh copy of its folder.
    pub(crate) async fn start<'a>(&self, peer: &'a dyn Peer) -> anyhow::Result<Running<'a>> {
        let folder = self.folder.join("now");
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        copy(&self.template(peer), &folder).await?;
        self.start_again(peer, folder).await
    }

    /// Starts a system over the folder that it had before.
    pub(crate) async fn start_again<'a>(
        &self,
        peer: &'a dyn Peer,
        folder: PathBuf,
    ) -> anyhow::Result<Running<'a>> {
        let began = Instant::now();
        let mut processes = peer.start(&folder).await?;
        let target = peer.target(Work::A);
        while self.ask(&target, self.number()).await.is_err() {
            if let Err(error) = processes.check().and_then(|()| {
                anyhow::ensure!(began.elapsed() < PATIENCE, "it does not answer");
                Ok(())
            }) {
                let log = std::fs::read_to_string(folder.join("log")).unwrap_or_default();
                let last: Vec<&str> = log.lines().rev().take(5).collect();
                return Err(error.context(format!("{}: {}", peer.name(), last.join(" | "))));
            }
            tokio::time::sleep(TURN).await;
        }
        Ok(Running { peer, folder, processes, took: began.elapsed() })
    }

    /// A number that no alert has had.
    pub(crate) fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::SeqCst)
    }

    /// Posts alerts until one is taken, for a system may come to know its paths one after the other; gives the answer.
    pub(crate) async fn persist(&self, target: &Target) -> anyhow::Result<String> {
        let began = Instant::now();
        loop {
            match self.ask(target, self.number()).await {
                Err(error) if began.elapsed() > PATIENCE => return Err(error),
                Err(_) => tokio::time::sleep(TURN).await,
                Ok(answer) => return Ok(answer),
            }
        }
    }

    /// Posts one alert; gives what is answered if it was taken.
    pub(crate) async fn ask(&self, target: &Target, number: u64) -> anyhow::Result<String> {
        let answer = post(target, number, self.alert.text(number)).await?;
        // While n8n starts it says so, with a 200, to whatever comes.
        serde_json::from_str::<Value>(&answer).with_context(|| format!("this is no answer: {answer}"))?;
        Ok(answer)
    }

    /// Sends alerts, so many at once.
    pub(crate) async fn load(
        &self,
        target: Target,
        concurrency: usize,
        pace: Pace,
    ) -> anyhow::Result<Report> {
        let first = self.next.load(Ordering::SeqCst);
        let report = Load { target, concurrency, pace, first, body: self.alert.body() }.run().await?;
        let last = report.answers.iter().map(|answer| answer.number).max().unwrap_or(first);
        self.next.store(last + 1, Ordering::SeqCst);
        Ok(report)
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        // What is left behind is a folder for temporary files.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Posts one body; gives what is answered if it was taken.
pub(crate) async fn post(target: &Target, number: u64, body: String) -> anyhow::Result<String> {
    let path = target.path.replace("NUMBER", &number.to_string());
    let mut request = client()?.post(format!("http://{}{path}", target.address)).body(body);
    request = request.header("content-type", "application/json");
    for (name, value) in &target.headers {
        request = request.header(name, value);
    }
    Ok(request.send().await?.error_for_status()?.text().await?)
}
