//! From the text of a test file to its tests, checked against the workflow that they are about.

mod expected;
mod lines;
mod people;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use model::{Failure, FailureClass, InvalidId, Mode, Outcome, StepId, TriggerKind};
use serde_json::Value;
use workflow::yaml::{Document, Node, Object, suggest};
use workflow::{Diagnostic, Diagnostics, Step, Workflow};

use super::{Mock, Reply, Test};
use crate::rehearsal::Alerts;

const TEST_KEYS: [&str; 11] = [
    "name",
    "alert",
    "trigger",
    "mode",
    "mock",
    "approvals",
    "resolve",
    "cancel",
    "crash",
    "advance",
    "expect",
];

const CLASSES: &str = "timeout, connect, dns, tls, reset, auth, rejected, response, http_429, http_503, ...";

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
    mocks: BTreeMap<StepId, Mock>,
}

impl Reader<'_> {
    fn tests(&self, document: &Document) -> Vec<Test> {
        let Some(root) = document.root().object(&["alert", "mock", "tests"]) else {
            return Vec::new();
        };
        let shared = Shared {
            alert: root.get("alert").and_then(|node| self.alert(&node)),
            mocks: root.get("mock").map(|node| self.mocks(&node)).unwrap_or_default(),
        };
        let nodes = root.require("tests").and_then(|node| node.list()).unwrap_or_default();
        let mut tests: Vec<Test> = Vec::new();
        for node in &nodes {
            let Some(test) = self.test(node, &root, &shared) else { continue };
            if tests.iter().any(|other| other.name == test.name) {
                let message = format!("there are two tests `{}`", test.name);
                node.report(Diagnostic::error("duplicate-name", node.below("/name").at(), message));
            }
            tests.push(test);
        }
        tests
    }

    fn test(&self, node: &Node<'_>, root: &Object<'_>, shared: &Shared) -> Option<Test> {
        let object = node.object(&TEST_KEYS)?;
        let name = object.require("name").and_then(|node| node.string());
        let alert = match object.get("alert") {
            Some(node) => self.alert(&node),
            None if root.get("alert").is_some() => shared.alert.clone(),
            None => {
                let finding = Diagnostic::error("missing-key", node.at(), "the key `alert` is missing here");
                node.report(finding.help("give the test an alert, or all tests one at the top of the file"));
                None
            }
        };
        let triggers = [("webhook", TriggerKind::Webhook), ("manual", TriggerKind::Manual)];
        let trigger = object.get("trigger").and_then(|node| node.one_of(&triggers));
        let modes = [("live", Mode::Live), ("shadow", Mode::Shadow)];
        let mut mocks = shared.mocks.clone();
        mocks.extend(object.get("mock").map(|node| self.mocks(&node)).unwrap_or_default());
        let answers = object.get("approvals").map(|node| self.answers(&node)).unwrap_or_default();
        let resolutions = object.get("resolve").map(|node| self.resolutions(&node)).unwrap_or_default();
        let expected = object.require("expect").and_then(|node| self.expected(&node));
        Some(Test {
            lines: lines::of(node, &self.newlines),
            trigger: trigger.unwrap_or_else(|| self.usual_trigger()),
            mode: object.get("mode").and_then(|node| node.one_of(&modes)),
            mocks,
            answers,
            resolutions,
            cancel: object.get("cancel").and_then(|node| people::cancel(&node)),
            advance: object.get("advance").and_then(|node| node.time_limit()),
            crash: object.get("crash").and_then(|node| self.crash(&node)),
            name: name?.to_owned(),
            alert: alert?,
            expected: expected?,
        })
    }

    /// A webhook where the workflow has one.
    fn usual_trigger(&self) -> TriggerKind {
        let kinds = self.workflow.triggers.iter().map(|trigger| trigger.kind);
        kinds.into_iter().find(|kind| *kind == TriggerKind::Webhook).unwrap_or(TriggerKind::Manual)
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
            .map_err(|message| node.report(Diagnostic::error("unreadable-alert", node.at(), message)))
            .map(Arc::new)
            .ok()
    }

    fn mocks(&self, node: &Node<'_>) -> BTreeMap<StepId, Mock> {
        let entries = node.entries().into_iter();
        entries
            .filter_map(|(name, node)| {
                let step = self.called_step(name, &node, node.key_at())?;
                Some((step.id.clone(), mock(&node, step)?))
            })
            .collect()
    }

    fn crash(&self, node: &Node<'_>) -> Option<StepId> {
        let at = node.object(&["at"])?.require("at")?;
        let text = at.string()?;
        let Some(name) = text.strip_suffix(".sent") else {
            let finding =
                Diagnostic::error("wrong-value", at.at(), format!("`{text}` is not a place to crash at"));
            at.report(
                finding.help("write `STEP.sent`: the process dies when the call of this step has left"),
            );
            return None;
        };
        self.called_step(name, &at, at.at()).map(|step| step.id.clone())
    }

    /// A step by its name, which stands at this place.
    fn step(&self, name: &str, node: &Node<'_>, at: Range<usize>) -> Option<&Step> {
        let step = self.workflow.steps.iter().find(|step| step.id.as_str() == name);
        if step.is_none() {
            let known = self.workflow.steps.iter().map(|step| step.id.as_str());
            let finding = Diagnostic::error("unknown-step", at, format!("there is no step `{name}`"));
            node.report(finding.help(suggest(name, known)));
        }
        step
    }

    /// A step by its name, whose node calls another system.
    fn called_step(&self, name: &str, node: &Node<'_>, at: Range<usize>) -> Option<&Step> {
        let step = self.step(name, node, at.clone())?;
        if step.node.engine_node().is_some() {
            let message = format!("the step `{name}` calls nobody: the engine performs `{}`", step.node.name);
            node.report(Diagnostic::error("wrong-step", at, message));
            return None;
        }
        Some(step)
    }
}

