//! No alert is lost on the way either: what Wazuh did not deliver is found in the indexer, and is a run all the same; what
//! was delivered is not one a second time.

use std::collections::BTreeSet;

use lab::faults::Kind;
use lab::{Fault, System};
use model::RunStatus;
use serde_json::{Value, json};

use crate::world::{World, answer, client, eventually};

/// Every alert is a run of its own.
const EACH: &str = r#"
workflow: each
triggers:
  - uses: webhook
    with: { path: wazuh }
    when: alert.rule.level >= 5
steps:
  - { id: note, uses: set, with: { seen: alert.id } }
"#;

/// Alerts of one source are one run for a while.
const JOINED: &str = r#"
workflow: joined
triggers:
  - uses: webhook
    with: { path: wazuh }
    when: alert.rule.level >= 10
dedupe: { key: "{{ alert.data.srcip }}", window: 1h }
steps:
  - { id: ask, uses: approval, with: { ask: "Go on?" } }
"#;

async fn world() -> World {
    let playbooks = [("each.yaml", EACH), ("joined.yaml", JOINED)];
    let mut world = World::prepare(lab::Settings::default(), &playbooks).await;
    world.configure("reconcile: { hook: wazuh, every: 1s, look_back: 10m, min_level: 3 }\n");
    world.start().await;
    world
}

/// An alert as Wazuh writes it; the lab gives it its time.
fn alert(id: &str, level: u64) -> Value {
    json!({
        "id": id, "manager": { "name": "wazuh-01" }, "agent": { "id": "001", "name": "web-01" },
        "rule": { "id": "5763", "level": level, "description": "brute force" },
        "data": { "srcip": "203.0.113.9" },
    })
}

/// The alert as the indexer has it.
fn indexed(alert: &Value, world: &World) {
    let mut alert = alert.clone();
    alert["@timestamp"] = json!("2026-11-22T09:30:00.000Z");
    alert["GeoLocation"] = json!({ "country_name": "Nowhere" });
    alert["input"] = json!({ "type": "log" });
    world.lab.add_alert(alert);
}

/// What was found: workflow, alert, and whether it joined a run.
async fn gaps(world: &World) -> BTreeSet<String> {
    let body = world.get("/api/v1/gaps").await.body;
    let gaps = body.get("gaps").and_then(Value::as_array).unwrap();
    let text = |gap: &Value, key: &str| gap.get(key).unwrap().to_string().replace('"', "");
    gaps.iter().map(|gap| ["workflow", "alert", "joined"].map(|key| text(gap, key)).join(" ")).collect()
}

async fn until_found(world: &World, count: usize) -> BTreeSet<String> {
    eventually("the alerts are found", async || {
        let found = gaps(world).await;
        (found.len() >= count).then_some(found)
    })
    .await
}

/// How many runs there are of a workflow.
async fn runs(world: &World, workflow: &str) -> usize {
    let body = world.get(&format!("/api/v1/runs?workflow={workflow}")).await.body;
    body.get("runs").and_then(Value::as_array).unwrap().len()
}

/// Waits until the indexer was asked with success so often from now on: everything that can be found was.
async fn asked_again(world: &World) {
    let rounds = async || metric(world, "portcullis_reconcile_rounds_total{result=\"ok\"}").await;
    let before = rounds().await;
    eventually("the indexer is asked again", async || (rounds().await >= before + 3).then_some(())).await;
}

