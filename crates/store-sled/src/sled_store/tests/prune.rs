//! Old segments are given back, and nothing that is needed goes with them.

use model::RunStatus;
use serde_json::json;
use store::conformance::sample;

use super::*;

/// Creates runs and finishes them, but for every `parked`th, which waits.
async fn fill(store: &SledStore, numbers: std::ops::Range<u32>, parked: u32) {
    for number in numbers {
        let first = sample::create(number);
        let status = if number % parked == 0 { RunStatus::Waiting } else { RunStatus::Succeeded };
        let then = sample::follow(&first, 3);
        let last = sample::follow_as(&then, status);
        store.append(vec![first, then, last]).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn segments_are_given_back_and_parked_runs_are_kept() {
    let folder = TempDir::new().unwrap();
    let mut most = 0;
    for round in 0..6 {
        let store = open(folder.path());
        store.put_source(sample::source(1)).await.unwrap();
        fill(&store, round * 100..(round + 1) * 100, 50).await;
        let forgotten = store.prune(sample::second(i64::from(round + 1) * 100 + 100)).await.unwrap();
        assert_eq!(forgotten, 98, "all that finished is forgotten");
        most = most.max(store.health().await.bytes);
        check(&store, round).await;
        drop(store);
        if round % 2 == 0 {
            fs::remove_dir_all(folder.path().join("index")).unwrap();
        }
        let store = open(folder.path());
        check(&store, round).await;
    }
    let segments = files(&folder.path().join("journal")).len();
    assert!(segments < 12, "{segments} files are left of six rounds");
}

async fn check(store: &SledStore, round: u32) {
    let parked: Vec<RunId> = (0..(round + 1) * 2).map(|number| sample::run(number * 50)).collect();
    let mut left: Vec<RunId> = store
        .runs(Query { limit: 1000, ..Query::default() })
        .await
        .unwrap()
        .runs
        .iter()
        .map(|row| row.run)
        .collect();
    left.reverse();
    assert_eq!(left, parked, "round {round}");
    for run in parked {
        assert_eq!(store.journal(run).await.unwrap().len(), 5);
    }
    assert!(store.source(&sample::source(1).digest).await.unwrap().is_some());
    assert_eq!(store.health().await.reports.iter().filter(|report| !report.contains("missing")).count(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_nobody_uses_goes() {
    let folder = TempDir::new().unwrap();
    {
        let store = open(folder.path());
        store.put_source(sample::source(1)).await.unwrap();
        store.put_source(sample::source(2)).await.unwrap();
        store.put_source(sample::source(3)).await.unwrap();
        fill(&store, 1..60, 30).await;
        store.prune(Timestamp::MAX).await.unwrap();
        assert!(
            store.source(&sample::source(2).digest).await.unwrap().is_some(),
            "it was put since the start"
        );
    }
    let store = open(folder.path());
    store.put_source(sample::source(3)).await.unwrap();
    fill(&store, 100..160, 30).await;
    store.prune(Timestamp::MAX).await.unwrap();
    fill(&store, 200..260, 30).await;
    store.prune(Timestamp::MAX).await.unwrap();
    let kept = async |byte| store.source(&sample::source(byte).digest).await.unwrap().is_some();
    assert_eq!([kept(1).await, kept(2).await, kept(3).await], [true, false, true]);
    store.put_source(sample::source(2)).await.unwrap();
    assert!(kept(2).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn claims_survive_their_segment() {
    let folder = TempDir::new().unwrap();
    let fence = {
        let store = open(folder.path());
        let fence = store.claim("worker").await.unwrap();
        fill(&store, 1..100, 1000).await;
        store.prune(Timestamp::MAX).await.unwrap();
        fence
    };
    fs::remove_dir_all(folder.path().join("index")).unwrap();
    assert!(open(folder.path()).claim("worker").await.unwrap() > fence);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_of_many_notes_survives_its_segment_and_the_index() {
    let folder = TempDir::new().unwrap();
    for round in 0..3_u32 {
        let store = open(folder.path());
        let note = |key: &str, value| store::Note { key: key.to_owned(), value: json!(value) };
        store.put_note(note("once", 7)).await.unwrap();
        for number in 0..20 {
            store.put_note(note("often", round * 100 + number)).await.unwrap();
        }
        fill(&store, round * 100..(round + 1) * 100, 1000).await;
        store.prune(Timestamp::MAX).await.unwrap();
        drop(store);
        if round > 0 {
            fs::remove_dir_all(folder.path().join("index")).unwrap();
        }
        let store = open(folder.path());
        assert_eq!(store.note("often").await.unwrap(), Some(json!(round * 100 + 19)));
        assert_eq!(store.note("once").await.unwrap(), Some(json!(7)));
    }
    let journal = files(&folder.path().join("journal")).len();
    assert!(journal < 12, "the notes before it keep no segment: {journal}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_do_not_notice_that_records_are_moved() {
    let folder = TempDir::new().unwrap();
    let store = Arc::new(open(folder.path()));
    fill(&store, 1..30, 1).await;
    let mut reader = tokio::task::JoinSet::new();
    {
        let store = Arc::clone(&store);
        reader.spawn(async move {
            let mut reads = 0;
            while Arc::strong_count(&store) > 1 {
                for number in 1..30 {
                    assert_eq!(store.journal(sample::run(number)).await.unwrap().len(), 5);
                    reads += 1;
                }
            }
            reads
        });
    }
    for round in 1..8 {
        fill(&store, round * 1000..round * 1000 + 60, 10_000).await;
        store.prune(Timestamp::MAX).await.unwrap();
    }
    drop(store);
    assert!(reader.join_all().await[0] > 100);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_of_something_old_changes_no_row() {
    let folder = TempDir::new().unwrap();
    let first = sample::create_once(1, "key", 1_000_000);
    let then = sample::ask(&first);
    {
        let store = open(folder.path());
        store.append(vec![first.clone()]).await.unwrap();
        fill(&store, 100..160, 10_000).await;
        store.append(vec![then.clone()]).await.unwrap();
        let before = store.shared.journal.segments()[0].number;
        store.prune(Timestamp::MAX).await.unwrap();
        assert!(
            store.shared.journal.segments()[0].number > before,
            "the segment of the first append was given back"
        );
        assert_eq!(store.summary(first.run()).await.unwrap(), Some(then.summary.clone()));
    }
    fs::remove_dir_all(folder.path().join("index")).unwrap();
    let store = open(folder.path());
    assert_eq!(store.summary(first.run()).await.unwrap(), Some(then.summary.clone()));
    let journal = store.journal(first.run()).await.unwrap();
    assert_eq!(journal, [first.records, then.records].concat());
    let again = store.append(vec![sample::create_once(2, "key", 10)]).await.unwrap();
    assert_eq!(again, [Appended::Duplicate(first.summary.run)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_of_many_appends_is_whole_wherever_they_lie() {
    let folder = TempDir::new().unwrap();
    let mut last = sample::create(1);
    let run = last.run();
    let mut records = last.records.clone();
    open(folder.path()).append(vec![last.clone()]).await.unwrap();
    let is_placed_beside_rows = |store: &SledStore| {
        let beside = crate::index::Range::of([crate::keys::PARTS]);
        let mut is_any = false;
        let show = |_: &[u8], _: &[u8]| {
            is_any = true;
            std::ops::ControlFlow::Break(())
        };
        store.shared.walk(&beside, show).unwrap();
        is_any
    };
    // One by one as far as places stand in the row, over the border with one append, and on.
    for round in 0..6 {
        let store = open(folder.path());
        for facts in if round == 2 { [1, 1, 40, 1] } else { [1, 7, 2, 1] } {
            last = sample::follow(&last, facts);
            records.extend(last.records.clone());
            store.append(vec![last.clone()]).await.unwrap();
        }
        fill(&store, round * 100 + 10..round * 100 + 70, 10_000).await;
        store.prune(Timestamp::MAX).await.unwrap();
        assert_eq!(store.journal(run).await.unwrap(), records);
        assert_eq!(is_placed_beside_rows(&store), round >= 2);
        drop(store);
        if round % 2 == 0 {
            fs::remove_dir_all(folder.path().join("index")).unwrap();
        }
    }
    let store = open(folder.path());
    assert_eq!(store.journal(run).await.unwrap(), records);
    assert_eq!(store.summary(run).await.unwrap(), Some(last.summary.clone()));
    store.append(vec![sample::follow_as(&last, RunStatus::Failed)]).await.unwrap();
    assert_eq!(store.prune(Timestamp::MAX).await.unwrap(), 1);
    assert_eq!(store.journal(run).await.unwrap(), []);
    assert!(!is_placed_beside_rows(&store), "nothing of it is left");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_was_forgotten_can_begin_anew() {
    let folder = TempDir::new().unwrap();
    let first = sample::create_once(1, "key", 1_000_000);
    let last = sample::follow_as(&first, RunStatus::Failed);
    let run = first.run();
    let forgotten = || crate::entry::Entry::Forgotten { runs: vec![run], sources: Vec::new() };
    // The index knows of the run, of its end, or of neither when it begins anew.
    for (is_known, is_forgotten) in [(true, false), (true, true), (false, false)] {
        let store = open(folder.path());
        store.append(vec![first.clone(), last.clone()]).await.unwrap();
        if is_known {
            store.shared.catch_up().unwrap();
        }
        store.shared.order_now(|_| Some(forgotten())).unwrap();
        if is_forgotten {
            store.shared.catch_up().unwrap();
        }
        let again = sample::create(1);
        assert!(matches!(store.append(vec![again.clone()]).await.unwrap()[0], Appended::At(_)));
        drop(store);
        let store = open(folder.path());
        assert_eq!(store.health().await.reports, [""; 0], "the index holds what its sum says");
        assert_eq!(store.journal(run).await.unwrap(), again.records);
        let failed = Query { status: Some(RunStatus::Failed), ..Query::default() };
        assert_eq!(store.runs(failed).await.unwrap().runs, []);
        assert_eq!(conformance::open_runs(&store).await, [again.summary]);
        store.shared.order_now(|_| Some(forgotten())).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_of_something_old_takes_no_key_back() {
    let folder = TempDir::new().unwrap();
    let parked = sample::create_once(1, "key", 10);
    let later = sample::create_once(1000, "key", 1_000_000);
    {
        let store = open(folder.path());
        store.append(vec![parked.clone()]).await.unwrap();
        fill(&store, 100..160, 10_000).await;
        store.append(vec![later.clone()]).await.unwrap();
        let before = store.shared.journal.segments()[0].number;
        store.prune(Timestamp::MAX).await.unwrap();
        assert!(
            store.shared.journal.segments()[0].number > before,
            "the segment of the first run was given back"
        );
    }
    for is_rebuilt in [false, true] {
        if is_rebuilt {
            fs::remove_dir_all(folder.path().join("index")).unwrap();
        }
        let store = open(folder.path());
        let again = store.append(vec![sample::create_once(2000, "key", 10)]).await.unwrap();
        assert_eq!(again, [Appended::Duplicate(later.run())]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_damaged_keeps_no_segment() {
    for flips in [1, 300] {
        let folder = TempDir::new().unwrap();
        let parked = sample::create(1);
        {
            let store = open(folder.path());
            store.claim("worker").await.unwrap();
            store.put_source(sample::source(2)).await.unwrap();
            store.append(vec![parked.clone(), sample::create(2)]).await.unwrap();
            store.append(vec![sample::ask(&parked)]).await.unwrap();
            fill(&store, 100..160, 10_000).await;
        }
        let segment = folder.path().join("journal/0000000001.segment");
        let mut bytes = fs::read(&segment).unwrap();
        let place = bytes.windows(20).position(|text| text == b"rule 5763 on agent 1").unwrap();
        bytes[place + 1 - flips..=place].iter_mut().for_each(|byte| *byte ^= 0x55);
        fs::write(&segment, bytes).unwrap();
        let store = open(folder.path());
        store.prune(Timestamp::MAX).await.unwrap();
        assert!(store.shared.journal.segments()[0].number > 1);
        assert!(matches!(store.journal(parked.run()).await, Err(Error::Damaged { .. })));
        drop(store);
        fs::remove_dir_all(folder.path().join("index")).unwrap();
        let store = open(folder.path());
        let answer = store.journal(parked.run()).await;
        assert!(matches!(answer, Err(Error::Damaged { .. })), "{answer:?}");
        assert!(store.summary(parked.run()).await.unwrap().unwrap().error.is_some());
        assert_eq!(store.journal(sample::run(2)).await.unwrap().len(), 1);
        assert_eq!(store.claim("worker").await.unwrap(), Fence(2));
    }
}
