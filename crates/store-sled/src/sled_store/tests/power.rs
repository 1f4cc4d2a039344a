//! A power cut loses nothing that is safe, whatever it does to sled's files.

use std::collections::BTreeMap;

use journal::power::{Chance, Recorder, Survivors};

use super::workload::Told;
use super::*;

const SEEDS: u64 = 24;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_power_cut_loses_nothing_that_is_safe() {
    for seed in 0..SEEDS {
        let mut chance = Chance::new(seed);
        let folder = TempDir::new().unwrap();
        let recorder = Recorder::default();
        let moments = work(&recorder, folder.path(), &mut chance).await;
        for survivors in [Survivors::Nothing, Survivors::Prefix, Survivors::Pages] {
            let moment = chance.below(recorder.moment() + 1);
            let left = TempDir::new().unwrap();
            let journal = |folder: &Path| folder.join("journal");
            recorder.cut(moment, survivors, &mut chance, &journal(folder.path()), &journal(left.path()));
            copy(&folder.path().join("index"), &left.path().join("index"));
            let harm = harm_index(&left.path().join("index"), &mut chance);
            let safe = moments.iter().rev().find(|(at, _)| *at <= moment);
            let safe = safe.map_or_else(BTreeMap::new, |(_, told)| told.safe.clone());
            let (_, told) = moments.last().unwrap();
            let mut told = Told { safe, ..told.clone() };
            check(left.path(), &mut told, &mut chance, &format!("seed {seed}, {survivors:?}, {harm}")).await;
        }
    }
}

/// Works on a store in several lives, and prunes; gives what was safe at which moment.
async fn work(recorder: &Recorder, folder: &Path, chance: &mut Chance) -> Vec<(usize, Told)> {
    let mut told = Told::default();
    let mut moments = Vec::new();
    for _ in 0..3 {
        let store = SledStore::open_on(Arc::new(recorder.clone()), folder, &small()).unwrap();
        for _ in 0..40 {
            let is_safe = chance.below(3) > 0;
            told.work(&store, chance, is_safe).await;
            moments.push((recorder.moment(), told.clone()));
        }
        told.prune(&store).await;
        moments.push((recorder.moment(), told.clone()));
    }
    moments
}

async fn check(folder: &Path, told: &mut Told, chance: &mut Chance, what: &str) {
    let mut safe = told.safe.clone();
    for _ in 0..2 {
        let store = open(folder);
        let reports = store.health().await.reports;
        // The index here is younger than the journal that the cut has left.
        let is_of_index = |report: &&String| report.starts_with("the index was made again");
        let mut others = reports.iter().filter(|report| !is_of_index(report));
        let is_lost = others.any(|report| report.contains("lost") || report.contains("missing from"));
        assert!(!is_lost, "{what}: {reports:?}");
        told.safe = std::mem::take(&mut safe);
        told.check(&store).await;
        for _ in 0..5 {
            told.work(&store, chance, true).await;
        }
        told.prune(&store).await;
        safe = told.safe.clone();
    }
}

/// Does to sled's files what a power cut may do, and worse.
fn harm_index(index: &Path, chance: &mut Chance) -> &'static str {
    let db = index.join("db");
    match chance.below(5) {
        0 => "index as it is",
        1 => {
            fs::remove_dir_all(index).unwrap();
            "no index"
        }
        2 => {
            let bytes = fs::read(&db).unwrap();
            fs::write(&db, &bytes[..chance.below(bytes.len())]).unwrap();
            "index cut short"
        }
        3 => {
            let mut bytes = fs::read(&db).unwrap();
            for _ in 0..=chance.below(8) {
                let page = chance.below(bytes.len() / 4096) * 4096;
                bytes[page..page + 4096].fill(0);
            }
            fs::write(&db, bytes).unwrap();
            "pages of the index zeroed"
        }
        _ => {
            fs::remove_file(index.join("conf")).unwrap();
            "index without conf"
        }
    }
}
