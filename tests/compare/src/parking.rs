//! What a run leaves behind: on disk when it is done, in memory while it waits, and over a restart.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use lab::load::{Pace, Target};
use serde_json::Value;
use tokio::task::JoinSet;

use crate::bench::{Bench, post};
use crate::options::Options;
use crate::peer::{Later, Peer};
use crate::process::disk;
use crate::results::{Measured, Parked};
use crate::work::Work;

/// How many questions are asked, or answered, at once.
const AT_ONCE: usize = 16;
/// How long runs come to wait: with a slow system fewer do.
const TIME: Duration = Duration::from_secs(10);
/// Before memory is looked at.
const REST: Duration = Duration::from_secs(1);
/// How long nothing may happen before nobody waits for more.
const PATIENCE: Duration = Duration::from_secs(15);

pub(crate) async fn measure(
    bench: &Bench,
    options: &Options,
    peer: &dyn Peer,
    measured: &mut Measured,
) -> anyhow::Result<()> {
    let Some(target) = peer.later(Later::Approval) else { return Ok(()) };
    measured.run_bytes = Some(run_bytes(bench, options, peer).await?);

    let running = bench.start(peer).await?;
    tokio::time::sleep(REST).await;
    let before = running.processes.memory();
    let bodies: Vec<(u64, String)> = (0..options.parked())
        .map(|_| bench.number())
        .map(|number| (number, bench.alert.text(number)))
        .collect();
    let accepted =
        posts(bodies.into_iter().map(|(number, body)| (target.clone(), number, body)), TIME).await?;
    tokio::time::sleep(REST).await;
    let bytes_per_run = (running.processes.memory() as f64 - before as f64) / accepted.len() as f64;
    running.processes.stop().await;

    let running = bench.start_again(peer, running.folder).await?;
    let start_ms = running.took.as_secs_f64() * 1000.0;
    bench.world.forget();
    let began = Instant::now();
    let answers = accepted.iter().map(|(number, text)| {
        let accepted: Value = serde_json::from_str(text).unwrap_or_default();
        let target =
            peer.approval(*number, &accepted).with_context(|| format!("no way to approve {text}"))?;
        Ok((target, *number, r#"{"decision":"approve"}"#.to_owned()))
    });
    posts(answers.collect::<anyhow::Result<Vec<_>>>()?, Duration::MAX).await?;
    let resumed = resumed(bench, accepted.len() as u64).await;
    let took = began.elapsed();
    running.processes.stop().await;
    measured.parked = Some(Parked {
        runs: accepted.len() as u64,
        bytes_per_run,
        start_ms,
        resumed,
        resumed_per_second: resumed as f64 / took.as_secs_f64(),
    });
    Ok(())
}

/// What a run of the loop leaves on disk, once everything has been stopped in good order.
async fn run_bytes(bench: &Bench, options: &Options, peer: &dyn Peer) -> anyhow::Result<f64> {
    let running = bench.start(peer).await?;
    running.processes.stop().await;
    let before = disk(&running.folder);
    let running = bench.start_again(peer, running.folder).await?;
    let time = if options.quick { Duration::from_millis(500) } else { Duration::from_secs(2) };
    let report = bench.load(peer.target(Work::C), AT_ONCE, Pace::Time(time)).await?;
    running.processes.stop().await;
    let runs = report.count(200);
    ensure!(runs > 0, "no run was done in {time:?}");
    Ok((disk(&running.folder) as f64 - before as f64) / runs as f64)
}

/// Posts all of them that there is time for, some at once; gives what was answered. What is not taken is tried again for a while: a run that has
/// just begun to wait may not yet be known as one that does.
async fn posts(
    all: impl IntoIterator<Item = (Target, u64, String)>,
    time: Duration,
) -> anyhow::Result<Vec<(u64, String)>> {
    let began = Instant::now();
    let all: Arc<Vec<_>> = Arc::new(all.into_iter().collect());
    let next = Arc::new(AtomicUsize::new(0));
    let mut workers = JoinSet::new();
    for _ in 0..AT_ONCE {
        let (all, next) = (Arc::clone(&all), Arc::clone(&next));
        workers.spawn(async move {
            let mut answers = Vec::new();
            while began.elapsed() < time {
                let post = all.get(next.fetch_add(1, Ordering::SeqCst));
                let Some((target, number, body)) = post else { break };
                answers.push((*number, persist(target, *number, body).await?));
            }
            anyhow::Ok(answers)
        });
    }
    let mut answers = Vec::new();
    while let Some(done) = workers.join_next().await {
        answers.extend(done??);
    }
    Ok(answers)
}

async fn persist(target: &Target, number: u64, body: &str) -> anyhow::Result<String> {
    let began = Instant::now();
    loop {
        match post(target, number, body.to_owned()).await {
            Err(error) if began.elapsed() > PATIENCE => return Err(error),
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            Ok(answer) => return Ok(answer),
        }
    }
}

/// Waits until so many runs have made their last call, or no more do.
async fn resumed(bench: &Bench, wanted: u64) -> u64 {
    let mut last = (0, Instant::now());
    loop {
        let done = bench.world.runs("/update").values().filter(|calls| **calls > 0).count() as u64;
        if done > last.0 {
            last = (done, Instant::now());
        }
        if done >= wanted || last.1.elapsed() > PATIENCE {
            return done;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
