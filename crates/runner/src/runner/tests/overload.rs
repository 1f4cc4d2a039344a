//! More runs than may be in memory at once: those that are due wait for room, those that are new are refused, none is lost.

use std::sync::atomic::AtomicBool;

use tokio::runtime::Builder;

use super::*;

const LATER: &str = r#"
workflow: later
triggers: [{ uses: webhook, with: { path: wazuh } }]
steps:
  - { id: wait, uses: delay, with: { for: 2h } }
  - { id: look, needs: [wait], uses: look }
"#;

const NOW: &str = "workflow: now\ntriggers: [{ uses: webhook, with: { path: wazuh } }]\nsteps: [{ id: look, uses: look }]\n";

const RUNS: usize = 300;
const BOUND: usize = 8;
/// A quarter of the bound.
const WOKEN: usize = 2;

/// Calls take a second, and the most that were under way at once is kept.
#[derive(Default)]
struct Slow {
    now: AtomicUsize,
    most: AtomicUsize,
    /// No call ends.
    hangs: AtomicBool,
}

#[async_trait]
impl Executor for Slow {
    async fn perform(&self, _command: &Command) -> Outcome {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        if self.hangs.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        self.now.fetch_sub(1, Ordering::SeqCst);
        Outcome::Succeeded(json!({}).into())
    }
}

async fn open(
    store: &Arc<dyn Store>,
    slow: &Arc<Slow>,
    text: &str,
    start: i64,
    most_active_runs: usize,
) -> Runner {
    let clock = Clock::tokio(Timestamp::from_millis(start));
    let settings = Settings { clock, most_active_runs, ..Settings::default() };
    Runner::open(store.clone(), slow.clone(), workflows(&[text]), settings).await.unwrap()
}

async fn post(runner: &Runner, number: usize) -> Result<RunId, Error> {
    let alert = json!({ "number": number }).into();
    let delivery = Delivery { path: "wazuh".to_owned(), alert, trigger: recovery::webhook() };
    Ok(runner.receive(delivery).await?.runs[0].run)
}

async fn ended(runner: &Runner, runs: &[RunId]) {
    for run in runs {
        let ended = runner.ended(*run, Duration::from_secs(86_400)).await.unwrap();
        assert_eq!(ended.map(|ended| ended.status), Some(RunStatus::Succeeded), "{run}");
    }
}

#[tokio::test(start_paused = true)]
async fn runs_that_are_all_due_at_once_are_woken_a_few_at_a_time() {
    let (store, slow): (Arc<dyn Store>, _) = (Arc::new(MemoryStore::default()), Arc::new(Slow::default()));
    let before = open(&store, &slow, LATER, 1_000_000, RUNS).await;
    let mut runs = Vec::new();
    for number in 0..RUNS {
        runs.push(post(&before, number).await.unwrap());
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(before.shared.active_runs(), 0, "what waits for the clock is not in memory");
    before.stop(Duration::from_secs(1)).await;

    let after = open(&store, &slow, LATER, 1_000_000 + 86_400_000, BOUND).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(after.shared.active_runs(), WOKEN);
    let new = post(&after, RUNS).await.unwrap();
    ended(&after, &runs).await;
    assert_eq!(slow.most.load(Ordering::SeqCst), WOKEN);
    assert_eq!(
        store.summary(new).await.unwrap().unwrap().status,
        RunStatus::Waiting,
        "it was taken beside them"
    );
}

#[tokio::test(start_paused = true)]
async fn more_runs_under_way_than_the_bound_are_taken_up_a_few_at_a_time() {
    let (store, slow): (Arc<dyn Store>, _) = (Arc::new(MemoryStore::default()), Arc::new(Slow::default()));
    slow.hangs.store(true, Ordering::SeqCst);
    let before = open(&store, &slow, NOW, 1_000_000, RUNS).await;
    let mut runs = Vec::new();
    for number in 0..RUNS {
        runs.push(post(&before, number).await.unwrap());
    }
    assert!(matches!(post(&before, RUNS).await, Err(Error::Busy)), "beyond the bound nothing is taken");
    before.stop(Duration::ZERO).await;

    let slow = Arc::new(Slow::default());
    let after = open(&store, &slow, NOW, 2_000_000, BOUND).await;
    ended(&after, &runs).await;
    assert_eq!(slow.most.load(Ordering::SeqCst), WOKEN);
    assert_eq!(store.runs(Query::default()).await.unwrap().runs.len(), RUNS.min(Query::default().limit));
}

/// Keeps the name of the thread that it is performed on.
#[derive(Default)]
struct Named(Mutex<Option<String>>);

#[async_trait]
impl Executor for Named {
    async fn perform(&self, _command: &Command) -> Outcome {
        *self.0.lock().unwrap() = std::thread::current().name().map(str::to_owned);
        Outcome::Succeeded(json!({}).into())
    }
}

#[test]
fn a_run_is_driven_on_the_threads_that_are_meant_for_it() {
    let threads =
        |name| Builder::new_multi_thread().worker_threads(1).enable_time().thread_name(name).build().unwrap();
    let (here, apart) = (threads("here"), threads("apart"));
    let named = Arc::new(Named::default());
    let settings = Settings { drivers: Some(apart.handle().clone()), ..Settings::default() };
    here.block_on(async {
        let store = Arc::new(MemoryStore::default());
        let runner = Runner::open(store, named.clone(), workflows(&[NOW]), settings).await.unwrap();
        let run = post(&runner, 1).await.unwrap();
        ended(&runner, &[run]).await;
    });
    assert_eq!(named.0.lock().unwrap().as_deref(), Some("apart"));
}

#[tokio::test(start_paused = true)]
async fn a_person_and_the_clock_are_heard_while_there_is_no_room_for_alerts() {
    let (store, slow): (Arc<dyn Store>, _) = (Arc::new(MemoryStore::default()), Arc::new(Slow::default()));
    let before = open(&store, &slow, LATER, 1_000_000, BOUND).await;
    let parked = [post(&before, 1).await.unwrap(), post(&before, 2).await.unwrap()];
    tokio::time::sleep(Duration::from_secs(1)).await;
    before.stop(Duration::from_secs(1)).await;

    let after = open(&store, &slow, LATER, 1_000_000, 1).await;
    let seat = after.shared.enlist(RunId::from_bytes([3; 16])).unwrap();
    assert!(matches!(post(&after, 3).await, Err(Error::Busy)));
    after.cancel(parked[0], ana(), "a false alarm".to_owned()).await.unwrap();
    ended(&after, &parked[1..]).await;
    drop(seat);
}
