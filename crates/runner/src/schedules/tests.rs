//! Schedules over a clock that tests move, with processes that die between two moments.

use insta::assert_snapshot;
use model::{Outcome, TriggerKind};
use serde_json::json;
use store::{MemoryStore, Query, Store};
use workflow::Catalog;

use super::*;
use crate::{Clock, Executor, Found, Settings};

const NODES: [&str; 2] = [
    include_str!("../../../../nodes/core/schedule.yaml"),
    "node: set\nsummary: x\neffect: read\non_doubt: retry\nengine: set\n",
];

/// Nothing is called.
struct Nobody;

#[async_trait::async_trait]
impl Executor for Nobody {
    async fn perform(&self, _: &engine::Command) -> Outcome {
        Outcome::Succeeded(json!({}).into())
    }
}

fn playbook(name: &str, with: &str) -> String {
    format!(
        "workflow: {name}\ntriggers: [{{ uses: schedule, {with} }}]\nsteps:\n  - {{ id: a, uses: set }}\n"
    )
}

fn reread(before: &Workflows, texts: &[String]) -> Workflows {
    let mut catalog = Catalog::default();
    for node in NODES {
        catalog.add("node.yaml", node).unwrap();
    }
    let found = texts.iter().enumerate();
    let found =
        found.map(|(number, text)| Found { file: format!("{number}.yaml"), text: Ok(text.as_str().into()) });
    let workflows = before.reread(found, &catalog, Timestamp::default());
    for playbook in workflows.playbooks() {
        assert!(playbook.failing_since.is_none(), "{}", playbook.findings);
    }
    workflows
}

async fn open(store: &Arc<dyn Store>, texts: &[String], at: &str) -> Runner {
    let settings = Settings { clock: Clock::tokio(at.parse().unwrap()), ..Settings::default() };
    let workflows = reread(&Workflows::default(), texts);
    Runner::open(store.clone(), Arc::new(Nobody), workflows, settings).await.unwrap()
}

/// Lets this much time pass.
async fn pass(hours: u64) {
    tokio::time::sleep(Duration::from_secs(hours * 3600)).await;
}

/// Which runs there are, oldest first: the time they were meant for, and when they started.
async fn runs(store: &Arc<dyn Store>) -> String {
    let mut rows = store.runs(Query::default()).await.unwrap().runs;
    rows.sort_by_key(|row| (row.started_at, row.workflow.clone()));
    let mut shown = String::new();
    for row in rows {
        let journal = store.journal(row.run).await.unwrap();
        let model::Event::RunStarted { trigger, alert, .. } = &journal[0].event else {
            panic!("{journal:?}")
        };
        assert_eq!((trigger.kind, alert.as_ref()), (TriggerKind::Schedule, &json!({})));
        let minute = |at: Timestamp| at.to_string()[5..16].replace('T', " ");
        shown.push_str(&format!(
            "{} of {}, at {}\n",
            row.workflow,
            minute(trigger.received_at),
            minute(row.started_at)
        ));
    }
    shown
}

fn memory() -> Arc<dyn Store> {
    Arc::new(MemoryStore::new())
}

