//! A flipped byte in any file costs at most the append that it hits, and that is said.

use journal::power::Chance;
use store::conformance::{self, sample};

use super::workload::Told;
use super::*;

const PLACES: usize = 24;

async fn fill(folder: &Path) -> Told {
    let mut told = Told::default();
    let mut chance = Chance::new(7);
    let store = open(folder);
    for _ in 0..40 {
        told.work(&store, &mut chance, true).await;
    }
    store.put_source(sample::source(1)).await.unwrap();
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flipped_byte_costs_at_most_one_append() {
    let folder = TempDir::new().unwrap();
    let told = fill(folder.path()).await;
    let mut chance = Chance::new(1);
    for file in files(folder.path()) {
        let bytes = fs::read(&file).unwrap();
        if bytes.is_empty() {
            continue;
        }
        let name = file.strip_prefix(folder.path()).unwrap();
        for _ in 0..PLACES.min(bytes.len()) {
            let place = chance.below(bytes.len());
            let left = TempDir::new().unwrap();
            copy(folder.path(), left.path());
            let mut flipped = bytes.clone();
            flipped[place] ^= 1 << chance.below(8);
            fs::write(left.path().join(name), flipped).unwrap();
            let is_rebuilt = chance.below(2) == 0;
            if is_rebuilt && name.starts_with("journal") {
                fs::remove_dir_all(left.path().join("index")).unwrap();
            }
            check_after_a_flip(left.path(), &told, &format!("{} {place}", name.display())).await;
        }
    }
}

/// Every run is whole, or it is the one that was hit and everybody is told so.
async fn check_after_a_flip(folder: &Path, told: &Told, what: &str) {
    let store = open(folder);
    let mut hit = Vec::new();
    for (run, appends) in &told.runs {
        let records: Vec<Record> = appends.iter().flat_map(|append| append.records.clone()).collect();
        match store.journal(*run).await {
            Ok(journal) => assert_eq!(journal, records, "{what}"),
            Err(Error::Damaged { run, message }) => hit.push((run, message)),
            Err(error) => panic!("{what}: {error}"),
        }
    }
    assert!(hit.len() <= 1, "{what}: {hit:?}");
    for (run, message) in hit {
        let reports = store.health().await.reports;
        let is_told =
            reports.iter().any(|report| report.contains(&run.to_string()) && report.contains(&message));
        assert!(is_told, "{what}: {reports:?}");
        let appends = &told.runs[&run];
        if let Some(row) = store.summary(run).await.unwrap() {
            assert!(row.error.unwrap().contains(&message), "{what}");
            let last = appends.last().unwrap();
            if !row.status.is_finished() {
                let claimed = conformance::open_runs(&store).await;
                assert!(claimed.iter().any(|row| row.run == run), "{what}");
            }
            let answers = store.append(vec![sample::follow(last, 1)]).await.unwrap();
            assert_eq!(answers, [Appended::Conflict], "{what}: a run that lost facts takes no more");
        } else {
            assert_eq!(appends.len(), 1, "{what}: a row is left if anything is left");
        }
    }
    let other = sample::create(9_000_000);
    let answers = store.append(vec![other.clone()]).await.unwrap();
    assert!(matches!(answers[0], Appended::At(_)));
    assert_eq!(store.journal(other.run()).await.unwrap(), other.records);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_lost_facts_stays_so() {
    let folder = TempDir::new().unwrap();
    let first = sample::create(1);
    let then = sample::follow(&first, 1);
    {
        let store = open(folder.path());
        let last = sample::follow(&then, 1);
        store.append(vec![first.clone(), then.clone(), last]).await.unwrap();
    }
    let segment = folder.path().join("journal/0000000001.segment");
    let mut bytes = fs::read(&segment).unwrap();
    let place = bytes.windows(12).position(|text| text == b"answer 2 was").unwrap();
    bytes[place] ^= 1;
    fs::write(&segment, bytes).unwrap();
    let lost = "its facts from 2 on are lost";
    for is_rebuilt in [true, false, true] {
        if is_rebuilt {
            fs::remove_dir_all(folder.path().join("index")).unwrap();
        }
        let store = open(folder.path());
        let answer = store.journal(first.run()).await;
        assert!(
            matches!(&answer, Err(Error::Damaged { message, .. }) if message.contains(lost)),
            "{answer:?}"
        );
        let row = store.summary(first.run()).await.unwrap().unwrap();
        assert!(row.error.unwrap().contains(lost));
        assert_eq!(row.next_seq, then.summary.next_seq, "the row is that of the last append that is left");
        assert_eq!(conformance::open_runs(&store).await.len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_truncated_tail_costs_what_was_cut_off() {
    let folder = TempDir::new().unwrap();
    let told = fill(folder.path()).await;
    let last = files(&folder.path().join("journal"))
        .into_iter()
        .rfind(|path| path.extension().is_some_and(|e| e == "segment"));
    let last = last.unwrap();
    let len = fs::metadata(&last).unwrap().len();
    for cut in (0..len).step_by(997).chain(len - 20..len) {
        let left = TempDir::new().unwrap();
        copy(folder.path(), left.path());
        let file = left.path().join(last.strip_prefix(folder.path()).unwrap());
        fs::File::options().write(true).open(file).unwrap().set_len(cut).unwrap();
        let mut told = Told { safe: Default::default(), ..told.clone() };
        told.check(&open(left.path())).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_that_is_gone_is_made_again() {
    let folder = TempDir::new().unwrap();
    let mut told = fill(folder.path()).await;
    fs::remove_dir_all(folder.path().join("index")).unwrap();
    let store = open(folder.path());
    told.check(&store).await;
    let source = sample::source(1);
    assert_eq!(store.source(&source.digest).await.unwrap(), Some(source));
    assert_eq!(store.health().await.reports, ["the index was missing and was made again from the journal"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_of_another_version_is_made_again_and_is_no_finding() {
    let folder = TempDir::new().unwrap();
    let mut told = fill(folder.path()).await;
    {
        let index = sled::open(folder.path().join("index")).unwrap();
        let mut meta = index.remove("m").unwrap().unwrap();
        meta[0] -= 1;
        index.insert("m", meta).unwrap();
        index.insert("of a form that is not known", "?").unwrap();
    }
    let store = open(folder.path());
    told.check(&store).await;
    assert_eq!(store.health().await.reports, [""; 0]);
    assert_eq!(store.shared.index.get(b"of a form that is not known").unwrap(), None);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "journal and index, and nothing aside");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_that_ended_the_process_is_not_opened_again() {
    let folder = TempDir::new().unwrap();
    let mut told = fill(folder.path()).await;
    for _ in 0..4 {
        fs::write(folder.path().join("index.suspect"), []).unwrap();
        let store = open(folder.path());
        told.check(&store).await;
        let reports = store.health().await.reports;
        assert!(reports[0].starts_with("the index was made again from the journal, because"), "{reports:?}");
    }
    let aside = fs::read_dir(folder.path())
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("index.damaged-"));
    assert_eq!(aside.count(), 2, "old indexes do not fill the disk");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_of_another_time_is_made_again() {
    let folder = TempDir::new().unwrap();
    let old = TempDir::new().unwrap();
    let mut told = fill(folder.path()).await;
    copy(folder.path(), old.path());
    told.work(&open(folder.path()), &mut Chance::new(2), true).await;
    let (index, old) = (folder.path().join("index"), old.path().join("index"));
    let newer = TempDir::new().unwrap();
    copy(&index, newer.path());
    fs::remove_dir_all(&index).unwrap();
    copy(&old, &index);
    told.check(&open(folder.path())).await;
}
