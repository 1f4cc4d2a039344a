//! What a test expects.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use expr::duration;
use model::{ContainmentState, RunStatus, StepId, StepStatus};
use serde_json::Value;
use workflow::yaml::{Node, suggest};
use workflow::{Diagnostic, Rule, Step};

use super::Reader;
use super::world::{CLASSES, class};
use crate::rehearsal::facts::{self, NoFact};
use crate::rehearsal::file::{Expected, Fact};

const EXPECT_KEYS: [&str; 8] =
    ["starts", "status", "calls", "outputs", "inputs", "errors", "contained", "journal"];
/// The key under `status` that is about the run and not about a step.
const RUN: &str = "run";

impl Reader<'_> {
    pub(super) fn expected(&self, node: &Node<'_>) -> Option<Expected> {
        let object = node.object(&EXPECT_KEYS)?;
        if node.entries().is_empty() {
            let finding = Diagnostic::new(Rule::EMPTY_TEST, node.at(), "this test expects nothing");
            node.report(finding.help(format!("say at least one of {}", EXPECT_KEYS.join(", "))));
            return None;
        }
        let (run, steps) = object.get("status").map(|node| self.statuses(&node)).unwrap_or_default();
        Some(Expected {
            starts: object.get("starts").and_then(|node| node.bool()).unwrap_or(true),
            run,
            steps,
            calls: object.get("calls").map(|node| self.calls(&node)).unwrap_or_default(),
            outputs: object.get("outputs").map(|node| self.outputs(&node)).unwrap_or_default(),
            inputs: object.get("inputs").map(|node| self.parts(&node, is_map)).unwrap_or_default(),
            errors: object.get("errors").map(|node| self.parts(&node, is_error)).unwrap_or_default(),
            contained: object.get("contained").map(|node| contained(&node)),
            journal: object.get("journal").map(|node| self.facts(&node)).unwrap_or_default(),
        })
    }

    /// Parts of what there is of a step.
    fn parts(&self, node: &Node<'_>, check: fn(&Node<'_>) -> bool) -> BTreeMap<StepId, Value> {
        let entries = node.entries().into_iter();
        let parts = entries.filter_map(|(name, node)| {
            let step = self.step(name, &node, node.key_at())?.id.clone();
            check(&node).then(|| (step, node.value().clone()))
        });
        parts.collect()
    }

    fn facts(&self, node: &Node<'_>) -> Vec<Fact> {
        let nodes = node.list().unwrap_or_default();
        nodes.iter().filter_map(|node| self.fact(node)).collect()
    }

    fn fact(&self, node: &Node<'_>) -> Option<Fact> {
        let text = node.string()?.trim();
        let (name, at) = match text.rsplit_once(" at ").map(|(name, at)| (name, time(at))) {
            Some((name, Some(at))) => (name, Some(at)),
            Some((_, None)) | None => (text, None),
        };
        let steps = || self.workflow.steps.iter().map(|step| step.id.as_str());
        let finding = match facts::check(name, |step| steps().any(|id| id == step)) {
            Ok(()) => return Some(Fact { name: name.to_owned(), at }),
            Err(NoFact::Step(step)) => {
                let finding = Diagnostic::new(
                    Rule::UNKNOWN_STEP,
                    node.word_at(step),
                    format!("there is no step `{step}`"),
                );
                finding.help(suggest(step, steps().chain(["run"])))
            }
            Err(NoFact::Words(words, known)) => {
                let message = match words {
                    "" => "a word is missing here: what became of it".to_owned(),
                    words => format!("`{words}` is nothing that can be said in a journal"),
                };
                let what = words.split_once(" by ").or(words.split_once(" with "));
                let what = what.map_or(words, |(what, _)| what);
                Diagnostic::new(Rule::UNKNOWN_FACT, node.at(), message).help(suggest(what, known.into_iter()))
            }
            Err(NoFact::Class(class)) => {
                let message = format!("`{class}` is not a failure class");
                Diagnostic::new(Rule::WRONG_VALUE, node.word_at(class), message).help(CLASSES)
            }
        };
        node.report(finding);
        None
    }

    fn statuses(&self, node: &Node<'_>) -> (Option<RunStatus>, BTreeMap<StepId, StepStatus>) {
        let mut run = None;
        let mut steps = BTreeMap::new();
        for (name, node) in node.entries() {
            if name == RUN {
                run = node.one_of(&RUN_STATUSES.map(|status| (status.as_str(), status)));
            } else if let Some(step) = self.step(name, &node, node.key_at())
                && let Some(status) = node.one_of(&STEP_STATUSES.map(|status| (status.as_str(), status)))
            {
                steps.insert(step.id.clone(), status);
            }
        }
        (run, steps)
    }

    fn calls(&self, node: &Node<'_>) -> BTreeMap<String, u64> {
        let called = |step: &'_ Step| match step.node.engine_node() {
            None => Some(step.node.name.clone()),
            Some(_) => step.callee().map(str::to_owned),
        };
        let steps = || self.workflow.steps.iter();
        let inverses = steps().filter_map(|step| Some(step.inverse.as_ref()?.node.name.clone()));
        let known: BTreeSet<String> = steps().filter_map(called).chain(inverses).collect();
        let mut calls = BTreeMap::new();
        for (name, node) in node.entries() {
            if !known.contains(name) {
                let message = format!("no step of this workflow calls `{name}`");
                let finding = Diagnostic::new(Rule::UNKNOWN_NODE, node.key_at(), message);
                node.report(finding.help(suggest(name, known.iter().map(String::as_str))));
            } else if let Some(count) = node.integer(0..=1000) {
                calls.insert(name.to_owned(), count);
            }
        }
        calls
    }

    fn outputs(&self, node: &Node<'_>) -> BTreeMap<String, Value> {
        let known = &self.workflow.outputs;
        for (name, node) in node.entries().iter().filter(|(name, _)| !known.contains_key(*name)) {
            let message = format!("the workflow has no output `{name}`");
            let finding = Diagnostic::new(Rule::UNKNOWN_OUTPUT, node.key_at(), message);
            node.report(finding.help(suggest(name, known.keys().map(String::as_str))));
        }
        let outputs = node.entries().into_iter();
        outputs.map(|(name, node)| (name.to_owned(), node.value().clone())).collect()
    }
}

