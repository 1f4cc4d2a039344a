//! From the text of a test file to its tests, checked against the workflow that they are about.

mod expected;
mod lines;
mod people;
mod world;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use model::{Mode, StepKey, TriggerKind};
use serde_json::Value;
use workflow::yaml::{Document, Node, Object, suggest};
use workflow::{Diagnostic, Diagnostics, Rule, Step, Workflow};

use super::{Mock, Test};
use crate::rehearsal::Alerts;

const TEST_KEYS: [&str; 13] = [
    "name",
    "alert",
    "inputs",
    "trigger",
    "mode",
    "mock",
    "approvals",
    "resolve",
    "undo",
    "cancel",
    "crash",
    "advance",
    "expect",
];

/// What a test writes behind the name of a step for what undoes it.
const UNDO: &str = ".undo";

const MODES: [(&str, Mode); 2] = [("live", Mode::Live), ("shadow", Mode::Shadow)];

/// Reads a test file. There are tests only where the findings hold no error.
pub(in crate::rehearsal) fn read(
    workflow: &Workflow,
    file: &str,
    text: &str,
    alerts: &Alerts<'_>,
) -> (Vec<Test>, Diagnostics) {
    let document = match Document::parse(file, text) {
        Ok(document) => document,
        Err(findings) => return (Vec::new(), findings),
    };
    let newlines = lines::newlines(document.source());
    let reader = Reader { workflow, alerts, newlines };
    let tests = reader.tests(&document);
    let findings = document.into_findings();
    (if findings.has_errors() { Vec::new() } else { tests }, findings)
}

pub(super) struct Reader<'a> {
    workflow: &'a Workflow,
    alerts: &'a Alerts<'a>,
    newlines: Vec<usize>,
}

/// What stands at the top of the file, for every test that says nothing else.
struct Shared {
    alert: Option<Arc<Value>>,
    mode: Option<Mode>,
    mocks: BTreeMap<StepKey, Mock>,
}

