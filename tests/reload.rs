//! Playbooks that change while the server runs.

use lab::Settings;
use serde_json::json;

use crate::world::{World, eventually};

const GREET: &str = r#"
workflow: greet
triggers: [{ uses: webhook, with: { path: wazuh, respond: outputs } }]
steps:
  - { id: a, uses: set, with: { word: "'hello'" } }
outputs: { word: steps.a.word }
"#;

#[tokio::test]
async fn a_playbook_that_breaks_stays_live_as_it_was_until_it_is_mended() {
    let world = World::with(Settings::default(), &[("greet.yaml", GREET)]).await;
    let file = world.folder.path().join("workflows/greet.yaml");
    let word = async || world.post_hook(&json!({})).await.body.pointer("/outputs/word").cloned();
    assert_eq!(word().await, Some(json!("hello")));

    std::fs::write(&file, GREET.replace("uses: set", "uses: sett")).unwrap();
    world.hang_up().await;
    let text = eventually("the server says that a file is broken", async || {
        let (code, text) = world.run(&["workflows"]).await;
        (code == 1).then_some(text)
    })
    .await;
    assert!(text.contains("5:20 error[unknown-node]: there is no node `sett`"), "{text}");
    assert_eq!(word().await, Some(json!("hello")));

    std::fs::write(&file, GREET.replace("hello", "good evening")).unwrap();
    eventually("the new version is live", async || {
        (word().await == Some(json!("good evening"))).then_some(())
    })
    .await;
    assert_eq!(world.run(&["workflows"]).await.0, 0);
}
