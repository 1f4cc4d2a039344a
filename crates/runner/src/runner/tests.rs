//! Runs driven to their ends over a store in memory, with calls that a script answers and a clock that the test moves.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use engine::Command;
use model::{Failure, FailureClass, Outcome, RunStatus, Timestamp, Trigger, TriggerKind};
use serde_json::{Value, json};
use store::{MemoryStore, Query};
use tokio::sync::Notify;
use workflow::Catalog;

use super::*;
use crate::start::{Delivery, Received};

mod calls;
mod contained;
mod full_disk;
mod held;
mod overload;
mod recovery;
mod stopping;
mod written;

const NODES: [&str; 10] = [
    "node: isolate\nsummary: x\neffect: disrupt\non_doubt: ask\nrequest: { method: GET, path: / }\ntarget: \"host/{{ inputs.on }}\"\nundo: { uses: release, with: { on: \"{{ inputs.on }}\" } }\ninputs:\n  on: { type: string, required: true, summary: x }\n",
    "node: release\nsummary: x\neffect: write\non_doubt: retry\nrequest: { method: GET, path: / }\ninputs:\n  on: { type: string, required: true, summary: x }\n",
    "node: block\nsummary: x\neffect: disrupt\non_doubt: ask\nrequest: { method: GET, path: / }\ntarget: \"ip/{{ inputs.ip }}\"\nundo: { uses: release, with: { on: \"{{ inputs.ip }}\" } }\ninputs:\n  ip: { type: ip, required: true, summary: x }\n",
    "node: webhook\nsummary: x\ntrigger: webhook\ninputs:\n  path: { type: string, required: true, summary: x }\n",
    "node: look\nsummary: x\neffect: read\non_doubt: retry\nrequest: { method: GET, path: / }\n",
    "node: act\nsummary: x\neffect: disrupt\non_doubt: ask\nrequest: { method: GET, path: / }\ntarget: \"host/{{ inputs.on }}\"\ninputs:\n  on: { type: string, required: true, summary: x }\n",
    "node: delay\nsummary: x\neffect: read\non_doubt: retry\nengine: delay\ninputs:\n  for: { type: duration, required: true, summary: x }\n",
    "node: approval\nsummary: x\neffect: read\non_doubt: retry\nengine: approval\n",
    "node: set\nsummary: x\neffect: read\non_doubt: retry\nengine: set\n",
    "node: workflow\nsummary: x\neffect: read\non_doubt: retry\nengine: workflow\ninputs:\n  workflow: { type: string, required: true, summary: x }\n  inputs: { type: object, default: {}, summary: x }\n",
];

const CONTAIN: &str = r#"
workflow: contain
triggers:
  - uses: webhook
    with: { path: wazuh }
    when: alert.rule.level >= 10
dedupe: { key: "{{ alert.id }}", window: 1h }
steps:
  - { id: look, uses: look }
  - id: block
    uses: act
    with: { on: web-01 }
    approval: { ask: "Block?", expires: 30m }
"#;

/// These playbooks, after those that are live already.
fn reread(before: &Workflows, texts: &[&str]) -> Workflows {
    let mut catalog = Catalog::default();
    for node in NODES {
        catalog.add("node.yaml", node).unwrap();
    }
    let found = texts
        .iter()
        .enumerate()
        .map(|(number, text)| crate::Found { file: format!("{number}.yaml"), text: Ok((*text).into()) });
    before.reread(found, &catalog, Timestamp::default())
}

/// The same, and all of them are good.
fn workflows(texts: &[&str]) -> Workflows {
    let workflows = reread(&Workflows::default(), texts);
    for playbook in workflows.playbooks() {
        assert!(playbook.failing_since.is_none(), "{}", playbook.findings);
    }
    workflows
}

/// Answers calls as it was told, and counts them.
#[derive(Default)]
struct Scripted {
    outcomes: BTreeMap<&'static str, Outcome>,
    calls: AtomicUsize,
    released: AtomicUsize,
    /// Where set, a call to `act` or `release` says that it has begun and never ends.
    hangs: Option<Arc<Notify>>,
}

#[async_trait]
impl Executor for Scripted {
    async fn perform(&self, command: &Command) -> Outcome {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let is_slow = ["act", "release"].contains(&command.node.name.as_str());
        if command.node.name == "release" {
            self.released.fetch_add(1, Ordering::SeqCst);
        }
        if let Some(begun) = self.hangs.as_ref().filter(|_| is_slow) {
            begun.notify_one();
            std::future::pending::<()>().await;
        }
        let outcome = self.outcomes.get(command.node.name.as_str()).cloned();
        outcome.unwrap_or_else(|| Outcome::Succeeded(json!({}).into()))
    }
}

