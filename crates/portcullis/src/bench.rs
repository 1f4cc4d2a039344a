//! `portcullis bench`: how fast this program is on this machine, without any other system.
//!
//! The server that is measured is a process of its own, `portcullis serve` over a folder of its own. The client and the world
//! outside that the playbooks call are in this process, so they share the processors with the server. What is compared with
//! something (a bare handler, a bare loop of calls) is measured in turns with it, and that is a process of its own too.

mod acceptance;
mod alert;
pub(crate) mod child;
mod figure;
mod http;
mod kill;
mod overload;
mod parked;
mod process;
mod pure;
mod server;
mod soc;
mod when;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ::lab::load::{Load, Pace, Report, Target};
use anyhow::{Context as _, bail};
use clap::ValueEnum;
use serde_json::json;

use crate::cli::BenchOptions;
use crate::show;
use alert::Alert;
use figure::Figure;
use server::{Folder, Server, Setup};

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Row {
    /// Alerts that are on disk when they are answered, against a handler that only parses them.
    Acceptance,
    /// The same on a disk that takes a millisecond more for each flush.
    SlowDisk,
    /// Playbooks that only compute: runs a second, processor and disk for each.
    Pure,
    /// Six calls that read and six that change something: runs a second, processor and flushes for each.
    Http,
    /// The loop of a SOC, against a bare loop of the same calls.
    Soc,
    /// Memory, idle and with parked runs, and how long a start takes.
    Parked,
    /// Three times as much as it can do.
    Overload,
    /// 500 playbooks on one hook.
    When,
    /// SIGKILL under load: what was lost, and what was done twice.
    Kill,
}

/// The number of the first alert. The runs of a bare loop have smaller ones.
const FIRST: u64 = 1_000_000_000;
/// So many alerts at once, where nothing else is said.
const CONCURRENCY: usize = 64;
/// More alerts than a server takes into memory at once are not waited for together.
const MOST_RUNS: f64 = 8000.0;

/// What the rows share.
struct Bench {
    rounds: usize,
    /// How long a round takes, about.
    round: Duration,
    /// The fewest runs of a round.
    fewest: u64,
    parked: u64,
    kills: u32,
    parent: PathBuf,
    alert: Alert,
    next: AtomicU64,
}

/// Runs that were started and have ended.
struct Completed {
    runs: u64,
    elapsed: Duration,
    cpu: Duration,
    flushes: u64,
    flushed_bytes: u64,
}

