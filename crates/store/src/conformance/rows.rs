//! Lists of runs: order, pages, filters.

use model::{RunId, RunStatus};

use super::sample::{ask, create, follow_as, run};
use super::{at, fill, good};
use crate::store::{Page, Query, Store};

pub(super) async fn rows_come_newest_first_in_pages(store: &dyn Store) {
    fill(store, 25).await;
    let mut page = rows(store, |query| query.limit = 10).await;
    let mut sizes = vec![page.runs.len()];
    let mut seen = ids(&page);
    while page.next.is_some() {
        page = rows(store, |query| (query.before, query.limit) = (page.next, 10)).await;
        sizes.push(page.runs.len());
        seen.extend(ids(&page));
    }
    assert_eq!(sizes, [10, 10, 5], "pages are full while there are rows");
    assert_eq!(seen, (1..=25).rev().map(run).collect::<Vec<_>>(), "newest first, each once");
    let all = rows(store, |query| query.limit = 25).await;
    assert_eq!((all.runs.len(), all.next), (25, None), "a page that holds all is the last");
    let one = rows(store, |query| query.limit = 0).await;
    assert_eq!((ids(&one), one.next), (vec![run(25)], Some(run(25))), "a page has at least a row");
    let most = rows(store, |query| query.limit = usize::MAX).await;
    assert_eq!(most.runs.len(), 25, "a limit is held within its bounds");
    let none = rows(store, |query| query.before = Some(run(1))).await;
    assert_eq!(none, Page::default(), "nothing is older than the oldest");
}

pub(super) async fn rows_can_be_filtered(store: &dyn Store) {
    for number in 1..=12 {
        let mut first = create(number);
        if number % 2 == 0 {
            "triage".clone_into(&mut first.summary.workflow);
        }
        at(store, first.clone()).await;
        match number % 4 {
            0 => at(store, ask(&first)).await,
            1 => at(store, follow_as(&first, RunStatus::Succeeded)).await,
            2 => at(store, follow_as(&first, RunStatus::Waiting)).await,
            _ => continue,
        };
    }
    let waiting = Some(RunStatus::Waiting);
    check(store, "by status", &[12, 10, 8, 6, 4, 2], |query| query.status = waiting).await;
    check(store, "by another status", &[9, 5, 1], |query| query.status = Some(RunStatus::Succeeded)).await;
    check(store, "by a status that none has", &[], |query| query.status = Some(RunStatus::Failed)).await;
    check(store, "those that wait for people", &[12, 8, 4], |query| query.waits_for_people = true).await;
    let contain = || Some("contain".to_owned());
    check(store, "by workflow", &[11, 9, 7, 5, 3, 1], |query| query.workflow = contain()).await;
    check(store, "by the whole name", &[], |query| query.workflow = Some("contai".to_owned())).await;
    let both = |query: &mut Query| (query.workflow, query.status) = (contain(), Some(RunStatus::Running));
    check(store, "by workflow and status", &[11, 7, 3], both).await;
    let from = |query: &mut Query| (query.status, query.before) = (waiting, Some(run(8)));
    check(store, "from a place on", &[6, 4, 2], from).await;
}

async fn check(store: &dyn Store, what: &str, expected: &[u32], change: impl Fn(&mut Query)) {
    let expected: Vec<RunId> = expected.iter().map(|number| run(*number)).collect();
    let whole = rows(store, &change).await;
    assert_eq!((ids(&whole), whole.next), (expected.clone(), None), "{what}");
    let first = rows(store, |query| {
        change(query);
        query.limit = 1;
    });
    let first = first.await;
    let mut seen = ids(&first);
    if first.next.is_some() {
        let rest = rows(store, |query| {
            change(query);
            query.before = first.next;
        });
        seen.extend(ids(&rest.await));
    }
    assert_eq!(seen, expected, "{what}, in pages");
}

async fn rows(store: &dyn Store, change: impl FnOnce(&mut Query)) -> Page {
    let mut query = Query::default();
    change(&mut query);
    good(store.runs(query).await)
}

fn ids(page: &Page) -> Vec<RunId> {
    page.runs.iter().map(|row| row.run).collect()
}
