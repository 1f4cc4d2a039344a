//! Claims: what they give, and whom they fence off.

use model::RunStatus;

use super::sample::{ask, create, create_once, follow, follow_as, run, second};
use super::{at, claim, good, one, open_runs};
use crate::store::{Append, Appended, Error, Fence, Query, Store};

pub(super) async fn what_is_not_over_is_found(store: &dyn Store) {
    let ended = [RunStatus::Succeeded, RunStatus::Failed, RunStatus::Cancelled];
    for (number, status) in (1..).zip(ended) {
        let first = create(number);
        good(store.append(vec![first.clone(), follow_as(&first, status)]).await);
    }
    let waits = create(4);
    good(store.append(vec![waits.clone(), ask(&waits), create(6), create(5)]).await);
    let (_, claimed) = claim(store).await;
    assert_eq!(claimed, [run(4), run(5), run(6)], "what is not finished");
    assert_eq!(open_runs(store).await[0], ask(&waits).summary, "the rows are as they are");
    let query = Query { is_open: true, limit: 2, ..Query::default() };
    let page = good(store.runs(query.clone()).await);
    assert_eq!(page.next, Some(run(5)), "page by page, newest first");
    let page = good(store.runs(Query { before: page.next, ..query }).await);
    assert_eq!((page.runs.len(), page.next), (1, None), "to the last page");
}

pub(super) async fn an_abandoned_run_has_ended(store: &dyn Store) {
    let (first, other) = (create_once(1, "alert", 1000), create(2));
    let last = ask(&first);
    good(store.append(vec![first, last.clone(), other]).await);
    let mut row = follow_as(&last, RunStatus::Failed).summary;
    row.waiting.clear();
    row.error = Some("abandoned by ana: the disk is gone".to_owned());
    good(store.abandon(row.clone()).await);
    assert_eq!(claim(store).await.1, [run(2)], "it is not claimed any more");
    assert_eq!(good(store.summary(run(1)).await), Some(row.clone()), "its row is the one that was given");
    let failed = Query { status: Some(RunStatus::Failed), ..Query::default() };
    assert_eq!(good(store.runs(failed).await).runs, [row], "lists show it");
    let waiting = Query { waits_for_people: true, ..Query::default() };
    assert_eq!(good(store.runs(waiting).await).runs, [], "nobody waits for it");
    assert!(matches!(store.journal(run(1)).await, Err(Error::Damaged { .. })), "its journal is damaged");
    for append in [follow(&last, 1), follow(&follow(&last, 1), 1)] {
        assert_eq!(one(store, append).await, Appended::Conflict, "nothing can be appended");
    }
    let again = one(store, create_once(3, "alert", 1000)).await;
    assert_eq!(again, Appended::Duplicate(run(1)), "its key stays taken");
    good(store.abandon(follow(&create(9), 1).summary).await);
    assert_eq!(good(store.summary(run(9)).await), None, "a run that is not there stays so");
    good(store.prune(second(5000)).await);
    let left = (good(store.summary(run(1)).await), store.journal(run(1)).await.is_err());
    assert_eq!(left.0.is_some(), left.1, "it is forgotten as any other");
}

pub(super) async fn a_claim_fences_off_the_one_before(store: &dyn Store) {
    let first = create(1);
    at(store, first.clone()).await;
    let (old, _) = claim(store).await;
    let held = |append: Append, fence: Fence| Append { fence: Some(fence), ..append };
    let then = follow(&first, 1);
    at(store, held(then.clone(), old)).await;
    let (new, unfinished) = claim(store).await;
    assert!(new > old, "a later claim has a higher fence");
    assert_eq!(unfinished, [run(1)], "and takes over what the claim before held");
    let next = follow(&then, 1);
    assert_eq!(one(store, held(next.clone(), old)).await, Appended::Fenced, "the older one is fenced off");
    assert_eq!(one(store, held(first.clone(), old)).await, Appended::Fenced, "whatever it expects");
    good(store.release(old).await);
    at(store, held(next.clone(), new)).await;
    let word = follow(&next, 1);
    at(store, word.clone()).await;
    good(store.release(new).await);
    assert_eq!(
        one(store, held(follow(&word, 1), new)).await,
        Appended::Fenced,
        "a released claim is worth nothing"
    );
    at(store, follow(&word, 1)).await;
    let (last, _) = claim(store).await;
    assert!(last > new, "a released claim can be taken again");
}