impl Reader<'_> {
    fn tests(&self, document: &Document) -> Vec<Test> {
        let Some(root) = document.root().object(&["alert", "inputs", "mode", "mock", "tests"]) else {
            return Vec::new();
        };
        let shared = Shared {
            alert: self.given(&root),
            mode: root.get("mode").and_then(|node| node.one_of(&MODES)),
            mocks: root.get("mock").map(|node| self.mocks(&node)).unwrap_or_default(),
        };
        let nodes = root.require("tests").and_then(|node| node.list()).unwrap_or_default();
        let mut tests: Vec<Test> = Vec::new();
        for node in &nodes {
            let Some(test) = self.test(node, &root, &shared) else { continue };
            if tests.iter().any(|other| other.name == test.name) {
                let message = format!("there are two tests `{}`", test.name);
                node.report(Diagnostic::new(Rule::DUPLICATE_NAME, node.below("/name").at(), message));
            }
            tests.push(test);
        }
        tests
    }

    fn test(&self, node: &Node<'_>, root: &Object<'_>, shared: &Shared) -> Option<Test> {
        let object = node.object(&TEST_KEYS)?;
        let name = object.require("name").and_then(|node| node.string());
        let key = self.data_key();
        let alert = match object.get(key) {
            Some(_) => self.given(&object),
            None if root.get(key).is_some() => shared.alert.clone(),
            None => {
                let message = format!("the key `{key}` is missing here");
                let finding = Diagnostic::new(Rule::MISSING_KEY, node.at(), message);
                node.report(
                    finding.help(format!("write `{key}:` here, or for all tests at the top of the file")),
                );
                None
            }
        };
        let triggers = [
            ("webhook", TriggerKind::Webhook),
            ("manual", TriggerKind::Manual),
            ("schedule", TriggerKind::Schedule),
        ];
        let trigger = object.get("trigger").and_then(|node| node.one_of(&triggers));
        let mut mocks = shared.mocks.clone();
        mocks.extend(object.get("mock").map(|node| self.mocks(&node)).unwrap_or_default());
        let answers = object.get("approvals").map(|node| self.answers(&node)).unwrap_or_default();
        let resolutions = object.get("resolve").map(|node| self.resolutions(&node)).unwrap_or_default();
        let expected = object.require("expect").and_then(|node| self.expected(&node));
        Some(Test {
            lines: lines::of(node, &self.newlines),
            trigger: trigger.unwrap_or_else(|| self.usual_trigger()),
            mode: object.get("mode").and_then(|node| node.one_of(&MODES)).or(shared.mode),
            mocks,
            answers,
            resolutions,
            undos: object.get("undo").map(|node| self.undos(&node)).unwrap_or_default(),
            cancel: object.get("cancel").and_then(|node| people::cancel(&node)),
            advance: object.get("advance").and_then(|node| node.time_limit()),
            crash: object.get("crash").and_then(|node| self.crash(&node)),
            name: name?.to_owned(),
            alert: alert?,
            expected: expected?,
        })
    }

    /// What a run is started with: an alert, or the inputs of a playbook that others call.
    fn data_key(&self) -> &'static str {
        if self.workflow.inputs.is_some() { "inputs" } else { "alert" }
    }

    fn given(&self, object: &Object<'_>) -> Option<Arc<Value>> {
        let other = if self.workflow.inputs.is_some() { "alert" } else { "inputs" };
        if let Some(node) = object.get(other) {
            let message = format!("this playbook is not started with `{other}`");
            let finding = Diagnostic::new(Rule::WRONG_KEY, node.key_at(), message);
            node.report(finding.help(format!("write `{}:`", self.data_key())));
        }
        let node = object.get(self.data_key())?;
        match &self.workflow.inputs {
            None => self.alert(&node),
            Some(inputs) => world::given_inputs(&node, inputs),
        }
    }

    /// A webhook where the workflow has one; a schedule where it has nothing else.
    fn usual_trigger(&self) -> TriggerKind {
        if self.workflow.inputs.is_some() {
            return TriggerKind::Workflow;
        }
        let has = |kind: &TriggerKind| self.workflow.triggers.iter().any(|trigger| trigger.kind == *kind);
        let kinds = [TriggerKind::Webhook, TriggerKind::Manual, TriggerKind::Schedule];
        kinds.into_iter().find(has).unwrap_or(TriggerKind::Manual)
    }

    fn alert(&self, node: &Node<'_>) -> Option<Arc<Value>> {
        if node.value().is_object() {
            return Some(Arc::new(node.value().clone()));
        }
        let Some(path) = node.value().as_str() else {
            return node.expected("the path of a JSON file, or the alert itself as a map");
        };
        let alert = (self.alerts)(path);
        alert
            .map_err(|message| node.report(Diagnostic::new(Rule::UNREADABLE_ALERT, node.at(), message)))
            .map(Arc::new)
            .ok()
    }

    fn mocks(&self, node: &Node<'_>) -> BTreeMap<StepKey, Mock> {
        let entries = node.entries().into_iter();
        entries
            .filter_map(|(name, node)| {
                let step = self.mocked_step(name, &node)?;
                Some((key(name, step), world::mock(&node, step)?))
            })
            .collect()
    }

    fn crash(&self, node: &Node<'_>) -> Option<StepKey> {
        let at = node.object(&["at"])?.require("at")?;
        let text = at.string()?;
        let Some(name) = text.strip_suffix(".sent") else {
            let finding =
                Diagnostic::new(Rule::WRONG_VALUE, at.at(), format!("`{text}` is not a place to crash at"));
            at.report(
                finding.help("write `STEP.sent`: the process dies when the call of this step has left"),
            );
            return None;
        };
        self.called_step(name, &at, at.at()).map(|step| key(name, step))
    }

    /// A step by its name, which stands at this place.
    fn step(&self, name: &str, node: &Node<'_>, at: Range<usize>) -> Option<&Step> {
        let step = self.workflow.steps.iter().find(|step| step.id.as_str() == name);
        if step.is_none() {
            let known = self.workflow.steps.iter().map(|step| step.id.as_str());
            let finding = Diagnostic::new(Rule::UNKNOWN_STEP, at, format!("there is no step `{name}`"));
            node.report(finding.help(suggest(name, known)));
        }
        step
    }

    /// A step by its name, which something outside of the run performs.
    fn mocked_step(&self, name: &str, node: &Node<'_>) -> Option<&Step> {
        let step = self.step_or_undo(name, node, node.key_at())?;
        if step.callee().is_some() { Some(step) } else { self.called_step(name, node, node.key_at()) }
    }

    /// A step by its name, or the one that undoes it by its name and `.undo`.
    fn step_or_undo(&self, name: &str, node: &Node<'_>, at: Range<usize>) -> Option<&Step> {
        let Some(name) = name.strip_suffix(UNDO) else { return self.step(name, node, at) };
        let inverse = self.step(name, node, at.clone())?.inverse.as_deref();
        if inverse.is_none() {
            let message = format!("nothing undoes the step `{name}`");
            node.report(Diagnostic::new(Rule::WRONG_STEP, at, message));
        }
        inverse
    }

    /// A step by its name, whose node calls another system.
    fn called_step(&self, name: &str, node: &Node<'_>, at: Range<usize>) -> Option<&Step> {
        let step = self.step_or_undo(name, node, at.clone())?;
        if step.node.engine_node().is_some() {
            let message = format!("the step `{name}` calls nobody: the engine performs `{}`", step.node.name);
            node.report(Diagnostic::new(Rule::WRONG_STEP, at, message));
            return None;
        }
        Some(step)
    }
}

/// The step, or what undoes it, as the test names it.
fn key(name: &str, step: &Step) -> StepKey {
    StepKey { is_undo: name.ends_with(UNDO), ..StepKey::from(step.id.clone()) }
}
