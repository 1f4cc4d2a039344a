//! What is asked for and admitted, over a store in memory, a clock that follows tokio's, and an index that a test fills.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};

use insta::assert_snapshot;
use model::{FailureClass, Outcome, Trigger, TriggerKind};
use serde_json::json;
use store::{MemoryStore, Query};
use workflow::Catalog;

use super::*;
use crate::{Clock, Delivery, Executor, Found, Settings};

const NODES: [&str; 2] = [
    "node: webhook\nsummary: x\ntrigger: webhook\ninputs:\n  path: { type: string, required: true, summary: x }\n",
    "node: set\nsummary: x\neffect: read\non_doubt: retry\nengine: set\n",
];

const EACH: &str = "workflow: each\ntriggers: [{ uses: webhook, with: { path: wazuh }, when: alert.rule.level >= 5 }]\nsteps:\n  - { id: a, uses: set }\n";
/// The window is shorter than what is asked for again.
const JOINED: &str = "workflow: joined\ntriggers: [{ uses: webhook, with: { path: wazuh }, when: alert.rule.level >= 10 }]\ndedupe: { key: all, window: 10s }\nsteps:\n  - { id: a, uses: set }\n";

const SECOND: Duration = Duration::from_secs(1);

struct Nobody;

#[async_trait]
impl Executor for Nobody {
    async fn perform(&self, _: &engine::Command) -> Outcome {
        Outcome::Succeeded(json!({}).into())
    }
}

/// An index in memory. Each alert has its `at`, in milliseconds.
#[derive(Default)]
struct Index {
    alerts: Mutex<Vec<Value>>,
    /// What the next questions are answered with instead.
    failures: Mutex<VecDeque<Failure>>,
    /// No more than this fits into an answer.
    largest: AtomicUsize,
    /// What was asked for.
    asked: Mutex<Vec<String>>,
}

impl Index {
    fn add(&self, id: &str, level: u64, at: Timestamp) {
        locked(&self.alerts).push(alert(id, level, at));
    }

    fn asked(&self) -> String {
        locked(&self.asked).drain(..).collect::<Vec<_>>().join("\n")
    }
}

#[async_trait]
impl AlertSource for Index {
    async fn alerts(
        &self,
        since: Timestamp,
        until: Timestamp,
        after: Option<&Value>,
        size: usize,
    ) -> Result<AlertPage, Failure> {
        let behind = after.map_or(String::new(), |after| format!(" behind {after}"));
        locked(&self.asked).push(format!("{} to {}{behind}, {size}", second(since), second(until)));
        if let Some(failure) = locked(&self.failures).pop_front() {
            return Err(failure);
        }
        let key = |alert: &Value| (alert["at"].as_i64().unwrap(), alert["id"].as_str().unwrap().to_owned());
        let after = after.map(|after| (after[0].as_i64().unwrap(), after[1].as_str().unwrap().to_owned()));
        let mut found = locked(&self.alerts).clone();
        found.retain(|alert| {
            let at = Timestamp::from_millis(key(alert).0);
            at >= since && at < until && after.as_ref().is_none_or(|after| key(alert) > *after)
        });
        found.sort_by_key(key);
        found.truncate(size);
        if found.len() > self.largest.load(Ordering::SeqCst) {
            return Err(Failure::new(FailureClass::Response, "the answer is too large"));
        }
        let next = found.last().map_or(Value::Null, |last| json!([key(last).0, key(last).1]));
        Ok(AlertPage { alerts: found, next })
    }
}

fn base() -> Timestamp {
    "2026-11-22T09:00:00Z".parse().unwrap()
}

/// Seconds since the test began.
fn second(time: Timestamp) -> i64 {
    (time.as_millis() - base().as_millis()) / 1000
}

fn at(seconds: u64) -> Timestamp {
    base().after(Duration::from_secs(seconds))
}

fn alert(id: &str, level: u64, at: Timestamp) -> Value {
    json!({ "id": id, "at": at.as_millis(), "manager": { "name": "m" }, "rule": { "id": "9", "level": level } })
}

