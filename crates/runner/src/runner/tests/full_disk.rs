//! The disk is full for a while: nothing is lost that was seen, nobody is told what is not recorded, and all goes on
//! without a restart. And another writer is faster.

use std::io::Write;
use std::sync::atomic::AtomicBool;

use model::{Digest, Record};
use store::{Append, Appended, Fence, Health, Note, Page, Position, Source};

use super::*;

/// A store in memory whose disk can be full.
#[derive(Default)]
struct Filling {
    inner: MemoryStore,
    is_full: AtomicBool,
    has_failed: AtomicBool,
    /// Whether what is known to be there already is said all the same.
    tells_duplicates: AtomicBool,
    /// How many appends to runs that exist find that another writer was faster.
    contested: AtomicUsize,
}

impl Filling {
    fn fill(&self, is_full: bool) {
        self.is_full.store(is_full, Ordering::SeqCst);
    }
}

#[async_trait]
impl Store for Filling {
    async fn append(&self, appends: Vec<Append>) -> store::Result<Vec<Appended>> {
        let is_known = appends.iter().all(|append| append.dedupe.is_some());
        if self.is_full.load(Ordering::SeqCst) && !(is_known && self.tells_duplicates.load(Ordering::SeqCst))
        {
            return Err(store::Error::Full("no space left on device".to_owned()));
        }
        let is_new = appends.iter().any(|append| append.expected_seq() == 0);
        let is_contested = |left: usize| left.checked_sub(1).filter(|_| !is_new);
        if self.contested.fetch_update(Ordering::SeqCst, Ordering::SeqCst, is_contested).is_ok() {
            return Ok(vec![Appended::Conflict; appends.len()]);
        }
        self.inner.append(appends).await
    }
    async fn durable(&self, position: Position) -> store::Result<()> {
        self.inner.durable(position).await
    }
    async fn journal(&self, run: RunId) -> store::Result<Vec<Record>> {
        if self.is_full.load(Ordering::SeqCst) {
            return Err(store::Error::Full("no space left on device for the index".to_owned()));
        }
        self.inner.journal(run).await
    }
    async fn summary(&self, run: RunId) -> store::Result<Option<RunSummary>> {
        self.inner.summary(run).await
    }
    async fn runs(&self, query: Query) -> store::Result<Page> {
        self.inner.runs(query).await
    }
    async fn claim(&self, worker: &str) -> store::Result<Fence> {
        self.inner.claim(worker).await
    }
    async fn release(&self, fence: Fence) -> store::Result<()> {
        self.inner.release(fence).await
    }
    async fn put_source(&self, source: Source) -> store::Result<()> {
        self.inner.put_source(source).await
    }
    async fn source(&self, digest: &Digest) -> store::Result<Option<Source>> {
        self.inner.source(digest).await
    }
    async fn put_note(&self, note: Note) -> store::Result<()> {
        self.inner.put_note(note).await
    }
    async fn note(&self, key: &str) -> store::Result<Option<Value>> {
        self.inner.note(key).await
    }
    async fn prune(&self, finished_before: Timestamp) -> store::Result<u64> {
        self.inner.prune(finished_before).await
    }
    async fn finished_since(&self, runs: u64) -> store::Result<Option<Timestamp>> {
        self.inner.finished_since(runs).await
    }
    async fn abandon(&self, row: RunSummary) -> store::Result<()> {
        self.inner.abandon(row).await
    }
    async fn backup(&self, now: Timestamp, to: Box<dyn Write + Send>) -> store::Result<u64> {
        self.inner.backup(now, to).await
    }
    async fn health(&self) -> Health {
        let failed = self.has_failed.load(Ordering::SeqCst).then(|| "the index failed".to_owned());
        Health { failed, ..self.inner.health().await }
    }
}

/// Fills the disk while a call to `act` is under way, once.
struct Fills {
    store: Arc<Filling>,
    calls: AtomicUsize,
}

#[async_trait]
impl Executor for Fills {
    async fn perform(&self, command: &Command) -> Outcome {
        if command.node.name == "act" && self.calls.fetch_add(1, Ordering::SeqCst) == 0 {
            self.store.fill(true);
            tokio::time::sleep(Duration::from_secs(10)).await;
        }
        Outcome::Succeeded(json!({}).into())
    }
}

/// A run whose `block` has happened, and no word of that fits onto the disk.
async fn with_an_outcome_that_does_not_fit() -> (Arc<Filling>, Arc<Fills>, Runner, RunId) {
    let store = Arc::new(Filling::default());
    let executor = Arc::new(Fills { store: store.clone(), calls: AtomicUsize::new(0) });
    let clock = Clock::tokio(Timestamp::from_millis(1_000_000));
    let settings = Settings { clock, ..Settings::default() };
    let runner =
        Runner::open(store.clone(), executor.clone(), workflows(&[CONTAIN]), settings).await.unwrap();
    let bench = Bench { store: store.clone(), executor: Arc::default(), runner: runner.clone() };
    let run = bench.post("1", 12).await.runs[0].run;
    bench.until(run, RunStatus::Waiting).await;
    runner.decide(run, block(), Decision::Approve, ana(), None, None).await.unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;
    let answer = runner.cancel(run, ana(), "while it is under way".to_owned()).await;
    assert!(matches!(answer, Err(Error::Full(_))), "a run that cannot be read again goes on: {answer:?}");
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(executor.calls.load(Ordering::SeqCst), 1);
    let row = store.summary(run).await.unwrap().unwrap();
    assert_eq!(row.status, RunStatus::Running, "the outcome is not recorded: {row:?}");
    (store, executor, runner, run)
}

