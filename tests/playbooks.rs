//! The playbooks that we ship have no finding and pass their tests.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::RunStatus;
use serde_json::Value;
use workflow::{Draft, Workflow};

use crate::world::{World, read_json, repository};

const FOLDERS: [&str; 3] = ["workflows", "examples/hello", "examples/approval"];

#[test]
fn every_shipped_playbook_has_no_finding_and_passes_its_tests() {
    let mut count = 0;
    for folder in FOLDERS.map(|folder| repository().join(folder)) {
        for path in playbooks(&folder) {
            let workflow = load(&path.display().to_string(), &read(&path));
            let test = path.with_extension("test.yaml");
            let alerts = |path: &str| {
                let text = std::fs::read_to_string(folder.join(path)).map_err(|error| error.to_string())?;
                serde_json::from_str(&text).map_err(|error| error.to_string())
            };
            count += rehearse(&workflow, &test.display().to_string(), &read(&test), alerts);
        }
    }
    assert!(count > 20, "only {count} tests were found");
}

#[tokio::test(flavor = "multi_thread")]
async fn malware_is_looked_up_told_removed_and_sighted_over_real_http() {
    let [called, text] = ["enrich_hash", "contain_malware"]
        .map(|name| read(&repository().join(format!("workflows/{name}.yaml"))));
    let playbooks = [("enrich_hash.yaml", called.as_str()), ("contain_malware.yaml", &text)];
    let world = World::with(lab::Settings::default(), &playbooks).await;
    let mut alert = read_json(&repository().join("examples/alerts/virustotal_hit.json"));
    // The lab's laptop-17 is switched off.
    alert["agent"]["id"] = "001".into();
    let answer = world.post_hook(&alert).await;
    let run = answer.body.pointer("/runs/0/run").unwrap().as_str().unwrap().to_owned();
    world.settled(&run).await;
    let messages = world.lab.messages();
    let said = messages[0]["text"].as_str().unwrap();
    assert!(
        messages.len() == 1 && said.contains("52 engines") && said.contains("MISP knows it"),
        "{messages:?}"
    );
    assert!(world.lab.active_responses().is_empty() && world.lab.sightings().is_empty());
    assert_eq!(world.decide(&run, "remove", "approve", "ana").await.status, 200);
    let finished = world.settled(&run).await;
    assert_eq!(finished.status, RunStatus::Succeeded, "{finished:?}");
    let [response] = &world.lab.active_responses()[..] else { panic!("one command") };
    assert_eq!((response.agent.as_str(), response.command.as_str()), ("001", "remove-threat0"));
    assert_eq!(world.lab.sightings().len(), 1);
}

/// Runs the tests of a playbook, and gives how many there are.
pub(crate) fn rehearse(
    workflow: &Arc<Workflow>,
    file: &str,
    text: &str,
    alerts: impl Fn(&str) -> Result<Value, String>,
) -> usize {
    nodes::compute_with(env!("CARGO_BIN_EXE_portcullis"));
    let compute =
        |command: &engine::Command| nodes::perform_pure(&command.node, &command.inputs, command.timeout);
    let (reports, findings) = engine::rehearsal::rehearse(workflow, file, text, &alerts, &compute);
    assert!(findings.is_empty(), "{findings}");
    let mut count = 0;
    for report in reports {
        count += 1;
        assert!(report.failure.is_none(), "{file}: {}\n{}", report.name, report.failure.as_ref().unwrap());
    }
    count
}

pub(crate) fn load(file: &str, text: &str) -> Arc<Workflow> {
    let mut catalog = nodes::builtin().0;
    for path in shipped() {
        let draft = Draft::parse(&path.display().to_string(), &read(&path)).unwrap();
        catalog.add_workflow(draft.signature().unwrap());
    }
    let (workflow, findings) = workflow::load(file, text, &catalog);
    assert!(findings.is_empty(), "{findings}");
    Arc::new(workflow.unwrap())
}

/// The files of all playbooks that we ship.
pub(crate) fn shipped() -> Vec<PathBuf> {
    FOLDERS.iter().flat_map(|folder| playbooks(&repository().join(folder))).collect()
}

fn playbooks(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let is_playbook = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy();
        name.ends_with(".yaml") && !name.ends_with(".test.yaml")
    };
    entries.filter(is_playbook).collect()
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
