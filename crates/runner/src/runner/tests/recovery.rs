//! Calls and turns whose letters were lost, whose processes died, and whose runs are damaged or forgotten.

use super::calls::CALLEE;
use super::*;
use crate::Retention;

const ONE: &str = r#"
workflow: caller
triggers: [{ uses: webhook, with: { path: wazuh } }]
steps:
  - { id: call, uses: workflow, with: { workflow: callee, inputs: { name: a } } }
"#;

async fn within_an_hour(bench: &Bench, run: RunId, status: RunStatus) {
    let waited = tokio::time::timeout(Duration::from_secs(3600), bench.until(run, status)).await;
    let now = bench.store.summary(run).await.unwrap().unwrap();
    assert!(waited.is_ok(), "after an hour it is {:?}, calls {:?}", now.status, now.calls.len());
}

#[tokio::test(start_paused = true)]
async fn three_hundred_runs_that_end_at_once_are_all_told() {
    let list = (0..100).map(|n| format!("'{n}'")).collect::<Vec<_>>().join(",");
    let mut caller =
        "workflow: caller\ntriggers: [{ uses: webhook, with: { path: wazuh } }]\nsteps:\n".to_owned();
    for id in ["a", "b", "c"] {
        caller.push_str(&format!("  - {{ id: {id}, needs: [], foreach: \"[{list}]\", max_parallel: 100, uses: workflow, with: {{ workflow: callee, inputs: {{ name: x }} }} }}\n"));
    }
    let callee = "workflow: callee\ninputs: { name: { type: string, required: true } }\nsteps: [{ id: look, uses: look }]\n";
    let bench = Bench::new(&[&caller, callee], Scripted::default()).await;
    let run = bench.post("1", 12).await.runs[0].run;
    within_an_hour(&bench, run, RunStatus::Succeeded).await;
}

/// A caller that has called and is not known to have made its child.
async fn torn(store: &Arc<dyn Store>, texts: &[&str], inputs: Vec<Input>) -> (RunId, RunId) {
    let bench = Bench::over(store.clone(), texts, Scripted::default()).await;
    let caller = bench.runner.workflows().get("caller").unwrap().clone();
    bench.runner.stop(Duration::from_secs(1)).await;
    let trigger = by_webhook();
    let start = engine::Start { trigger, alert: json!({}).into(), turn: None };
    let id = RunId::from_bytes([9; 16]);
    let (mut run, mut records) = Run::start(id, caller, start, Timestamp::from_millis(1_000_000));
    for input in inputs {
        let (more, result) = run.handle(input, Timestamp::from_millis(1_000_001));
        result.unwrap();
        records.extend(more);
    }
    let child = run.children()[0].run;
    let append = store::Append { records, summary: run.summary(), dedupe: None, fence: None };
    store.append(vec![append]).await.unwrap();
    (id, child)
}

#[tokio::test(start_paused = true)]
async fn a_run_that_was_cancelled_calls_nothing_after_a_crash() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
    let stop = Input::Cancelled { by: ana(), reason: "a false alarm".to_owned() };
    let (caller, child) = torn(&store, &[ONE, CALLEE], vec![stop]).await;
    let after = Bench::over(store.clone(), &[ONE, CALLEE], Scripted::default()).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    let made = store.summary(child).await.unwrap();
    assert!(
        made.as_ref().is_none_or(|row| row.waiting.is_empty()),
        "the child of a cancelled run asks: {:?}",
        made.unwrap().waiting
    );
    within_an_hour(&after, caller, RunStatus::Cancelled).await;
}

#[tokio::test(start_paused = true)]
async fn a_called_run_is_cancelled_with_its_caller_also_after_a_crash() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
    let bench = Bench::over(store.clone(), &[ONE, CALLEE], Scripted::default()).await;
    let caller = bench.post("1", 12).await.runs[0].run;
    bench.until(caller, RunStatus::Waiting).await;
    let child = store.summary(caller).await.unwrap().unwrap().calls[0];
    bench.until(child, RunStatus::Waiting).await;
    bench.runner.stop(Duration::from_secs(1)).await;
    // The cancellation is on disk, and the process dies before the letter to the child is on disk.
    let journal = store.journal(caller).await.unwrap();
    let mut run =
        Run::replay(caller, bench.runner.workflows().get("caller").unwrap().clone(), &journal).unwrap();
    let (records, _) =
        run.handle(Input::Cancelled { by: ana(), reason: "x".into() }, Timestamp::from_millis(1_000_500));
    store
        .append(vec![store::Append { records, summary: run.summary(), dedupe: None, fence: None }])
        .await
        .unwrap();
    let after = Bench::over(store.clone(), &[ONE, CALLEE], Scripted::default()).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    let decided = after.runner.decide(child, block(), Decision::Approve, ana(), None, None).await;
    assert!(decided.is_err(), "a child of a cancelled run still disrupts");
}

