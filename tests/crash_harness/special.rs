//! What goes wrong beside a crash: the disk is full, a page of it is torn, the clock jumps.

use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use lab::Settings;
use model::{RunStatus, RunSummary, WaitingFor};
use serde_json::{Value, json};

use crate::session::PLAYBOOKS;
use crate::world::{PATIENCE, World, client, eventually};

pub(crate) async fn world() -> World {
    World::prepare(Settings::default(), &PLAYBOOKS).await
}

async fn start(world: &mut World, orders: &str) {
    world.try_start(&[("PORTCULLIS_FAIL", orders)]).await.unwrap();
}

pub(crate) fn alert(kind: &str, number: u8) -> Value {
    json!({
        "kind": kind,
        "rule": { "id": "5763", "level": 10, "description": "crash harness" },
        "agent": { "id": "001", "name": "web-01" },
        "agents": ["001", "002"],
        "data": { "srcip": format!("198.51.100.{number}") },
    })
}

pub(crate) async fn post(world: &World, alert: &Value) -> String {
    let answer = world.post_hook(alert).await;
    assert_eq!(answer.status, 202, "{:?}", answer.body);
    answer.body.pointer("/runs/0/run").unwrap().as_str().unwrap().to_owned()
}

/// A run is asked whether to block, and somebody says yes; nobody waits for the answer.
async fn ask_and_approve(world: &World, number: u8) -> String {
    let run = post(world, &alert("contain", number)).await;
    world.settled(&run).await;
    let url = format!("{}/api/v1/approvals/{run}/block", world.url());
    let yes = client().post(url).bearer_auth(crate::world::token("ana"));
    let _ = yes.json(&json!({ "decision": "approve", "reason": "seen" })).send().await;
    run
}

pub(crate) fn is_in_doubt(summary: &RunSummary) -> bool {
    matches!(summary.waiting.first().map(|waiting| &waiting.reason), Some(WaitingFor::Resolution { .. }))
}

