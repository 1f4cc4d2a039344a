//! What the index takes: processor time of the thread that brings it up to date, for each run, bytes of its file, memory,
//! and how long it takes to open. Of runs with two appends that end at once, of such that wait for a person, and of
//! runs with six appends.
//!
//! `cargo bench -p store-sled --bench catch_up`, or with `-- RUNS` for another number than 100,000.

#![expect(clippy::print_stdout, reason = "figures are what it is for")]

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use model::RunStatus;
use store::conformance::sample;
use store::{Append, Position, Store};
use store_sled::{Settings, SledStore};

/// So many runs are made at once; that many came in 20 ms at 5,000 a second.
const BATCH: u32 = 100;

fn main() {
    let arguments = std::env::args().skip(1).find(|argument| argument != "--bench");
    let runs: u32 = arguments.and_then(|number| number.parse().ok()).unwrap_or(100_000);
    println!("{:<22} {:>10} {:>12} {:>10} {:>9}", "a run", "index us", "index bytes", "memory MB", "open ms");
    measure("two appends, ends", runs, |number| {
        let first = sample::create(number);
        let mut end = sample::follow(&first, 4);
        end.summary.status = RunStatus::Succeeded;
        vec![first, end]
    });
    measure("two appends, waits", runs, |number| {
        let first = sample::create(number);
        let asks = sample::ask(&first);
        vec![first, asks]
    });
    measure("six appends, ends", runs, |number| {
        let mut all = vec![sample::create_once(number, &format!("alert/{number}"), 900)];
        for fact in 0..5 {
            let status = if fact == 4 { RunStatus::Succeeded } else { RunStatus::Running };
            all.push(sample::follow_as(&all[fact], status));
        }
        all
    });
}

fn measure(what: &str, runs: u32, appends: impl Fn(u32) -> Vec<Append>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime can be made");
    let folder = tempfile::TempDir::new_in(".").expect("a folder can be made");
    let open = || SledStore::open(folder.path(), &Settings::default()).expect("the store opens");
    let before = memory();
    let store = open();
    for first in (0..runs).step_by(BATCH as usize) {
        let began = Instant::now();
        let last = first + BATCH.min(runs - first);
        let all: Vec<Vec<Append>> = (first..last).map(&appends).collect();
        let most = all.iter().map(Vec::len).max().unwrap_or(0);
        for at in 0..most {
            let appends = all.iter().filter_map(|run| run.get(at)).cloned().collect();
            runtime.block_on(store.append(appends)).expect("the store works");
        }
        runtime.block_on(store.durable(Position::LATEST)).expect("the store works");
        std::thread::sleep(Duration::from_millis(20).saturating_sub(began.elapsed()));
    }
    // Nothing is old enough; it waits for the index.
    runtime.block_on(store.prune(sample::second(-1))).expect("the store works");
    let (taken, memory) = (index_time(), memory().saturating_sub(before));
    drop(store);
    let bytes = fs::metadata(folder.path().join("index").join("db")).map_or(0, |data| data.len());
    let mut times: Vec<Duration> = (0..5)
        .map(|_| {
            let began = Instant::now();
            let store = open();
            let took = began.elapsed();
            drop(store);
            took
        })
        .collect();
    times.sort_unstable();
    println!(
        "{what:<22} {:>10.1} {:>12} {:>10} {:>9}",
        taken.as_secs_f64() * 1e6 / f64::from(runs),
        bytes / u64::from(runs),
        memory >> 20,
        times[2].as_millis()
    );
}

/// The processor time of the thread that brings the index up to date.
fn index_time() -> Duration {
    let tasks = fs::read_dir("/proc/self/task").expect("the threads can be listed");
    let time = |task: &Path| {
        let name = fs::read_to_string(task.join("comm")).ok()?;
        let times = fs::read_to_string(task.join("schedstat")).ok()?;
        let nanos = times.split(' ').next()?.parse().ok()?;
        (name.trim() == "store-index").then_some(Duration::from_nanos(nanos))
    };
    tasks.filter_map(|task| time(&task.ok()?.path())).sum()
}

/// What the process takes of memory.
fn memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}