struct Bench {
    store: Arc<dyn Store>,
    index: Arc<Index>,
    clock: Clock,
    runner: Runner,
}

impl Bench {
    async fn new(texts: &[&str]) -> Bench {
        let index = Index { largest: AtomicUsize::new(usize::MAX), ..Index::default() };
        Bench::open(Arc::new(MemoryStore::default()), Arc::new(index), Clock::tokio(base()), texts, 10_000)
            .await
    }

    async fn open(
        store: Arc<dyn Store>,
        index: Arc<Index>,
        clock: Clock,
        texts: &[&str],
        most_active_runs: usize,
    ) -> Bench {
        let mut catalog = Catalog::default();
        for node in NODES {
            catalog.add("node.yaml", node).unwrap();
        }
        let found = texts.iter().enumerate();
        let found =
            found.map(|(number, text)| Found { file: format!("{number}.yaml"), text: Ok((*text).into()) });
        let workflows = Workflows::default().reread(found, &catalog, Timestamp::default());
        for playbook in workflows.playbooks() {
            assert!(playbook.failing_since.is_none(), "{}", playbook.findings);
        }
        let (every, look_back) = (10 * SECOND, 60 * SECOND);
        let reconcile = Reconcile { hook: "wazuh".to_owned(), every, look_back, source: index.clone() };
        let settings =
            Settings { clock, most_active_runs, reconcile: Some(reconcile), ..Settings::default() };
        let runner = Runner::open(store.clone(), Arc::new(Nobody), workflows, settings).await.unwrap();
        Bench { store, index, clock, runner }
    }

    /// The process dies, and another one begins.
    async fn again(self, texts: &[&str]) -> Bench {
        self.runner.shared.stop("killed by the test");
        Bench::open(self.store, self.index, self.clock, texts, 10_000).await
    }

    async fn post(&self, id: &str, level: u64, at: Timestamp) -> crate::Received {
        let trigger = Trigger {
            kind: TriggerKind::Webhook,
            received_at: self.clock.now(),
            headers: Default::default(),
            query: Default::default(),
            by: None,
            parent: None,
            reconciled: false,
        };
        let alert = Arc::new(alert(id, level, at));
        self.runner.receive(Delivery { path: "wazuh".to_owned(), alert, trigger }).await.unwrap()
    }

    /// The runs, oldest first: the workflow, the alert, how many joined it, and whether one had to be asked for.
    async fn runs(&self) -> String {
        let mut runs = self.store.runs(Query::default()).await.unwrap().runs;
        runs.sort_by_key(|row| row.run);
        let line = |row: &model::RunSummary| {
            let found = if row.reconciled { " found" } else { "" };
            let alert = row.alert.clone().unwrap_or_default();
            format!("{} {alert} +{}{found}", row.workflow, row.alerts_again)
        };
        runs.iter().map(line).collect::<Vec<_>>().join("\n")
    }
}

