//! A containment on Wazuh is done when the agent's alert says so, found in the indexer by the key that was sent: not when
//! the manager says that it was sent, and not lost when nobody heard the answer.

use std::time::Duration;

use lab::faults::Kind;
use lab::{Execd, Fault, Settings, System};
use model::RunStatus;

use crate::world::{World, eventually, read_json, repository};

const PLAYBOOK: &str = r##"
workflow: isolate
triggers:
  - { uses: webhook, with: { path: wazuh } }
steps:
  - id: isolate
    uses: wazuh.isolate_host
    with: { agent: "001" }
    approval: { ask: "Isolate host 001?", from: { role: analyst }, expires: 30m }
    verify: { every: 100ms, within: 2s }
    undo: { after: 1s }
"##;

/// The commands that agents have carried out, with the key of each.
fn effects(world: &World) -> Vec<(String, String)> {
    let done = world.lab.active_responses().into_iter().filter(|response| response.is_done);
    done.map(|response| (response.command.clone(), response.key().unwrap().to_owned())).collect()
}

async fn isolated(world: &World) -> String {
    let run = world.post_alert().await;
    world.settled(&run).await;
    assert_eq!(world.decide(&run, "isolate", "approve", "ana").await.status, 200);
    run
}

async fn released(world: &World) {
    eventually("the host is released", async || (effects(world).len() >= 2).then_some(())).await;
    let effects = effects(world);
    let commands: Vec<&str> = effects.iter().map(|(command, _)| command.as_str()).collect();
    assert_eq!(commands, ["!portcullis-isolate", "!portcullis-release"]);
    assert_ne!(effects[0].1, effects[1].1, "the undo is a call of its own");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_isolation_is_ok_when_the_agent_says_so_and_is_undone_in_time() {
    let settings = Settings { evidence_delay_ms: 400, ..Settings::default() };
    let world = World::with(settings, &[("isolate.yaml", PLAYBOOK)]).await;
    let run = isolated(&world).await;
    let summary = world.settled(&run).await;
    assert_eq!(summary.status, RunStatus::Succeeded, "{summary:?}");
    let key = &effects(&world)[0].1;
    assert!(key.len() == 32 && key.chars().all(|letter| letter.is_ascii_hexdigit()), "{key}");
    let looks = world.lab.requests().iter().filter(|request| request.system == System::WazuhIndexer).count();
    assert!(looks >= 2, "it looked {looks} times for what came late");
    released(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_isolation_whose_answer_was_lost_is_found_and_not_sent_again() {
    let world = World::with(Settings::default(), &[("isolate.yaml", PLAYBOOK)]).await;
    world.lab.order(Fault::once(System::Wazuh, "PUT", "/active-response", Kind::DropAfter));
    let run = isolated(&world).await;
    let summary = world.settled(&run).await;
    assert_eq!(summary.status, RunStatus::Succeeded, "{summary:?}");
    released(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_takes_it_and_does_nothing_is_a_question_for_a_person() {
    let world = World::with(Settings::default(), &[("isolate.yaml", PLAYBOOK)]).await;
    world.lab.set_agent_execd("001", Execd::Ignoring).unwrap();
    let run = isolated(&world).await;
    eventually("the isolation is in doubt", async || {
        let summary = world.summary(&run).await;
        (summary.status == RunStatus::Waiting && !summary.waiting.is_empty()).then_some(())
    })
    .await;
    // The host may hold it all the same, so its undo may be under way as well.
    let taken = world.lab.active_responses();
    let isolations = taken.iter().filter(|response| response.command == "!portcullis-isolate");
    assert_eq!(isolations.count(), 1, "what disrupts is not sent again on its own: {taken:?}");
    assert_eq!(effects(&world), []);
    let (_, shown) = world.run(&["runs", "show", &run]).await;
    assert!(shown.contains("doubt"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_is_slow_beyond_the_timeout_and_did_act_is_found() {
    let playbook = PLAYBOOK.replace("    undo:", "    timeout: 300ms\n    undo:");
    let world = World::with(Settings::default(), &[("isolate.yaml", &playbook)]).await;
    world.lab.order(Fault::once(System::Wazuh, "PUT", "/active-response", Kind::Delay { ms: 5_000 }));
    let run = isolated(&world).await;
    let summary = world.settled(&run).await;
    assert_eq!(summary.status, RunStatus::Succeeded, "{summary:?}");
    world.lab.set_evidence_delay(Duration::ZERO);
    released(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nobody_may_ask_the_indexer_a_host_is_released_all_the_same() {
    let playbook = PLAYBOOK.replace("verify: { every: 100ms, within: 2s }", "verify: false");
    assert_ne!(playbook, PLAYBOOK);
    let world = World::with(Settings::default(), &[("isolate.yaml", &playbook)]).await;
    let run = isolated(&world).await;
    assert_eq!(world.settled(&run).await.status, RunStatus::Succeeded);
    released(&world).await;
    eventually("nothing is contained", async || {
        let rows = world.get("/api/v1/containments").await.body;
        rows["containments"].as_array().unwrap().is_empty().then_some(())
    })
    .await;
    let asked = world.lab.requests().into_iter().filter(|request| request.system == System::WazuhIndexer);
    assert_eq!(asked.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_shipped_playbook_blocks_is_listed_and_undone_by_a_person() {
    let world = World::new().await;
    let run = world.post_alert().await;
    world.settled(&run).await;
    assert_eq!(world.decide(&run, "block", "approve", "ana").await.status, 200);
    assert_eq!(world.settled(&run).await.status, RunStatus::Succeeded);
    let (code, listed) = world.run(&["contained"]).await;
    assert!(code == 0 && listed.contains("agent/001/ip/203.0.113.9  holding"), "{listed}");
    assert!(
        listed.contains(", verified ") && listed.contains(&format!("portcullis undo {run} block")),
        "{listed}"
    );
    let (code, text) = world.run(&["undo", &run, "block", "--why", "our own scanner"]).await;
    assert_eq!(code, 0, "{text}");
    eventually("nothing is contained", async || {
        world.run(&["contained"]).await.1.contains("nothing is contained").then_some(())
    })
    .await;
    let commands: Vec<String> = effects(&world).into_iter().map(|(command, _)| command).collect();
    assert_eq!(commands, ["!portcullis-block", "!portcullis-unblock"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_under_ransomware_stays_isolated_until_a_person_says_that_it_is_clean() {
    let shipped = std::fs::read_to_string(repository().join("workflows/isolate_ransomware.yaml")).unwrap();
    let quick = shipped.replace("review_after: 24h", "review_after: 300ms");
    assert_ne!(quick, shipped, "the shipped playbook asks after a day");
    let world = World::with(Settings::default(), &[("isolate_ransomware.yaml", &quick)]).await;
    let mut alert = read_json(&repository().join("examples/alerts/ransomware_files.json"));
    alert["agent"]["id"] = "001".into();
    let answer = world.post_hook(&alert).await;
    let run = answer.body.pointer("/runs/0/run").unwrap().as_str().unwrap().to_owned();
    world.settled(&run).await;
    assert_eq!(world.decide(&run, "isolate", "approve", "ana").await.status, 200);
    eventually("the run ends, and somebody is asked whether the host is clean", async || {
        let summary = world.summary(&run).await;
        let is_asked = summary.waiting.iter().any(|waiting| waiting.step.to_string() == "isolate.undo");
        (is_asked && summary.status == RunStatus::Succeeded).then_some(())
    })
    .await;
    assert_eq!(effects(&world).len(), 1, "the clock releases nothing");
    assert_eq!(world.decide(&run, "isolate.undo", "approve", "ana").await.status, 200);
    released(&world).await;
}