fn mock(node: &Node<'_>, step: &Step) -> Option<Mock> {
    if !node.value().is_array() {
        return reply(node, step).map(Mock::Always);
    }
    let replies: Vec<Option<Reply>> = node.list()?.iter().map(|node| reply(node, step)).collect();
    replies.into_iter().collect::<Option<_>>().map(Mock::Successive)
}

fn reply(node: &Node<'_>, step: &Step) -> Option<Reply> {
    let object = node.object(&["output", "fail", "unknown", "takes"])?;
    let takes = object.get("takes");
    let outcome = outcome(&object, step);
    let duration = takes.as_ref().and_then(|node| node.duration()).unwrap_or_default();
    if let Some(node) = takes.filter(|_| duration > step.timeout) {
        let timeout = expr::duration::display(step.timeout);
        let message = format!("a call of `{}` takes {timeout} at most: that is its `timeout`", step.id);
        let help = "write what becomes of it then: fail or unknown, with class timeout";
        node.report(Diagnostic::error("wrong-value", node.at(), message).help(help));
    }
    Some(Reply { outcome: outcome?, takes: duration })
}

fn outcome(object: &Object<'_>, step: &Step) -> Option<Outcome> {
    match (object.get("output"), object.get("fail"), object.get("unknown")) {
        (Some(output), None, None) => {
            check_fields(&output, step)?;
            Some(Outcome::Succeeded(Arc::new(output.value().clone())))
        }
        (None, Some(fail), None) => failure(&fail).map(Outcome::Failed),
        (None, None, Some(unknown)) => failure(&unknown).map(Outcome::Unknown),
        _ => {
            let message = "a mock has exactly one of `output`, `fail` and `unknown`";
            let node = object.node();
            node.report(Diagnostic::error("wrong-value", node.at(), message));
            None
        }
    }
}

/// A mock that gives what the node never gives would prove nothing.
fn check_fields(output: &Node<'_>, step: &Step) -> Option<()> {
    let Some(fields) = step.node.output_fields() else {
        return Some(());
    };
    for (name, node) in output.entries().into_iter().filter(|(name, _)| !fields.contains(name)) {
        let message = format!("the output of `{}` ({}) has no field `{name}`", step.id, step.node.name);
        let finding = Diagnostic::error("unknown-field", node.key_at(), message);
        node.report(finding.help(suggest(name, fields.iter().copied())));
    }
    output.value().is_object().then_some(())
}

fn failure(node: &Node<'_>) -> Option<Failure> {
    let object = node.object(&["class", "message", "help", "retry_after"])?;
    let class = object.require("class").and_then(|node| class(&node));
    let message = object.require("message").and_then(|node| node.string());
    let mut failure = Failure::new(class?, message?);
    failure.help = object.get("help").and_then(|node| node.string()).map(str::to_owned);
    let retry_after = object.get("retry_after").and_then(|node| node.duration());
    failure.retry_after_ms = retry_after.and_then(|wait| u64::try_from(wait.as_millis()).ok());
    Some(failure)
}

fn class(node: &Node<'_>) -> Option<FailureClass> {
    let class = node.string()?.parse();
    let report = |error: InvalidId| {
        node.report(Diagnostic::error("wrong-value", node.at(), error.to_string()).help(CLASSES));
    };
    class.map_err(report).ok()
}