async fn metric(world: &World, name: &str) -> u64 {
    let text = world.get("/metrics").await.body;
    let lines = text.as_str().unwrap().lines();
    let value = lines.filter_map(|line| line.strip_prefix(name)?.trim().parse().ok()).next();
    value.unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_that_was_never_posted_is_found_and_one_that_was_is_not_found_again() {
    let world = world().await;
    let (posted, lost, quiet) = (alert("1.1", 7), alert("1.2", 7), alert("1.3", 3));
    assert_eq!(world.post_hook(&posted).await.status, 202);
    for alert in [&posted, &lost, &quiet] {
        indexed(alert, &world);
    }
    let found = until_found(&world, 1).await;
    asked_again(&world).await;
    assert_eq!(found, BTreeSet::from(["each wazuh-01/1.2 false".to_owned()]));
    assert_eq!((gaps(&world).await, runs(&world, "each").await), (found, 2));
    assert_eq!(metric(&world, "portcullis_reconciled_total{workflow=\"each\"}").await, 1);

    // It comes by itself after all, late.
    let late = world.post_hook(&lost).await;
    assert_eq!(late.body.pointer("/runs/0/duplicate"), Some(&json!(true)), "{:?}", late.body);
    let run = late.body.pointer("/runs/0/run").unwrap().as_str().unwrap();
    let (_, story) = world.run(&["runs", "show", run]).await;
    assert!(story.contains("started: each (webhook, found in the indexer)"), "{story}");
    let records = serde_json::to_string(&world.journal(run).await).unwrap();
    assert!(!records.contains("GeoLocation") && !records.contains("@timestamp"), "{records}");
    let (code, listed) = world.run(&["gaps"]).await;
    assert_eq!(code, 0);
    assert!(listed.contains("wazuh-01/1.2  rule 5763: brute force on web-01"), "{listed}");
    assert!(listed.contains(&format!("started {run} of each")), "{listed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_found_joins_the_run_of_its_dedupe_key_once() {
    let mut world = world().await;
    let (posted, lost) = (alert("2.1", 12), alert("2.2", 12));
    let run = world.post_hook(&posted).await.body;
    let run = run.get("runs").and_then(Value::as_array).unwrap();
    let run = run.iter().find(|run| run["workflow"] == "joined").unwrap()["run"].as_str().unwrap().to_owned();
    indexed(&posted, &world);
    indexed(&lost, &world);
    let found = until_found(&world, 2).await;
    let expected = ["each wazuh-01/2.2 false", "joined wazuh-01/2.2 true"].map(str::to_owned);
    assert_eq!(found, BTreeSet::from(expected));
    // Neither the next time, nor by itself, nor after a kill is it another alert.
    asked_again(&world).await;
    world.kill().await;
    world.start().await;
    assert_eq!(world.post_hook(&lost).await.status, 202);
    asked_again(&world).await;
    assert_eq!(world.summary(&run).await.alerts_again, 1);
    assert_eq!((runs(&world, "joined").await, runs(&world, "each").await), (1, 2));
    assert_eq!(gaps(&world).await, found, "the list outlives the process");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_both_ways_bring_at_once_is_one_run() {
    let world = world().await;
    let alerts: Vec<Value> = (0..30).map(|number| alert(&format!("3.{number}"), 7)).collect();
    for alert in &alerts {
        indexed(alert, &world);
    }
    // The same alert comes by itself four times while it is found.
    let client = client();
    let posts = (0..4).flat_map(|_| &alerts).map(|alert| answer(world.hook(&client, alert)));
    let answers = futures::future::join_all(posts).await;
    assert!(answers.iter().all(|answer| answer.status == 202), "{answers:?}");
    asked_again(&world).await;
    assert_eq!(runs(&world, "each").await, 30);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_indexer_that_is_away_loses_nothing_and_a_kill_does_not_either() {
    let mut world = world().await;
    asked_again(&world).await;
    let kind = Kind::Status { status: 503, body: json!("no server is available") };
    world.lab.order(Fault {
        system: System::WazuhIndexer,
        method: None,
        path: "/*".to_owned(),
        times: u32::MAX,
        kind,
    });
    let failed = "portcullis_reconcile_rounds_total{result=\"failed\"}";
    eventually("it is seen to be away", async || (metric(&world, failed).await >= 2).then_some(())).await;
    indexed(&alert("4.1", 7), &world);
    let log = world.kill().await;
    let warnings = log.matches("alerts that did not come were not asked for to the end").count();
    assert_eq!(warnings, 1, "{log}");
    indexed(&alert("4.2", 7), &world);
    world.start().await;
    world.lab.clear_faults();
    until_found(&world, 2).await;
    world.kill().await;
    indexed(&alert("4.3", 7), &world);
    world.start().await;
    until_found(&world, 3).await;
    asked_again(&world).await;
    assert_eq!(runs(&world, "each").await, 3);
    let body = world.get("/api/v1/runs").await.body;
    for run in body.get("runs").and_then(Value::as_array).unwrap() {
        let summary = world.settled(run["run"].as_str().unwrap()).await;
        assert_eq!(summary.status, RunStatus::Succeeded);
    }
}