struct Bench {
    store: Arc<dyn Store>,
    executor: Arc<Scripted>,
    runner: Runner,
}

impl Bench {
    async fn new(texts: &[&str], executor: Scripted) -> Bench {
        Bench::over(Arc::new(MemoryStore::default()), texts, executor).await
    }

    async fn over(store: Arc<dyn Store>, texts: &[&str], executor: Scripted) -> Bench {
        let executor = Arc::new(executor);
        let clock = Clock::tokio(Timestamp::from_millis(1_000_000));
        let settings = Settings { clock, ..Settings::default() };
        let runner = Runner::open(store.clone(), executor.clone(), workflows(texts), settings).await.unwrap();
        Bench { store, executor, runner }
    }

    async fn post(&self, id: &str, level: u64) -> Received {
        let trigger = by_webhook();
        let alert: Arc<Value> = json!({ "id": id, "rule": { "level": level } }).into();
        self.runner.receive(Delivery { path: "wazuh".to_owned(), alert, trigger }).await.unwrap()
    }

    /// Waits until the run stands there; the clock moves on its own while nothing else does.
    async fn until(&self, run: RunId, status: RunStatus) -> RunSummary {
        let mut updates = self.runner.updates();
        loop {
            let summary = self.store.summary(run).await.unwrap().unwrap();
            if summary.status == status {
                return summary;
            }
            updates.recv().await.unwrap();
        }
    }
}

/// How an alert comes.
fn by_webhook() -> Trigger {
    Trigger {
        kind: TriggerKind::Webhook,
        received_at: Timestamp::default(),
        headers: BTreeMap::new(),
        query: BTreeMap::new(),
        by: None,
        parent: None,
        reconciled: false,
    }
}

fn ana() -> Person {
    Person { name: "ana".to_owned(), via: None, roles: Vec::new() }
}

