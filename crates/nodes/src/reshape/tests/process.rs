use std::path::Path;
use std::sync::Arc;

use futures::future::join_all;

use super::*;
use crate::reshape::sandbox::Process;
use crate::{Call, Nodes, Recipes, builtin};

#[test]
fn the_processor_time_of_a_program_ends() {
    for task in [filter("def f: f; f", Value::Null), script("for (;;) {}", Value::Null)] {
        let shown = show(task.perform_within(LONG));
        assert_eq!(shown, format!("timeout: the {} took more than 2 s of processor time", task.noun()));
    }
}

#[test]
fn a_process_does_not_outlive_whoever_waits_for_it() {
    let (process, _socket) = Process::start().unwrap();
    let folder = format!("/proc/{}", process.id());
    assert!(!cfg!(target_os = "linux") || Path::new(&folder).exists());
    drop(process);
    assert!(!Path::new(&folder).exists());
}

#[test]
fn data_of_the_largest_size_comes_in_and_goes_out() {
    let text = "\u{0}\"é".repeat(200_000);
    let data = json!({ "text": text, "deep": serde_json::from_str::<Value>(&("[".repeat(60) + &"]".repeat(60))).unwrap() });
    for task in [filter(".", data.clone()), script("return data", data.clone())] {
        let Outcome::Succeeded(output) = task.perform_within(LONG) else { panic!("it has to come through") };
        assert_eq!(output["result"], data);
    }
}

#[tokio::test]
async fn steps_compute_in_turn() {
    let (catalog, _) = builtin();
    let nodes = Nodes::new(&Recipes::default(), &Default::default()).unwrap();
    let perform = async |node: &str, inputs: Value, timeout: Duration| {
        let manifest = catalog.get(node).unwrap();
        show(
            nodes
                .perform(Call { manifest, connection: None, inputs: &inputs, call: &Arc::default(), timeout })
                .await,
        )
    };
    let turns = std::thread::available_parallelism().unwrap().get();
    let endless = || perform("script", json!({ "code": "for (;;) {}" }), Duration::from_millis(300));
    let ends = join_all((0..turns + 3).map(|_| endless())).await;
    let without_turn =
        ends.iter().filter(|end| end.starts_with("timeout: no turn to compute within 300ms")).count();
    let without_result =
        ends.iter().filter(|end| end.starts_with("timeout: the script gave no result within 300ms")).count();
    assert_eq!(without_turn + without_result, turns + 3, "{ends:?}");
    assert!(without_turn > 0, "{ends:?}");
    let good = perform("jq", json!({ "filter": ".a", "data": { "a": 1 } }), LONG).await;
    assert_eq!(good, r#"{"result":1}"#);
    let wrong = perform("jq", json!({ "filter": ".a", "date": 1 }), LONG).await;
    assert_eq!(wrong, "input: there is no input `date`");
}

#[test]
fn only_nodes_that_compute_are_pure() {
    let (catalog, _) = builtin();
    let pure: Vec<&str> = catalog
        .iter()
        .filter(|manifest| perform_pure(manifest, &json!({}), LONG).is_some())
        .map(|manifest| manifest.name.as_str())
        .collect();
    assert_eq!(pure, ["jq", "script"]);
}
