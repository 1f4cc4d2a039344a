//! Nothing is lost and nothing is done twice when the process dies.

use lab::faults::Kind;
use lab::{Execd, Fault, System};
use model::{RunStatus, WaitingFor};
use serde_json::json;

use crate::world::{World, alert, repository};

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_waits_survives_a_kill_and_goes_on_after_the_restart() {
    let mut world = World::new().await;
    let run = world.post_alert().await;
    let before = world.settled(&run).await;
    world.kill().await;
    world.start().await;
    assert_eq!(world.summary(&run).await, before);
    assert_eq!(world.decide(&run, "block", "approve", "ana").await.status, 200);
    assert_eq!(world.settled(&run).await.status, RunStatus::Succeeded);
    assert_eq!((world.lab.active_responses().len(), world.lab.cases().len()), (1, 1));
}

/// A world whose server does not look for long whether something was done, and whose agents take everything and do
/// nothing.
async fn without_evidence() -> World {
    let shipped =
        std::fs::read_to_string(repository().join("workflows/contain_ssh_bruteforce.yaml")).unwrap();
    let quick = shipped.replace("every: 2s, within: 2m", "every: 50ms, within: 300ms");
    assert_ne!(quick, shipped, "the shipped playbook looks for two minutes");
    let world = World::with(lab::Settings::default(), &[("contain_ssh_bruteforce.yaml", &quick)]).await;
    world.lab.set_agent_execd("001", Execd::Ignoring).unwrap();
    world
}

/// Kills the server right after the active response has left and before its answer has come; then starts it again.
async fn die_in_the_middle(world: &mut World) -> String {
    let run = world.post_alert().await;
    world.settled(&run).await;
    world.lab.order(Fault::once(System::Wazuh, "PUT", "/active-response", Kind::Delay { ms: 600_000 }));
    assert_eq!(world.decide(&run, "block", "approve", "ana").await.status, 200);
    world.contained(1).await;
    world.kill().await;
    world.lab.clear_faults();
    world.start().await;
    run
}

/// The same where nothing shows afterwards that it was done.
async fn die_in_doubt(world: &mut World) -> String {
    let run = die_in_the_middle(world).await;
    let summary = world.settled(&run).await;
    assert!(matches!(summary.waiting[0].reason, WaitingFor::Resolution { .. }), "{summary:?}");
    assert_eq!(world.containment_requests(), 1, "nobody knows whether it happened, so nothing is sent again");
    run
}

#[tokio::test(flavor = "multi_thread")]
async fn a_containment_whose_answer_nobody_saw_is_found_after_the_restart_and_not_sent_again() {
    let mut world = World::new().await;
    let run = die_in_the_middle(&mut world).await;
    let summary = world.settled(&run).await;
    assert_eq!(summary.status, RunStatus::Succeeded, "{summary:?}");
    assert_eq!(world.containment_requests(), 1);
    assert!(summary.containments[0].verified_at.is_some(), "{summary:?}");
}

