//! From the text of a playbook to a [`Workflow`]: what each key holds.

mod details;
mod inputs;
mod step;
mod trigger;

use std::collections::BTreeMap;
use std::sync::Arc;

use expr::Condition;
use model::{Mode, StepId};
use serde::{Deserialize, Serialize};

use crate::catalog::Catalog;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::graph::Graph;
use crate::lint;
use crate::manifest::{Manifest, digest};
use crate::workflow::{Dedupe, Needs, Step, Workflow};
use crate::yaml::{Document, Node, Object};
use step::{read_ids, read_step};
use trigger::read_trigger;

const MOST_STEPS: usize = 1000;

const WORKFLOW_KEYS: [&str; 10] =
    ["workflow", "title", "owner", "attack", "mode", "triggers", "dedupe", "vars", "steps", "outputs"];

/// Reads and checks a playbook. There is a workflow exactly where the findings hold no error.
pub fn load(file: &str, text: &str, catalog: &Catalog) -> (Option<Workflow>, Diagnostics) {
    load_as(file, text, catalog, Rules::All)
}

/// Which rules a text has to keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rules {
    /// All that stand today.
    All,
    /// What it takes to be read: the text was checked when its run started, and a rule that came later does not stop it.
    Form,
}

fn load_as(file: &str, text: &str, catalog: &Catalog, rules: Rules) -> (Option<Workflow>, Diagnostics) {
    let document = match Document::parse(file, text) {
        Ok(document) => document,
        Err(findings) => return (None, findings),
    };
    let workflow = read(&document, text, catalog, rules);
    let findings = document.into_findings();
    (workflow.filter(|_| !findings.has_errors()), findings)
}

/// A playbook together with the nodes that it uses: what a run is pinned to, as text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bundle {
    /// The YAML of the playbook.
    pub workflow: String,
    /// The YAML of each node, by name.
    pub nodes: BTreeMap<String, String>,
}

impl Bundle {
    /// Reads the playbook against its own nodes. It was checked when it was bundled, so it is not checked again.
    pub fn load(&self, file: &str) -> (Option<Workflow>, Diagnostics) {
        let mut catalog = Catalog::default();
        for (name, text) in &self.nodes {
            if let Err(findings) = catalog.add(name, text) {
                return (None, findings);
            }
        }
        load_as(file, &self.workflow, &catalog, Rules::Form)
    }
}

impl Workflow {
    /// The playbook together with the nodes that it uses.
    pub fn bundle(&self) -> Bundle {
        let nodes = self.steps.iter().map(|step| (step.node.name.clone(), step.node.text.clone()));
        let triggers = self.trigger_nodes.iter().map(|node| (node.name.clone(), node.text.clone()));
        Bundle { workflow: self.text.clone(), nodes: nodes.chain(triggers).collect() }
    }
}

fn read(document: &Document, text: &str, catalog: &Catalog, rules: Rules) -> Option<Workflow> {
    let root = document.root().object(&WORKFLOW_KEYS)?;
    let name = root.require("workflow").and_then(|node| read_id(&node));
    let modes = [("live", Mode::Live), ("shadow", Mode::Shadow)];
    let mode = root.get("mode").and_then(|node| node.one_of(&modes)).unwrap_or_default();
    let trigger_list = root.get("triggers").and_then(|node| node.list()).unwrap_or_default();
    let (triggers, trigger_nodes) =
        trigger_list.iter().filter_map(|node| read_trigger(node, catalog)).unzip();
    let step_nodes = root.require("steps").and_then(|node| node.list()).unwrap_or_default();
    if step_nodes.is_empty() || step_nodes.len() > MOST_STEPS {
        let message = format!("a workflow has 1 to {MOST_STEPS} steps, not {}", step_nodes.len());
        document.report(Diagnostic::error("wrong-value", root.node().at(), message));
    }
    let ids = read_ids(&step_nodes);
    let steps: Vec<Option<Step>> =
        step_nodes.iter().enumerate().map(|(index, node)| read_step(node, index, &ids, catalog)).collect();
    let steps: Vec<Step> = steps.into_iter().collect::<Option<_>>()?;
    let needs: Vec<Needs> = steps.iter().map(|step| step.needs.clone()).collect();
    let graph = Graph::new(&needs).map_err(|cycles| report_cycles(&step_nodes, &steps, &cycles)).ok()?;
    let vars = root.get("vars").and_then(|node| node.any_object().and(node.value().as_object()).cloned());
    let mut workflow = Workflow {
        name: name?.to_string(),
        title: text_of(&root, "title"),
        owner: text_of(&root, "owner"),
        attack: root.get("attack").and_then(|node| node.strings()).unwrap_or_default(),
        mode,
        triggers,
        dedupe: root.get("dedupe").and_then(|node| read_dedupe(&node)),
        vars: vars.unwrap_or_default(),
        steps,
        outputs: read_outputs(&root),
        graph,
        digest: digest(""),
        text: text.to_owned(),
        trigger_nodes,
    };
    if rules == Rules::All {
        lint::check(&root, &step_nodes, &workflow);
    }
    let bundle = serde_json::to_string(&workflow.bundle()).expect("texts by name have a JSON form");
    workflow.digest = digest(&bundle);
    Some(workflow)
}

fn read_outputs(root: &Object<'_>) -> BTreeMap<String, Condition> {
    let outputs = root.get("outputs").map(|node| node.entries()).unwrap_or_default();
    outputs.iter().filter_map(|(key, node)| Some(((*key).to_owned(), node.condition()?))).collect()
}

fn text_of(object: &Object<'_>, key: &str) -> Option<String> {
    object.get(key).and_then(|node| node.string()).map(str::to_owned)
}

fn read_id(node: &Node<'_>) -> Option<StepId> {
    let id = node.string()?.parse();
    let report =
        |error: model::InvalidId| node.report(Diagnostic::error("wrong-id", node.at(), error.to_string()));
    id.map_err(report).ok()
}

fn read_uses<'a>(object: &Object<'a>, catalog: &Catalog) -> Option<(Node<'a>, Arc<Manifest>)> {
    let uses = object.require("uses")?;
    let name = uses.string()?;
    if let Some(manifest) = catalog.get(name) {
        return Some((uses, manifest.clone()));
    }
    let finding = Diagnostic::error("unknown-node", uses.at(), format!("there is no node `{name}`"));
    uses.report(finding.help(catalog.suggest(name)));
    None
}

fn read_dedupe(node: &Node<'_>) -> Option<Dedupe> {
    let object = node.object(&["key", "window"])?;
    let key = object.require("key").and_then(|node| node.template());
    let window = object.require("window").and_then(|node| node.time_limit());
    Some(Dedupe { key: key?, window: window? })
}

fn report_cycles(nodes: &[Node<'_>], steps: &[Step], cycles: &[Vec<usize>]) {
    for cycle in cycles {
        let names: Vec<&str> =
            cycle.iter().filter_map(|step| steps.get(*step)).map(|step| step.id.as_str()).collect();
        let Some(node) = cycle.first().and_then(|step| nodes.get(*step)) else {
            continue;
        };
        let message = format!("these steps wait for each other: {}", names.join(", "));
        let at = node.below("/needs").key_at();
        node.report(Diagnostic::error("cycle", at, message).help("remove one of their needs"));
    }
}

#[cfg(test)]
mod tests;
