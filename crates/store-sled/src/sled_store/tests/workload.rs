//! Random but repeatable work for a store, and what has to be left of it.

use std::collections::{BTreeMap, BTreeSet};

use journal::power::Chance;
use model::RunStatus;
use store::conformance::{self, sample};

use super::*;

/// What a store was told, and how much of it is safe.
#[derive(Debug, Clone, Default)]
pub(super) struct Told {
    pub(super) runs: BTreeMap<RunId, Vec<Append>>,
    /// How many appends of each run are durable.
    pub(super) safe: BTreeMap<RunId, usize>,
    /// Runs that may be forgotten.
    pub(super) over: BTreeSet<RunId>,
    pub(super) next: u32,
}

impl Told {
    /// Does something to the store; everything is durable afterwards if `is_safe`.
    pub(super) async fn work(&mut self, store: &SledStore, chance: &mut Chance, is_safe: bool) {
        let mut appends = Vec::new();
        for _ in 0..=chance.below(4) {
            appends.push(self.next(chance));
        }
        let answers = store.append(appends).await.unwrap();
        let last = answers.last().copied();
        let Some(Appended::At(position)) = last else { panic!("{answers:?}") };
        if is_safe {
            store.durable(position).await.unwrap();
            self.safe = self.runs.iter().map(|(run, appends)| (*run, appends.len())).collect();
        }
    }

    /// Forgets what has finished, as far as no key holds it.
    pub(super) async fn prune(&mut self, store: &SledStore) {
        let lasts =
            self.runs.iter().filter_map(|(run, appends)| Some((run, appends.first()?, appends.last()?)));
        let over =
            lasts.filter(|(_, first, last)| first.dedupe.is_none() && last.summary.status.is_finished());
        self.over.extend(over.map(|(run, _, _)| run));
        store.prune(sample::second(100_000)).await.unwrap();
    }

    fn next(&mut self, chance: &mut Chance) -> Append {
        let open: Vec<&Append> = self.runs.values().filter_map(|appends| appends.last()).collect();
        let open: Vec<&Append> = open.into_iter().filter(|last| !last.summary.status.is_finished()).collect();
        let append = match chance.below(9) {
            choice if choice > 1 && !open.is_empty() => {
                let before = open[chance.below(open.len())];
                match choice {
                    2 | 8 => sample::follow_as(before, RunStatus::Succeeded),
                    3 => sample::ask(before),
                    _ => sample::follow(before, 1 + chance.below(3) as u32),
                }
            }
            0 => self.create(&format!("key {}", self.next)),
            _ => sample::create(self.number()),
        };
        self.runs.entry(append.run()).or_default().push(append.clone());
        append
    }

    fn create(&mut self, key: &str) -> Append {
        sample::create_once(self.number(), key, 1_000_000)
    }

    fn number(&mut self) -> u32 {
        self.next += 1;
        self.next
    }

    /// Checks that the store holds all that is safe, and of the rest whole appends in order; forgets what it lost.
    pub(super) async fn check(&mut self, store: &SledStore) {
        let mut unfinished = Vec::new();
        for (run, appends) in &mut self.runs {
            let journal = store.journal(*run).await.unwrap();
            let row = store.summary(*run).await.unwrap();
            let kept =
                appends.iter().take_while(|append| append.summary.next_seq as usize <= journal.len()).count();
            appends.truncate(kept);
            let records: Vec<Record> = appends.iter().flat_map(|append| append.records.clone()).collect();
            assert_eq!(journal, records, "run {run} is whole appends");
            assert_eq!(
                row.as_ref(),
                appends.last().map(|append| &append.summary),
                "the row is that of the last append"
            );
            let is_forgotten = kept == 0 && self.over.contains(run);
            let safe = self.safe.get(run).copied().filter(|_| !is_forgotten).unwrap_or(0);
            assert!(kept >= safe, "{kept} of {safe} safe appends of run {run} are left");
            unfinished.extend(row.filter(|row| !row.status.is_finished()).map(|row| row.run));
        }
        self.runs.retain(|_, appends| !appends.is_empty());
        let claimed = conformance::open_runs(store).await;
        assert_eq!(claimed.iter().map(|row| row.run).collect::<Vec<_>>(), unfinished);
        self.check_keys(store).await;
    }

    async fn check_keys(&self, store: &SledStore) {
        for appends in self.runs.values() {
            if let Some(dedupe) = &appends[0].dedupe {
                let again = Append { dedupe: Some(dedupe.clone()), ..sample::create(500_000) };
                let answers = store.append(vec![again]).await.unwrap();
                assert_eq!(answers, [Appended::Duplicate(appends[0].run())]);
            }
        }
    }
}