#[tokio::test(start_paused = true)]
async fn a_called_run_that_was_forgotten_is_not_made_again() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
    let bench = Bench::over(store.clone(), &[ONE, CALLEE], Scripted::default()).await;
    let caller = bench.post("1", 12).await.runs[0].run;
    bench.until(caller, RunStatus::Waiting).await;
    let child = store.summary(caller).await.unwrap().unwrap().calls[0];
    bench.until(child, RunStatus::Waiting).await;
    bench.runner.stop(Duration::from_secs(1)).await;
    let journal = store.journal(child).await.unwrap();
    let mut run =
        Run::replay(child, bench.runner.workflows().get("callee").unwrap().clone(), &journal).unwrap();
    let mut all = Vec::new();
    for input in [
        Input::Decided { step: block(), decision: Decision::Approve, by: ana(), reason: None, digest: None },
        Input::Cleared { step: block(), verdict: engine::Verdict::Go },
        Input::Finished { step: block(), attempt: 1, outcome: Outcome::Succeeded(json!({}).into()) },
    ] {
        let (records, result) = run.handle(input, Timestamp::from_millis(1_000_600));
        result.unwrap();
        all.extend(records);
    }
    store
        .append(vec![store::Append { records: all, summary: run.summary(), dedupe: None, fence: None }])
        .await
        .unwrap();
    // The server is away for longer than finished runs are kept.
    assert_eq!(store.prune(Timestamp::from_millis(2_000_000)).await.unwrap(), 1);
    let retention = Retention { age: Some(Duration::from_secs(1000)), runs: None };
    let clock = Clock::tokio(Timestamp::from_millis(3_000_000));
    let settings = Settings { clock, retention, ..Settings::default() };
    let executor = Arc::new(Scripted::default());
    let _runner = Runner::open(store.clone(), executor, workflows(&[ONE, CALLEE]), settings).await.unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(store.summary(child).await.unwrap().is_none(), "what has blocked already asks again");
    let error = store.summary(caller).await.unwrap().unwrap().error.unwrap();
    assert!(error.contains("nobody knows whether it was made"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_run_in_shadow_calls_runs_that_disrupt_nothing() {
    let bench =
        Bench::new(&[&ONE.replace("steps:", "mode: shadow\nsteps:"), CALLEE], Scripted::default()).await;
    let caller = bench.post("1", 12).await.runs[0].run;
    bench.until(caller, RunStatus::Succeeded).await;
    assert_eq!(bench.executor.calls.load(Ordering::SeqCst), 0, "a run in shadow disrupts");
}

const TURNS: &str = r#"
workflow: turns
triggers: [{ uses: webhook, with: { path: wazuh } }]
concurrency: { key: "x", on_conflict: queue }
steps:
  - { id: block, uses: act, with: { on: web-01 }, approval: { ask: "Block?", expires: 30m } }
"#;

#[tokio::test(start_paused = true)]
async fn who_holds_a_key_holds_it_after_a_restart() {
    let bench = Bench::new(&[TURNS], Scripted::default()).await;
    let turns = bench.runner.workflows().get("turns").unwrap().clone();
    let trigger = by_webhook();
    let start = engine::Start { trigger, alert: json!({}).into(), turn: None };
    // Two alerts at once: the id of the first is made first, and the second takes the key first.
    let (first, second) = (RunId::from_bytes([1; 16]), RunId::from_bytes([2; 16]));
    let scope = engine::start_scope(&turns, &start);
    bench.runner.create(second, &turns, start.clone(), &scope, None).await.unwrap();
    bench.runner.create(first, &turns, start, &scope, None).await.unwrap();
    bench.until(second, RunStatus::Waiting).await;
    let after = Bench::over(bench.store.clone(), &[TURNS], Scripted::default()).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    let open = [first, second];
    let mut asking = 0;
    for run in open {
        asking += usize::from(!after.store.summary(run).await.unwrap().unwrap().waiting.is_empty());
    }
    assert_eq!(asking, 1, "two runs with one key are under way");
}

pub(super) fn webhook() -> Trigger {
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

#[tokio::test(start_paused = true)]
async fn a_damaged_run_gives_up_its_key() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
    let bench = Bench::over(store.clone(), &[TURNS], Scripted::default()).await;
    let turns = bench.runner.workflows().get("turns").unwrap().clone();
    bench.runner.stop(Duration::from_secs(1)).await;
    let id = RunId::from_bytes([1; 16]);
    let turn = Some(engine::Turn { key: "x".into(), held_by: None });
    let start = engine::Start { trigger: webhook(), alert: json!({}).into(), turn };
    let (run, mut records) = Run::start(id, turns, start, Timestamp::from_millis(1_000_000));
    records[1].event = model::Event::RunAdmitted;
    store
        .append(vec![store::Append { records, summary: run.summary(), dedupe: None, fence: None }])
        .await
        .unwrap();
    let after = Bench::over(store.clone(), &[TURNS], Scripted::default()).await;
    let next = after.post("2", 12).await.runs[0].run;
    tokio::time::sleep(Duration::from_secs(86_400)).await;
    let cancelled = after.runner.cancel(id, ana(), "it is damaged".to_owned()).await;
    tokio::time::sleep(Duration::from_secs(86_400)).await;
    let row = store.summary(next).await.unwrap().unwrap();
    assert!(
        row.next_seq > 2,
        "two days later the next alert has not begun; cancel says {:?}",
        cancelled.map(|_| ())
    );
}

#[tokio::test(start_paused = true)]
async fn a_called_run_whose_version_is_lost_stops_nothing_else() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
    let (_, child) = torn(&store, &[ONE, CALLEE], vec![]).await;
    let other = CALLEE.replace("Block", "Really block");
    let version = workflows(&[&other]).get("callee").unwrap().clone();
    let start = engine::Start { trigger: webhook(), alert: json!({ "name": "a" }).into(), turn: None };
    let (mut run, mut records) = Run::start(child, version, start, Timestamp::from_millis(1_000_000));
    records.extend(
        run.handle(Input::Cancelled { by: ana(), reason: "x".into() }, Timestamp::from_millis(1_000_000)).0,
    );
    store
        .append(vec![store::Append { records, summary: run.summary(), dedupe: None, fence: None }])
        .await
        .unwrap();
    let after = Bench::over(store.clone(), &[ONE, CALLEE], Scripted::default()).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(after.runner.is_stopped(), None);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_was_cancelled_while_the_server_was_full_calls_nothing() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
    let executor = Arc::new(Scripted::default());
    let clock = Clock::tokio(Timestamp::from_millis(1_000_000));
    let settings = Settings { clock, most_active_runs: 2, ..Settings::default() };
    let runner = Runner::open(store.clone(), executor, workflows(&[ONE, CALLEE]), settings).await.unwrap();
    // The server is full: a place is taken by another run.
    let busy = runner.shared.enlist(RunId::from_bytes([3; 16])).unwrap();
    let delivery = Delivery { path: "wazuh".into(), alert: json!({}).into(), trigger: webhook() };
    let caller = runner.receive(delivery).await.unwrap().runs[0].run;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let child = store.summary(caller).await.unwrap().unwrap().calls[0];
    assert!(store.summary(child).await.unwrap().is_none(), "it is owed");
    runner.cancel(caller, ana(), "a false alarm".to_owned()).await.unwrap();
    runner.shared.forget(RunId::from_bytes([3; 16]));
    drop(busy);
    tokio::time::sleep(Duration::from_secs(60)).await;
    let made = store.summary(child).await.unwrap();
    assert!(
        made.as_ref().is_none_or(|row| row.waiting.is_empty()),
        "a run is made for one that was cancelled before: {:?}",
        made.unwrap().status
    );
}

#[tokio::test(start_paused = true)]
async fn what_was_under_way_in_a_backup_is_in_doubt_and_asked_for_once() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
    let begun = Arc::new(Notify::new());
    let hangs = Scripted { hangs: Some(begun.clone()), ..Scripted::default() };
    let bench = Bench::over(store.clone(), &[CONTAIN], hangs).await;
    let run = bench.post("1", 12).await.runs[0].run;
    bench.until(run, RunStatus::Waiting).await;
    bench.runner.decide(run, block(), Decision::Approve, ana(), None, None).await.unwrap();
    begun.notified().await;
    bench.runner.stop(Duration::ZERO).await;
    let value = json!({ "at": Timestamp::from_millis(1_500_000), "from": Timestamp::from_millis(1_100_000) });
    store.put_note(store::Note { key: "restored".to_owned(), value }).await.unwrap();
    let clock = Clock::tokio(Timestamp::from_millis(2_000_000));
    let settings = || Settings { clock, ..Settings::default() };
    let executor = Arc::new(Scripted::default());
    let runner =
        Runner::open(store.clone(), executor.clone(), workflows(&[CONTAIN]), settings()).await.unwrap();
    let bench = Bench { store: store.clone(), executor: executor.clone(), runner };
    let row = bench.until(run, RunStatus::Waiting).await;
    let model::WaitingFor::Resolution { message } = &row.waiting[0].reason else { panic!("{row:?}") };
    assert!(message.contains("when the backup was taken"), "{message}");
    assert!(row.updated_at > Timestamp::from_millis(1_500_000), "from here on it is a run as any other");
    bench.runner.resolve(run, block(), Resolution::SendAgain, ana(), "looked".to_owned()).await.unwrap();
    bench.until(run, RunStatus::Succeeded).await;
    assert_eq!(executor.calls.load(Ordering::SeqCst), 1, "a person has said so");
}
