//! When facts are appended: those of calls that leave no trace with what follows, all others at once.

use model::{Event, Record};
use tokio::sync::broadcast::Receiver;
use tokio::time::Instant;

use super::*;

pub(super) const THREE: &str = r#"
workflow: three
triggers:
  - uses: webhook
    with: { path: wazuh }
steps:
  - { id: one, uses: look }
  - { id: two, uses: look, needs: [one] }
  - { id: three, uses: look, needs: [two] }
"#;

const BESIDE: &str = r#"
workflow: beside
triggers:
  - uses: webhook
    with: { path: wazuh }
steps:
  - { id: slow, uses: look, needs: [] }
  - { id: quick, uses: look, needs: [] }
  - { id: block, uses: release, with: { on: web-01 }, needs: [] }
"#;

/// Takes a minute for `slow`, ten seconds for `block`, and no time for all else.
struct Slow;

#[async_trait]
impl Executor for Slow {
    async fn perform(&self, command: &Command) -> Outcome {
        let seconds = match command.step.to_string().as_str() {
            "slow" => 60,
            "block" => 10,
            _ => 0,
        };
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        Outcome::Succeeded(json!({}).into())
    }
}

/// How many appends there were since it was asked last.
fn appends(updates: &mut Receiver<Update>) -> usize {
    std::iter::from_fn(|| updates.try_recv().ok()).count()
}

/// The steps that have succeeded, as the store says.
async fn done(bench: &Bench, run: RunId) -> Vec<String> {
    let journal = bench.store.journal(run).await.unwrap();
    let is_done = |record: &&Record| matches!(record.event, Event::StepSucceeded { .. });
    journal.iter().filter(is_done).filter_map(|record| Some(record.event.step()?.to_string())).collect()
}

#[tokio::test(start_paused = true)]
async fn what_was_read_is_appended_with_the_end() {
    let bench = Bench::new(&[THREE], Scripted::default()).await;
    let mut updates = bench.runner.updates();
    let run = bench.post("1", 12).await.runs[0].run;
    bench.until(run, RunStatus::Succeeded).await;
    assert_eq!(done(&bench, run).await, ["one", "two", "three"]);
    assert_eq!(appends(&mut updates), 2, "the alert, and all that followed");
}

#[tokio::test(start_paused = true)]
async fn an_effect_is_recorded_at_once_and_a_read_soon_whatever_else_is_under_way() {
    let store = Arc::new(MemoryStore::default());
    let clock = Clock::tokio(Timestamp::from_millis(1_000_000));
    let settings = Settings { clock, ..Settings::default() };
    let runner = Runner::open(store.clone(), Arc::new(Slow), workflows(&[BESIDE]), settings).await.unwrap();
    let bench = Bench { store, executor: Arc::default(), runner };
    let began = Instant::now();
    let mut updates = bench.runner.updates();
    let run = bench.post("1", 12).await.runs[0].run;
    appends(&mut updates);
    updates.recv().await.unwrap();
    assert_eq!(done(&bench, run).await, ["quick"]);
    assert_eq!(began.elapsed().as_secs(), 0);
    updates.recv().await.unwrap();
    assert_eq!(done(&bench, run).await, ["quick", "block"]);
    assert_eq!(began.elapsed(), Duration::from_secs(10));
    bench.until(run, RunStatus::Succeeded).await;
    assert_eq!(began.elapsed(), Duration::from_secs(60));
}
