//! A copy of the store that is taken while the server works, and what becomes of it.

use std::os::unix::fs::PermissionsExt as _;

use lab::faults::Kind;
use lab::{Fault, System};
use model::{RunStatus, WaitingFor};

use crate::world::{World, alert, repository};

#[tokio::test(flavor = "multi_thread")]
async fn a_containment_that_was_under_way_in_a_backup_is_in_doubt_after_the_restore() {
    let shipped =
        std::fs::read_to_string(repository().join("workflows/contain_ssh_bruteforce.yaml")).unwrap();
    let blind = shipped.replace("verify: { every: 2s, within: 2m }", "verify: false");
    assert_ne!(blind, shipped, "the shipped playbook looks whether it happened");
    let playbooks = [("contain_ssh_bruteforce.yaml", blind.as_str())];
    let mut world = World::with(lab::Settings::default(), &playbooks).await;
    let run = world.post_alert().await;
    world.settled(&run).await;
    let slow = Kind::Delay { ms: 600_000 };
    world.lab.order(Fault::once(System::Wazuh, "PUT", "/active-response", slow));
    assert_eq!(world.decide(&run, "block", "approve", "ana").await.status, 200);
    world.contained(1).await;
    let (code, text) = world.run_as("root", &["backup", "copy.tar"]).await;
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("copy.tar: everything up to 20") && text.contains("; checked"), "{text}");
    let file = world.folder.path().join("copy.tar");
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "nobody else reads it");
    let mut other = alert();
    other["data"]["srcip"] = "203.0.113.77".into();
    let answer = world.post_hook(&other).await;
    let later = answer.body.pointer("/runs/0/run").unwrap().as_str().unwrap().to_owned();
    assert_ne!(later, run);

    let (code, text) = world.run(&["restore", "copy.tar"]).await;
    assert!(code == 2 && text.contains("is open in another process: process "), "{text}");
    world.kill().await;
    world.lab.clear_faults();
    let (code, text) = world.run(&["restore", "copy.tar"]).await;
    assert!(code == 2 && text.contains("is not empty"), "{text}");
    std::fs::rename(world.folder.path().join("data"), world.folder.path().join("data.before")).unwrap();
    let (code, text) = world.run(&["restore", "copy.tar"]).await;
    assert_eq!(code, 0, "{text}");
    world.start().await;
    let summary = world.settled(&run).await;
    let WaitingFor::Resolution { message } = &summary.waiting[0].reason else { panic!("{summary:?}") };
    assert!(message.contains("when the backup was taken"), "{message}");
    assert_eq!(world.get(&format!("/api/v1/runs/{later}")).await.status, 404, "what came later is not in it");
    assert_eq!(world.containment_requests(), 1, "nothing is sent again");
    let (code, text) = world.run(&["resolve", &run, "block", "ok", "--why", "seen on web-01"]).await;
    assert_eq!(code, 0, "{text}");
    assert_eq!(world.settled(&run).await.status, RunStatus::Succeeded);
    assert_eq!(world.containment_requests(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_containment_that_can_be_looked_for_is_found_after_the_restore_and_not_sent_again() {
    let mut world = World::new().await;
    let run = world.post_alert().await;
    world.settled(&run).await;
    let slow = Kind::Delay { ms: 600_000 };
    world.lab.order(Fault::once(System::Wazuh, "PUT", "/active-response", slow));
    assert_eq!(world.decide(&run, "block", "approve", "ana").await.status, 200);
    world.contained(1).await;
    let (code, text) = world.run_as("root", &["backup", "copy.tar"]).await;
    assert_eq!(code, 0, "{text}");
    world.kill().await;
    world.lab.clear_faults();
    std::fs::rename(world.folder.path().join("data"), world.folder.path().join("data.before")).unwrap();
    let (code, text) = world.run(&["restore", "copy.tar"]).await;
    assert_eq!(code, 0, "{text}");
    world.start().await;
    let summary = world.settled(&run).await;
    assert_eq!(summary.status, RunStatus::Succeeded, "{summary:?}");
    assert_eq!(world.containment_requests(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_takes_an_admin_and_replaces_nothing() {
    let world = World::new().await;
    let (code, text) = world.run_as("ana", &["backup", "copy.tar"]).await;
    assert!(code == 2 && text.contains("this takes the role `admin`"), "{text}");
    let file = world.folder.path().join("copy.tar");
    std::fs::write(&file, "precious").unwrap();
    let (code, text) = world.run_as("root", &["backup", "copy.tar"]).await;
    assert!(code == 2 && text.contains("is there already"), "{text}");
    assert_eq!(std::fs::read(&file).unwrap(), b"precious");
    std::fs::remove_file(&file).unwrap();
    for _ in 0..20 {
        world.post_alert().await;
    }
    let (first, second) = tokio::join!(
        world.run_as("root", &["backup", "copy.tar"]),
        world.run_as("root", &["backup", "other.tar"])
    );
    assert_eq!((first.0, second.0), (0, 0), "{} {}", first.1, second.1);
    let left = std::fs::read_dir(world.folder.path()).unwrap();
    let partial =
        left.filter(|entry| entry.as_ref().unwrap().file_name().display().to_string().ends_with(".partial"));
    assert_eq!(partial.count(), 0);
}
