//! The command line as people and scripts use it.

use tokio::process::Command;

use crate::world::{World, repository};

fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command.current_dir(repository()).env("RUST_LOG", "warn").env_remove("PORTCULLIS_TOKEN");
    command
}

async fn output(command: &mut Command) -> (bool, String) {
    let output = command.output().await.unwrap();
    (output.status.success(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_runs_the_whole_loop() {
    let (ok, text) = output(binary().args(["demo", "--approve"])).await;
    assert!(ok, "{text}");
    for expected in [
        "202 Accepted",
        "SIGKILL",
        "the run still waits",
        "approved by",
        "taken: somebody looks whether it was done",
        "is blocked on web-01 for 24h",
        "The case in TheHive",
        "agent/001/ip/203.0.113.9  holding",
    ] {
        assert!(text.contains(expected), "the demo does not show `{expected}`:\n{text}");
    }
    let (ok, text) = output(binary().args(["demo", "--reject", "--no-kill"])).await;
    assert!(ok && text.contains("What reached the agents\n\nnothing"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shipped_playbooks_pass_their_checks_and_their_tests() {
    let (ok, text) =
        output(binary().args(["check", "workflows", "examples/hello", "examples/approval"])).await;
    assert!(ok && text.contains("0 errors, 0 warnings"), "{text}");
    let (ok, text) = output(binary().args(["test", "workflows"])).await;
    assert!(ok && text.contains(" 0 failed"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_are_listed_shown_and_answered_from_a_terminal() {
    let world = World::new().await;
    let run = world.post_alert().await;
    world.settled(&run).await;
    let (code, list) = world.run(&["runs", "--status", "waiting"]).await;
    assert!(code == 0 && list.contains(&run) && list.contains("contain_ssh_bruteforce"), "{list}");
    let (code, approvals) = world.run(&["approvals"]).await;
    assert!(code == 0 && approvals.contains(&format!("portcullis approve {run} block")), "{approvals}");
    let (code, refused) = world.run(&["reject", &run, "block"]).await;
    assert!(code == 2 && refused.contains("a reason is needed"), "{refused}");
    let (code, text) = world.run(&["reject", &run, "block", "--why", "our own scanner"]).await;
    assert_eq!(code, 0, "{text}");
    world.settled(&run).await;
    let (code, shown) = world.run(&["runs", "show", &run]).await;
    assert!(code == 0 && shown.contains("rejected by ana: our own scanner"), "{shown}");
    let (_, approvals) = world.run(&["approvals"]).await;
    assert!(approvals.contains("nothing waits for a person"), "{approvals}");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_disruption_is_halted_and_resumed_from_a_terminal() {
    let mut world = World::new().await;
    let (code, text) = world.run(&["halt", "--why", "a wrong\nplaybook"]).await;
    assert!(code == 0 && text.contains("ALL DISRUPTION IS HALTED: by ana since "), "{text}");
    world.kill().await;
    world.start().await;
    for list in ["runs", "approvals", "workflows", "contained"] {
        let (code, text) = world.run(&[list]).await;
        let first = text.lines().next().unwrap_or_default();
        assert!(code == 0 && first.starts_with("ALL DISRUPTION IS HALTED"), "{list}: {text}");
        assert!(first.ends_with(": a wrong playbook"), "{list}: {text}");
    }
    let refused = world.post("/api/v1/resume", &serde_json::json!({ "reason": "over" }), "bo").await;
    assert_eq!(refused.status, 403, "{:?}", refused.body);
    let (code, text) = world.run(&["resume", "--why", "mended"]).await;
    assert!(code == 0 && text.starts_with("disruption goes on; it was halted by ana since "), "{text}");
    let (_, text) = world.run(&["resume", "--why", "mended"]).await;
    assert_eq!(text, "disruption was not halted\n");
    let (_, runs) = world.run(&["runs"]).await;
    assert!(!runs.contains("HALTED"), "{runs}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workflow_is_started_by_hand_with_and_without_a_server() {
    let playbook = "workflow: by_hand\ntriggers: [{ uses: manual }]\nsteps:\n  - { id: note, uses: set, with: { level: alert.rule.level } }\n";
    let mut world = World::with(lab::Settings::default(), &[("by_hand.yaml", playbook)]).await;
    let alert = repository().join("examples/alerts/sshd_bruteforce.json");
    let alert = alert.to_str().unwrap();
    let (code, text) = world.run(&["run", "by_hand", "--alert", alert]).await;
    assert!(code == 0 && text.contains("succeeded"), "{text}");
    assert!(world.terminate().await.0);
    let (code, text) = world.run(&["run", "by_hand", "--alert", alert]).await;
    assert!(code == 0 && text.contains("succeeded"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_said_and_where() {
    let (ok, text) = output(binary().args(["check", "no/such/folder"])).await;
    assert!(!ok && text.contains("cannot read no/such/folder"), "{text}");
    let (ok, text) = output(binary().args(["serve", "--config", "no/such/file.yaml"])).await;
    assert!(!ok && text.contains("cannot read no/such/file.yaml"), "{text}");
    let (ok, text) = output(binary().args(["runs"])).await;
    assert!(!ok && text.contains("PORTCULLIS_TOKEN"), "{text}");
    let (ok, text) = output(binary().args(["nodes", "wazuh.active_response"])).await;
    assert!(ok && text.contains("disrupt") && text.contains("agent"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_read_keeps_no_other_from_being_checked() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.yaml"), b"workflow: caf\xe9\n").unwrap();
    std::fs::write(folder.path().join("b.yaml"), "workflow: b\nsteps: [{ id: a, uses: sett }]\n").unwrap();
    let (ok, text) = output(binary().arg("check").arg(folder.path())).await;
    assert!(!ok && text.contains("error[unreadable]") && text.contains("did you mean `set`?"), "{text}");
}

#[test]
#[cfg(not(feature = "failpoints"))]
fn a_normal_binary_cannot_be_told_to_fail() {
    let binary = std::fs::read(env!("CARGO_BIN_EXE_portcullis")).unwrap();
    let holds = |text: &[u8]| binary.windows(text.len()).any(|bytes| bytes == text);
    // Put together here, so that it is nowhere in one piece.
    for name in ["FAIL", "CLOCK"] {
        assert!(!holds(["PORTCULLIS_", name].concat().as_bytes()), "{name}");
    }
    assert!(holds(b"PORTCULLIS_TOKEN"), "the variables are spelled as this test thinks");
}
