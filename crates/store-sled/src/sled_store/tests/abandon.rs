//! A run that lost something and was given up stays so, whatever becomes of the index and however often it is moved.

use model::RunStatus;
use store::conformance::{self, sample};

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_abandoned_run_stays_abandoned() {
    let folder = TempDir::new().unwrap();
    let parked = sample::create(1);
    let last = sample::ask(&parked);
    {
        let store = open(folder.path());
        store.append(vec![parked.clone(), sample::create(2), last.clone()]).await.unwrap();
    }
    let segment = folder.path().join("journal/0000000001.segment");
    let mut bytes = fs::read(&segment).unwrap();
    let place = bytes.windows(20).position(|text| text == b"rule 5763 on agent 1").unwrap();
    bytes[place] ^= 0x55;
    fs::write(&segment, bytes).unwrap();
    let mut row = sample::follow_as(&last, RunStatus::Failed).summary;
    row.waiting.clear();
    row.updated_at = sample::second(1_000_000);
    row.error = Some("abandoned by ana: its first record is damaged".to_owned());
    {
        let store = open(folder.path());
        assert!(matches!(store.journal(sample::run(1)).await, Err(Error::Damaged { .. })));
        assert_eq!(conformance::open_runs(&store).await.len(), 2, "it is reported");
        store.abandon(row.clone()).await.unwrap();
    }
    for round in 0..4 {
        if round % 2 == 1 {
            fs::remove_dir_all(folder.path().join("index")).unwrap();
        }
        let store = open(folder.path());
        assert_eq!(store.summary(sample::run(1)).await.unwrap(), Some(row.clone()), "round {round}");
        let claimed = conformance::open_runs(&store).await;
        assert_eq!(claimed.iter().map(|row| row.run).collect::<Vec<_>>(), [sample::run(2)], "round {round}");
        for number in 100 * (round + 1)..100 * (round + 1) + 60 {
            let first = sample::create(number);
            let end = sample::follow_as(&first, RunStatus::Succeeded);
            store.append(vec![first, end]).await.unwrap();
        }
        // Everything but this run, so that what is left of it is moved.
        assert_eq!(store.prune(row.updated_at).await.unwrap(), 60);
        let first = store.shared.journal.segments()[0].number;
        assert!(round < 2 || first > 1, "what it was written in is given back");
    }
    let store = open(folder.path());
    store.prune(Timestamp::MAX).await.unwrap();
    assert_eq!(store.summary(sample::run(1)).await.unwrap(), None);
    assert_eq!(store.journal(sample::run(1)).await.unwrap(), []);
}
