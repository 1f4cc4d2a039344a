//! Memory, idle and with runs that wait for people, and how long a start takes.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use ::lab::load::Pace;
use anyhow::{Context as _, bail};
use rustix::fs::{Advice, fadvise};

use super::acceptance::ms;
use super::figure::{Figure, Unit};
use super::{Bench, CONCURRENCY, Folder, Server, Setup, playbook};

const PARK: &str = "park";
const NOTE: &str = "one_step";
const ROW: &str = "parked";
/// How long the memory has to come to rest.
const REST: Duration = Duration::from_secs(1);
/// So many alerts are posted at once until all are parked.
const PORTION: u64 = 5000;

pub(super) async fn parked(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let setup = || Setup {
        playbooks: vec![
            playbook(PARK, include_str!("park.yaml")),
            playbook(NOTE, include_str!("one_step.yaml")),
        ],
        ..Setup::default()
    };
    let (mut empty, mut idle) = (Vec::new(), Vec::new());
    for _ in 0..bench.rounds {
        let folder = bench.folder(&setup())?;
        let (server, took) = start(bench, &folder).await?;
        empty.push(ms(took));
        tokio::time::sleep(REST / 4).await;
        idle.push(megabytes(server.memory()?));
    }
    let idle = Figure::new(ROW, "resident memory, idle", Unit::Megabytes, idle).at_most(35.0);
    let above = |memory: u64| vec![megabytes(memory) - idle.value()];
    let folder = bench.folder(&setup())?;
    let server = Server::start(&folder).await?;
    park(bench, &server).await?;
    tokio::time::sleep(REST).await;
    let grown = above(server.memory()?);
    server.stop().await?;
    let (server, stopped) = start(bench, &folder).await?;
    tokio::time::sleep(REST).await;
    let restarted = above(server.memory()?);
    server.kill().await?;
    forget_pages(&folder.data())?;
    let (server, killed) = start(bench, &folder).await?;
    server.kill().await?;
    let runs = format!("{} parked runs", bench.parked);
    let time = |what: String, time: Duration, bound: f64| {
        Figure::new(ROW, what, Unit::Milliseconds, vec![ms(time)]).at_most(bound)
    };
    let memory =
        |what: String, memory: Vec<f64>| Figure::new(ROW, what, Unit::Megabytes, memory).at_most(64.0);
    Ok(vec![
        Figure::new(ROW, "start until the first 202, empty", Unit::Milliseconds, empty).at_most(150.0),
        time(format!("start until the first 202, {runs}"), stopped, 1000.0),
        time(format!("start until the first 202, {runs}, after SIGKILL, cold cache"), killed, 1500.0),
        idle,
        memory(format!("{runs}: memory above idle, after a start"), restarted),
        memory(format!("{runs}: memory above idle, in the process that took them"), grown),
    ])
}

async fn start<'a>(bench: &Bench, folder: &'a Folder) -> anyhow::Result<(Server<'a>, Duration)> {
    Server::start_with_alert(folder, NOTE, &bench.alert.text(0)).await
}

/// Posts alerts until so many runs wait for a person.
async fn park(bench: &Bench, server: &Server<'_>) -> anyhow::Result<()> {
    loop {
        let waiting = server.counts().await?.waiting();
        let missing = bench.parked.saturating_sub(waiting).min(PORTION);
        if missing == 0 {
            return Ok(());
        }
        let report = bench.post(&server.folder.hook(PARK), CONCURRENCY, Pace::Requests(missing)).await?;
        if report.count(202) == 0 {
            bail!("no alert was taken: {:?}", report.statuses());
        }
    }
}

/// Has the system forget what it remembers of the files below a folder, so that they are read from the disk again.
fn forget_pages(folder: &Path) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            forget_pages(&path)?;
        } else {
            let file = File::open(&path).with_context(|| format!("cannot open {}", path.display()))?;
            // Only what is on disk can be forgotten.
            file.sync_all()?;
            fadvise(&file, 0, None, Advice::DontNeed)?;
        }
    }
    Ok(())
}

fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