fn block() -> StepKey {
    "block".parse().unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_alert_starts_a_run_that_waits_for_a_person_and_goes_on() {
    let bench = Bench::new(&[CONTAIN], Scripted::default()).await;
    let received = bench.post("1", 12).await;
    let run = received.runs[0].run;
    let summary = bench.until(run, RunStatus::Waiting).await;
    assert_eq!(summary.waiting.len(), 1);
    let decided = bench.runner.decide(run, block(), Decision::Approve, ana(), None, None).await.unwrap();
    assert!(decided.waiting.is_empty());
    bench.until(run, RunStatus::Succeeded).await;
    assert_eq!(bench.executor.calls.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn an_alert_below_the_threshold_starts_nothing() {
    let bench = Bench::new(&[CONTAIN], Scripted::default()).await;
    let received = bench.post("1", 3).await;
    assert!(received.runs.is_empty());
    assert_eq!(received.unstarted, ["contain"]);
}

#[tokio::test(start_paused = true)]
async fn an_alert_that_no_condition_understands_is_kept_as_a_failed_run() {
    let unclear = CONTAIN.replace("alert.rule.level >= 10", "alert.data.srcip != ''");
    let bench = Bench::new(&[unclear.as_str()], Scripted::default()).await;
    let run = bench.post("1", 12).await.runs[0].run;
    let summary = bench.until(run, RunStatus::Failed).await;
    assert!(summary.error.unwrap().starts_with("when: `alert.data.srcip` is missing"));
    assert_eq!(bench.executor.calls.load(Ordering::SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn a_retry_is_made_although_the_run_has_left_memory() {
    let lost = Outcome::Failed(Failure::new(FailureClass::Connect, "refused"));
    let scripted = Scripted { outcomes: BTreeMap::from([("act", lost)]), ..Scripted::default() };
    let text =
        CONTAIN.replace("    approval:", "    retry: { max: 3, wait: 10s, on: [connect] }\n    approval:");
    let bench = Bench::new(&[text.as_str()], scripted).await;
    let run = bench.post("1", 12).await.runs[0].run;
    bench.until(run, RunStatus::Waiting).await;
    bench.runner.decide(run, block(), Decision::Approve, ana(), None, None).await.unwrap();
    bench.until(run, RunStatus::Failed).await;
    assert_eq!(bench.executor.calls.load(Ordering::SeqCst), 4, "one look, and three attempts to act");
}

#[tokio::test(start_paused = true)]
async fn a_duplicate_answers_with_the_run_that_exists() {
    let bench = Bench::new(&[CONTAIN], Scripted::default()).await;
    let first = bench.post("1", 12).await.runs[0].clone();
    let second = bench.post("1", 12).await.runs[0].clone();
    assert_eq!((second.run, second.is_duplicate), (first.run, true));
    assert_ne!(bench.post("2", 12).await.runs[0].run, first.run);
    assert_eq!(bench.store.runs(Query::default()).await.unwrap().runs.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_duplicate_that_says_more_is_kept_with_the_run_and_the_very_same_is_not() {
    let text = CONTAIN.replace("alert.id }}\", window", "alert.rule.level }}\", window");
    let bench = Bench::new(&[text.as_str()], Scripted::default()).await;
    let run = bench.post("1", 12).await.runs[0].run;
    for id in ["1", "2", "2", "3"] {
        assert_eq!(bench.post(id, 12).await.runs[0].run, run);
    }
    assert_eq!(bench.store.summary(run).await.unwrap().unwrap().alerts_again, 2);
    bench.until(run, RunStatus::Failed).await;
    bench.post("4", 12).await;
    let journal = serde_json::to_string(&bench.store.journal(run).await.unwrap()).unwrap();
    assert!(journal.contains(r#""id":"4""#), "also after its end: {journal}");
}

#[tokio::test(start_paused = true)]
async fn an_approval_expires_by_the_clock_and_a_late_answer_is_refused() {
    let bench = Bench::new(&[CONTAIN], Scripted::default()).await;
    let run = bench.post("1", 12).await.runs[0].run;
    bench.until(run, RunStatus::Waiting).await;
    bench.until(run, RunStatus::Failed).await;
    let late = bench.runner.decide(run, block(), Decision::Approve, ana(), None, None).await;
    assert_eq!(late.unwrap_err().to_string(), "the run has finished");
}

#[tokio::test(start_paused = true)]
async fn two_people_who_answer_at_once_make_one_decision() {
    let bench = Bench::new(&[CONTAIN], Scripted::default()).await;
    let run = bench.post("1", 12).await.runs[0].run;
    bench.until(run, RunStatus::Waiting).await;
    let approve = bench.runner.decide(run, block(), Decision::Approve, ana(), None, None);
    let bo = Person { name: "bo".to_owned(), ..ana() };
    let reject = bench.runner.decide(run, block(), Decision::Reject, bo, Some("no".to_owned()), None);
    let (approve, reject) = tokio::join!(approve, reject);
    assert!(approve.is_ok() != reject.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_process_that_dies_in_the_middle_of_a_disruption_leaves_it_in_doubt() {
    let begun = Arc::new(Notify::new());
    let bench = Bench::new(&[CONTAIN], Scripted { hangs: Some(begun.clone()), ..Scripted::default() }).await;
    let run = bench.post("1", 12).await.runs[0].run;
    bench.until(run, RunStatus::Waiting).await;
    bench.runner.decide(run, block(), Decision::Approve, ana(), None, None).await.unwrap();
    begun.notified().await;
    let after = Bench::over(bench.store.clone(), &[CONTAIN], Scripted::default()).await;
    let summary = after.until(run, RunStatus::Waiting).await;
    assert!(matches!(summary.waiting[0].reason, model::WaitingFor::Resolution { .. }));
    assert_eq!(after.executor.calls.load(Ordering::SeqCst), 0);
    let why = "the firewall shows the rule".to_owned();
    after.runner.resolve(run, block(), Resolution::Ok, ana(), why).await.unwrap();
    after.until(run, RunStatus::Succeeded).await;
    assert_eq!(after.executor.calls.load(Ordering::SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn a_run_goes_on_with_the_workflow_that_it_started_with() {
    let bench = Bench::new(&[CONTAIN], Scripted::default()).await;
    let run = bench.post("1", 12).await.runs[0].run;
    bench.until(run, RunStatus::Waiting).await;
    let edited = CONTAIN.replace("on: web-01", "on: other-02");
    let after = Bench::over(bench.store.clone(), &[edited.as_str()], Scripted::default()).await;
    after.runner.decide(run, block(), Decision::Approve, ana(), None, None).await.unwrap();
    after.until(run, RunStatus::Succeeded).await;
    let journal = serde_json::to_string(&after.store.journal(run).await.unwrap()).unwrap();
    assert!(journal.contains("host/web-01") && !journal.contains("other-02"));
}

#[tokio::test(start_paused = true)]
async fn a_reload_starts_new_runs_with_the_new_version_and_leaves_the_others() {
    let bench = Bench::new(&[CONTAIN], Scripted::default()).await;
    let old = bench.post("1", 12).await.runs[0].run;
    bench.until(old, RunStatus::Waiting).await;
    let edited = CONTAIN.replace("on: web-01", "on: other-02");
    let next = reread(&bench.runner.workflows(), &[edited.as_str()]);
    bench.runner.replace_workflows(next).await.unwrap();
    let new = bench.post("2", 12).await.runs[0].run;
    bench.until(new, RunStatus::Waiting).await;
    for (run, host) in [(old, "host/web-01"), (new, "host/other-02")] {
        bench.runner.decide(run, block(), Decision::Approve, ana(), None, None).await.unwrap();
        bench.until(run, RunStatus::Succeeded).await;
        let journal = serde_json::to_string(&bench.store.journal(run).await.unwrap()).unwrap();
        assert!(journal.contains(host), "{journal}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_version_is_in_the_store_before_it_can_be_started() {
    let bench = Bench::new(&[CONTAIN], Scripted::default()).await;
    let broken = reread(&bench.runner.workflows(), &["workflow: contain\nsteps: []\n"]);
    bench.runner.replace_workflows(broken).await.unwrap();
    assert_eq!(bench.post("1", 12).await.runs.len(), 1, "the version before stays live");
    let edited = CONTAIN.replace("web-01", "other-02");
    bench.runner.replace_workflows(reread(&bench.runner.workflows(), &[edited.as_str()])).await.unwrap();
    let digest = bench.runner.workflows().get("contain").unwrap().digest.clone();
    assert!(bench.store.source(&digest).await.unwrap().is_some());
    bench.runner.replace_workflows(reread(&bench.runner.workflows(), &[])).await.unwrap();
    assert!(bench.post("2", 12).await.runs.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_failed_call_fails_the_run_and_a_delay_waits() {
    let failed = Outcome::Failed(Failure::new(FailureClass::Http(404), "no such thing"));
    let scripted = Scripted { outcomes: BTreeMap::from([("look", failed)]), ..Scripted::default() };
    let waits = "workflow: waits\ntriggers: [{ uses: webhook, with: { path: wazuh } }]\nsteps:\n  - { id: a, uses: delay, with: { for: 2h } }\n";
    let bench = Bench::new(&[CONTAIN, waits], scripted).await;
    let received = bench.post("1", 12).await;
    let failed = bench.until(received.runs[0].run, RunStatus::Failed).await;
    assert_eq!(failed.error.as_deref(), Some("look: no such thing"));
    let before = tokio::time::Instant::now();
    bench.until(received.runs[1].run, RunStatus::Succeeded).await;
    assert!(before.elapsed() > Duration::from_secs(7000));
}

#[tokio::test(start_paused = true)]
async fn a_runner_that_was_stopped_takes_nothing_and_leaves_what_waits() {
    let bench = Bench::new(&[CONTAIN], Scripted::default()).await;
    let run = bench.post("1", 12).await.runs[0].run;
    bench.until(run, RunStatus::Waiting).await;
    bench.runner.stop(Duration::from_secs(1)).await;
    let refused = bench.runner.decide(run, block(), Decision::Approve, ana(), None, None).await;
    assert_eq!(refused.unwrap_err().to_string(), "the server is stopping");
    assert_eq!(bench.store.summary(run).await.unwrap().unwrap().status, RunStatus::Waiting);
}

#[tokio::test(start_paused = true)]
async fn what_does_not_exist_is_named() {
    let bench = Bench::new(&[CONTAIN], Scripted::default()).await;
    let nobody = RunId::from_bytes([1; 16]);
    let missing = bench.runner.cancel(nobody, ana(), "x".to_owned()).await.unwrap_err();
    assert_eq!(missing.to_string(), "there is no run 01010101-0101-0101-0101-010101010101");
    let by_hand = bench.runner.start("contain", json!({}).into(), ana()).await.unwrap_err();
    assert_eq!(by_hand.to_string(), "`contain` is not started by hand: it has no trigger `manual`");
}
