//! SIGKILL under load: what was lost of that which was accepted, and what was done twice.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use ::lab::load::{Pace, Report};
use ::lab::outside::Outside;
use anyhow::bail;

use super::figure::{Figure, Unit};
use super::soc::{HOOK, SOC};
use super::{Bench, Server, Setup, playbook};

const ROW: &str = "kill";
const EFFECTS: [&str; 3] = ["/case", "/block", "/update"];
/// The calls take a moment, so that each kill finds many under way.
const DELAY: Duration = Duration::from_millis(2);
const CONCURRENCY: usize = 16;
/// How long a server lives, at least, and how much longer.
const LIFE_MS: u64 = 300;
const MORE_MS: u64 = 400;
/// How long it may take until nothing is under way any more.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) async fn kill(bench: &Bench) -> anyhow::Result<Vec<Figure>> {
    let outside = Outside::start(DELAY).await?;
    let url = outside.url();
    let setup = Setup { playbooks: vec![playbook(HOOK, SOC)], outside: Some(&url), ..Setup::default() };
    let folder = bench.folder(&setup)?;
    let server = Server::start(&folder).await?;
    let lives = kill_and_restart(server, bench.kills);
    let time = Duration::from_millis((LIFE_MS + MORE_MS) * u64::from(bench.kills + 1));
    let target = folder.hook(HOOK);
    let (server, report) = tokio::join!(lives, bench.post(&target, CONCURRENCY, Pace::Time(time)));
    let (server, report) = (server?, report?);
    let waiting = settle(&server).await?;
    Ok(judge(&outside, &report, waiting, bench.kills))
}

/// Lets the server live for a while, kills it and starts it again, so many times.
async fn kill_and_restart(mut server: Server<'_>, kills: u32) -> anyhow::Result<Server<'_>> {
    for kill in 0..kills {
        // Each life has another length, the same in each measurement.
        let more = u64::from(kill) * 137 % MORE_MS;
        tokio::time::sleep(Duration::from_millis(LIFE_MS + more)).await;
        let folder = server.folder;
        server.kill().await?;
        server = Server::start(folder).await?;
    }
    Ok(server)
}

/// Waits until nothing is under way; gives how many runs wait for somebody to say what became of a call.
async fn settle(server: &Server<'_>) -> anyhow::Result<u64> {
    let began = Instant::now();
    let mut quiet = 0;
    while quiet < 10 {
        if began.elapsed() > PATIENCE {
            bail!("after {PATIENCE:?} something is still under way");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        quiet = if server.counts().await?.active() == 0 { quiet + 1 } else { 0 };
    }
    Ok(server.counts().await?.waiting())
}

/// Compares what was answered with what the world outside has seen. An alert that was accepted has called it, and has made all
/// its calls or waits for a person; no effect has happened twice.
fn judge(outside: &Outside, report: &Report, waiting: u64, kills: u32) -> Vec<Figure> {
    let seen: BTreeSet<String> = outside.runs("/token").into_keys().collect();
    let accepted: Vec<String> = report.with(202).map(|answer| answer.number.to_string()).collect();
    let never_begun = accepted.iter().filter(|number| !seen.contains(*number)).count() as u64;
    let complete = outside.runs("/update").values().filter(|count| **count > 0).count() as u64;
    let stuck = (seen.len() as u64).saturating_sub(complete + waiting);
    let doubled: u32 = EFFECTS
        .iter()
        .flat_map(|path| outside.runs(path).into_values())
        .map(|count| count.saturating_sub(1))
        .sum();
    let count = |what: &str, count: f64| Figure::new(ROW, what, Unit::Count, vec![count]);
    vec![
        count("kills", f64::from(kills)),
        count("alerts accepted", accepted.len() as f64),
        count("accepted alerts lost", (never_begun + stuck) as f64).at_most(0.0),
        count("effects doubled", f64::from(doubled)).at_most(0.0),
        count("runs in doubt, which wait for a person", waiting as f64),
    ]
}