/// All that the run has to hold, by its target.
fn contained(node: &Node<'_>) -> BTreeMap<String, ContainmentState> {
    let states = CONTAINMENT_STATES.map(|state| (state.as_str(), state));
    let entries = node.entries().into_iter();
    entries.filter_map(|(target, node)| Some((target.to_owned(), node.one_of(&states)?))).collect()
}

fn is_map(node: &Node<'_>) -> bool {
    node.any_object().is_some()
}

/// Whether these are parts of a failure.
fn is_error(node: &Node<'_>) -> bool {
    let object = node.object(&["message", "class", "help"]);
    object.is_some_and(|object| object.get("class").is_none_or(|node| class(&node).is_some()))
}

/// A time as the story of a run tells it: `10m30s`.
fn time(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut time = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let unit = rest.get(digits..)?;
        let end = digits + unit.find(|c: char| c.is_ascii_digit()).unwrap_or(unit.len());
        let (part, behind) = rest.split_at(end);
        time += duration::parse(part).ok()?;
        rest = behind;
    }
    (!text.is_empty()).then_some(time)
}

const RUN_STATUSES: [RunStatus; 5] =
    [RunStatus::Running, RunStatus::Waiting, RunStatus::Succeeded, RunStatus::Failed, RunStatus::Cancelled];

const STEP_STATUSES: [StepStatus; 11] = [
    StepStatus::Pending,
    StepStatus::Running,
    StepStatus::Waiting,
    StepStatus::Ok,
    StepStatus::Skipped,
    StepStatus::Failed,
    StepStatus::Rejected,
    StepStatus::Expired,
    StepStatus::InDoubt,
    StepStatus::Cancelled,
    StepStatus::Undone,
];

const CONTAINMENT_STATES: [ContainmentState; 7] = [
    ContainmentState::Sending,
    ContainmentState::InDoubt,
    ContainmentState::Holding,
    ContainmentState::UndoAsked,
    ContainmentState::Undoing,
    ContainmentState::UndoFailing,
    ContainmentState::UndoInDoubt,
];
