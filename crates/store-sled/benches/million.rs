//! What the store takes of disk and memory over a million runs: ten facts and an alert of 2 KB each, a thousand parked
//! runs that stay, and the 20,000 that finished last are kept.
//!
//! `cargo bench -p store-sled --bench million`, or with `-- RUNS KEPT PARKED` for other numbers. It takes some minutes.

#![expect(clippy::print_stdout, reason = "figures are what it is for")]

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use model::{Event, RunStatus};
use serde_json::{Value, json};
use store::conformance::sample;
use store::{Append, Position, Store};
use store_sled::{Settings, SledStore};

/// So many runs are made at once, and so many lines are printed.
const BATCH: u32 = 200;
const LINES: u32 = 25;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let number =
        |at: usize, usual: u32| arguments.get(at).and_then(|text| text.parse().ok()).unwrap_or(usual);
    let (runs, kept, parked) = (number(0, 1_000_000), number(1, 20_000), number(2, 1_000));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime can be made");
    let folder = tempfile::TempDir::new_in(".").expect("a folder can be made");
    let open = || SledStore::open(folder.path(), &Settings::default()).expect("the store opens");
    let began = Instant::now();
    println!(
        "{:>9} {:>8} {:>10} {:>10} {:>9} {:>8}",
        "runs", "stored", "journal MB", "index MB", "memory MB", "seconds"
    );
    let show = |made: u32, stored: u64| {
        let size = |name: &str| bytes(&folder.path().join(name)) >> 20;
        let (journal, index, seconds) = (size("journal"), size("index"), began.elapsed().as_secs());
        println!("{made:>9} {stored:>8} {journal:>10} {index:>10} {:>9} {seconds:>8}", memory() >> 20);
    };
    let store = open();
    let mut stored: u64 = 0;
    for first in (0..runs).step_by(BATCH as usize) {
        let made = BATCH.min(runs - first);
        let is_parked =
            |number: u32| u64::from(number) * u64::from(parked) % u64::from(runs) < u64::from(parked);
        runtime.block_on(fill(&store, first..first + made, is_parked));
        stored += u64::from(made);
        // As a server that prunes every ten minutes, at 100 runs a second.
        let is_due = (first / BATCH) % 50 == 49;
        if is_due {
            stored -= runtime.block_on(prune(&store, kept));
        }
        if is_due && (first + made) % (runs / LINES).max(BATCH) < BATCH * 50 {
            show(first + made, stored);
        }
    }
    stored -= runtime.block_on(prune(&store, kept));
    show(runs, stored);
    drop(store);
    let opening = Instant::now();
    let store = open();
    println!("opened again in {:.1} s", opening.elapsed().as_secs_f64());
    show(runs, stored);
    drop(store);
}

async fn prune(store: &SledStore, kept: u32) -> u64 {
    let before = store.finished_since(u64::from(kept)).await.expect("the store works");
    store.prune(before.unwrap_or(sample::second(0))).await.expect("the store works")
}

/// Runs of ten facts in six appends, as a playbook with an approval makes them.
async fn fill(store: &SledStore, numbers: std::ops::Range<u32>, is_parked: impl Fn(u32) -> bool) {
    let mut appends = Vec::new();
    for number in numbers {
        let mut last = real(sample::create_once(number, &format!("alert/{number}"), 900));
        for _ in 0..3 {
            let next = real(sample::follow(&last, 2));
            appends.push(std::mem::replace(&mut last, next));
        }
        let asks = real(sample::ask(&last));
        appends.extend([last, asks.clone()]);
        if !is_parked(number) {
            let mut end = real(sample::follow(&asks, 2));
            end.summary.status = RunStatus::Succeeded;
            end.summary.waiting.clear();
            appends.push(end);
        }
    }
    store.append(appends).await.expect("the store works");
    store.durable(Position::LATEST).await.expect("the store works");
}

/// The same append with an alert of 2 KB, and outputs of 200 bytes.
fn real(mut append: Append) -> Append {
    for record in &mut append.records {
        if let Event::RunStarted { alert, .. } = &mut record.event {
            *alert = Arc::new(
                json!({ "rule": { "id": "5763", "level": 10 }, "full_log": noise(record.seq, 2000) }),
            );
        } else {
            let step = "block".parse::<model::StepId>().expect("it is an id").into();
            record.event = Event::StepSucceeded { step, output: Arc::new(noise(record.seq, 200)) };
        }
    }
    append
}

fn noise(seq: u32, bytes: usize) -> Value {
    Value::String(format!("{seq} 203.0.113.9 sshd ").repeat(bytes / 20))
}

/// What the files in a folder and below take of the disk.
fn bytes(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).expect("the folder is there");
    let sizes = entries.map(|entry| {
        let entry = entry.expect("the folder can be read");
        let data = entry.metadata().expect("the file is there");
        if data.is_dir() { bytes(&entry.path()) } else { data.len() }
    });
    sizes.sum()
}

/// What the process takes of memory.
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}