/// The disk says no where the outcome of a block would be kept; the next server has the run.
async fn lose_the_outcome(point: &str) -> (World, String) {
    let mut world = world().await;
    start(&mut world, &format!("decide.arrived:1,send.answered:1,{point}:1=full")).await;
    let run = ask_and_approve(&world, 1).await;
    tokio::time::timeout(PATIENCE, world.over()).await.expect("a server that cannot write ends");
    let log = world.kill().await;
    assert!(log.contains("No space left on device"), "{log}");
    world.start().await;
    (world, run)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_at_the_outcome_stops_the_server_and_the_next_one_asks_what_happened() {
    let (world, run) = lose_the_outcome("flush.write").await;
    let summary = world.settled(&run).await;
    assert!(is_in_doubt(&summary), "{summary:?}");
    assert_eq!(world.containment_requests(), 1, "nothing is sent again");
    let (code, text) = world.run(&["resolve", &run, "block", "ok", "--why", "it is in the firewall"]).await;
    assert_eq!(code, 0, "{text}");
    assert_eq!(world.settled(&run).await.status, RunStatus::Succeeded);
    assert_eq!(world.containment_requests(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outcome_that_could_not_be_flushed_is_believed_where_the_next_server_finds_it() {
    let (world, run) = lose_the_outcome("flush.written").await;
    assert_eq!(world.settled(&run).await.status, RunStatus::Succeeded);
    assert_eq!(world.containment_requests(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_that_the_disk_had_no_room_for_is_not_answered_with_202() {
    let mut world = world().await;
    start(&mut world, "receive.arrived:1,flush.write:1=full").await;
    let answer = world.post_hook(&alert("contain", 1)).await;
    assert_eq!(answer.status, 503, "{:?}", answer.body);
    tokio::time::timeout(PATIENCE, world.over()).await.expect("a server that cannot write ends");
    world.kill().await;
    world.start().await;
    let run = post(&world, &alert("contain", 1)).await;
    assert_eq!(world.settled(&run).await.status, RunStatus::Waiting);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outcome_that_there_is_no_room_for_waits_until_there_is() {
    let mut world = world().await;
    start(&mut world, "decide.arrived:1,send.answered:1,append.before:1=full").await;
    let run = ask_and_approve(&world, 1).await;
    let summary = eventually("the run ends", async || {
        let summary = world.summary(&run).await;
        summary.status.is_finished().then_some(summary)
    });
    assert_eq!(summary.await.status, RunStatus::Succeeded);
    assert_eq!(world.containment_requests(), 1);
    assert!(world.kill().await.contains("the disk is full: a run waits for room"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_there_is_no_room_for_is_to_be_sent_again_and_is_taken_then() {
    let mut world = world().await;
    start(&mut world, "receive.arrived:1,append.before:1=full").await;
    let refused = world.post_hook(&alert("contain", 1)).await;
    assert_eq!(refused.status, 503, "{:?}", refused.body);
    assert_eq!(refused.body["type"], "urn:portcullis:no-room");
    let run = post(&world, &alert("contain", 1)).await;
    world.settled(&run).await;
    world.kill().await;
    start(&mut world, "decide.arrived:1,append.before:1=full").await;
    assert_eq!(world.decide(&run, "block", "approve", "ana").await.status, 503);
    assert_eq!(world.summary(&run).await.status, RunStatus::Waiting);
    assert_eq!(world.decide(&run, "block", "approve", "ana").await.status, 200);
    assert_eq!(world.settled(&run).await.status, RunStatus::Succeeded);
    assert_eq!(world.containment_requests(), 1);
}

/// The newest segment of the journal and where its records end.
fn tail(world: &World) -> (PathBuf, u64) {
    let folder = world.folder.path().join("data/journal");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let segments = files.filter(|path| path.extension().is_some_and(|extension| extension == "segment"));
    let newest = segments.max().unwrap();
    let bytes = std::fs::read(&newest).unwrap();
    let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last as u64 + 1);
    (newest, end)
}

/// Where the records end once nothing is written any more.
async fn quiet_tail(world: &World) -> u64 {
    let mut before = tail(world).1;
    loop {
        tokio::time::sleep(Duration::from_millis(400)).await;
        let now = tail(world).1;
        if now == before {
            return now;
        }
        before = now;
    }
}

fn overwrite(path: &PathBuf, from: u64, to: u64, with: u8) {
    let mut file = std::fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
    file.seek(SeekFrom::Start(from)).unwrap();
    let mut old = vec![0; usize::try_from(to - from).unwrap()];
    file.read_exact(&mut old).unwrap();
    file.seek(SeekFrom::Start(from)).unwrap();
    let torn: Vec<u8> = old.iter().map(|byte| if with == 0 { 0 } else { byte ^ with }).collect();
    file.write_all(&torn).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_was_torn_while_it_was_written_takes_nothing_with_it_that_was_answered() {
    for (part, with) in [(1, 0), (1, 0x5a), (2, 0), (2, 0x5a)] {
        let mut world = world().await;
        start(&mut world, "receive.arrived:2,flush.written:1").await;
        let first = post(&world, &alert("contain", 1)).await;
        world.settled(&first).await;
        let flushed = quiet_tail(&world).await;
        let unanswered = world.hook(&client(), &alert("contain", 2)).send().await;
        assert!(unanswered.is_err(), "it died before the answer");
        world.over().await;
        world.kill().await;
        // What was written and not flushed: all of it, or its second half.
        let (path, end) = tail(&world);
        assert!(end > flushed);
        overwrite(&path, flushed + (end - flushed) / 2 * (part - 1), end, with);
        world.start().await;
        assert_eq!(world.settled(&first).await.status, RunStatus::Waiting);
        let second = post(&world, &alert("contain", 2)).await;
        assert_eq!(post(&world, &alert("contain", 2)).await, second);
        world.decide(&first, "block", "approve", "ana").await;
        assert_eq!(world.settled(&first).await.status, RunStatus::Succeeded);
        // The two are about the same host: the second had to wait for the first.
        eventually("the second asks", async || {
            let summary = world.summary(&second).await;
            (!summary.waiting.is_empty()).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_last_page_that_the_disk_lost_after_it_had_it_is_said() {
    let mut world = world().await;
    world.start().await;
    let mut runs = Vec::new();
    for number in 1..=6 {
        let run = post(&world, &alert("sweep", number)).await;
        world.settled(&run).await;
        runs.push(run);
    }
    let end = quiet_tail(&world).await;
    world.kill().await;
    overwrite(&tail(&world).0, end - 4096, end, 0x5a);
    world.start().await;
    // What stands before that page is whole and goes on; of what stood in it, it is said that it is gone.
    assert_eq!(world.decide(&runs[0], "question", "approve", "ana").await.status, 200);
    assert_eq!(world.settled(&runs[0]).await.status, RunStatus::Succeeded);
    assert_eq!(world.get(&format!("/api/v1/runs/{}", runs[5])).await.status, 404);
    let log = world.kill().await;
    assert!(log.contains("the journal has lost its end"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_an_hour_either_way_loses_nothing_and_repeats_nothing() {
    let mut world = world().await;
    let file = world.folder.path().join("clock");
    let set = |hours: i64| std::fs::write(&file, (hours * 3_600_000).to_string()).unwrap();
    set(0);
    world.try_start(&[("PORTCULLIS_CLOCK", file.to_str().unwrap())]).await.unwrap();
    // Backwards: the question stays, and the answer to it acts once.
    let back = post(&world, &alert("contain", 1)).await;
    world.settled(&back).await;
    set(-1);
    assert_eq!(world.decide(&back, "block", "approve", "ana").await.status, 200);
    assert_eq!(world.settled(&back).await.status, RunStatus::Succeeded);
    assert_eq!(world.lab.active_responses().len(), 1);
    // What the clock ends is ended, also where it has to wait until the clock is right again.
    set(0);
    let delayed = post(&world, &alert("sweep", 2)).await;
    world.settled(&delayed).await;
    assert_eq!(world.decide(&delayed, "question", "approve", "ana").await.status, 200);
    set(-1);
    world.kill().await;
    world.try_start(&[("PORTCULLIS_CLOCK", file.to_str().unwrap())]).await.unwrap();
    set(0);
    assert_eq!(world.settled(&delayed).await.status, RunStatus::Succeeded);
    assert_eq!(world.lab.active_responses().len(), 3);
    // Forwards: a question that was open for less than its time lapses, and nothing is sent for it.
    let ahead = post(&world, &alert("contain", 3)).await;
    world.settled(&ahead).await;
    set(1);
    let summary = eventually("the question lapses", async || {
        let summary = world.summary(&ahead).await;
        summary.status.is_finished().then_some(summary)
    });
    assert_eq!(summary.await.status, RunStatus::Failed);
    assert_eq!(world.lab.active_responses().len(), 3);
    // The same alert is still the same alert, and a kill at this hour is survived.
    assert_eq!(post(&world, &alert("contain", 1)).await, back);
    let last = post(&world, &alert("contain", 4)).await;
    world.settled(&last).await;
    world.kill().await;
    set(-1);
    world.try_start(&[("PORTCULLIS_CLOCK", file.to_str().unwrap())]).await.unwrap();
    assert_eq!(world.decide(&last, "block", "approve", "ana").await.status, 200);
    assert_eq!(world.settled(&last).await.status, RunStatus::Succeeded);
    assert_eq!(world.lab.active_responses().len(), 4);
}
