mod abandon;
mod backup;
mod damage;
mod kill;
mod lists;
mod power;
mod prune;
mod room;
mod workload;

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use journal::power::{Call, Guarded};
use store::conformance;
use tempfile::TempDir;

use super::*;

/// Segments so small that a few runs fill several.
fn small() -> Settings {
    Settings { segment_bytes: 16 << 10, cache_bytes: 4 << 20, ..Settings::default() }
}

fn open(folder: &Path) -> SledStore {
    SledStore::open(folder, &small()).unwrap()
}

/// All files in a folder and below.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { all.extend(files(&path)) } else { all.push(path) }
    }
    all.sort();
    all
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() { copy(&path, &target) } else { fs::copy(&path, &target).map(|_| ()).unwrap() }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_passes_the_suite() {
    for segment_bytes in [1 << 20, 400 << 10] {
        let folder = TempDir::new().unwrap();
        let number = AtomicUsize::new(0);
        let make = async || {
            let name = number.fetch_add(1, Ordering::Relaxed).to_string();
            let settings = Settings { segment_bytes, ..small() };
            Arc::new(SledStore::open(&folder.path().join(name), &settings).unwrap()) as Arc<dyn Store>
        };
        conformance::check(make).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_it_holds_outlives_it() {
    let folder = TempDir::new().unwrap();
    conformance::check_kept(async || Arc::new(open(folder.path())) as Arc<dyn Store>).await;
}

#[test]
fn a_second_process_is_told_who_has_the_store_open() {
    let folder = TempDir::new().unwrap();
    let _first = open(folder.path());
    let Err(Error::Locked(message)) = SledStore::open(folder.path(), &small()) else {
        panic!("it is open");
    };
    assert!(message.contains(&format!("process {} on ", std::process::id())), "{message}");
}

#[tokio::test]
async fn an_append_that_fits_into_no_segment_is_refused() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path());
    let mut large = conformance::sample::create(1);
    large.summary.about = "a".repeat(20_000);
    let answer = store.append(vec![conformance::sample::create(2), large]).await;
    assert!(matches!(&answer, Err(Error::Refused(_))), "{answer:?}");
    assert_eq!(store.summary(conformance::sample::run(2)).await.unwrap(), None);
}

#[tokio::test]
async fn a_row_that_is_too_large_for_the_index_is_read_from_the_journal() {
    let folder = TempDir::new().unwrap();
    let mut large = conformance::sample::create(1);
    large.summary.about = "a".repeat(5000);
    for _ in 0..2 {
        let store = open(folder.path());
        store.append(vec![large.clone()]).await.unwrap();
        assert_eq!(store.summary(large.run()).await.unwrap(), Some(large.summary.clone()));
        store.prune(Timestamp::MAX).await.unwrap();
        assert_eq!(conformance::open_runs(&store).await, [large.summary.clone()]);
    }
}

#[tokio::test]
async fn flushes_are_counted_and_take_as_much_longer_as_is_asked_for() {
    let folder = TempDir::new().unwrap();
    let flush_delay = Duration::from_millis(30);
    let store = SledStore::open(folder.path(), &Settings { flush_delay, ..small() }).unwrap();
    let (before, began) = (store.health().await, std::time::Instant::now());
    store.append(vec![conformance::sample::create(1)]).await.unwrap();
    store.durable(Position::LATEST).await.unwrap();
    assert!(began.elapsed() >= flush_delay);
    let after = store.health().await;
    assert!(after.flushes > before.flushes && after.flushed_bytes > before.flushed_bytes, "{after:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_flush_stops_the_store_and_loses_nothing_that_is_safe() {
    let folder = TempDir::new().unwrap();
    let is_broken = Arc::new(AtomicBool::new(false));
    let disk = {
        let is_broken = Arc::clone(&is_broken);
        Guarded::new(move |call, path| {
            // A spare that is being made beside it has flushes of its own, and may fail without harm.
            let hit = call == Call::Flush && path.extension().is_some_and(|extension| extension == "segment");
            let hit = hit && is_broken.swap(false, Ordering::Relaxed);
            if hit { Err(std::io::Error::other("the disk is broken")) } else { Ok(()) }
        })
    };
    let store = SledStore::open_on(Arc::new(disk), folder.path(), &small()).unwrap();
    let position = conformance::fill(&store, 3).await[2];
    store.durable(position).await.unwrap();
    is_broken.store(true, Ordering::Relaxed);
    let answers = store.append(vec![conformance::sample::create(4)]).await.unwrap();
    let Appended::At(unsafe_position) = answers[0] else { panic!("{answers:?}") };
    let answer = store.durable(unsafe_position).await.unwrap_err().to_string();
    assert!(answer.contains("the disk is broken"), "{answer}");
    assert!(matches!(store.append(vec![conformance::sample::create(5)]).await, Err(Error::Broken(_))));
    assert!(matches!(store.claim("worker").await, Err(Error::Broken(_))));
    let health = store.health().await;
    assert!(!health.is_writable && health.reports[0].contains("the disk is broken"), "{health:?}");
    drop(store);
    let left = open(folder.path()).runs(Query::default()).await.unwrap().runs;
    assert!(left.len() >= 3, "{left:?}");
}
