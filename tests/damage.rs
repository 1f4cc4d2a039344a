//! A run whose journal is damaged says so, and can be given up.

use model::RunStatus;

use crate::world::World;

/// Changes one byte of the alert in the journal of a server that does not run.
fn damage(world: &World) {
    let folder = world.folder.path().join("data/journal");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let mut bytes = std::fs::read(&path).unwrap();
        let alert = b"sshd: brute force trying";
        if let Some(at) = bytes.windows(alert.len()).position(|window| window == alert) {
            bytes[at] ^= 0x01;
            std::fs::write(&path, bytes).unwrap();
            return;
        }
    }
    panic!("no file of the journal holds the alert");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_run_is_given_up_and_stops_being_reported() {
    let mut world = World::new().await;
    let run = world.post_alert().await;
    world.settled(&run).await;
    let (code, text) = world.run_as("root", &["abandon", &run, "--why", "x"]).await;
    assert!(code == 2 && text.contains("can go on, so it is not given up"), "{text}");
    world.kill().await;
    damage(&world);
    world.start().await;
    let answer = world.decide(&run, "block", "approve", "ana").await;
    assert_eq!(answer.status, 500, "{:?}", answer.body);
    assert_eq!(answer.body["type"], "urn:portcullis:damaged-run");

    let (code, text) = world.run_as("ana", &["abandon", &run, "--why", "x"]).await;
    assert!(code == 2 && text.contains("`admin`"), "{text}");
    let (code, text) = world.run_as("root", &["abandon", &run, "--why", "the disk was replaced"]).await;
    assert_eq!(code, 0, "{text}");
    let summary = world.summary(&run).await;
    assert_eq!(summary.status, RunStatus::Failed);
    let error = summary.error.unwrap();
    assert!(error.starts_with("given up by root: the disk was replaced ("), "{error}");
    assert!(world.run(&["approvals"]).await.1.contains("nothing waits"), "nobody is asked any more");
    let log = world.kill().await;
    assert!(log.contains("its facts from 0 on are lost") && log.contains("a run cannot be loaded"), "{log}");

    world.start().await;
    assert_eq!(world.summary(&run).await.status, RunStatus::Failed);
    let log = world.kill().await;
    assert!(!log.contains(&run), "{log}");
    assert_eq!(world.containment_requests(), 0);
}
