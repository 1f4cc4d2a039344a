//! Durable appends per second: so many tasks, each of which appends an event of 600 bytes to its run and waits until it
//! is on disk. Six events make a run.
//!
//! `cargo bench -p store-sled` measures the disk as it is; `-- 1000` adds so many microseconds to each flush, as a disk
//! without a protected cache does; `-- 0 raw` does not wait for the disk.

#![expect(clippy::print_stdout, reason = "figures are what it is for")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use journal::power::{Call, Guarded};
use model::{Event, RunStatus};
use serde_json::json;
use store::conformance::sample;
use store::{Append, Appended, Store};
use store_sled::{Settings, SledStore};

const SECONDS: u64 = 4;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let delay: u64 = arguments.first().and_then(|number| number.parse().ok()).unwrap_or(0);
    let is_raw = arguments.iter().any(|argument| argument == "raw");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime can be made");
    println!("+{delay} us per flush{}", if is_raw { ", without waiting" } else { "" });
    println!(
        "{:>6} {:>10} {:>8} {:>8} {:>8} {:>10}",
        "tasks", "events/s", "p50 ms", "p99 ms", "max ms", "bytes/ev"
    );
    for tasks in [1, 16, 64, 256] {
        let folder = tempfile::TempDir::new().expect("a folder can be made");
        let guarded = Guarded::new(move |call, _| {
            if call == Call::Flush && delay > 0 {
                std::thread::sleep(Duration::from_micros(delay));
            }
            Ok(())
        });
        let store = SledStore::open_on(Arc::new(guarded), folder.path(), &Settings::default());
        let store: Arc<dyn Store> = Arc::new(store.expect("the store opens"));
        let mut times = runtime.block_on(measure(&store, tasks, is_raw));
        times.sort_unstable();
        let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize].as_secs_f64() * 1000.0;
        let bytes = runtime.block_on(store.health()).bytes / times.len() as u64;
        let rate = times.len() as u64 / SECONDS;
        println!("{tasks:>6} {rate:>10} {:>8.3} {:>8.3} {:>8.1} {bytes:>10}", at(0.5), at(0.99), at(1.0));
    }
}

/// The time that each append took.
async fn measure(store: &Arc<dyn Store>, tasks: u32, is_raw: bool) -> Vec<Duration> {
    let end = Instant::now() + Duration::from_secs(SECONDS);
    let mut workers = tokio::task::JoinSet::new();
    for task in 0..tasks {
        let store = Arc::clone(store);
        workers.spawn(async move {
            let mut times = Vec::new();
            for number in 0.. {
                let mut append = padded(sample::create(number * tasks + task));
                for fact in 0..6 {
                    let began = Instant::now();
                    if began >= end {
                        return times;
                    }
                    let next = follow(&append, fact);
                    let answers = store.append(vec![append]).await.expect("the store works");
                    let Appended::At(position) = answers[0] else { panic!("{answers:?}") };
                    if !is_raw {
                        store.durable(position).await.expect("the store works");
                    }
                    times.push(began.elapsed());
                    append = next;
                }
            }
            times
        });
    }
    workers.join_all().await.concat()
}

fn follow(append: &Append, fact: u32) -> Append {
    let status = if fact == 4 { RunStatus::Succeeded } else { RunStatus::Running };
    padded(sample::follow_as(append, status))
}

/// The same append with an event of 600 bytes.
fn padded(mut append: Append) -> Append {
    for record in &mut append.records {
        record.event = Event::StepSucceeded {
            step: "block".parse::<model::StepId>().expect("it is an id").into(),
            output: Arc::new(json!({ "data": "x".repeat(480) })),
        };
    }
    append
}