#[tokio::test(start_paused = true)]
async fn a_workflow_starts_at_each_of_its_times_and_not_at_once() {
    let store = memory();
    let daily = playbook("daily", "with: { cron: '0 8 * * 1-5', timezone: Europe/Berlin }");
    let hourly = playbook("hourly", "with: { cron: '15 */6 * * *' }");
    let _runner = open(&store, &[daily, hourly], "2026-11-20T06:30:00Z").await;
    pass(78).await;
    assert_snapshot!(runs(&store).await, @"
    daily of 11-20 07:00, at 11-20 07:00
    hourly of 11-20 12:15, at 11-20 12:15
    hourly of 11-20 18:15, at 11-20 18:15
    hourly of 11-21 00:15, at 11-21 00:15
    hourly of 11-21 06:15, at 11-21 06:15
    hourly of 11-21 12:15, at 11-21 12:15
    hourly of 11-21 18:15, at 11-21 18:15
    hourly of 11-22 00:15, at 11-22 00:15
    hourly of 11-22 06:15, at 11-22 06:15
    hourly of 11-22 12:15, at 11-22 12:15
    hourly of 11-22 18:15, at 11-22 18:15
    hourly of 11-23 00:15, at 11-23 00:15
    hourly of 11-23 06:15, at 11-23 06:15
    daily of 11-23 07:00, at 11-23 07:00
    hourly of 11-23 12:15, at 11-23 12:15
    ");
}

#[tokio::test(start_paused = true)]
async fn after_a_downtime_there_is_one_run_for_all_missed_times_or_none() {
    let store = memory();
    let texts = [
        playbook("once", "with: { cron: '0 * * * *' }"),
        playbook("skips", "with: { cron: '0 * * * *', missed: skip }"),
    ];
    let runner = open(&store, &texts, "2026-11-20T06:30:00Z").await;
    pass(1).await;
    runner.stop(Duration::from_secs(1)).await;
    let _runner = open(&store, &texts, "2026-11-21T12:30:00Z").await;
    pass(1).await;
    assert_snapshot!(runs(&store).await, @"
    once of 11-20 07:00, at 11-20 07:00
    skips of 11-20 07:00, at 11-20 07:00
    once of 11-21 12:00, at 11-21 12:30
    once of 11-21 13:00, at 11-21 13:00
    skips of 11-21 13:00, at 11-21 13:00
    ");
}

#[tokio::test(start_paused = true)]
async fn a_restart_within_a_minute_misses_nothing() {
    let store = memory();
    let texts = [playbook("skips", "with: { cron: '0 * * * *', missed: skip }")];
    let runner = open(&store, &texts, "2026-11-20T06:59:50Z").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    runner.stop(Duration::from_secs(1)).await;
    let _runner = open(&store, &texts, "2026-11-20T07:00:30Z").await;
    pass(1).await;
    assert_snapshot!(runs(&store).await, @"
    skips of 11-20 07:00, at 11-20 07:00
    skips of 11-20 08:00, at 11-20 08:00
    ");
}

#[tokio::test(start_paused = true)]
async fn a_crash_between_the_run_and_the_note_starts_nothing_twice() {
    let memory = Arc::new(MemoryStore::new());
    let store: Arc<dyn Store> = memory.clone();
    let texts = [playbook("once", "with: { cron: '0 8 * * *' }")];
    let runner = open(&store, &texts, "2026-11-20T07:30:00Z").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = store.note("schedule/once").await.unwrap().unwrap();
    pass(1).await;
    assert_eq!(store.runs(Query::default()).await.unwrap().runs.len(), 1);
    runner.stop(Duration::from_secs(1)).await;
    let left: Arc<dyn Store> = Arc::new(memory.after_crash());
    left.put_note(Note { key: "schedule/once".to_owned(), value: before }).await.unwrap();
    let _runner = open(&left, &texts, "2026-11-20T09:00:00Z").await;
    pass(1).await;
    assert_snapshot!(runs(&left).await, @"once of 11-20 08:00, at 11-20 08:00");
}

#[tokio::test(start_paused = true)]
async fn a_reload_changes_schedules_and_does_not_make_up_for_the_past() {
    let store = memory();
    let [at_seven, at_eight] =
        [7, 8].map(|hour| playbook("daily", &format!("with: {{ cron: '0 {hour} * * *' }}")));
    let runner = open(&store, std::slice::from_ref(&at_seven), "2026-11-20T06:30:00Z").await;
    pass(1).await;
    let replace =
        async |texts: &[String]| runner.replace_workflows(reread(&runner.workflows(), texts)).await.unwrap();
    replace(&[at_eight]).await;
    pass(24).await;
    replace(&[]).await;
    pass(24).await;
    assert_eq!(store.note("schedule/daily").await.unwrap(), None);
    replace(&[at_seven]).await;
    pass(24).await;
    assert_snapshot!(runs(&store).await, @"
    daily of 11-20 07:00, at 11-20 07:00
    daily of 11-20 08:00, at 11-20 08:00
    daily of 11-23 07:00, at 11-23 07:00
    ");
}

#[tokio::test(start_paused = true)]
async fn a_condition_says_which_times_count() {
    let store = memory();
    let odd =
        playbook("odd", "with: { cron: '0 7,8 * * *' }, when: \"trigger.received_at.contains('T08:')\"");
    let unclear = playbook("unclear", "with: { cron: '0 7 * * *' }, when: alert.level > 3");
    let _runner = open(&store, &[odd, unclear], "2026-11-20T06:30:00Z").await;
    pass(3).await;
    assert_snapshot!(runs(&store).await, @"
    unclear of 11-20 07:00, at 11-20 07:00
    odd of 11-20 08:00, at 11-20 08:00
    ");
    let failed =
        store.runs(Query { status: Some(model::RunStatus::Failed), ..Query::default() }).await.unwrap().runs;
    assert_snapshot!(failed[0].error.as_deref().unwrap_or_default(), @"when: `alert.level` is missing: `alert` has nothing, in `alert.level > 3`");
}
