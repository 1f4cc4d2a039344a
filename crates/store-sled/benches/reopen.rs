//! How long a store of a million events takes to open: as it was closed, and with its index gone.

#![expect(clippy::print_stdout, reason = "figures are what it is for")]

use std::time::Instant;

use model::RunStatus;
use store::conformance::sample;
use store::{Query, Store};
use store_sled::{Settings, SledStore};

const RUNS: u32 = 200_000;
const BATCH: u32 = 200;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime can be made");
    let folder = tempfile::TempDir::new().expect("a folder can be made");
    let open = || SledStore::open(folder.path(), &Settings::default()).expect("the store opens");
    let time = |what: &str, began: Instant| println!("{what:<45} {:>8.4} s", began.elapsed().as_secs_f64());

    let began = Instant::now();
    let store = open();
    runtime.block_on(fill(&store));
    time("a million events, five for each run", began);
    drop(store);
    time("and closed", began);

    let began = Instant::now();
    let store = open();
    time("opened", began);
    let began = Instant::now();
    let (mut rows, mut query) = (0, Query { is_open: true, limit: Query::MOST, ..Query::default() });
    loop {
        let page = runtime.block_on(store.runs(query.clone())).expect("the store works");
        rows += page.runs.len();
        query.before = page.next;
        if query.before.is_none() {
            break;
        }
    }
    time(&format!("{rows} rows of what is not over"), began);
    for (what, query) in lists() {
        let began = Instant::now();
        let page = runtime.block_on(store.runs(query)).expect("the store works");
        time(&format!("a page of {} rows: {what}", page.runs.len()), began);
    }
    let began = Instant::now();
    for number in 0..1000 {
        let run = sample::run(number * (RUNS / 1000));
        runtime.block_on(store.journal(run)).expect("the store works");
    }
    time("a thousand journals read", began);
    println!("{} MB", runtime.block_on(store.health()).bytes >> 20);
    drop(store);

    std::fs::remove_dir_all(folder.path().join("index")).expect("the index can be removed");
    let began = Instant::now();
    let store = open();
    time("opened, and the index made again", began);
    let began = Instant::now();
    let forgotten = runtime.block_on(store.prune(sample::second(10_000_000))).expect("the store works");
    time(&format!("{forgotten} runs forgotten"), began);
    println!("{} MB", runtime.block_on(store.health()).bytes >> 20);
}

/// Lists of all kinds, among them such as nothing is in.
fn lists() -> Vec<(&'static str, Query)> {
    let all = Query::default();
    let of = |status| Query { status: Some(status), ..Query::default() };
    vec![
        ("of all", all.clone()),
        ("that wait for people", Query { waits_for_people: true, ..all.clone() }),
        ("of what is not over", Query { is_open: true, ..all.clone() }),
        ("of a workflow", Query { workflow: Some("contain".to_owned()), ..all.clone() }),
        ("that disrupted something", Query { has_disrupted: true, ..all }),
        ("that are running", of(RunStatus::Running)),
        ("that wait", of(RunStatus::Waiting)),
        ("that succeeded", of(RunStatus::Succeeded)),
        ("that failed", of(RunStatus::Failed)),
    ]
}

/// Runs of five events; every second one waits for a person in the end, the others are finished.
async fn fill(store: &SledStore) {
    for first in (0..RUNS).step_by(BATCH as usize) {
        let mut appends = Vec::new();
        for number in first..first + BATCH {
            let mut last = sample::create(number);
            appends.push(last.clone());
            for _ in 0..3 {
                last = sample::follow(&last, 1);
                appends.push(last.clone());
            }
            let is_parked = number % 2 == 0;
            appends.push(if is_parked {
                sample::ask(&last)
            } else {
                sample::follow_as(&last, RunStatus::Succeeded)
            });
        }
        store.append(appends).await.expect("the store works");
    }
}
