//! kill -9 of everything in the midst of load: what becomes of alerts that were answered.

use std::time::{Duration, Instant};

use lab::load::{Pace, Report};

use crate::bench::Bench;
use crate::options::Options;
use crate::peer::{Later, Peer};
use crate::results::{Crash, Measured};
use crate::say;
use crate::work::Work;

const CONCURRENCY: usize = 16;
/// When it is killed: not before a run of the loop has had the time that three of them take.
const KILL: Duration = Duration::from_millis(1500);
const RUNS: f64 = 3.0;
/// How long alerts come after that.
const AFTER: Duration = Duration::from_millis(200);
/// How long nothing may happen before what is missing counts as lost, and how long that may take.
const SILENCE: Duration = Duration::from_secs(3);
const PATIENCE: Duration = Duration::from_secs(90);
/// How long the first run may take.
const FIRST: Duration = Duration::from_secs(15);
/// How often each is killed.
const TIMES: u32 = 2;

pub(crate) async fn measure(
    bench: &Bench,
    options: &Options,
    peer: &dyn Peer,
    measured: &mut Measured,
) -> anyhow::Result<()> {
    let run = measured.at(Work::C, CONCURRENCY, |window| window.p50_ms).unwrap_or_default();
    let kill = KILL.max(Duration::from_secs_f64(RUNS * run / 1000.0));
    for _ in 0..TIMES.min(options.rounds()) {
        measured.crashes.extend(once(bench, peer, kill).await?);
    }
    Ok(())
}

async fn once(bench: &Bench, peer: &dyn Peer, kill: Duration) -> anyhow::Result<Option<Crash>> {
    let Some(target) = peer.later(Later::Loop) else { return Ok(None) };
    let running = bench.start(peer).await?;
    bench.world.forget();
    bench.persist(&target).await?;
    if !does_its_work(bench).await {
        // Whatever keeps it from working: a kill would say nothing of it.
        say(format!("{}: the first run made no last call, so no kill is measured", peer.name()));
        running.processes.stop().await;
        return Ok(None);
    }
    bench.world.forget();
    let processes = running.processes;
    let killed = async {
        tokio::time::sleep(kill).await;
        processes.kill().await;
    };
    let load = bench.load(target, CONCURRENCY, Pace::Time(kill + AFTER));
    let (report, ()) = tokio::join!(load, killed);
    let running = bench.start_again(peer, running.folder).await?;
    silence(bench).await;
    let asks = peer.in_doubt().await?;
    running.processes.stop().await;
    Ok(Some(count(bench, &report?, asks)))
}

/// Whether the last call of a run comes, before anything is killed.
async fn does_its_work(bench: &Bench) -> bool {
    let began = Instant::now();
    while bench.world.runs("/update").is_empty() {
        if began.elapsed() > FIRST {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    true
}

/// Waits until no more calls come.
async fn silence(bench: &Bench) {
    let began = Instant::now();
    let mut last = (0, Instant::now());
    while last.1.elapsed() < SILENCE && began.elapsed() < PATIENCE {
        let calls = bench.world.counts().values().sum();
        if calls != last.0 {
            last = (calls, Instant::now());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn count(bench: &Bench, report: &Report, asks: u64) -> Crash {
    let (updates, blocks) = (bench.world.runs("/update"), bench.world.runs("/block"));
    let is_taken = |status: Option<u16>| status.is_some_and(|status| (200..300).contains(&status));
    let accepted = report.answers.iter().filter(|answer| is_taken(answer.status));
    let mut crash = Crash { accepted: 0, lost: 0, asks, doubled: 0 };
    let mut open = 0;
    for answer in accepted {
        crash.accepted += 1;
        let of =
            |calls: &std::collections::BTreeMap<String, u32>| calls.get(&answer.number.to_string()).copied();
        open += u64::from(of(&updates).unwrap_or_default() == 0);
    }
    crash.doubled = blocks.values().filter(|calls| **calls > 1).count() as u64;
    // Some that wait for a person were never answered, so this says rather too many than too few.
    crash.lost = open.saturating_sub(asks);
    crash
}
