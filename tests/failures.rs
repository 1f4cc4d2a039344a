//! What goes wrong is named, with a word on what to do.

use lab::AgentStatus;
use lab::faults::Kind;
use lab::{Fault, System};
use model::{Event, Record, RunStatus};

use crate::world::World;

/// The failure of a step as a person reads it: class, message and help.
fn failure(journal: &[Record], step: &str) -> String {
    let failed = journal.iter().rev().find_map(|record| {
        let Event::StepFailed { step: failed, failure, .. } = &record.event else { return None };
        (failed.to_string() == step).then(|| failure.clone())
    });
    let failure = failed.unwrap_or_else(|| panic!("`{step}` did not fail: {journal:#?}"));
    format!("{}: {}\nhelp: {}", failure.class, failure.message, failure.help.unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_wazuh_password_is_named_and_tried_once() {
    let mut world = World::new().await;
    world.kill().await;
    world.set_wazuh_password("wrong-password-1");
    world.start().await;
    let run = world.post_alert().await;
    let summary = world.settled(&run).await;
    assert_eq!(summary.status, RunStatus::Failed, "{summary:?}");
    let failure = failure(&world.journal(&run).await, "host");
    assert!(failure.starts_with("auth:"), "{failure}");
    assert!(failure.contains("password") && failure.contains("help: "), "{failure}");
    let logins = world.lab.requests().iter().filter(|r| r.path == "/security/user/authenticate").count();
    assert_eq!(logins, 1, "a refused login is not repeated: Wazuh blocks whoever insists");
    assert!(!failure.contains("wrong-password-1"), "{failure}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_expires_in_the_middle_of_a_run_is_renewed_and_nothing_is_done_twice() {
    let world = World::new().await;
    let run = world.post_alert().await;
    world.settled(&run).await;
    world.lab.expire_tokens();
    assert_eq!(world.decide(&run, "block", "approve", "ana").await.status, 200);
    let summary = world.settled(&run).await;
    assert_eq!(summary.status, RunStatus::Succeeded, "{summary:?}");
    assert_eq!(world.lab.active_responses().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_refused_again_and_again_is_named() {
    let world = World::new().await;
    let run = world.post_alert().await;
    world.settled(&run).await;
    let fault =
        Fault { times: 100, ..Fault::once(System::Wazuh, "PUT", "/active-response", Kind::TokenExpired) };
    world.lab.order(fault);
    assert_eq!(world.decide(&run, "block", "approve", "ana").await.status, 200);
    let summary = world.settled(&run).await;
    assert_eq!(summary.status, RunStatus::Failed, "{summary:?}");
    let failure = failure(&world.journal(&run).await, "block");
    assert!(failure.starts_with("auth:") && failure.contains("token"), "{failure}");
    assert_eq!(world.lab.active_responses().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_disconnects_is_a_failure_although_wazuh_answers_200() {
    let world = World::new().await;
    let run = world.post_alert().await;
    world.settled(&run).await;
    world.lab.set_agent_status("001", AgentStatus::Disconnected).unwrap();
    assert_eq!(world.decide(&run, "block", "approve", "ana").await.status, 200);
    let summary = world.settled(&run).await;
    assert_eq!(summary.status, RunStatus::Failed, "{summary:?}");
    let failure = failure(&world.journal(&run).await, "block");
    assert!(failure.starts_with("rejected:") && failure.contains("not active"), "{failure}");
    assert_eq!(world.lab.active_responses().len(), 0);
    let case = world.lab.cases()[0].to_string();
    assert!(case.contains("not active"), "the case says why nothing happened: {case}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_in_the_store_the_log_or_any_answer() {
    let mut world = World::new().await;
    let run = world.post_alert().await;
    world.settled(&run).await;
    world.decide(&run, "block", "approve", "ana").await;
    world.settled(&run).await;
    let lab = lab::Settings::default();
    let secrets = [
        lab.wazuh_password,
        lab.thehive_key,
        lab.virustotal_key,
        "hook-secret-of-the-test".to_owned(),
        crate::world::token("ana"),
    ];
    let mut texts = vec![world.get(&format!("/api/v1/runs/{run}/journal")).await.body.to_string()];
    texts.push(world.kill().await);
    for file in files(&world.folder.path().join("data")) {
        texts.push(String::from_utf8_lossy(&std::fs::read(file).unwrap()).into_owned());
    }
    for secret in secrets {
        assert!(texts.iter().all(|text| !text.contains(&secret)), "a secret got out: {secret}");
    }
    // A token of Wazuh is three parts of base64; its header always begins with the same letters.
    assert!(texts.iter().all(|text| !text.contains("eyJ")), "a token got out");
}

fn files(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}
