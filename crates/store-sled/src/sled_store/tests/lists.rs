//! Every list is that of a store in memory, whatever runs went through.

use journal::power::Chance;
use model::{RunStatus, RunSummary};
use store::conformance::sample;
use store::{Append, MemoryStore};

use super::*;

const STATUSES: [RunStatus; 5] =
    [RunStatus::Running, RunStatus::Waiting, RunStatus::Succeeded, RunStatus::Failed, RunStatus::Cancelled];

/// All kinds of lists, in small pages.
fn queries() -> Vec<Query> {
    let mut all = Vec::new();
    for status in STATUSES.map(Some).into_iter().chain([None]) {
        for workflow in [None, Some("contain"), Some("other")] {
            for flags in 0..8 {
                all.push(Query {
                    status,
                    workflow: workflow.map(str::to_owned),
                    waits_for_people: flags & 1 != 0,
                    is_open: flags & 2 != 0,
                    has_disrupted: flags & 4 != 0,
                    before: None,
                    limit: 1 + all.len() % 7,
                });
            }
        }
    }
    all
}

async fn list(store: &dyn Store, mut query: Query) -> Vec<RunSummary> {
    let mut all = Vec::new();
    loop {
        let page = store.runs(query.clone()).await.unwrap();
        all.extend(page.runs);
        query.before = page.next;
        if query.before.is_none() {
            return all;
        }
    }
}

fn any_of(append: &mut Append, chance: &mut Chance) {
    let summary = &mut append.summary;
    summary.status = STATUSES[chance.below(5)];
    summary.is_unsettled = chance.below(2) == 0;
    if chance.below(2) == 0 {
        summary.waiting = sample::ask(&sample::create(1)).summary.waiting;
    } else {
        summary.waiting.clear();
    }
    summary.disrupted_at = if chance.below(3) == 0 { vec![summary.updated_at] } else { Vec::new() };
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_list_is_that_of_a_store_in_memory() {
    let folder = TempDir::new().unwrap();
    let memory = MemoryStore::default();
    let mut chance = Chance::new(3);
    let mut last: Vec<Append> = Vec::new();
    let mut numbers = 0..;
    for round in 0..6 {
        let store = open(folder.path());
        for _ in 0..60 {
            let is_new = last.len() < 10 || chance.below(3) == 0;
            let at = if is_new { last.len() } else { chance.below(last.len()) };
            let mut append = match is_new {
                true => sample::create(numbers.next().unwrap()),
                false => sample::follow(&last[at], 1),
            };
            if is_new && chance.below(4) == 0 {
                append.summary.workflow = "other".to_owned();
            }
            any_of(&mut append, &mut chance);
            for store in [&memory as &dyn Store, &store] {
                let answers = store.append(vec![append.clone()]).await.unwrap();
                assert!(matches!(answers[0], Appended::At(_)), "{answers:?}");
            }
            if is_new { last.push(append) } else { last[at] = append }
        }
        // What was appended last is not in the index yet, or all of it is.
        if round % 2 == 0 {
            store.shared.catch_up().unwrap();
        }
        for query in queries() {
            assert_eq!(list(&store, query.clone()).await, list(&memory, query.clone()).await, "{query:?}");
        }
        if round == 4 {
            let forgotten = store.prune(sample::second(30)).await.unwrap();
            assert_eq!(forgotten, memory.prune(sample::second(30)).await.unwrap());
            assert!(forgotten > 0);
            last.retain(|append| {
                !append.summary.is_over() || append.summary.updated_at >= sample::second(30)
            });
        }
        drop(store);
        let store = open(folder.path());
        assert_eq!(store.health().await.reports, [""; 0], "the index holds what its sum says");
    }
}
