//! What the documents say holds: examples load, links lead somewhere, and every crate stands in the code map.

use crate::world::repository;

/// The fenced blocks of a language in a document.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    text.split(&fence).skip(1).filter_map(|rest| rest.split("```").next()).map(str::to_owned).collect()
}

#[test]
fn every_playbook_in_the_documents_loads() {
    let (catalog, _) = nodes::builtin();
    let mut count = 0;
    for file in [
        "README.md",
        "nodes/README.md",
        "workflows/README.md",
        "examples/hello/README.md",
        "examples/approval/README.md",
    ] {
        let text = std::fs::read_to_string(repository().join(file)).unwrap();
        for block in blocks(&text, "yaml").iter().filter(|block| block.trim_start().starts_with("workflow:"))
        {
            let (workflow, findings) = workflow::load(file, block, &catalog);
            assert!(workflow.is_some(), "{findings}");
            count += 1;
        }
    }
    assert!(count > 0, "the documents hold playbooks");
}

#[test]
fn links_in_the_documents_lead_somewhere() {
    let documents = [
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "workflows/README.md",
        "workflows/rules.md",
        "nodes/README.md",
        "nodes/reference.md",
        "tests/README.md",
        "examples/wazuh/README.md",
        "examples/alerts/README.md",
        "examples/hello/README.md",
        "examples/approval/README.md",
        "examples/wazuh_thehive/README.md",
    ];
    for document in documents {
        let path = repository().join(document);
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{document}: {error}"));
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = link.split('#').next().unwrap();
            if target.is_empty() || target.starts_with("http") {
                continue;
            }
            assert!(
                path.parent().unwrap().join(target).exists(),
                "{document} links to {link}, and nothing is there"
            );
        }
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
    let steps = blocks(&page, "yaml");
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
    assert!(map.lines().count() <= 150, "ARCHITECTURE.md has at most 150 lines");
    for entry in std::fs::read_dir(repository().join("crates")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(map.contains(&format!("| `{name}` |")), "{name} is not in the code map");
    }
}
