//! A copy holds what was durable when it began, and becomes a store that knows that it is a copy.

use std::io::{self, Write};
use std::sync::Mutex;

use model::RunStatus;
use serde_json::json;
use store::conformance::sample;

use super::*;
use crate::{check_backup, restore};

/// Takes a backup into this file.
async fn back_up(store: &SledStore, file: &Path) {
    let to = fs::File::create_new(file).unwrap();
    store.backup(sample::second(77), Box::new(to)).await.unwrap();
}

async fn fill(store: &SledStore, numbers: std::ops::Range<u32>) {
    for number in numbers {
        let first = sample::create(number);
        let then = sample::follow(&first, 3);
        let status = if number % 10 == 0 { RunStatus::Waiting } else { RunStatus::Succeeded };
        let last = sample::follow_as(&then, status);
        store.append(vec![first, then, last]).await.unwrap();
    }
    store.durable(Position::LATEST).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_store_holds_what_was_durable_and_says_that_it_is_a_copy() {
    let folder = TempDir::new().unwrap();
    let (data, file, copy) =
        (folder.path().join("data"), folder.path().join("copy.tar"), folder.path().join("restored"));
    let store = open(&data);
    store.put_source(sample::source(1)).await.unwrap();
    store.put_note(Note { key: "halt".to_owned(), value: json!(true) }).await.unwrap();
    fill(&store, 1..200).await;
    store.prune(sample::second(50)).await.unwrap();
    back_up(&store, &file).await;
    let rows = store.runs(Query { limit: 1000, ..Query::default() }).await.unwrap();
    fill(&store, 1000..1100).await;

    let checked = check_backup(&file).unwrap();
    assert_eq!((checked.at, checked.findings.as_slice()), (sample::second(77), [].as_slice()));
    assert!(checked.segments > 2, "{checked:?}");
    let restored = restore(&file, &copy, &small(), sample::second(99)).unwrap();
    assert_eq!(restored, checked);
    for number in [2000, 2001] {
        let store = open(&copy);
        let mut left = store.runs(Query { limit: 1000, ..Query::default() }).await.unwrap().runs;
        left.retain(|row| row.run < sample::run(2000));
        assert_eq!(left, rows.runs);
        for row in &rows.runs {
            assert_eq!(store.journal(row.run).await.unwrap().len(), row.next_seq as usize);
        }
        assert_eq!(store.source(&sample::source(1).digest).await.unwrap(), Some(sample::source(1)));
        assert_eq!(store.note("halt").await.unwrap(), Some(json!(true)));
        let mark = json!({ "at": sample::second(99), "from": sample::second(77) });
        assert_eq!(store.note(store::Note::RESTORED).await.unwrap(), Some(mark));
        let is_quiet = store.health().await.reports.iter().all(|report| report.contains("was missing"));
        assert!(is_quiet, "{:?}", store.health().await.reports);
        store.append(vec![sample::create(number)]).await.unwrap();
        assert_eq!(store.journal(sample::run(number)).await.unwrap().len(), 1, "it goes on");
        drop(store);
        fs::remove_dir_all(copy.join("index")).unwrap();
    }
}

#[test]
fn a_backup_that_is_cut_off_or_changed_is_refused_and_leaves_no_store() {
    let folder = TempDir::new().unwrap();
    let (data, file, bad) =
        (folder.path().join("data"), folder.path().join("copy.tar"), folder.path().join("bad.tar"));
    let runtime = tokio::runtime::Builder::new_multi_thread().build().unwrap();
    let store = open(&data);
    runtime.block_on(fill(&store, 1..60));
    runtime.block_on(back_up(&store, &file));
    let bytes = fs::read(&file).unwrap();
    let into = folder.path().join("restored");
    let refuse = |bytes: &[u8], what: &str| {
        fs::write(&bad, bytes).unwrap();
        let answer = restore(&bad, &into, &small(), sample::second(0));
        let Err(Error::Refused(message)) = answer else { panic!("{what}: {answer:?}") };
        assert!(!message.contains("no archive at all"), "it shows what is in the file: {message}");
        assert!(!into.exists(), "{what}");
    };
    let mut chance = journal::power::Chance::new(7);
    for _ in 0..60 {
        let at = chance.below(bytes.len() - 3000);
        refuse(&bytes[..at], &format!("cut at {at}"));
    }
    let journal = bytes.windows(8).position(|text| text == b"portjrn1").unwrap();
    for at in [journal + 30, journal + 300, journal + 3000, journal + 16_000] {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        refuse(&changed, &format!("changed at {at}"));
    }
    refuse(b"", "empty");
    refuse(b"no archive at all, but long enough to look at ".repeat(100).as_slice(), "something else");
    restore(&file, &into, &small(), sample::second(0)).unwrap();
}

#[test]
fn nothing_is_restored_over_something_or_beside_whoever_has_it_open() {
    let folder = TempDir::new().unwrap();
    let (data, file) = (folder.path().join("data"), folder.path().join("copy.tar"));
    let runtime = tokio::runtime::Builder::new_multi_thread().build().unwrap();
    let store = open(&data);
    runtime.block_on(back_up(&store, &file));
    let answer = restore(&file, &data, &small(), sample::second(0));
    let Err(Error::Locked(message)) = answer else { panic!("{answer:?}") };
    assert!(message.contains(&format!("process {} on ", std::process::id())), "{message}");
    drop(store);
    let answer = restore(&file, &data, &small(), sample::second(0));
    let Err(Error::Refused(message)) = answer else { panic!("{answer:?}") };
    assert!(message.contains("is not empty"), "{message}");
    let empty = folder.path().join("empty");
    fs::create_dir_all(empty.join("lost+found")).unwrap();
    restore(&file, &empty, &small(), sample::second(0)).unwrap();
    open(&empty);
    let cut = folder.path().join("cut");
    fs::create_dir_all(cut.join("restoring/journal")).unwrap();
    let Err(Error::Broken(message)) = SledStore::open(&cut, &small()) else { panic!("it is no store") };
    assert!(message.contains("a restore was cut off"), "{message}");
}

/// Lets somebody do something between two pieces of a copy.
struct Slow<F>(Arc<Mutex<Vec<u8>>>, F);

impl<F: FnMut() + Send> Write for Slow<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (self.1)();
        let piece = &bytes[..bytes.len().min(5000)];
        self.0.lock().unwrap().extend_from_slice(piece);
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_happens_while_a_copy_is_taken_is_not_in_it_and_gives_no_segment_back() {
    let folder = TempDir::new().unwrap();
    let store = Arc::new(open(&folder.path().join("data")));
    fill(&store, 1..100).await;
    let runtime = tokio::runtime::Handle::current();
    let (copied, busy) = (Arc::new(Mutex::new(Vec::new())), Arc::clone(&store));
    let mut number = 1000;
    let meanwhile = move || {
        number += 2;
        runtime.block_on(fill(&busy, number..number + 2));
        assert_eq!(runtime.block_on(busy.prune(Timestamp::MAX)).unwrap(), 0, "it waits for the copy");
    };
    store.backup(sample::second(0), Box::new(Slow(Arc::clone(&copied), meanwhile))).await.unwrap();
    assert!(store.prune(Timestamp::MAX).await.unwrap() > 100);
    let file = folder.path().join("copy.tar");
    fs::write(&file, &*copied.lock().unwrap()).unwrap();
    restore(&file, &folder.path().join("restored"), &small(), sample::second(0)).unwrap();
    let restored = open(&folder.path().join("restored"));
    let rows = restored.runs(Query { limit: 1000, ..Query::default() }).await.unwrap().runs;
    assert_eq!(rows.len(), 99);
    for row in rows {
        assert_eq!(restored.journal(row.run).await.unwrap().len(), 5);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_whose_taker_goes_away_ends() {
    struct Gone;
    impl Write for Gone {
        fn write(&mut self, _bytes: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let folder = TempDir::new().unwrap();
    let store = open(folder.path());
    fill(&store, 1..100).await;
    let answer = store.backup(sample::second(0), Box::new(Gone)).await;
    assert!(matches!(answer, Err(Error::Refused(_))), "{answer:?}");
    assert_eq!(store.prune(Timestamp::MAX).await.unwrap(), 90);
}
