//! What goes wrong around something that is contained: the agent does nothing, the clock jumps while an undo is pending.

use std::collections::BTreeSet;
use std::time::Duration;

use lab::Execd;
use model::RunStatus;
use serde_json::json;

use crate::special::{alert, is_in_doubt, post, world};
use crate::world::{World, eventually};

/// A run is to isolate a host for half an hour, and somebody has said yes.
async fn isolate(world: &World, number: u8, agent: &str) -> String {
    let mut alert = alert("isolate", number);
    alert["hold"] = json!("30m");
    alert["agent"]["id"] = json!(agent);
    let run = post(world, &alert).await;
    world.settled(&run).await;
    assert_eq!(world.decide(&run, "isolate", "approve", "ana").await.status, 200);
    run
}

/// What agents were told, and whether they did it.
fn told(world: &World) -> Vec<(String, bool)> {
    let responses = world.lab.active_responses().into_iter();
    responses.map(|response| (response.command, response.is_done)).collect()
}

/// What the API says that is held.
async fn held(world: &World) -> BTreeSet<String> {
    let ledger = world.get("/api/v1/containments").await.body;
    let rows = ledger["containments"].as_array().unwrap().iter();
    rows.map(|row| row["target"].as_str().unwrap().to_owned()).collect()
}

fn of(command: &str, is_done: bool) -> (String, bool) {
    (command.to_owned(), is_done)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_answers_200_and_did_nothing_is_a_question_also_over_kills() {
    let mut world = world().await;
    world.start().await;
    world.lab.set_agent_execd("001", Execd::Ignoring).unwrap();
    let run = isolate(&world, 1, "001").await;
    for _ in 0..2 {
        let summary = world.settled(&run).await;
        assert!(is_in_doubt(&summary), "{summary:?}");
        assert_eq!(held(&world).await, BTreeSet::from(["agent/001/network".to_owned()]), "it may hold");
        world.kill().await;
        world.start().await;
    }
    assert!(is_in_doubt(&world.settled(&run).await), "what was asked is asked still");
    assert_eq!(told(&world), [of("!portcullis-isolate", false)], "nothing is sent again on its own");
    // Somebody has looked, and wants it once more; now it happens.
    world.lab.set_agent_execd("001", Execd::Enabled).unwrap();
    let (code, text) = world.run(&["resolve", &run, "isolate", "send-again", "--why", "it is not"]).await;
    assert_eq!(code, 0, "{text}");
    assert_eq!(world.settled(&run).await.status, RunStatus::Succeeded);
    assert_eq!(told(&world), [of("!portcullis-isolate", false), of("!portcullis-isolate", true)]);
    assert_eq!(held(&world).await, world.lab.in_force());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_an_hour_while_an_undo_is_pending_undoes_once() {
    let mut world = world().await;
    let file = world.folder.path().join("clock");
    let clock = file.to_str().unwrap().to_owned();
    let variables = [("PORTCULLIS_CLOCK", clock.as_str())];
    let set = |hours: i64| std::fs::write(&file, (hours * 3_600_000).to_string()).unwrap();
    set(0);
    world.try_start(&variables).await.unwrap();
    let run = isolate(&world, 1, "001").await;
    assert_eq!(world.settled(&run).await.status, RunStatus::Succeeded);
    let contained = world.lab.in_force();
    assert_eq!(contained, BTreeSet::from(["agent/001/network".to_owned()]));
    // Backwards, before a kill and after it: it is held, and not undone before its time.
    set(-1);
    tokio::time::sleep(Duration::from_millis(500)).await;
    world.kill().await;
    world.try_start(&variables).await.unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!((held(&world).await, world.lab.in_force()), (contained.clone(), contained));
    // Forwards, while it runs: its time is over.
    set(1);
    released(&world).await;
    // Forwards, while it is down: it is made up for at the start.
    set(0);
    let run = isolate(&world, 2, "002").await;
    assert_eq!(world.settled(&run).await.status, RunStatus::Succeeded);
    world.kill().await;
    set(1);
    world.try_start(&variables).await.unwrap();
    released(&world).await;
    // And back again: nothing is done once more, and what the kill left unsaid is known when the clock is right again.
    set(-1);
    world.kill().await;
    world.try_start(&variables).await.unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    world.kill().await;
    set(1);
    world.try_start(&variables).await.unwrap();
    released(&world).await;
    let once = [of("!portcullis-isolate", true), of("!portcullis-release", true)];
    assert_eq!(told(&world), [once.clone(), once].concat());
}

async fn released(world: &World) {
    eventually("it is released and no longer listed", async || {
        (world.lab.in_force().is_empty() && held(world).await.is_empty()).then_some(())
    })
    .await;
}
