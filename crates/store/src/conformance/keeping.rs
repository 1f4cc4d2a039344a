//! What is kept, for how long, and beyond the end of a process.

use std::sync::Arc;

use model::{RunStatus, Timestamp};
use serde_json::{Value, json};

use super::sample::{ask, create, create_once, follow, follow_as, run, second, source};
use super::{at, claim, good, one};
use crate::store::{Appended, Error, Note, Query, Store};

/// Checks what outlives a store; `open` gives the same store each time, after whoever had it open has dropped it. Empty
/// at first.
///
/// # Panics
///
/// With the first promise that is broken.
pub async fn check_kept(open: impl AsyncFn() -> Arc<dyn Store>) {
    let first = create_once(1, "alert/1", 60);
    let then = ask(&first);
    let store = open().await;
    let fence = claim(&*store).await.0;
    let position = at(&*store, first.clone()).await.max(at(&*store, then.clone()).await);
    good(store.put_source(source(1)).await);
    good(store.put_note(note("cursor", json!(1))).await);
    good(store.put_note(note("cursor", json!(2))).await);
    good(store.durable(position).await);
    drop(store);

    let store = open().await;
    let journal = good(store.journal(run(1)).await);
    assert_eq!(journal, [first.records, then.records.clone()].concat(), "the journal is kept");
    assert_eq!(good(store.summary(run(1)).await), Some(then.summary.clone()), "the row is kept");
    assert_eq!(good(store.source(&source(1).digest).await), Some(source(1)), "sources are kept");
    assert_eq!(good(store.note("cursor").await), Some(json!(2)), "notes are kept");
    let again = one(&*store, create_once(2, "alert/1", 60)).await;
    assert_eq!(again, Appended::Duplicate(run(1)), "keys are kept");
    let (higher, unfinished) = claim(&*store).await;
    assert!(higher > fence, "a later claim has a higher fence, also after a restart");
    assert_eq!(unfinished, [run(1)], "what is not finished can be claimed after a restart");
    let later = at(&*store, follow(&then, 1)).await;
    assert!(later > position, "positions grow across a restart");
}

pub(super) async fn sources_are_kept(store: &dyn Store) {
    assert_eq!(good(store.source(&source(1).digest).await), None, "a source that is not there is none");
    good(store.put_source(source(1)).await);
    good(store.put_source(source(1)).await);
    let mut large = source(2);
    large.text = "# a long comment\n".repeat(10_000);
    good(store.put_source(large.clone()).await);
    assert_eq!(good(store.source(&source(1).digest).await), Some(source(1)), "a source is kept");
    assert_eq!(good(store.source(&source(2).digest).await), Some(large), "a large one too");
}

pub(super) async fn notes_are_kept(store: &dyn Store) {
    assert_eq!(good(store.note("halt").await), None, "a note that is not there is none");
    for number in 1..=3 {
        good(store.put_note(note("halt", json!({ "number": number }))).await);
    }
    good(store.put_note(note("halted", json!(true))).await);
    assert_eq!(good(store.note("halt").await), Some(json!({ "number": 3 })), "the last note counts");
    good(store.put_note(note("halt", Value::Null)).await);
    assert_eq!(good(store.note("halt").await), None, "null takes a note away");
    assert_eq!(good(store.note("halted").await), Some(json!(true)), "and no other");
    good(store.put_note(note("halt", json!(4))).await);
    good(store.prune(second(5000)).await);
    assert_eq!(good(store.note("halt").await), Some(json!(4)), "prune forgets no note");
    for refused in [note(&"k".repeat(513), json!(1)), note("k", json!("x".repeat(5000)))] {
        assert!(matches!(store.put_note(refused).await, Err(Error::Refused(_))), "notes are small");
    }
}

fn note(key: &str, value: Value) -> Note {
    Note { key: key.to_owned(), value }
}

pub(super) async fn prune_forgets_what_finished(store: &dyn Store) {
    for number in 1..=6 {
        let first = create(number);
        let status = if number % 2 == 0 { RunStatus::Waiting } else { RunStatus::Failed };
        good(store.append(vec![first.clone(), follow_as(&first, status)]).await);
    }
    good(store.put_source(source(1)).await);
    let forgotten = good(store.prune(second(6)).await);
    assert_eq!(
        forgotten,
        good(store.prune(second(0)).await) + forgotten,
        "there is nothing before the first"
    );
    for number in [2, 4, 5, 6] {
        assert_eq!(
            good(store.journal(run(number)).await).len(),
            2,
            "unfinished and younger runs are kept whole"
        );
    }
    let left = good(store.runs(Query::default()).await);
    assert_eq!(6 - left.runs.len() as u64, forgotten, "as many are gone as it says");
    for number in [1, 3] {
        let journal = good(store.journal(run(number)).await);
        let row = good(store.summary(run(number)).await);
        assert_eq!(journal.is_empty(), row.is_none(), "a run is forgotten as a whole");
    }
    assert_eq!(
        good(store.source(&source(1).digest).await),
        Some(source(1)),
        "the source of kept runs is kept"
    );
}

pub(super) async fn so_many_that_finished_last_can_be_kept(store: &dyn Store) {
    for number in 1..=6 {
        let first = create(number);
        let status = if number == 5 { RunStatus::Waiting } else { RunStatus::Succeeded };
        good(store.append(vec![first.clone(), follow_as(&first, status)]).await);
    }
    for (runs, since) in [
        (0, Some(Timestamp::MAX)),
        (1, Some(second(7))),
        (2, Some(second(5))),
        (4, Some(second(3))),
        (5, None),
        (9, None),
    ] {
        let found = good(store.finished_since(runs).await);
        assert_eq!(found, since, "of five that finished, {runs} are to be kept");
    }
}

pub(super) async fn prune_keeps_a_run_whose_key_is_taken(store: &dyn Store) {
    let first = create_once(1, "alert", 1000);
    good(store.append(vec![first.clone(), follow_as(&first, RunStatus::Succeeded)]).await);
    assert_eq!(good(store.prune(second(500)).await), 0, "the key is taken");
    assert_eq!(one(store, create_once(2, "alert", 1000)).await, Appended::Duplicate(run(1)), "and stays so");
    good(store.prune(second(5000)).await);
    assert_eq!(good(store.journal(run(1)).await).is_empty(), good(store.summary(run(1)).await).is_none());
}
