//! jq and JavaScript, as the real program computes them: itself, started once more.

use std::process::{Command, Stdio};
use std::time::Duration;

use model::Outcome;
use serde_json::{Value, json};

const PROGRAM: &str = env!("CARGO_BIN_EXE_portcullis");

fn perform(node: &str, inputs: Value) -> String {
    nodes::compute_with(PROGRAM);
    let (catalog, _) = nodes::builtin();
    match nodes::perform_pure(catalog.get(node).unwrap(), &inputs, Duration::from_secs(60)).unwrap() {
        Outcome::Succeeded(output) => output.to_string(),
        Outcome::Failed(failure) | Outcome::Unknown(failure) => format!("{}: {failure}", failure.class),
    }
}

#[test]
fn the_program_computes_in_a_process_of_its_own() {
    let data = json!([{ "ip": "192.0.2.1" }, { "ip": "192.0.2.2" }]);
    let jq = |filter: &str| perform("jq", json!({ "filter": filter, "data": data }));
    let script = |code: &str| perform("script", json!({ "code": code, "data": data }));
    assert_eq!(jq("map(.ip)"), r#"{"result":["192.0.2.1","192.0.2.2"]}"#);
    assert_eq!(script("return data.map(({ ip }) => ip)"), r#"{"result":["192.0.2.1","192.0.2.2"]}"#);
    assert_eq!(jq("env"), "input: there is no function `env/0` (at line 1, column 1)");
    let too_deep =
        "input: the filter went too deep: it calls itself without end, or what it builds does not end";
    assert_eq!(jq("def f: 1 + f; f"), too_deep);
    assert_eq!(jq("\"a\" * 1000000000"), "input: the filter took more than 128 MiB of memory");
    assert_eq!(script("return 'a'.repeat(5e8)"), "input: the script took more than 64 MiB of memory");
    let late = "timeout: the script took more than 2 s of processor time";
    assert_eq!(script("return /(a*)*b/.test('a'.repeat(40))"), late);
}

const PLAYBOOK: &str = "
workflow: sources
triggers: [{ uses: webhook, with: { path: x } }]
steps:
  - id: sources
    uses: jq
    with: { filter: '[.hits[].ip] | unique', data: '{{ alert }}' }
  - id: first
    uses: script
    with: { code: 'return data[0]', data: '{{ steps.sources.result }}' }
outputs: { first: steps.first.result }
";

const TESTS: &str = "
tests:
  - name: the first of two
    alert: { hits: [{ ip: 192.0.2.2 }, { ip: 192.0.2.1 }, { ip: 192.0.2.2 }] }
    expect: { status: { run: succeeded }, outputs: { first: 192.0.2.1 } }
  - name: nothing to reshape
    alert: { hits: none }
    expect: { status: { sources: failed } }
";

#[test]
fn the_tests_of_a_playbook_compute_for_real() {
    let folder = tempfile::tempdir().unwrap();
    let check = |tests: &str| {
        std::fs::write(folder.path().join("sources.yaml"), PLAYBOOK).unwrap();
        std::fs::write(folder.path().join("sources.test.yaml"), tests).unwrap();
        let output = Command::new(PROGRAM).arg("test").arg(folder.path()).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let (code, shown) = check(TESTS);
    assert_eq!(code, Some(0), "{shown}");
    let (code, shown) = check(&TESTS.replace("first: 192.0.2.1", "first: 192.0.2.7"));
    assert_eq!(code, Some(1), "{shown}");
    assert!(shown.contains("192.0.2.1"), "{shown}");
}

#[test]
fn who_starts_that_process_by_hand_gets_nothing() {
    let process = Command::new(PROGRAM).arg(nodes::CHILD).stdin(Stdio::null()).output().unwrap();
    assert_eq!(process.status.code(), Some(1));
    assert!(process.stdout.is_empty());
}
