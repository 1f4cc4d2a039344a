//! Dedupe keys: one run for each, until its time is over.

use super::sample::{create, create_once, run};
use super::{at, good, one};
use crate::store::{Append, Appended, Store};

pub(super) async fn a_key_makes_one_run_until_its_time_is_over(store: &dyn Store) {
    let long = "k".repeat(5000);
    at(store, create_once(1, "alert/1", 10)).await;
    at(store, create_once(2, &long, 10)).await;
    at(store, create_once(3, "alert/2", 1000)).await;
    let again = one(store, create_once(10, "alert/1", 10)).await;
    assert_eq!(again, Appended::Duplicate(run(1)), "a key makes one run");
    assert_eq!(
        one(store, create_once(11, &long, 10)).await,
        Appended::Duplicate(run(2)),
        "however long it is"
    );
    assert_eq!(
        one(store, create_once(1, "alert/1", 10)).await,
        Appended::Duplicate(run(1)),
        "also for itself"
    );
    assert_eq!(good(store.summary(run(10)).await), None, "a duplicate creates nothing");
    at(store, create_once(11, "alert/1", 10)).await;
    let third = one(store, create_once(12, "alert/1", 10)).await;
    assert_eq!(third, Appended::Duplicate(run(11)), "the key is the new run's");
    at(store, create_once(12, &long, 10)).await;
    assert_eq!(
        one(store, create_once(13, "alert/2", 1)).await,
        Appended::Duplicate(run(3)),
        "each key by itself"
    );
    at(store, create(13)).await;
}

pub(super) async fn a_key_counts_within_one_call(store: &dyn Store) {
    let calls = vec![create_once(1, "alert", 60), create_once(2, "alert", 60), create_once(3, "other", 60)];
    let answers = good(store.append(calls).await);
    let whole =
        matches!(answers[..], [Appended::At(_), Appended::Duplicate(by), Appended::At(_)] if by == run(1));
    assert!(whole, "the second of two with one key is a duplicate: {answers:?}");
    let taken = Append { dedupe: create_once(4, "fresh", 60).dedupe, ..create(1) };
    assert_eq!(one(store, taken).await, Appended::Conflict, "a conflict");
    let fresh = one(store, create_once(5, "fresh", 60)).await;
    assert!(matches!(fresh, Appended::At(_)), "does not take its key: {fresh:?}");
}
