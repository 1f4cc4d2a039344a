//! The ledger at work: what holds is not done twice, and is undone when the last one lets go.

use model::ContainmentState;

use super::*;
use crate::guard::{Guard, Intent, Verdict};

fn playbook(name: &str, after: &str) -> String {
    format!(
        "workflow: {name}
triggers: [{{ uses: webhook, with: {{ path: {name} }} }}]
steps:
  - id: isolate
    uses: isolate
    with: {{ on: web-01 }}
    approval: {{ ask: \"Isolate?\", expires: 30m }}
    undo: {{ after: {after} }}
"
    )
}

/// The nodes that were called, in this order; a call to one of them can be held up.
#[derive(Default)]
struct Told {
    calls: Mutex<Vec<String>>,
    held_up: Option<Arc<Notify>>,
}

#[async_trait]
impl Executor for Told {
    async fn perform(&self, command: &Command) -> Outcome {
        self.calls.lock().unwrap().push(command.node.name.clone());
        if let Some(gate) = self.held_up.as_ref().filter(|_| command.node.name == "isolate") {
            gate.notified().await;
        }
        Outcome::Succeeded(json!({}).into())
    }
}

struct Bench {
    store: Arc<dyn Store>,
    told: Arc<Told>,
    runner: Runner,
}

async fn bench(store: Arc<dyn Store>, held_up: Option<Arc<Notify>>, settings: Settings) -> Bench {
    let told = Arc::new(Told { held_up, ..Told::default() });
    let blocks = |name: &str, ip: &str| {
        let with = format!("uses: block\n    with: {{ ip: \"{ip}\" }}");
        playbook(name, "10m").replace("uses: isolate\n    with: { on: web-01 }", &with)
    };
    let texts = [
        playbook("short", "10m"),
        playbook("long", "30m"),
        blocks("v6", "2001:db8::1"),
        blocks("v6_in_full", "2001:0DB8:0000:0000:0000:0000:0000:0001"),
        blocks("v4", "203.0.113.9"),
        blocks("v4_in_v6", "::ffff:203.0.113.9"),
    ];
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let runner = Runner::open(store.clone(), told.clone(), workflows(&texts), settings).await.unwrap();
    Bench { store, told, runner }
}

fn at(millis: i64) -> Settings {
    Settings { clock: Clock::tokio(Timestamp::from_millis(millis)), ..Settings::default() }
}

async fn new_bench(held_up: Option<Arc<Notify>>) -> Bench {
    bench(Arc::new(MemoryStore::default()), held_up, at(1_000_000)).await
}

fn isolate() -> StepKey {
    "isolate".parse().unwrap()
}

impl Bench {
    /// Starts a run and approves its isolation.
    async fn approved(&self, name: &str) -> RunId {
        let trigger = by_webhook();
        let delivery = Delivery { path: name.to_owned(), alert: json!({}).into(), trigger };
        let run = self.runner.receive(delivery).await.unwrap().runs[0].run;
        self.until(run, |row| !row.waiting.is_empty()).await;
        self.runner.decide(run, isolate(), Decision::Approve, ana(), None, None).await.unwrap();
        run
    }

    async fn until(&self, run: RunId, is_so: impl Fn(&RunSummary) -> bool) -> RunSummary {
        let mut updates = self.runner.updates();
        loop {
            let summary = self.store.summary(run).await.unwrap().unwrap();
            if is_so(&summary) {
                return summary;
            }
            updates.recv().await.unwrap();
        }
    }

    fn calls(&self) -> String {
        self.told.calls.lock().unwrap().join(" ")
    }

    /// Target, state of each holder.
    fn ledger(&self) -> String {
        let row = |row: crate::Contained| {
            let states = row.holders.iter().map(|holder| holder.containment.state.as_str());
            format!("{}: {}", row.target, states.collect::<Vec<_>>().join(", "))
        };
        self.runner.containments().into_iter().map(row).collect::<Vec<_>>().join("; ")
    }
}

#[tokio::test(start_paused = true)]
async fn two_runs_isolate_a_host_once_and_the_last_one_releases_it() {
    let bench = new_bench(None).await;
    let short = bench.approved("short").await;
    bench.until(short, |row| row.status.is_finished()).await;
    let long = bench.approved("long").await;
    let joined = bench.until(long, |row| row.status.is_finished()).await;
    assert_eq!(joined.containments[0].joined, Some(short));
    assert_eq!(
        (bench.calls().as_str(), bench.ledger().as_str()),
        ("isolate", "host/web-01: holding, holding")
    );
    bench.until(short, RunSummary::is_over).await;
    assert_eq!((bench.calls().as_str(), bench.ledger().as_str()), ("isolate", "host/web-01: holding"));
    bench.until(long, RunSummary::is_over).await;
    assert_eq!((bench.calls().as_str(), bench.ledger().as_str()), ("isolate release", ""));
}

#[tokio::test(start_paused = true)]
async fn an_address_is_one_target_however_it_is_written() {
    for (first, second, target) in
        [("v6", "v6_in_full", "ip/2001:db8::1"), ("v4_in_v6", "v4", "ip/203.0.113.9")]
    {
        let bench = new_bench(None).await;
        let first = bench.approved(first).await;
        bench.until(first, |row| row.status.is_finished()).await;
        let second = bench.approved(second).await;
        let joined = bench.until(second, |row| row.status.is_finished()).await;
        assert_eq!(joined.containments[0].joined, Some(first));
        assert_eq!(
            (bench.calls(), bench.ledger()),
            ("block".to_owned(), format!("{target}: holding, holding"))
        );
    }
}

#[tokio::test(start_paused = true)]
async fn who_comes_while_it_is_being_done_waits_and_finds_it_done() {
    let gate = Arc::new(Notify::new());
    let bench = new_bench(Some(gate.clone())).await;
    let short = bench.approved("short").await;
    bench.until(short, |row| row.containments.iter().any(|row| row.state == ContainmentState::Sending)).await;
    let long = bench.approved("long").await;
    assert_eq!(bench.ledger(), "host/web-01: sending");
    gate.notify_one();
    let joined = bench.until(long, |row| row.status.is_finished()).await;
    assert_eq!((joined.containments[0].joined, bench.calls().as_str()), (Some(short), "isolate"));
}

#[tokio::test(start_paused = true)]
async fn who_waits_is_not_forgotten_by_a_crash() {
    let bench = new_bench(Some(Arc::new(Notify::new()))).await;
    let short = bench.approved("short").await;
    bench.until(short, |row| !row.containments.is_empty()).await;
    let long = bench.approved("long").await;
    let after = self::bench(bench.store.clone(), None, at(1_000_500)).await;
    // The first is in doubt now, so the second asks a person.
    after.until(long, |row| !row.waiting.is_empty()).await;
    assert_eq!(after.ledger(), "host/web-01: in_doubt");
    after.runner.resolve(short, isolate(), Resolution::Failed, ana(), "looked".to_owned()).await.unwrap();
    let why = Some("it spreads".to_owned());
    after.runner.decide(long, isolate(), Decision::Approve, ana(), why, None).await.unwrap();
    after.until(long, |row| row.status.is_finished()).await;
    assert_eq!(after.calls(), "isolate");
}

#[tokio::test(start_paused = true)]
async fn what_is_overdue_at_a_start_is_undone_at_once() {
    let bench = new_bench(None).await;
    let run = bench.approved("short").await;
    bench.until(run, |row| row.status.is_finished()).await;
    bench.runner.stop(Duration::ZERO).await;
    let after = self::bench(bench.store.clone(), None, at(90_000_000)).await;
    let before = tokio::time::Instant::now();
    after.until(run, RunSummary::is_over).await;
    assert!(before.elapsed() < Duration::from_secs(1));
    assert_eq!(after.calls(), "release");
}

#[tokio::test(start_paused = true)]
async fn a_person_undoes_it_and_a_run_that_has_left_memory_is_found() {
    let bench = new_bench(None).await;
    let run = bench.approved("long").await;
    bench.until(run, |row| row.status.is_finished()).await;
    bench.runner.undo(run, isolate(), false, ana(), "it was a test".to_owned()).await.unwrap();
    bench.until(run, RunSummary::is_over).await;
    let again = bench.runner.undo(run, isolate(), false, ana(), "again".to_owned()).await.unwrap_err();
    assert_eq!(again.to_string(), "the step `isolate` holds nothing that could be undone");
    assert_eq!(bench.calls(), "isolate release");
}

#[tokio::test(start_paused = true)]
async fn what_was_undone_by_hand_nobody_holds_any_more() {
    let bench = new_bench(None).await;
    let short = bench.approved("short").await;
    bench.until(short, |row| row.status.is_finished()).await;
    let long = bench.approved("long").await;
    bench.until(long, |row| row.status.is_finished()).await;
    bench.runner.undo(long, isolate(), true, ana(), "at the switch".to_owned()).await.unwrap();
    bench.until(short, RunSummary::is_over).await;
    assert_eq!((bench.calls().as_str(), bench.ledger().as_str()), ("isolate", ""));
}

/// Lets only one workflow do anything.
#[derive(Debug)]
struct Only(&'static str);

#[async_trait]
impl Guard for Only {
    async fn judge(&self, intent: &Intent<'_>, _now: Timestamp) -> Verdict {
        if intent.workflow == self.0 {
            return Verdict::Go;
        }
        Verdict::Refuse(Failure::new(FailureClass::Guardrail, "not this one"))
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_guard_refuses_takes_no_target_from_others() {
    let settings = Settings { guard: Arc::new(Only("long")), ..at(1_000_000) };
    let bench = self::bench(Arc::new(MemoryStore::default()), None, settings).await;
    let refused = bench.approved("short").await;
    let refused = bench.until(refused, |row| row.status.is_finished()).await;
    assert_eq!(refused.error.as_deref(), Some("isolate: not this one"));
    assert_eq!(bench.ledger(), "");
    let run = bench.approved("long").await;
    bench.until(run, |row| row.status.is_finished()).await;
    assert_eq!((bench.calls().as_str(), bench.ledger().as_str()), ("isolate", "host/web-01: holding"));
}
