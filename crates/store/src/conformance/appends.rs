//! Appends: their order, their answers, reading them back.

use std::sync::Arc;

use super::sample::{create, create_once, follow, run};
use super::{at, fill, good, one};
use crate::store::{Append, Appended, Error, Position, Store};

pub(super) async fn an_append_can_be_read_back(store: &dyn Store) {
    assert_eq!(good(store.journal(run(1)).await), [], "the journal of a run that is not there is empty");
    assert_eq!(good(store.summary(run(1)).await), None, "a run that is not there has no row");
    let first = create(1);
    let then = follow(&first, 3);
    at(store, first.clone()).await;
    assert_eq!(good(store.journal(run(1)).await), first.records, "an append can be read when it returns");
    at(store, then.clone()).await;
    let all = [first.records, then.records].concat();
    assert_eq!(good(store.journal(run(1)).await), all, "the journal is in order");
    assert_eq!(good(store.summary(run(1)).await), Some(then.summary), "the row is that of the last append");
    let mut position = Position::default();
    let mut last = create(2);
    let mut records = last.records.clone();
    at(store, last.clone()).await;
    for facts in 1..=150 {
        last = follow(&last, 1 + facts % 3);
        records.extend(last.records.clone());
        position = at(store, last.clone()).await;
    }
    assert_eq!(good(store.journal(run(2)).await), records, "a long journal is read whole");
    good(store.durable(position).await);
    assert_eq!(good(store.journal(run(2)).await), records, "a long journal is read whole from disk");
}

pub(super) async fn an_append_that_expects_another_number_is_a_conflict(store: &dyn Store) {
    let first = create(1);
    assert_eq!(one(store, follow(&first, 1)).await, Appended::Conflict, "there is no run to follow");
    at(store, first.clone()).await;
    assert_eq!(one(store, first.clone()).await, Appended::Conflict, "the run exists");
    let winner = follow(&first, 2);
    at(store, winner.clone()).await;
    assert_eq!(one(store, follow(&first, 1)).await, Appended::Conflict, "somebody was faster");
    let ahead = follow(&follow(&winner, 1), 1);
    assert_eq!(one(store, ahead).await, Appended::Conflict, "a number is missing");
    let journal = good(store.journal(run(1)).await);
    assert_eq!(journal, [first.records, winner.records].concat(), "a conflict leaves nothing behind");
    assert_eq!(good(store.summary(run(1)).await), Some(winner.summary), "nor in the row");
}

pub(super) async fn appends_of_one_call_are_applied_in_their_order(store: &dyn Store) {
    let first = create(1);
    let then = follow(&first, 1);
    let other = create(2);
    let calls =
        vec![first.clone(), other.clone(), then.clone(), follow(&other, 2), first.clone(), follow(&then, 1)];
    let answers = good(store.append(calls).await);
    let [
        Appended::At(a),
        Appended::At(b),
        Appended::At(c),
        Appended::At(d),
        Appended::Conflict,
        Appended::At(e),
    ] = answers[..]
    else {
        panic!("each append has its own answer, in order: {answers:?}");
    };
    assert!(a < b && b < c && c < d && d < e, "positions grow with the order of the appends");
    assert_eq!(good(store.journal(run(1)).await).len(), 3, "a neighbour's conflict changes nothing");
    assert_eq!(good(store.append(Vec::new()).await), [], "no appends, no answers");
}

pub(super) async fn positions_grow_and_become_durable(store: &dyn Store) {
    let positions = fill(store, 20).await;
    assert!(positions.is_sorted_by(|a, b| a < b), "positions are the order of appends");
    for position in positions.iter().rev() {
        good(store.durable(*position).await);
    }
    good(store.durable(Position::default()).await);
    let health = store.health().await;
    assert!(health.is_writable, "the store takes appends");
    assert_eq!(health.reports, [] as [String; 0], "there is nothing to report");
}

type Damage = fn(&mut Append);

pub(super) async fn a_broken_contract_is_refused(store: &dyn Store) {
    let first = create(1);
    at(store, first.clone()).await;
    let broken: [(&str, Damage); 5] = [
        ("no records", |append| append.records.clear()),
        ("a gap", |append| append.records[1].seq += 1),
        ("a wrong next_seq", |append| append.summary.next_seq += 1),
        ("a key on a run that exists", |append| {
            append.dedupe = create_once(1, "key", 1).dedupe;
        }),
        ("a number from another place", |append| append.records[0].seq = 0),
    ];
    for (what, damage) in broken {
        let mut append = follow(&first, 2);
        damage(&mut append);
        let answer = store.append(vec![create(7), append]).await;
        assert!(matches!(answer, Err(Error::Refused(_))), "{what} is refused: {answer:?}");
    }
    assert_eq!(good(store.journal(run(7)).await), [], "a refused call appends nothing");
    at(store, follow(&first, 2)).await;
}

pub(super) async fn one_of_many_who_append_at_once_wins(store: &Arc<dyn Store>) {
    let first = create(1);
    at(&**store, first.clone()).await;
    let mut tasks = tokio::task::JoinSet::new();
    for facts in 1..=16 {
        let store = Arc::clone(store);
        let append = follow(&first, facts);
        tasks.spawn(async move { one(&*store, append).await });
    }
    let answers = tasks.join_all().await;
    let won = answers.iter().filter(|answer| matches!(answer, Appended::At(_))).count();
    let lost = answers.iter().filter(|answer| **answer == Appended::Conflict).count();
    assert_eq!((won, lost), (1, 15), "of those who expect the same number, one wins");
}