pub(crate) async fn bench(options: &BenchOptions) -> anyhow::Result<bool> {
    let bench = Bench {
        rounds: options.rounds.unwrap_or(if options.quick { 1 } else { 5 }).max(1),
        round: Duration::from_millis(if options.quick { 100 } else { 800 }),
        fewest: if options.quick { 20 } else { 100 },
        parked: options.parked.unwrap_or(if options.quick { 500 } else { 100_000 }),
        kills: options.kills.unwrap_or(if options.quick { 1 } else { 10 }),
        parent: options.dir.clone().unwrap_or_else(std::env::temp_dir),
        alert: Alert::new()?,
        next: AtomicU64::new(FIRST),
    };
    let rows = if options.rows.is_empty() { Row::value_variants() } else { &options.rows };
    let mut figures = Vec::new();
    for row in rows {
        let began = Instant::now();
        let name = row.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
        let measured = bench.measure(*row).await.with_context(|| format!("cannot measure `{name}`"))?;
        figures.extend(measured);
        eprintln!("{name}: {:.1} s", began.elapsed().as_secs_f64());
    }
    let cells: Vec<Vec<String>> = figures.iter().map(Figure::cells).collect();
    show::put(show::table(&Figure::HEAD, &cells));
    show::say(machine());
    if let Some(path) = &options.json {
        let text = serde_json::to_string_pretty(&json!({
            "version": env!("CARGO_PKG_VERSION"),
            "machine": machine(),
            "figures": figures,
        }))?;
        std::fs::write(path, text + "\n").with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(figures.iter().all(|figure| figure.is_met() != Some(false)))
}

impl Bench {
    async fn measure(&self, row: Row) -> anyhow::Result<Vec<Figure>> {
        match row {
            Row::Acceptance => acceptance::acceptance(self).await,
            Row::SlowDisk => acceptance::slow_disk(self).await,
            Row::Pure => pure::pure(self).await,
            Row::Http => http::http(self).await,
            Row::Soc => soc::soc(self).await,
            Row::Parked => parked::parked(self).await,
            Row::Overload => overload::overload(self).await,
            Row::When => when::when(self).await,
            Row::Kill => kill::kill(self).await,
        }
    }

    fn folder(&self, setup: &Setup<'_>) -> anyhow::Result<Folder> {
        Folder::new(&self.parent, setup)
    }

    /// Posts alerts, each with a number that no other has.
    async fn post(&self, target: &Target, concurrency: usize, pace: Pace) -> anyhow::Result<Report> {
        const APART: u64 = 100_000_000;
        let first = self.next.fetch_add(APART, Ordering::Relaxed);
        let load = Load { target: target.clone(), concurrency, pace, first, body: self.alert.body() };
        Ok(load.run().await?)
    }

    /// Posts as many alerts as fit into a round, and waits until their runs have ended.
    async fn complete(&self, server: &mut Server<'_>, hook: &str) -> anyhow::Result<Completed> {
        let warm_up = self.complete_some(server, hook, CONCURRENCY, self.fewest).await?;
        let runs = warm_up.per_second() * self.round.as_secs_f64();
        let runs = runs.clamp(self.fewest as f64, MOST_RUNS);
        self.complete_some(server, hook, CONCURRENCY, runs as u64).await
    }

    /// Posts so many alerts, and waits until their runs have ended.
    async fn complete_some(
        &self,
        server: &mut Server<'_>,
        hook: &str,
        concurrency: usize,
        runs: u64,
    ) -> anyhow::Result<Completed> {
        let (counts, cpu, began) = (server.counts().await?, server.cpu()?, Instant::now());
        let report = self.post(&server.folder.hook(hook), concurrency, Pace::Requests(runs)).await?;
        let taken = (report.count(202) + report.count(200)) as u64;
        if taken < runs {
            bail!("of {runs} alerts {taken} were taken: {:?}", report.statuses());
        }
        server.wait_for_runs(counts.finished() + runs).await?;
        let elapsed = began.elapsed();
        let (after, cpu) = (server.counts().await?, server.cpu()?.saturating_sub(cpu));
        let failed = runs.saturating_sub(after.succeeded() - counts.succeeded());
        if failed > 0 {
            bail!("of {runs} runs {failed} did not succeed");
        }
        let flushes = after.flushes() - counts.flushes();
        let flushed_bytes = after.flushed_bytes() - counts.flushed_bytes();
        Ok(Completed { runs, elapsed, cpu, flushes, flushed_bytes })
    }
}

impl Completed {
    fn per_second(&self) -> f64 {
        self.runs as f64 / self.elapsed.as_secs_f64()
    }

    fn cpu_us(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.runs as f64
    }

    fn flushes(&self) -> f64 {
        self.flushes as f64 / self.runs as f64
    }

    fn flushed_bytes(&self) -> f64 {
        self.flushed_bytes as f64 / self.runs as f64
    }
}

/// The processors, their number, and how this program was built: figures mean nothing without.
fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("a processor of unknown kind", |(_, model)| model.trim());
    let build = if cfg!(debug_assertions) { ", a debug build: the figures mean little" } else { "" };
    format!("{cores} cores, {model}{build}")
}

/// A playbook by its name, for [`Setup`].
fn playbook(name: &str, text: &str) -> (String, String) {
    (name.to_owned(), text.to_owned())
}
