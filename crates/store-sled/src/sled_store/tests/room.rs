//! The disk has no room for the index for a while.

use std::time::{Duration, Instant};

use journal::power::Chance;
use store::conformance::sample;

use super::workload::Told;
use super::*;

async fn until(store: &SledStore, is_writable: bool) {
    let since = Instant::now();
    while store.health().await.is_writable != is_writable {
        assert!(since.elapsed() < Duration::from_secs(60), "{:?}", store.health().await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_without_room_comes_back_and_nothing_is_lost() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path());
    let (mut told, mut chance) = (Told::default(), Chance::new(7));
    for _ in 0..200 {
        told.work(&store, &mut chance, true).await;
    }
    let before = told.runs.len();

    // Where a directory stands no file can be written: to the store that is a disk without room.
    let blocked = folder.path().join("index.room");
    fs::create_dir(&blocked).unwrap();
    store.shared.index.close("no space left on device");
    assert!(matches!(store.append(vec![sample::create(2_000_000)]).await, Err(Error::Full(_))));
    until(&store, false).await;
    assert!(
        matches!(store.summary(sample::run(3_000_000)).await, Err(Error::Full(_))),
        "what is not known is not denied"
    );
    assert!(matches!(store.prune(sample::second(1)).await, Err(Error::Full(_))), "nobody waits for it");

    fs::remove_dir(&blocked).unwrap();
    until(&store, true).await;
    for _ in 0..50 {
        told.work(&store, &mut chance, true).await;
    }
    told.check(&store).await;
    drop(store);
    assert!(told.runs.len() > before);

    let store = open(folder.path());
    assert_eq!(store.health().await.reports, [] as [&str; 0], "the index was not made again");
    told.check(&store).await;
}
