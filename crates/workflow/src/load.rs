//! From the text of a playbook to a [`Workflow`]: what each key holds.

mod after;
mod details;
mod inputs;
mod signature;
mod step;
mod trigger;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use expr::{Condition, Template};
use model::{Mode, StepId};
use serde::{Deserialize, Serialize};

use crate::catalog::Catalog;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::graph::Graph;
use crate::keys::{self, MOST_STEPS, names};
use crate::lint;
use crate::manifest::{Manifest, digest};
use crate::rule::Rule;
use crate::secret;
use crate::workflow::{Concurrency, Dedupe, Needs, OnConflict, Step, Workflow};
use crate::yaml::{Document, Node, Object};
use signature::{check_calls, read_parameters};
use step::{read_ids, read_step};
use trigger::read_trigger;

pub use signature::Signature;

/// Reads and checks a playbook. There is a workflow exactly where the findings hold no error.
pub fn load(file: &str, text: &str, catalog: &Catalog) -> (Option<Workflow>, Diagnostics) {
    match Draft::parse(file, text) {
        Ok(draft) => draft.load(catalog),
        Err(findings) => (None, findings),
    }
}

/// A playbook whose YAML can be read, and nothing else is known of it.
///
/// Playbooks call each other, so all of a folder are drafted, their signatures go into the catalogue, and then each is
/// loaded.
#[derive(Debug)]
pub struct Draft {
    document: Document,
    text: String,
}

impl Draft {
    /// Reads the YAML.
    pub fn parse(file: &str, text: &str) -> Result<Draft, Diagnostics> {
        Ok(Draft { document: Document::parse(file, text).map_err(secret::report)?, text: text.to_owned() })
    }

    /// The name of the playbook, and where it stands.
    pub fn name(&self) -> Option<(&str, Range<usize>)> {
        let node = self.document.quietly(|| self.document.root().any_object()?.get("workflow"))?;
        Some((node.value().as_str()?, node.at()))
    }

    /// What the playbook shows to those that call it.
    pub fn signature(&self) -> Option<Signature> {
        self.document.quietly(|| Signature::read(&self.document))
    }

    /// Checks the playbook. There is a workflow exactly where the findings hold no error.
    pub fn load(self, catalog: &Catalog) -> (Option<Workflow>, Diagnostics) {
        self.load_as(catalog, Rules::All)
    }

    fn load_as(self, catalog: &Catalog, rules: Rules) -> (Option<Workflow>, Diagnostics) {
        let workflow = read(&self.document, self.text, catalog, rules);
        let mut findings = self.document.into_findings();
        if rules == Rules::All {
            findings = secret::report(findings);
        }
        (workflow.filter(|_| !findings.has_errors()), findings)
    }
}

/// Which rules a text has to keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rules {
    /// All that stand today.
    All,
    /// What it takes to be read: the text was checked when its run started, and a rule that came later does not stop it.
    Form,
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
        match Draft::parse(file, &self.workflow) {
            Ok(draft) => {
                let (workflow, findings) = draft.load_as(&catalog, Rules::Form);
                // A later version may use other nodes of these for it: it stays what the runs are pinned to.
                (workflow.map(|workflow| Workflow { digest: self.digest(), ..workflow }), findings)
            }
            Err(findings) => (None, findings),
        }
    }

    fn digest(&self) -> model::Digest {
        digest(&serde_json::to_string(self).expect("texts by name have a JSON form"))
    }
}

impl Workflow {
    /// The playbook together with the nodes that it uses.
    pub fn bundle(&self) -> Bundle {
        let nodes = self.steps.iter().flat_map(Step::nodes).chain(&self.trigger_nodes);
        let nodes = nodes.map(|node| (node.name.clone(), node.text.clone()));
        Bundle { workflow: self.text.clone(), nodes: nodes.collect() }
    }
}

fn read(document: &Document, text: String, catalog: &Catalog, rules: Rules) -> Option<Workflow> {
    let root = document.root().object(&names(keys::WORKFLOW))?;
    let name = root.require("workflow").and_then(|node| read_id(&node));
    let modes = [("live", Mode::Live), ("shadow", Mode::Shadow)];
    let mode = root.get("mode").and_then(|node| node.one_of(&modes)).unwrap_or_default();
    let trigger_list = root.get("triggers").and_then(|node| node.list()).unwrap_or_default();
    let (triggers, trigger_nodes) =
        trigger_list.iter().filter_map(|node| read_trigger(node, catalog)).unzip();
    let (step_nodes, main_steps) = step_nodes(&root, rules)?;
    let ids = read_ids(&step_nodes);
    let steps: Vec<Option<Step>> = (step_nodes.iter().enumerate())
        .map(|(index, node)| {
            let part = if index < main_steps { 0..main_steps } else { main_steps..step_nodes.len() };
            read_step(node, index, part, &ids, catalog)
        })
        .collect();
    let steps: Vec<Step> = steps.into_iter().collect::<Option<_>>()?;
    let graph = Graph::new(&edges(&steps, main_steps));
    let graph = graph.map_err(|cycles| report_cycles(&step_nodes, &steps, &cycles)).ok()?;
    let inputs = root.get("inputs").map(|node| read_parameters(&node));
    if inputs.is_some() && rules == Rules::All {
        check_called(&root);
    }
    let shown = |step: &Step| Some(catalog.workflows().get(step.callee()?)?.clone());
    let callees = steps.iter().filter_map(shown).map(|callee| (callee.name, callee.outputs)).collect();
    let vars = root.get("vars").and_then(|node| node.any_object().and(node.value().as_object()).cloned());
    let mut workflow = Workflow {
        name: name?.to_string(),
        title: text_of(&root, "title"),
        owner: text_of(&root, "owner"),
        attack: root.get("attack").and_then(|node| node.strings()).unwrap_or_default(),
        mode,
        triggers,
        inputs,
        dedupe: root.get("dedupe").and_then(|node| read_dedupe(&node)),
        concurrency: root.get("concurrency").and_then(|node| read_concurrency(&node)),
        timeout: root.get("timeout").and_then(|node| node.time_limit()),
        vars: vars.unwrap_or_default(),
        steps,
        main_steps,
        outputs: read_outputs(&root),
        graph,
        digest: digest(""),
        text,
        trigger_nodes,
        callees,
    };
    if rules == Rules::All {
        lint::check(&root, &step_nodes, &workflow);
        check_calls(&step_nodes, &workflow, catalog.workflows());
    }
    workflow.digest = workflow.bundle().digest();
    Some(workflow)
}

