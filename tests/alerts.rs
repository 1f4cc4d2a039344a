//! No alert is lost: every kind of alert is taken, and what is not taken is refused with its reason.

use serde_json::{Value, json};

use crate::world::{World, answer, client, read_json, repository};

/// A playbook that takes whatever comes.
const TAKE_ALL: &str = r#"
workflow: take_all
triggers:
  - uses: webhook
    with: { path: wazuh }
steps:
  - { id: note, uses: set, with: { seen: "true" } }
outputs:
  seen: steps.note.seen
"#;

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_alert_is_taken() {
    let world = World::with(lab::Settings::default(), &[("take_all.yaml", TAKE_ALL)]).await;
    let folder = repository().join("examples/alerts");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let answer = world.post_hook(&read_json(&path)).await;
        assert_eq!(answer.status, 202, "{}: {:?}", path.display(), answer.body);
        let run = answer.body.pointer("/runs/0/run").and_then(Value::as_str).unwrap().to_owned();
        let summary = world.settled(&run).await;
        assert_eq!(summary.status, model::RunStatus::Succeeded, "{}: {summary:?}", path.display());
        count += 1;
    }
    assert!(count >= 15, "only {count} alerts");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_alert_a_hundred_times_at_once_is_one_run() {
    let world = World::new().await;
    let alert = crate::world::alert();
    let posts = (0..100).map(|_| world.post_hook(&alert));
    let answers = futures::future::join_all(posts).await;
    let mut runs: Vec<&str> = answers
        .iter()
        .map(|answer| answer.body.pointer("/runs/0/run").and_then(Value::as_str).unwrap())
        .collect();
    assert!(answers.iter().all(|answer| answer.status == 202));
    runs.sort_unstable();
    runs.dedup();
    assert_eq!(runs.len(), 1);
    world.settled(runs[0]).await;
    assert_eq!(world.lab.cases().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_alert_a_hundred_times_is_one_run_also_across_a_kill() {
    let mut world = World::new().await;
    let alert = crate::world::alert();
    let mut runs = std::collections::BTreeSet::new();
    for _ in 0..2 {
        let client = client();
        let posts = (0..100).map(|_| world.hook(&client, &alert).send());
        let mut posts: futures::stream::FuturesUnordered<_> = posts.collect();
        // The first answers are read; then the process dies under the others.
        for answer in futures::StreamExt::collect::<Vec<_>>(futures::StreamExt::take(&mut posts, 20)).await {
            let body: Value = answer.unwrap().json().await.unwrap();
            runs.insert(body.pointer("/runs/0/run").and_then(Value::as_str).unwrap().to_owned());
        }
        drop(posts);
        world.kill().await;
        world.start().await;
    }
    assert_eq!(runs.len(), 1);
    let summary = world.settled(runs.first().unwrap()).await;
    assert_eq!(summary.status, model::RunStatus::Waiting);
    let listed = world.get("/api/v1/runs").await;
    assert_eq!(listed.body.pointer("/runs").and_then(Value::as_array).map(Vec::len), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_taken_is_refused_with_its_reason() {
    let world = World::new().await;
    let post = |path: &'static str, secret: &'static str, body: Vec<u8>| {
        let request = client().post(format!("{}{path}", world.url())).header("x-portcullis-secret", secret);
        answer(request.header("content-type", "application/json").body(body))
    };
    let good = "hook-secret-of-the-test";
    assert_eq!(post("/hooks/nobody", good, b"{}".to_vec()).await.status, 404);
    assert_eq!(post("/hooks/wazuh", "wrong", b"{}".to_vec()).await.status, 401);
    assert_eq!(post("/hooks/wazuh", good, b"{ no json".to_vec()).await.status, 422);
    assert_eq!(post("/hooks/wazuh", good, b"[1, 2]".to_vec()).await.status, 422);
    assert_eq!(post("/hooks/wazuh", good, vec![b' '; 3_000_000]).await.status, 413);
    let without_token = answer(client().get(format!("{}/api/v1/runs", world.url()))).await;
    assert_eq!(without_token.status, 401);
    let ignored = world.post_hook(&json!({ "rule": { "level": 3, "groups": [] } })).await;
    assert_eq!((ignored.status, ignored.body.pointer("/runs")), (202, Some(&json!([]))));
}
