//! What the documents say holds: examples load, links lead somewhere, and every crate stands in the code map.

mod examples;
mod fenced;

use std::path::PathBuf;

use crate::world::repository;

pub(crate) use examples::whole_playbooks;

/// The YAML blocks of a document.
fn yaml_blocks(text: &str) -> impl Iterator<Item = String> {
    fenced::blocks(text).into_iter().filter(|block| block.info == "yaml").map(|block| block.text)
}

#[test]
fn every_playbook_in_the_documents_loads() {
    let (catalog, _) = nodes::builtin();
    for file in ["nodes/README.md", "examples/hello/README.md", "examples/approval/README.md"] {
        let text = std::fs::read_to_string(repository().join(file)).unwrap();
        for block in yaml_blocks(&text).filter(|block| block.trim_start().starts_with("workflow:")) {
            let (workflow, findings) = workflow::load(file, &block, &catalog);
            assert!(workflow.is_some(), "{findings}");
        }
    }
}

#[test]
fn cargo_run_starts_the_binary_as_the_readme_says() {
    let mut cargo = std::process::Command::new(env!("CARGO"));
    cargo.args(["metadata", "--no-deps", "--offline", "--format-version", "1"]).current_dir(repository());
    let metadata: serde_json::Value = serde_json::from_slice(&cargo.output().unwrap().stdout).unwrap();
    let members = metadata["workspace_default_members"].as_array().unwrap();
    assert_eq!(members.len(), 1, "{members:?}");
    assert!(members[0].as_str().unwrap().contains("crates/portcullis"), "{members:?}");
}

#[test]
fn links_in_the_documents_lead_somewhere() {
    let documents = [
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "workflows/rules.md",
        "nodes/README.md",
        "nodes/reference.md",
        "tests/README.md",
        "tests/compare/README.md",
        "examples/wazuh/README.md",
        "examples/alerts/README.md",
        "examples/hello/README.md",
        "examples/approval/README.md",
        "examples/wazuh_thehive/README.md",
    ];
    let documents =
        documents.map(|document| repository().join(document)).into_iter().chain(examples::pages());
    for path in documents {
        let document = path.display();
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{document}: {error}"));
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.starts_with("http") {
                continue;
            }
            let (target, anchor) = link.split_once('#').map_or((link, None), |(to, at)| (to, Some(at)));
            let target: PathBuf = match target {
                "" => path.clone(),
                target => path.parent().unwrap().join(target),
            };
            assert!(target.exists(), "{document} links to {link}, and nothing is there");
            let Some(anchor) = anchor else { continue };
            let anchors = fenced::anchors(&std::fs::read_to_string(&target).unwrap());
            assert!(
                anchors.iter().any(|known| known == anchor),
                "{document} links to {link}, which has no such heading: {anchors:?}"
            );
        }
    }
}

#[test]
fn the_page_of_all_keys_is_up_to_date_and_every_helper_and_class_is_explained() {
    let page = |name: &str| {
        std::fs::read_to_string(repository().join("workflows/language").join(name)).unwrap_or_default()
    };
    assert!(
        page("keys.md") == workflow::language(),
        "workflows/language/keys.md does not show the keys as they are. Write it anew:\n\
         cargo run -- schema --markdown > workflows/language/keys.md"
    );
    let values = page("values.md");
    for helper in expr::helper_names() {
        let is_there =
            [format!("`{helper}"), format!("{{{{#{helper}}}}}")].iter().any(|word| values.contains(word));
        assert!(is_there, "values.md does not explain the helper `{helper}`");
    }
    let schema = workflow::schema(&nodes::builtin().0);
    let classes = schema.pointer("/definitions/step/properties/retry/properties/on/items/anyOf/0/enum");
    for class in classes.and_then(|classes| classes.as_array()).unwrap() {
        let class = class.as_str().unwrap();
        assert!(page("failure.md").contains(&format!("`{class}`")), "failure.md does not explain `{class}`");
    }
}

#[test]
fn the_page_of_all_nodes_is_up_to_date_and_its_steps_are_right() {
    let (catalog, _) = nodes::builtin();
    let page = workflow::reference(&catalog);
    let shown = std::fs::read_to_string(repository().join("nodes/reference.md")).unwrap_or_default();
    assert!(
        shown == page,
        "nodes/reference.md does not show the nodes as they are. Write it anew:\n\
         cargo run -- nodes --markdown > nodes/reference.md"
    );
    let steps: Vec<String> = yaml_blocks(&page).collect();
    assert!(steps.len() > 10, "only {} steps stand on the page", steps.len());
    for step in steps {
        let playbook: String = step.lines().map(|line| format!("  {line}\n")).collect();
        let (_, findings) =
            workflow::load("nodes/reference.md", &format!("workflow: w\nsteps:\n{playbook}"), &catalog);
        assert!(findings.is_empty(), "{findings}");
    }
}

#[test]
fn every_crate_stands_in_the_code_map() {
    let map = std::fs::read_to_string(repository().join("ARCHITECTURE.md")).unwrap();
    assert!(map.lines().count() <= 160, "ARCHITECTURE.md has at most 160 lines");
    for entry in std::fs::read_dir(repository().join("crates")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(map.contains(&format!("| `{name}` |")), "{name} is not in the code map");
    }
}