/// All steps, those of `on_failure` behind the others, and how many others there are.
fn step_nodes<'a>(root: &Object<'a>, rules: Rules) -> Option<(Vec<Node<'a>>, usize)> {
    let steps = root.require("steps").and_then(|node| node.list()).unwrap_or_default();
    let handlers = root.get("on_failure").map(|node| node.list().unwrap_or_default());
    let checked = handlers.as_ref().filter(|_| rules == Rules::All);
    let parts = [("a workflow", Some(&steps)), ("`on_failure`", checked)];
    for (whose, count) in parts.into_iter().filter_map(|(whose, steps)| Some((whose, steps?.len()))) {
        if !(1..=MOST_STEPS).contains(&count) {
            let message = format!("{whose} has 1 to {MOST_STEPS} steps, not {count}");
            root.node().report(Diagnostic::new(Rule::WRONG_VALUE, root.node().at(), message));
            return None;
        }
    }
    let main_steps = steps.len();
    Some((steps.into_iter().chain(handlers.unwrap_or_default()).collect(), main_steps))
}

/// A playbook that others call has no triggers of its own, and no alerts that could be one and the same.
fn check_called(root: &Object<'_>) {
    let messages = [
        ("triggers", "a playbook with `inputs` is called by others: nothing else starts it"),
        ("dedupe", "a playbook with `inputs` is called by others: every call is a run of its own"),
    ];
    for (key, message) in messages {
        let Some(node) = root.get(key) else { continue };
        let finding = Diagnostic::new(Rule::WRONG_KEY, node.key_at(), message);
        node.report(finding.help(format!("remove `{key}`")));
    }
}

/// What each step waits for. The steps of `on_failure` wait for all others.
fn edges(steps: &[Step], main_steps: usize) -> Vec<Needs> {
    let waits_for = |(index, step): (usize, &Step)| match index < main_steps {
        true => step.needs.clone(),
        false => step.needs.iter().copied().chain(0..main_steps).collect(),
    };
    steps.iter().enumerate().map(waits_for).collect()
}

fn read_concurrency(node: &Node<'_>) -> Option<Concurrency> {
    let object = node.object(&names(keys::CONCURRENCY))?;
    let choices = [("queue", OnConflict::Queue), ("drop", OnConflict::Drop)];
    let on_conflict = object.require("on_conflict").and_then(|node| node.one_of(&choices));
    Some(Concurrency { key: read_key(&object.require("key")?)?, on_conflict: on_conflict? })
}

/// The key of `dedupe` or `concurrency`: text, in which the braces of a path are easily forgotten.
fn read_key(node: &Node<'_>) -> Option<Template> {
    let key = node.template()?;
    let text = key.source().trim();
    let is_path = ["alert.", "inputs.", "trigger."].iter().any(|root| text.starts_with(root));
    if key.is_literal() && is_path {
        let message = "this key is the same text for every alert: a path needs braces here";
        let help = format!("write \"{{{{ {text} }}}}\"");
        node.report(Diagnostic::new(Rule::WRONG_VALUE, node.at(), message).help(help));
    }
    Some(key)
}

fn read_outputs(root: &Object<'_>) -> BTreeMap<String, Condition> {
    let outputs = root.get("outputs").map(|node| node.entries()).unwrap_or_default();
    outputs.iter().filter_map(|(key, node)| Some(((*key).to_owned(), node.condition()?))).collect()
}

fn text_of(object: &Object<'_>, key: &str) -> Option<String> {
    object.get(key).and_then(|node| node.string()).map(str::to_owned)
}

fn read_id(node: &Node<'_>) -> Option<StepId> {
    let text = node.string()?;
    let report = |error: model::InvalidId| {
        let mut finding = Diagnostic::new(Rule::WRONG_ID, node.at(), error.to_string());
        let close: String = text.to_ascii_lowercase().replace(['-', ' ', '.'], "_");
        finding.help = close.parse::<StepId>().is_ok().then(|| format!("write `{close}`"));
        node.report(finding);
    };
    text.parse().map_err(report).ok()
}

fn read_uses<'a>(object: &Object<'a>, catalog: &Catalog) -> Option<(Node<'a>, Arc<Manifest>)> {
    let uses = object.require("uses")?;
    let name = uses.string()?;
    if let Some(manifest) = catalog.get(name) {
        return Some((uses, manifest.clone()));
    }
    let finding = Diagnostic::new(Rule::UNKNOWN_NODE, uses.at(), format!("there is no node `{name}`"));
    uses.report(finding.help(catalog.suggest(name)));
    None
}

fn read_dedupe(node: &Node<'_>) -> Option<Dedupe> {
    let object = node.object(&names(keys::DEDUPE))?;
    let key = object.require("key").and_then(|node| read_key(&node));
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
        node.report(Diagnostic::new(Rule::CYCLE, at, message).help("remove one of their needs"));
    }
}

#[cfg(test)]
pub(crate) mod tests;
