//! What a process leaves behind that stops in good order.

use super::*;
use crate::guard::{Guard, Intent, Verdict};

/// Knows which nodes were called; the one named here does not answer before somebody lets it.
#[derive(Default)]
struct Told {
    calls: Mutex<Vec<String>>,
    hangs: Option<&'static str>,
    gate: Arc<Notify>,
}

#[async_trait]
impl Executor for Told {
    async fn perform(&self, command: &Command) -> Outcome {
        let name = command.node.name.clone();
        self.calls.lock().unwrap().push(name.clone());
        if self.hangs == Some(name.as_str()) {
            self.gate.notified().await;
        }
        Outcome::Succeeded(json!({}).into())
    }
}

async fn open(store: &Arc<dyn Store>, text: &str, told: &Arc<Told>, guard: Arc<dyn Guard>) -> Runner {
    let clock = Clock::tokio(Timestamp::from_millis(1_000_000));
    let settings = Settings { clock, guard, ..Settings::default() };
    Runner::open(store.clone(), told.clone(), workflows(&[text]), settings).await.unwrap()
}

async fn post(runner: &Runner) -> RunId {
    let trigger = by_webhook();
    let delivery = Delivery { path: "hook".to_owned(), alert: json!({}).into(), trigger };
    runner.receive(delivery).await.unwrap().runs[0].run
}

/// Waits until it is so, for a day at most.
async fn becomes(store: &Arc<dyn Store>, run: RunId, is_so: impl Fn(&RunSummary) -> bool) -> RunSummary {
    for _ in 0..100_000 {
        let row = store.summary(run).await.unwrap().unwrap();
        if is_so(&row) {
            return row;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let row = store.summary(run).await.unwrap().unwrap();
    panic!("a day later it is still {row:#?}");
}

async fn approve(runner: &Runner, run: RunId, step: &str) {
    let step = step.parse().unwrap();
    runner.decide(run, step, Decision::Approve, ana(), Some("x".to_owned()), None).await.unwrap();
}

fn asks(row: &RunSummary, step: &str) -> bool {
    row.waiting.iter().any(|waiting| waiting.step.to_string() == step)
}

const ASKING: &str = "workflow: asking
triggers: [{ uses: webhook, with: { path: hook } }]
steps:
  - { id: isolate, uses: isolate, with: { on: web-01 }, approval: { ask: \"?\", expires: 30m }, undo: { after: 10m } }
  - { id: closed, uses: delay, with: { for: 30d } }
  - { id: word, needs: [], uses: look }
  - { id: more, needs: [word], uses: look }
";

/// Thinks for a while.
#[derive(Debug)]
struct Slow;

#[async_trait]
impl Guard for Slow {
    async fn judge(&self, _intent: &Intent<'_>, _now: Timestamp) -> Verdict {
        tokio::time::sleep(Duration::from_secs(5)).await;
        Verdict::Go
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_cleared_while_the_server_stopped_is_not_in_doubt() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
    let told = Arc::new(Told::default());
    let runner = open(&store, ASKING, &told, Arc::new(Slow)).await;
    let run = post(&runner).await;
    becomes(&store, run, |row| asks(row, "isolate")).await;
    approve(&runner, run, "isolate").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    runner.stop(Duration::from_secs(30)).await;
    assert!(!told.calls.lock().unwrap().contains(&"isolate".to_owned()), "nothing was sent");
    let after = Arc::new(Told::default());
    let _runner = open(&store, ASKING, &after, Arc::new(Slow)).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    let row = store.summary(run).await.unwrap();
    assert_eq!(after.calls.lock().unwrap().join(" "), "isolate", "{row:#?}");
}

#[tokio::test(start_paused = true)]
async fn a_list_goes_on_behind_an_item_whose_end_was_noted_although_another_one_waits_for_a_person() {
    let text = "workflow: list
triggers: [{ uses: webhook, with: { path: hook } }]
steps:
  - { id: each, foreach: \"['a', 'b', 'c']\", max_parallel: 2, max_items: 3, uses: act, with: { on: \"{{ item }}\" }, approval: { ask: \"{{ item }}?\", expires: 30m } }
";
    let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
    let told = Arc::new(Told { hangs: Some("act"), ..Told::default() });
    let runner = open(&store, text, &told, Arc::new(crate::guard::Unguarded)).await;
    let run = post(&runner).await;
    becomes(&store, run, |row| asks(row, "each[0]")).await;
    approve(&runner, run, "each[0]").await;
    let stopping = tokio::spawn(async move { runner.stop(Duration::from_secs(10)).await });
    tokio::time::sleep(Duration::from_secs(1)).await;
    told.gate.notify_one();
    stopping.await.unwrap();
    let _runner = open(&store, text, &Arc::new(Told::default()), Arc::new(crate::guard::Unguarded)).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    let row = store.summary(run).await.unwrap().unwrap();
    assert!(asks(&row, "each[2]"), "{row:#?}");
}
