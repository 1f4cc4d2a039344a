//! `portcullis bench` as somebody would try it: whether every row can be measured, not how fast anything is here.

use std::collections::BTreeSet;

use serde_json::Value;
use tokio::process::Command;

use crate::world::read_json;

#[tokio::test(flavor = "multi_thread")]
async fn every_row_is_measured_and_nothing_is_left_behind() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("figures.json");
    let below = folder.path().join("below");
    std::fs::create_dir(&below).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command.args(["bench", "--quick", "--parked", "100"]).arg("--json").arg(&file).arg("--dir").arg(&below);
    let output = command.output().await.unwrap();
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    // 1 says that a target is not met, which says nothing about a debug build beside other tests.
    assert!(matches!(output.status.code(), Some(0 | 1)), "{text}");

    let figures = read_json(&file);
    let figures = figures["figures"].as_array().unwrap();
    let rows: BTreeSet<&str> = figures.iter().map(|figure| figure["row"].as_str().unwrap()).collect();
    let expected = ["acceptance", "http", "kill", "overload", "parked", "pure", "slow-disk", "soc", "when"];
    assert_eq!(rows, BTreeSet::from(expected), "{text}");
    assert!(figures.iter().all(|figure| figure["value"].is_number()), "{text}");
    let of = |what: &str| figures.iter().find(|figure| figure["what"] == what).unwrap_or(&Value::Null);
    for promise in ["accepted alerts lost", "effects doubled"] {
        assert_eq!(of(promise)["value"], 0.0, "{text}");
    }
    assert!(of("alerts accepted")["value"].as_f64().unwrap() > 0.0, "{text}");
    assert!(text.contains("accepted alerts lost") && text.contains("cores"), "{text}");
    assert_eq!(std::fs::read_dir(&below).unwrap().count(), 0, "the servers' folders are gone");
}