#[tokio::test(start_paused = true)]
async fn the_outcome_of_a_disruption_is_kept_until_there_is_room() {
    let (store, executor, runner, run) = with_an_outcome_that_does_not_fit().await;
    let answer = runner.cancel(run, ana(), "it takes too long".to_owned()).await;
    assert!(matches!(answer, Err(Error::Full(_))), "nobody is told that what does not fit was recorded");
    let alert: Arc<Value> = json!({ "id": "2", "rule": { "level": 12 } }).into();
    let trigger = by_webhook();
    let delivery = Delivery { path: "wazuh".to_owned(), alert, trigger };
    assert!(matches!(runner.receive(delivery).await, Err(Error::Full(_))), "an alert is not taken");
    assert_eq!(runner.is_stopped(), None, "a full disk stops nothing");
    store.fill(false);
    let bench = Bench { store, executor: Arc::default(), runner };
    bench.until(run, RunStatus::Succeeded).await;
    assert_eq!(executor.calls.load(Ordering::SeqCst), 1, "it happened once");
}

#[tokio::test(start_paused = true)]
async fn an_outcome_that_never_reached_the_disk_is_in_doubt() {
    let (store, executor, runner, run) = with_an_outcome_that_does_not_fit().await;
    runner.stop(Duration::from_secs(1)).await;
    store.fill(false);
    let clock = Clock::tokio(Timestamp::from_millis(2_000_000));
    let settings = Settings { clock, ..Settings::default() };
    let runner =
        Runner::open(store.clone(), executor.clone(), workflows(&[CONTAIN]), settings).await.unwrap();
    let bench = Bench { store: store.clone(), executor: Arc::default(), runner };
    bench.until(run, RunStatus::Waiting).await;
    let row = store.summary(run).await.unwrap().unwrap();
    assert!(matches!(row.waiting[0].reason, model::WaitingFor::Resolution { .. }), "{row:?}");
    assert_eq!(executor.calls.load(Ordering::SeqCst), 1, "it is not sent again");
}

#[tokio::test(start_paused = true)]
async fn a_decision_that_does_not_fit_is_not_taken_and_can_be_given_again() {
    let store = Arc::new(Filling::default());
    let bench = Bench::over(store.clone(), &[CONTAIN], Scripted::default()).await;
    let run = bench.post("1", 12).await.runs[0].run;
    bench.until(run, RunStatus::Waiting).await;
    store.fill(true);
    let approve = || bench.runner.decide(run, block(), Decision::Approve, ana(), None, None);
    // A run that was parked is told first that nobody knows what it was doing; that records nothing.
    for _ in 0..2 {
        assert!(matches!(approve().await, Err(Error::Full(_))));
    }
    assert_eq!(bench.executor.calls.load(Ordering::SeqCst), 1, "nothing is sent without a word");
    store.fill(false);
    approve().await.unwrap();
    bench.until(run, RunStatus::Succeeded).await;
}

#[tokio::test(start_paused = true)]
async fn an_alert_that_cannot_be_added_to_its_run_is_not_taken() {
    let store = Arc::new(Filling::default());
    let text = CONTAIN.replace("alert.id }}\", window", "alert.rule.level }}\", window");
    let bench = Bench::over(store.clone(), &[text.as_str()], Scripted::default()).await;
    let run = bench.post("1", 12).await.runs[0].run;
    bench.until(run, RunStatus::Waiting).await;
    store.tells_duplicates.store(true, Ordering::SeqCst);
    store.fill(true);
    let trigger = by_webhook();
    let alert: Arc<Value> = json!({ "id": "2", "rule": { "level": 12 } }).into();
    let delivery = Delivery { path: "wazuh".to_owned(), alert, trigger };
    let answer = bench.runner.receive(delivery).await;
    assert!(answer.is_err(), "202 for an alert that is nowhere on disk: {answer:?}");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_while_nobody_uses_it_stops_the_server() {
    let store = Arc::new(Filling::default());
    let bench = Bench::over(store.clone(), &[CONTAIN], Scripted::default()).await;
    let stopped = bench.runner.stopped();
    tokio::pin!(stopped);
    assert!(tokio::time::timeout(Duration::from_secs(60), &mut stopped).await.is_err());
    store.has_failed.store(true, Ordering::SeqCst);
    assert_eq!(stopped.await, "the store failed: the index failed");
}

#[tokio::test(start_paused = true)]
async fn a_run_whose_facts_come_too_late_is_told_again_and_makes_no_call_twice() {
    let store = Arc::new(Filling::default());
    let bench = Bench::over(store.clone(), &[super::written::THREE], Scripted::default()).await;
    store.contested.store(3, Ordering::SeqCst);
    let run = bench.post("1", 12).await.runs[0].run;
    bench.until(run, RunStatus::Succeeded).await;
    assert_eq!(store.contested.load(Ordering::SeqCst), 0);
    assert_eq!(bench.executor.calls.load(Ordering::SeqCst), 3);
}
