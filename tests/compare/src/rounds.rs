//! Load: everyone does the same work, one after the other, several times over.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use lab::load::{Pace, Report};

use crate::bench::{Bench, Running};
use crate::options::Options;
use crate::peer::Peer;
use crate::results::{Measured, Window};
use crate::say;
use crate::work::{CONCURRENCY, Work};

/// How long a system may take to write down what it has answered.
const PATIENCE: Duration = Duration::from_secs(20);
/// Before the figures count.
const WARM_UP: Duration = Duration::from_millis(200);

/// One round of one system: a fresh start, and all the work.
pub(crate) async fn round(
    bench: &Bench,
    options: &Options,
    peer: &dyn Peer,
    measured: &mut Measured,
) -> anyhow::Result<()> {
    let running = bench.start(peer).await?;
    measured.start_ms.push(running.took.as_secs_f64() * 1000.0);
    tokio::time::sleep(WARM_UP).await;
    measured.idle_bytes.push(running.processes.memory() as f64);
    let mut done = 0;
    let mut most = 0.0;
    for work in options.works() {
        done += first(bench, &running, work).await?;
        for concurrency in CONCURRENCY {
            let (window, memory) = window(bench, options, &running, work, concurrency).await?;
            done += window.done as u64;
            most = memory.max(most);
            measured.windows.push(window);
        }
    }
    measured.loaded_bytes.push(most);
    let kept = kept(&running, done).await?;
    running.processes.stop().await;
    if let Some(kept) = kept {
        let missing = measured.not_kept.unwrap_or_default() + done.saturating_sub(kept);
        measured.not_kept = Some(missing);
    }
    Ok(())
}

/// Looks at one answer, and warms up; gives how many runs that took.
async fn first(bench: &Bench, running: &Running<'_>, work: Work) -> anyhow::Result<u64> {
    let target = running.peer.target(work);
    let answer = bench.persist(&target).await?;
    let name = running.peer.name();
    ensure!(answer.contains(work.answer()), "{name} answers {} with {answer}", work.title());
    let report = bench.load(target, 16, Pace::Time(WARM_UP)).await?;
    Ok(1 + report.count(200) as u64)
}

/// Load for a moment; gives what came of it, and the most memory that the system took.
async fn window(
    bench: &Bench,
    options: &Options,
    running: &Running<'_>,
    work: Work,
    concurrency: usize,
) -> anyhow::Result<(Window, f64)> {
    bench.world.forget();
    let pace = Pace::Time(options.window(concurrency));
    let load = bench.load(running.peer.target(work), concurrency, pace);
    // To look at memory costs a little, so it is looked at under the most load only.
    let (report, memory) = match concurrency {
        64.. => beside(load, running).await,
        _ => (load.await, 0.0),
    };
    let report = report?;
    let done = report.count(200);
    if let Some((path, times)) = work.last_call() {
        // A run that was answered has made its last call; one that was given up may have.
        let calls = bench.world.counts().get(path).copied().unwrap_or_default();
        let name = running.peer.name();
        ensure!(calls >= done as u64 * times, "{name}: {done} runs of {} made {calls} calls", work.title());
    }
    let times = report.times(200);
    let ms = |part: f64| times.at(part).as_secs_f64() * 1000.0;
    let window = Window {
        work,
        concurrency,
        done,
        refused: report.answers.len() - done,
        per_second: report.per_second(200),
        p50_ms: ms(0.5),
        p95_ms: ms(0.95),
        p99_ms: ms(0.99),
    };
    Ok((window, memory))
}

/// Does something, and looks at the memory that a system takes meanwhile.
async fn beside(
    load: impl Future<Output = anyhow::Result<Report>>,
    running: &Running<'_>,
) -> (anyhow::Result<Report>, f64) {
    let is_over = AtomicBool::new(false);
    let watch = async {
        let mut most = 0;
        while !is_over.load(Ordering::SeqCst) {
            most = running.processes.memory().max(most);
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        most
    };
    let load = async {
        let report = load.await;
        is_over.store(true, Ordering::SeqCst);
        report
    };
    let (report, most) = tokio::join!(load, watch);
    (report, most as f64)
}

/// How many runs the system has in its list, once that is as many as were done, or no more come.
async fn kept(running: &Running<'_>, done: u64) -> anyhow::Result<Option<u64>> {
    let began = Instant::now();
    loop {
        let kept =
            running.peer.completed(&running.folder).await.context("it does not say what it has done")?;
        match kept {
            Some(kept) if kept < done && began.elapsed() < PATIENCE => {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            kept => return Ok(kept),
        }
    }
}

/// Everyone in turn, Portcullis before every second of the others.
pub(crate) async fn all(
    bench: &Bench,
    options: &Options,
    peers: &[Box<dyn Peer>],
    measured: &mut [Measured],
) -> anyhow::Result<()> {
    for number in 1..=options.rounds() {
        for index in order(peers.len()) {
            let (Some(peer), Some(measured)) = (peers.get(index), measured.get_mut(index)) else { continue };
            say(format_args!("round {number} of {}: {}", options.rounds(), peer.name()));
            if let Err(error) = round(bench, options, peer.as_ref(), measured).await {
                measured.trouble(error);
            }
        }
    }
    Ok(())
}

fn order(count: usize) -> Vec<usize> {
    let mut order = Vec::new();
    for peer in 1..count {
        if peer % 2 == 1 {
            order.push(0);
        }
        order.push(peer);
    }
    if order.is_empty() { vec![0; count.min(1)] } else { order }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn portcullis_comes_before_every_second_one() {
        assert_eq!(order(6), [0, 1, 2, 0, 3, 4, 0, 5]);
        assert_eq!(order(2), [0, 1]);
        assert_eq!(order(1), [0]);
        assert_eq!(order(0), [] as [usize; 0]);
    }
}
