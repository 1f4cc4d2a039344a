//! What a test expects.

use std::collections::{BTreeMap, BTreeSet};

use model::{RunStatus, StepId, StepStatus};
use serde_json::Value;
use workflow::Diagnostic;
use workflow::yaml::{Node, suggest};

use super::Reader;
use crate::rehearsal::file::Expected;

/// The key under `status` that is about the run and not about a step.
const RUN: &str = "run";

impl Reader<'_> {
    pub(super) fn expected(&self, node: &Node<'_>) -> Option<Expected> {
        let object = node.object(&["starts", "status", "calls", "outputs", "inputs"])?;
        if node.entries().is_empty() {
            let finding = Diagnostic::error("empty-test", node.at(), "this test expects nothing");
            node.report(finding.help("say at least one of starts, status, calls, outputs and inputs"));
            return None;
        }
        let (run, steps) = object.get("status").map(|node| self.statuses(&node)).unwrap_or_default();
        let inputs = object.get("inputs").map(|node| node.entries()).unwrap_or_default();
        let inputs = inputs.iter().filter_map(|(name, node)| {
            Some((
                self.step(name, node, node.key_at())?.id.clone(),
                node.any_object().and(Some(node.value().clone()))?,
            ))
        });
        Some(Expected {
            starts: object.get("starts").and_then(|node| node.bool()).unwrap_or(true),
            run,
            steps,
            calls: object.get("calls").map(|node| self.calls(&node)).unwrap_or_default(),
            outputs: object.get("outputs").map(|node| self.outputs(&node)).unwrap_or_default(),
            inputs: inputs.collect(),
        })
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
        let called = self.workflow.steps.iter().filter(|step| step.node.engine_node().is_none());
        let known: BTreeSet<&str> = called.map(|step| step.node.name.as_str()).collect();
        let mut calls = BTreeMap::new();
        for (name, node) in node.entries() {
            if !known.contains(name) {
                let message = format!("no step of this workflow calls `{name}`");
                let finding = Diagnostic::error("unknown-node", node.key_at(), message);
                node.report(finding.help(suggest(name, known.iter().copied())));
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
            let finding = Diagnostic::error("unknown-output", node.key_at(), message);
            node.report(finding.help(suggest(name, known.keys().map(String::as_str))));
        }
        let outputs = node.entries().into_iter();
        outputs.map(|(name, node)| (name.to_owned(), node.value().clone())).collect()
    }
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