async fn resolve(world: &World, run: &str, resolution: &str) {
    let arguments = ["resolve", run, "block", resolution, "--why", "looked at the firewall of web-01"];
    let (code, text) = world.run(&arguments).await;
    assert_eq!(code, 0, "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_containment_whose_outcome_nobody_saw_is_in_doubt_until_somebody_says_that_it_happened() {
    let mut world = without_evidence().await;
    let run = die_in_doubt(&mut world).await;
    resolve(&world, &run, "ok").await;
    assert_eq!(world.settled(&run).await.status, RunStatus::Succeeded);
    assert_eq!(world.containment_requests(), 1);
    let journal = serde_json::to_string(&world.journal(&run).await).unwrap();
    assert!(journal.contains("looked at the firewall of web-01") && journal.contains("ana"), "{journal}");
}

#[tokio::test(flavor = "multi_thread")]
async fn or_that_it_failed() {
    let mut world = without_evidence().await;
    let run = die_in_doubt(&mut world).await;
    resolve(&world, &run, "failed").await;
    assert_eq!(world.settled(&run).await.status, RunStatus::Failed);
    assert_eq!(world.containment_requests(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn or_that_it_is_to_be_sent_again() {
    let mut world = without_evidence().await;
    let run = die_in_doubt(&mut world).await;
    world.lab.set_agent_execd("001", Execd::Enabled).unwrap();
    resolve(&world, &run, "send-again").await;
    assert_eq!(world.settled(&run).await.status, RunStatus::Succeeded);
    assert_eq!(world.containment_requests(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_breaks_where_nothing_was_done_is_in_doubt_without_any_crash() {
    let world = without_evidence().await;
    let run = world.post_alert().await;
    world.settled(&run).await;
    world.lab.order(Fault::once(System::Wazuh, "PUT", "/active-response", Kind::DropAfter));
    assert_eq!(world.decide(&run, "block", "approve", "ana").await.status, 200);
    let summary = world.settled(&run).await;
    assert!(matches!(summary.waiting[0].reason, WaitingFor::Resolution { .. }), "{summary:?}");
    assert_eq!(world.containment_requests(), 1);
}

/// A block that gives up soon.
const IMPATIENT: &str = r#"
workflow: impatient
triggers:
  - uses: webhook
    with: { path: wazuh }
steps:
  - id: block
    uses: wazuh.active_response
    with:
      agent: "{{ alert.agent.id }}"
      command: firewall-drop180
      alert: { data: { srcip: "{{ alert.data.srcip }}" } }
    timeout: 1s
    retry: { max: 3, wait: 10ms, on: [timeout, connect] }
    approval: { ask: "Block?", from: { role: analyst }, expires: 30m }
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_is_too_slow_and_did_act_is_not_asked_again() {
    let world = World::with(lab::Settings::default(), &[("impatient.yaml", IMPATIENT)]).await;
    let run = world.post_alert().await;
    world.settled(&run).await;
    world.lab.order(Fault::once(System::Wazuh, "PUT", "/active-response", Kind::Delay { ms: 3_000 }));
    assert_eq!(world.decide(&run, "block", "approve", "ana").await.status, 200);
    let summary = world.settled(&run).await;
    assert!(matches!(summary.waiting[0].reason, WaitingFor::Resolution { .. }), "{summary:?}");
    resolve(&world, &run, "ok").await;
    assert_eq!(world.settled(&run).await.status, RunStatus::Succeeded);
    assert_eq!((world.containment_requests(), world.lab.active_responses().len()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_alert_that_was_answered_has_its_run_after_kills_under_load() {
    let mut world = World::new().await;
    let mut accepted = Vec::new();
    for round in 0..3 {
        let posts = (0..20).map(|n| {
            let mut alert = alert();
            alert["data"]["srcip"] = json!(format!("198.51.100.{}", round * 20 + n));
            alert["id"] = json!(format!("1767000000.{round}{n:03}"));
            let world = &world;
            async move { world.post_hook(&alert).await }
        });
        for answer in futures::future::join_all(posts).await {
            assert_eq!(answer.status, 202, "{:?}", answer.body);
            accepted.push(answer.body.pointer("/runs/0/run").unwrap().as_str().unwrap().to_owned());
        }
        world.kill().await;
        world.start().await;
    }
    for run in &accepted {
        let summary = world.settled(run).await;
        assert_eq!(summary.status, RunStatus::Waiting, "{summary:?}");
    }
    assert_eq!(world.containment_requests(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_asked_to_stop_ends_well_and_loses_nothing() {
    let mut world = World::new().await;
    let run = world.post_alert().await;
    world.settled(&run).await;
    assert!(world.terminate().await.0);
    world.start().await;
    assert_eq!(world.summary(&run).await.status, RunStatus::Waiting);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_server_on_the_same_data_is_refused_with_the_name_of_the_first() {
    let world = World::new().await;
    let output = world.command(&["serve"]).output().await.unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && text.contains("cannot open the store"), "{text}");
}
