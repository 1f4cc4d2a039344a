//! Targets that several runs hold, and undos that a process leaves behind.

use super::*;

const ISOLATE: &str = r#"
workflow: isolate
triggers: [{ uses: webhook, with: { path: wazuh } }]
steps:
  - { id: isolate, uses: isolate, with: { on: web-01 }, approval: { ask: "Isolate?", expires: 30m }, undo: { after: 1h } }
  - { id: pause, uses: delay, with: { for: 1d } }
"#;

const TWICE: &str = r#"
workflow: twice
triggers: [{ uses: webhook, with: { path: wazuh } }]
steps:
  - { id: question, uses: approval, with: { ask: "Isolate?", expires: 30m } }
  - { id: first, needs: [question], uses: isolate, with: { on: web-01 }, undo: { after: 1h } }
  - { id: second, needs: [question], uses: isolate, with: { on: web-01 }, undo: { after: 1h } }
"#;

impl Bench {
    async fn approved(&self, id: &str, step: &str) -> RunId {
        let run = self.post(id, 12).await.runs[0].run;
        let summary = self.until(run, RunStatus::Waiting).await;
        assert!(!summary.waiting.is_empty());
        let decided = self.runner.decide(run, step.parse().unwrap(), Decision::Approve, ana(), None, None);
        decided.await.unwrap();
        run
    }

    /// Within a time after which all undos are due and nothing else is.
    async fn nothing_is_held(&self) {
        let nothing = async {
            while !self.runner.containments().is_empty() {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        };
        let ended = tokio::time::timeout(Duration::from_secs(2 * 3600), nothing).await;
        assert!(ended.is_ok(), "still held: {:?}", self.runner.containments());
    }

    fn released(&self) -> usize {
        self.executor.released.load(Ordering::SeqCst)
    }
}

#[tokio::test(start_paused = true)]
async fn of_two_runs_that_let_go_in_the_same_moment_one_undoes_it() {
    let bench = Bench::new(&[ISOLATE], Scripted::default()).await;
    for id in ["1", "2"] {
        bench.approved(id, "isolate").await;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(bench.runner.containments()[0].holders.len(), 2);
    bench.nothing_is_held().await;
    assert_eq!(bench.released(), 1);
}

#[tokio::test(start_paused = true)]
async fn of_two_steps_of_one_run_that_let_go_in_the_same_moment_one_undoes_it() {
    let bench = Bench::new(&[TWICE], Scripted::default()).await;
    bench.approved("1", "question").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(bench.runner.containments()[0].holders.len(), 2);
    bench.nothing_is_held().await;
    assert_eq!(bench.released(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_undo_of_a_run_that_waits_for_something_else_is_taken_up_at_a_start() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
    let begun = Arc::new(Notify::new());
    let hangs = Scripted { hangs: Some(begun.clone()), ..Scripted::default() };
    let bench = Bench::over(store.clone(), &[ISOLATE], hangs).await;
    let run = bench.approved("1", "isolate").await;
    begun.notified().await;
    assert_eq!(store.summary(run).await.unwrap().unwrap().status, RunStatus::Waiting);
    let bench = Bench::over(store, &[ISOLATE], Scripted::default()).await;
    bench.nothing_is_held().await;
    assert_eq!(bench.released(), 1);
}
