//! The suite that every store passes: the contract of [`Store`], one test for each sentence.
//!
//! It knows nothing of how a store works, whether other processes write to it too, or what time it is. A broken promise
//! is a panic with the promise in it.

mod appends;
mod claims;
mod keeping;
mod keys;
mod rows;
pub mod sample;

use std::sync::Arc;

use model::{RunId, RunSummary};

use crate::store::{Append, Appended, Fence, Position, Query, Store};

pub use keeping::check_kept;

/// Checks a store; `make` gives an empty one each time.
///
/// # Panics
///
/// With the first promise that is broken.
pub async fn check(make: impl AsyncFn() -> Arc<dyn Store>) {
    appends::an_append_can_be_read_back(&*make().await).await;
    appends::an_append_that_expects_another_number_is_a_conflict(&*make().await).await;
    appends::appends_of_one_call_are_applied_in_their_order(&*make().await).await;
    appends::positions_grow_and_become_durable(&*make().await).await;
    appends::a_broken_contract_is_refused(&*make().await).await;
    keys::a_key_makes_one_run_until_its_time_is_over(&*make().await).await;
    keys::a_key_counts_within_one_call(&*make().await).await;
    rows::rows_come_newest_first_in_pages(&*make().await).await;
    rows::rows_can_be_filtered(&*make().await).await;
    claims::what_is_not_over_is_found(&*make().await).await;
    claims::an_abandoned_run_has_ended(&*make().await).await;
    claims::a_claim_fences_off_the_one_before(&*make().await).await;
    keeping::sources_are_kept(&*make().await).await;
    keeping::notes_are_kept(&*make().await).await;
    keeping::prune_forgets_what_finished(&*make().await).await;
    keeping::so_many_that_finished_last_can_be_kept(&*make().await).await;
    keeping::prune_keeps_a_run_whose_key_is_taken(&*make().await).await;
    appends::one_of_many_who_append_at_once_wins(&make().await).await;
}

/// Creates so many runs with the numbers from 1 and gives their positions.
///
/// # Panics
///
/// If the store does not take them.
pub async fn fill(store: &dyn Store, runs: u32) -> Vec<Position> {
    let mut positions = Vec::new();
    for number in 1..=runs {
        positions.push(at(store, sample::create(number)).await);
    }
    positions
}

fn good<T>(result: crate::Result<T>) -> T {
    result.unwrap_or_else(|error| panic!("the store failed: {error}"))
}

async fn one(store: &dyn Store, append: Append) -> Appended {
    let answers = good(store.append(vec![append]).await);
    assert_eq!(answers.len(), 1, "one append has one answer");
    answers[0]
}

async fn at(store: &dyn Store, append: Append) -> Position {
    match one(store, append).await {
        Appended::At(position) => position,
        other @ (Appended::Conflict | Appended::Duplicate(_) | Appended::Fenced) => {
            panic!("the append is taken: {other:?}")
        }
    }
}

/// A claim, and the runs that are taken over with it, oldest first.
async fn claim(store: &dyn Store) -> (Fence, Vec<RunId>) {
    let fence = good(store.claim("worker").await);
    (fence, open_runs(store).await.iter().map(|row| row.run).collect())
}

/// The rows of the runs that are not over, oldest first.
pub async fn open_runs(store: &dyn Store) -> Vec<RunSummary> {
    let mut rows = good(store.runs(Query { is_open: true, ..Query::default() }).await).runs;
    rows.reverse();
    rows
}
