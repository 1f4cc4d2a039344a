//! From the text of a playbook to a [`Workflow`]: what each key holds.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use expr::{Condition, Language, ValueTemplate};
use model::{Asked, Mode, StepId, TriggerKind};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::catalog::Catalog;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::graph::Graph;
use crate::lint;
use crate::manifest::{Action, EFFECTS, Effect, EngineNode, Manifest, OnDoubt, digest};
use crate::workflow::{Approval, Dedupe, Needs, OnError, Retry, RetryOn, Step, Trigger, Workflow};
use crate::yaml::{Document, Node, Object, suggest};

const MOST_STEPS: usize = 1000;

const WORKFLOW_KEYS: [&str; 10] =
    ["workflow", "title", "owner", "attack", "mode", "triggers", "dedupe", "vars", "steps", "outputs"];
const STEP_KEYS: [&str; 12] = [
    "id",
    "title",
    "uses",
    "connection",
    "effect",
    "needs",
    "if",
    "with",
    "timeout",
    "retry",
    "on_error",
    "approval",
];

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

fn read_ids(steps: &[Node<'_>]) -> BTreeMap<StepId, usize> {
    let mut ids: BTreeMap<StepId, usize> = BTreeMap::new();
    for (index, node) in steps.iter().enumerate() {
        let Some(id_node) = node.any_object().and_then(|object| object.require("id")) else {
            continue;
        };
        let Some(id) = read_id(&id_node) else { continue };
        if let Some(first) = ids.get(&id).and_then(|first| steps.get(*first)) {
            let finding =
                Diagnostic::error("duplicate-id", id_node.at(), format!("there are two steps `{id}`"));
            node.report(finding.note(first.below("/id").at(), "the other one"));
            continue;
        }
        ids.insert(id, index);
    }
    ids
}

fn read_trigger(node: &Node<'_>, catalog: &Catalog) -> Option<(Trigger, Arc<Manifest>)> {
    let object = node.object(&["uses", "with", "when"])?;
    let (uses, manifest) = read_uses(&object, catalog)?;
    let Action::Trigger(kind) = manifest.action else {
        let message = format!("`{}` does not start a workflow", manifest.name);
        node.report(Diagnostic::error("wrong-node", uses.at(), message).help("use webhook or manual here"));
        return None;
    };
    let with = object.get("with");
    read_inputs(node, with.as_ref(), &manifest);
    let with = with.and_then(|with| with.any_object());
    let path = with.as_ref().and_then(|with| with.get("path")).filter(|_| kind == TriggerKind::Webhook);
    let path = path.and_then(|path| read_path(&path));
    let roles = with.as_ref().and_then(|with| with.get("roles")).and_then(|roles| roles.strings());
    let roles = roles.unwrap_or_default();
    let when = object.get("when").and_then(|node| node.condition());
    Some((Trigger { kind, path, roles, when }, manifest))
}

fn read_path(node: &Node<'_>) -> Option<String> {
    let path = node.string()?;
    let is_path = !path.is_empty()
        && path.len() <= 64
        && path.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_');
    if !is_path {
        return node.not("a path: write lower-case letters, digits, `-` and `_`, as in `wazuh`");
    }
    Some(path.to_owned())
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

fn read_step(
    node: &Node<'_>,
    index: usize,
    ids: &BTreeMap<StepId, usize>,
    catalog: &Catalog,
) -> Option<Step> {
    let object = node.object(&STEP_KEYS)?;
    let id = object.get("id").and_then(|node| node.string()?.parse().ok());
    let needs = read_needs(&object, index, ids);
    let condition = object.get("if").and_then(|node| node.condition());
    let retry = object.get("retry").and_then(|node| read_retry(&node));
    let timeout = object.get("timeout").and_then(|node| node.time_limit());
    let choices = [("fail", OnError::Fail), ("continue", OnError::Continue)];
    let on_error = object.get("on_error").and_then(|node| node.one_of(&choices)).unwrap_or(OnError::Fail);
    let (uses, manifest) = read_uses(&object, catalog)?;
    if matches!(manifest.action, Action::Trigger(_)) {
        let message = format!("`{}` starts workflows and is no step", manifest.name);
        node.report(Diagnostic::error("wrong-node", uses.at(), message).help("put it under `triggers:`"));
        return None;
    }
    let effect = read_effect(&object, &manifest);
    let with = object.get("with");
    if manifest.effect.is_none() && effect == Effect::Read {
        check_declared_read(&object, with.as_ref());
    }
    let is_approval = manifest.engine_node() == Some(EngineNode::Approval);
    let (approval, inputs) = match (is_approval, object.get("approval")) {
        (true, gate) => {
            if let Some(on_error) = object.get("on_error") {
                let message = "an approval that fails lets nothing through";
                on_error.report(
                    Diagnostic::error("wrong-key", on_error.key_at(), message).help("remove this key"),
                );
            }
            if let Some(gate) = gate {
                let message = "an approval needs no approval of its own";
                gate.report(Diagnostic::error("wrong-key", gate.key_at(), message));
            }
            (with.as_ref().or(Some(node)).and_then(|with| read_approval(with, false)), BTreeMap::new())
        }
        (false, gate) => {
            let approval = gate.and_then(|gate| read_approval(&gate, true));
            (approval, read_inputs(node, with.as_ref(), &manifest))
        }
    };
    Some(Step {
        id: id?,
        title: object.get("title").and_then(|node| node.template()),
        connection: text_of(&object, "connection"),
        effect,
        on_doubt: if effect == Effect::Read { OnDoubt::Retry } else { manifest.on_doubt },
        needs,
        condition,
        inputs,
        timeout: timeout.unwrap_or(manifest.timeout),
        retry,
        on_error,
        approval,
        node: manifest,
    })
}

fn read_needs(object: &Object<'_>, index: usize, ids: &BTreeMap<StepId, usize>) -> Needs {
    let Some(node) = object.get("needs") else {
        return index.checked_sub(1).into_iter().collect();
    };
    let mut needs = Needs::new();
    for need in node.list().unwrap_or_default() {
        let Some(name) = need.string() else { continue };
        match name.parse::<StepId>().ok().and_then(|id| ids.get(&id)) {
            Some(step) if !needs.contains(step) => needs.push(*step),
            Some(_) => {}
            None => {
                let finding =
                    Diagnostic::error("unknown-step", need.at(), format!("there is no step `{name}`"));
                need.report(finding.help(suggest(name, ids.keys().map(StepId::as_str))));
            }
        }
    }
    needs
}

fn read_effect(object: &Object<'_>, manifest: &Manifest) -> Effect {
    let stated = object.get("effect");
    match (manifest.effect, stated) {
        (Some(effect), None) => effect,
        (Some(effect), Some(node)) => {
            let message = format!("the node `{}` says itself what it does", manifest.name);
            node.report(Diagnostic::error("wrong-key", node.key_at(), message).help("remove this key"));
            effect
        }
        (None, Some(node)) => node.one_of(&EFFECTS).unwrap_or(Effect::Disrupt),
        (None, None) => {
            let message =
                format!("the key `effect` is missing: `{}` cannot know what the call does", manifest.name);
            let help = "say `read` (it looks), `write` (it changes what disturbs nobody) or `disrupt`";
            object.node().report(Diagnostic::error("missing-key", object.node().at(), message).help(help));
            Effect::Disrupt
        }
    }
}

/// A step that says it only looks is run again, needs no gate, and is performed in shadow mode too: its method has to
/// bear that out.
fn check_declared_read(object: &Object<'_>, with: Option<&Node<'_>>) {
    let method = with.and_then(|with| with.any_object()?.get("method"));
    let text = method.as_ref().and_then(|method| method.value().as_str()).unwrap_or("GET");
    let at = method.as_ref().map_or_else(|| object.node().at(), |method| method.at());
    let finding = match text {
        "GET" | "HEAD" => return,
        "POST" => {
            let message = "this step says that it only looks, and sends POST";
            Diagnostic::warning("declared-read", at, message)
                .help("that is right for a search, and for little else")
        }
        _ => {
            let message = format!("a step that sends {text} does not only look");
            Diagnostic::error("declared-read", at, message).help("say `effect: write` or `effect: disrupt`")
        }
    };
    object.node().report(finding);
}

fn read_inputs(
    step: &Node<'_>,
    with: Option<&Node<'_>>,
    manifest: &Manifest,
) -> BTreeMap<String, ValueTemplate> {
    let mut inputs = BTreeMap::new();
    let given = with.map(|with| with.entries()).unwrap_or_default();
    let takes_any = manifest.engine_node() == Some(EngineNode::Set);
    for (name, node) in &given {
        let input = manifest.inputs.get(*name);
        if input.is_none() && !takes_any {
            let message = format!("the node `{}` has no input `{name}`", manifest.name);
            let help = suggest(name, manifest.inputs.keys().map(String::as_str));
            node.report(Diagnostic::error("unknown-input", node.key_at(), message).help(help));
            continue;
        }
        let is_expression =
            takes_any || input.is_some_and(|input| input.kind == crate::manifest::InputKind::Expression);
        let language = if is_expression { Language::Expression } else { Language::Text };
        let Some(values) = node.values(language) else {
            continue;
        };
        if let (ValueTemplate::Literal(value), Some(input)) = (&values, input)
            && let Err(message) = input.check(value)
        {
            node.report(wrong_input(node, name, &message, value));
        }
        inputs.insert((*name).to_owned(), values);
    }
    for (name, input) in &manifest.inputs {
        let is_given = given.iter().any(|(given, _)| given == name);
        match &input.default {
            _ if is_given => {}
            Some(default) => {
                inputs.insert(name.clone(), ValueTemplate::Literal(default.clone()));
            }
            None if input.is_required => {
                let message =
                    format!("the node `{}` needs the input `{name}`: {}", manifest.name, input.summary);
                let at = with.map_or_else(|| step.at(), Node::key_at);
                step.report(Diagnostic::error("missing-input", at, message));
            }
            None => {}
        }
    }
    inputs
}

fn wrong_input(node: &Node<'_>, name: &str, message: &str, value: &Value) -> Diagnostic {
    let finding = Diagnostic::error("wrong-input", node.at(), format!("the input `{name}` {message}"));
    match value {
        Value::Number(_) | Value::Bool(_) if node.is_plain() => {
            finding.help("YAML read it as something else than text: put it in quotes")
        }
        _ => finding,
    }
}

fn read_retry(node: &Node<'_>) -> Option<Retry> {
    let object = node.object(&["max", "wait", "backoff", "on"])?;
    let max = object.require("max").and_then(|node| node.integer(2..=20));
    let backoff = object.get("backoff").map_or(Some(2.0), |node| match node.value().as_f64() {
        Some(factor) if (1.0..=10.0).contains(&factor) => Some(factor),
        _ => node.expected("a number from 1 to 10"),
    });
    let on = object.require("on").and_then(|node| node.list()).unwrap_or_default();
    Some(Retry {
        max: u32::try_from(max?).unwrap_or(u32::MAX),
        wait: object.get("wait").and_then(|node| node.duration()).unwrap_or(Duration::from_secs(1)),
        backoff: backoff?,
        on: on.iter().filter_map(read_retry_on).collect(),
    })
}

fn read_retry_on(node: &Node<'_>) -> Option<RetryOn> {
    let text = node.string()?;
    let hundred = text.strip_prefix("http_").and_then(|rest| rest.strip_suffix("xx"));
    match (hundred, text.parse()) {
        (Some("4"), _) => Some(RetryOn::Hundred(4)),
        (Some("5"), _) => Some(RetryOn::Hundred(5)),
        (_, Ok(class)) => Some(RetryOn::Class(class)),
        (_, Err(_)) => {
            let known = [
                "timeout", "connect", "dns", "tls", "reset", "auth", "rejected", "response", "http_429",
                "http_5xx",
            ];
            let finding =
                Diagnostic::error("wrong-value", node.at(), format!("`{text}` is not a class of failures"));
            node.report(finding.help(suggest(text, known.into_iter())));
            None
        }
    }
}

fn read_approval(node: &Node<'_>, is_gate: bool) -> Option<Approval> {
    let mut keys = vec!["ask", "show", "from", "reason", "expires"];
    if is_gate {
        keys.push("skip_if");
    }
    let object = node.object(&keys)?;
    let ask = object.require("ask").and_then(|node| node.template());
    let show = object.get("show").and_then(|node| node.strings()).unwrap_or_default();
    let from =
        object.get("from").and_then(|node| read_asked(&node)).unwrap_or(Asked { role: None, count: 1 });
    let reasons = [("required", true), ("optional", false)];
    let expires = object.get("expires").and_then(|node| node.time_limit());
    if object.get("expires").is_none() {
        let message = "this question never lapses: the run waits for ever if nobody answers";
        node.report(Diagnostic::warning("no-expiry", node.key_at(), message).help("add `expires: 30m`"));
    }
    Some(Approval {
        skip_if: object.get("skip_if").and_then(|node| node.condition()),
        ask: ask?,
        show: show.iter().map(|path| path.split('.').map(str::to_owned).collect()).collect(),
        from,
        reason_required: object.get("reason").and_then(|node| node.one_of(&reasons)).unwrap_or(false),
        expires,
    })
}

fn read_asked(node: &Node<'_>) -> Option<Asked> {
    let object = node.object(&["role", "count"])?;
    let count = object.get("count").map_or(Some(1), |node| node.integer(1..=10));
    Some(Asked { role: text_of(&object, "role"), count: u32::try_from(count?).unwrap_or(1) })
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
