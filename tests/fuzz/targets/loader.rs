//! A playbook of any bytes is read or refused, and its run comes to a rest.

#![no_main]

use std::sync::{Arc, LazyLock};

use engine::rehearsal::rehearse;
use libfuzzer_sys::fuzz_target;
use workflow::{Catalog, Draft};

const NODES: [&str; 14] = [
    include_str!("../../../nodes/core/approval.yaml"),
    include_str!("../../../nodes/core/delay.yaml"),
    include_str!("../../../nodes/core/http.yaml"),
    include_str!("../../../nodes/core/manual.yaml"),
    include_str!("../../../nodes/core/set.yaml"),
    include_str!("../../../nodes/core/webhook.yaml"),
    include_str!("../../../nodes/core/workflow.yaml"),
    include_str!("../../../nodes/wazuh/active_response.yaml"),
    include_str!("../../../nodes/wazuh/block_ip.yaml"),
    include_str!("../../../nodes/wazuh/get_agent.yaml"),
    include_str!("../../../nodes/wazuh/isolate_host.yaml"),
    include_str!("../../../nodes/wazuh/release_host.yaml"),
    include_str!("../../../nodes/wazuh/unblock_ip.yaml"),
    include_str!("../../../nodes/wazuh_indexer/find_active_response.yaml"),
];

static CATALOG: LazyLock<Catalog> = LazyLock::new(|| {
    let mut catalog = Catalog::default();
    for text in NODES {
        catalog.add("node.yaml", text).expect("the nodes of the program are right");
    }
    catalog
});

const TEST: &str = "tests:\n  - name: any\n    alert: { rule: { level: 10 }, agent: { id: '001' } }\n    expect: {}\n";

fuzz_target!(|text: &str| {
    let Ok(draft) = Draft::parse("playbook.yaml", text) else { return };
    let mut catalog = CATALOG.clone();
    if let Some(signature) = draft.signature() {
        catalog.add_workflow(signature);
    }
    let (workflow, findings) = draft.load(&catalog);
    assert_eq!(workflow.is_none(), findings.has_errors());
    let _ = findings.render(false);
    let Some(workflow) = workflow else { return };
    let (again, _) = workflow.bundle().load("pinned.yaml");
    assert!(again.is_some_and(|again| again.digest == workflow.digest), "what is pinned loads again");
    let no_file = |path: &str| Err(format!("{path} is not there"));
    let workflow = Arc::new(workflow);
    let (reports, _) = rehearse(&workflow, "playbook.test.yaml", TEST, &no_file, &|_| None);
    for report in reports {
        assert!(!report.name.is_empty());
    }
});