async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn what_never_came_is_admitted_and_what_came_or_is_not_wanted_is_not() {
    let bench = Bench::new(&[EACH]).await;
    bench.index.add("old", 9, base().before(SECOND));
    bench.post("came", 9, at(1)).await;
    for (id, level) in [("came", 9), ("lost", 9), ("quiet", 4)] {
        bench.index.add(id, level, at(1));
    }
    pass(300).await;
    assert_snapshot!(bench.runs().await, @"
    each m/came +0
    each m/lost +0 found
    ");
    let gaps: Vec<String> =
        bench.runner.gaps().iter().map(|gap| format!("{} {}", gap.alert, gap.about)).collect();
    assert_eq!(gaps, ["m/lost rule 9"]);
}

#[tokio::test(start_paused = true)]
async fn an_alert_that_was_found_is_no_other_one_when_it_comes_after_all() {
    let bench = Bench::new(&[EACH, JOINED]).await;
    bench.post("first", 12, at(0)).await;
    bench.index.add("lost", 12, at(1));
    pass(15).await;
    let bench = bench.again(&[EACH, JOINED]).await;
    // Long after the window of its playbook.
    pass(3600).await;
    let received = bench.post("lost", 12, at(1)).await;
    assert!(received.runs.iter().all(|started| started.is_duplicate), "{received:?}");
    assert_snapshot!(bench.runs().await, @"
    each m/first +0
    joined m/first +0
    each m/lost +0 found
    joined m/lost +0 found
    ");
    assert_eq!(bench.runner.gaps().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_alert_that_joined_a_run_starts_none_when_it_is_read_again() {
    let bench = Bench::new(&[JOINED]).await;
    bench.post("first", 12, at(0)).await;
    bench.post("second", 12, at(1)).await;
    bench.index.add("first", 12, at(0));
    bench.index.add("second", 12, at(1));
    let bench = bench.again(&[JOINED]).await;
    pass(50).await;
    assert_snapshot!(bench.runs().await, @"joined m/first +1");
}

#[tokio::test(start_paused = true)]
async fn pages_follow_one_another_and_an_answer_that_is_too_large_is_asked_for_in_parts() {
    let bench = Bench::new(&[EACH]).await;
    bench.index.largest.store(60, Ordering::SeqCst);
    for number in 0..150 {
        bench.index.add(&format!("{number:03}"), 9, at(1));
    }
    pass(45).await;
    assert_eq!(bench.runner.gaps().len(), 150);
    let cursor = bench.runner.reconciled().unwrap();
    assert!(second(cursor.until) > 1 && cursor.succeeded_at.is_some(), "{cursor:?}");
}

#[tokio::test(start_paused = true)]
async fn an_index_that_is_away_keeps_the_cursor_where_it_is() {
    let bench = Bench::new(&[EACH]).await;
    pass(25).await;
    let before = bench.runner.reconciled().unwrap();
    let away = || Failure::new(FailureClass::Connect, "refused");
    locked(&bench.index.failures).extend((0..1000).map(|_| away()));
    bench.index.add("lost", 9, at(26));
    pass(600).await;
    assert_eq!(bench.runner.reconciled().unwrap(), before);
    locked(&bench.index.failures).clear();
    pass(11).await;
    assert_snapshot!(bench.runs().await, @"each m/lost +0 found");
    assert!(second(bench.runner.reconciled().unwrap().until) > 600);
    assert!(bench.index.asked().contains("0 to 20, 100"), "it asked from where it was");
}

#[tokio::test(start_paused = true)]
async fn a_backlog_waits_for_room_and_nothing_of_it_is_passed_over() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
    let index = Arc::new(Index { largest: AtomicUsize::new(usize::MAX), ..Index::default() });
    let bench = Bench::open(store, index, Clock::tokio(base()), &[EACH], 0).await;
    for number in 0..30 {
        bench.index.add(&format!("{number:03}"), 9, at(1));
    }
    pass(100).await;
    assert_eq!((bench.runs().await.as_str(), second(bench.runner.reconciled().unwrap().until)), ("", 0));
    let bench = bench.again(&[EACH]).await;
    pass(1).await;
    assert_eq!(bench.runs().await.lines().count(), 30);
}

#[tokio::test(start_paused = true)]
async fn an_alert_that_cannot_be_admitted_keeps_no_other_waiting() {
    let bench = Bench::new(&[EACH]).await;
    let mut deep = json!(1);
    for _ in 0..model::DEEPEST_FROM_OUTSIDE {
        deep = json!([deep]);
    }
    for (id, hostile) in [("a", json!({ "data": deep })), ("b", json!({ "manager": 7 })), ("c", json!({}))] {
        let mut alert = alert(id, 9, at(1));
        alert.as_object_mut().unwrap().extend(hostile.as_object().unwrap().clone());
        locked(&bench.index.alerts).push(alert);
    }
    pass(60).await;
    assert_snapshot!(bench.runs().await, @"each m/c +0 found");
    assert!(second(bench.runner.reconciled().unwrap().until) > 1);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_passed_over_while_no_playbook_listens() {
    let bench = Bench::new(&[]).await;
    bench.index.add("lost", 9, at(1));
    pass(600).await;
    assert_eq!(bench.index.asked(), "");
    let bench = bench.again(&[EACH]).await;
    pass(11).await;
    assert_snapshot!(bench.runs().await, @"each m/lost +0 found");
}
