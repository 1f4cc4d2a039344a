//! More alerts than the server takes on at once: those beyond the bound are asked to come again, and people are heard.

use std::time::{Duration, Instant};

use lab::faults::Kind;
use lab::{Fault, Settings, System};
use model::RunStatus;
use reqwest::header::RETRY_AFTER;
use serde_json::json;
use tokio::task::JoinSet;

use crate::world::{World, client, eventually};

const ASK: &str = r#"
workflow: ask
triggers: [{ uses: webhook, with: { path: wazuh }, when: 'alert.kind == "ask"' }]
steps:
  - { id: question, uses: approval, with: { ask: "Go on?", from: { role: analyst }, expires: 1h } }
"#;

const LOOK: &str = r#"
workflow: look
triggers: [{ uses: webhook, with: { path: wazuh }, when: 'alert.kind == "look"' }]
steps:
  - { id: host, uses: wazuh.get_agent, with: { agent: "001" } }
"#;

const BOUND: usize = 10;
const STORM: usize = 100;
/// An answer that takes longer is not quick, whatever else the machine does.
const QUICK: Duration = Duration::from_secs(5);

/// Posts so many alerts at once; gives the runs of those that were taken. The others have to be told when to come again.
async fn storm(world: &World) -> Vec<String> {
    let client = client();
    let mut posts = JoinSet::new();
    for number in 0..STORM {
        let request = world.hook(&client, &json!({ "kind": "look", "number": number }));
        posts.spawn(async move {
            let sent = Instant::now();
            let answer = request.send().await.unwrap();
            assert!(sent.elapsed() < QUICK, "{:?} for a {}", sent.elapsed(), answer.status());
            if answer.status() == 503 {
                assert_eq!(answer.headers()[RETRY_AFTER], "1");
                return None;
            }
            assert_eq!(answer.status(), 202);
            let body: serde_json::Value = answer.json().await.unwrap();
            Some(body.pointer("/runs/0/run").unwrap().as_str().unwrap().to_owned())
        });
    }
    posts.join_all().await.into_iter().flatten().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_beyond_the_bound_loses_no_alert_that_was_taken_and_keeps_nobody_from_answering() {
    let mut world = World::prepare(Settings::default(), &[("ask.yaml", ASK), ("look.yaml", LOOK)]).await;
    world.configure(&format!("limits: {{ live_runs: {BOUND}, alerts: {BOUND} }}\n"));
    world.start().await;
    let answer = world.post_hook(&json!({ "kind": "ask" })).await;
    let question = answer.body.pointer("/runs/0/run").unwrap().as_str().unwrap().to_owned();
    world.settled(&question).await;
    let slow = Kind::Delay { ms: 600_000 };
    world.lab.order(Fault { times: 1000, ..Fault::once(System::Wazuh, "GET", "/agents", slow) });

    let taken = storm(&world).await;
    assert!((1..=BOUND).contains(&taken.len()), "{} were taken", taken.len());
    let asked = Instant::now();
    assert_eq!(world.get("/api/v1/approvals").await.status, 200);
    assert_eq!(world.decide(&question, "question", "approve", "ana").await.status, 200);
    assert_eq!(world.settled(&question).await.status, RunStatus::Succeeded);
    assert!(asked.elapsed() < QUICK, "people wait for {:?}", asked.elapsed());
    let more = storm(&world).await;
    assert!(taken.len() + more.len() <= BOUND, "{} and {} were taken", taken.len(), more.len());

    world.kill().await;
    world.lab.clear_faults();
    world.start().await;
    for run in taken.iter().chain(&more) {
        eventually("the run ends", async || {
            (world.summary(run).await.status == RunStatus::Succeeded).then_some(())
        })
        .await;
    }
    let rows = world.get("/api/v1/runs?limit=500&workflow=look").await;
    let runs = rows.body.pointer("/runs").unwrap().as_array().unwrap().len();
    assert_eq!(runs, taken.len() + more.len(), "what was refused has left nothing behind");
    let (again, _) = (world.post_hook(&json!({ "kind": "look" })).await, world.kill().await);
    assert_eq!(again.status, 202, "{:?}", again.body);
}
