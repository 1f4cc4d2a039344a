//! Disruption without a gate: a step that disrupts, and nobody is asked before.
//!
//! A step waits for all that it needs, and each need has to let it through. So one approval among all that lies before a
//! step is enough, on whichever way: the proof is a search for it. It stops where a step decides for itself what the
//! status of a need means, unless its `if` holds only where that need is `ok`.

use std::collections::BTreeSet;

use expr::{Scope, duration};
use serde_json::json;

use super::missing::Knowledge;
use super::target;
use crate::diagnostic::Diagnostic;
use crate::manifest::{Effect, EngineNode};
use crate::rule::Rule;
use crate::workflow::{Step, Workflow};
use crate::yaml::Node;

pub(super) fn check(nodes: &[Node<'_>], knowledge: &Knowledge<'_>) {
    for (index, node) in nodes.iter().enumerate() {
        check_step(node, index, knowledge);
    }
}

fn check_step(node: &Node<'_>, index: usize, knowledge: &Knowledge<'_>) {
    let workflow = knowledge.workflow;
    let Some(step) = workflow.steps.get(index).filter(|step| step.effect == Effect::Disrupt) else {
        return;
    };
    if step.each.as_ref().is_some_and(|each| each.max_items.is_none()) {
        let message =
            format!("`{}` disrupts once for each item, and nothing says how many are too many", step.id);
        let help = "add `max_items: 5`: with a longer list the step fails before anything is done";
        let at = node.below("/foreach").key_at();
        node.report(Diagnostic::new(Rule::UNBOUNDED_DISRUPTION, at, message).help(help));
    }
    check_undo(node, step, workflow);
    if asks_somebody(workflow, step) || is_gated(knowledge, index) {
        return;
    }
    if step.approval.is_some() {
        let message =
            format!("`skip_if` holds whatever the alert is: nobody is asked before `{}` disrupts", step.id);
        let help = "let it read the alert or a step, or remove it";
        let at = node.below("/approval/skip_if").at();
        return node.report(Diagnostic::new(Rule::UNGATED_DISRUPTION, at, message).help(help));
    }
    let message =
        format!("the step `{}` disrupts ({}), and no person is asked before", step.id, step.node.name);
    let help = "give the step an `approval:`, or let it need an approval";
    node.report(Diagnostic::new(Rule::UNGATED_DISRUPTION, node.below("/uses").at(), message).help(help));
}

/// What can be undone says when, so that nothing stays contained because nobody thought of its end.
fn check_undo(node: &Node<'_>, step: &Step, workflow: &Workflow) {
    check_time(node, step, workflow);
    let Some(inverse) = step.inverse.as_ref().filter(|_| step.node.after.lasts.is_none()) else { return };
    if node.value().get("undo").is_some() {
        return;
    }
    let message =
        format!("`{}` stays until a person undoes it, and the file does not say that it should", step.id);
    let help = format!(
        "add `undo: {{ after: 24h }}` (`{}` undoes it), with an `approval:` where the clock is only to ask; or `undo: false`",
        inverse.node.name
    );
    node.report(Diagnostic::new(Rule::NO_UNDO, node.below("/uses").at(), message).help(help));
}

/// A time that stands in `vars` is known before anything runs.
fn check_time(node: &Node<'_>, step: &Step, workflow: &Workflow) {
    let after = step.undo.as_ref().and_then(|undo| undo.after.as_ref());
    let Some(after) = after.filter(|after| !after.is_literal()) else { return };
    let Ok(text) = after.eval_text(&Scope::new(json!({ "vars": workflow.vars }))) else { return };
    if let Err(message) = duration::parse(&text) {
        let at = node.below("/undo/after").at();
        node.report(Diagnostic::new(Rule::WRONG_VALUE, at, message));
    }
}

/// Whether the step's own gate may ask somebody. A `skip_if` that holds whatever the alert is leaves no gate.
fn asks_somebody(workflow: &Workflow, step: &Step) -> bool {
    let Some(approval) = &step.approval else { return false };
    !approval.skip_if.as_ref().is_some_and(|condition| target::always_holds(workflow, condition))
}

/// Whether a step is performed only when a person has approved something before it.
fn is_gated(knowledge: &Knowledge<'_>, index: usize) -> bool {
    let steps = &knowledge.workflow.steps;
    let is_approval = |index: usize| {
        steps.get(index).is_some_and(|step| step.node.engine_node() == Some(EngineNode::Approval))
    };
    let mut seen = BTreeSet::new();
    let mut open = vec![Known { step: index, is_performed: true }];
    while let Some(known) = open.pop() {
        for before in known.proves(knowledge) {
            if is_approval(before.step) {
                return true;
            }
            if seen.insert(before) {
                open.push(before);
            }
        }
    }
    false
}

/// A step of which it is known that it was performed, or at least that its needs let it through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Known {
    step: usize,
    is_performed: bool,
}

impl Known {
    /// What is known of the steps before it.
    fn proves(self, knowledge: &Knowledge<'_>) -> Vec<Known> {
        let steps = &knowledge.workflow.steps;
        let Some(step) = steps.get(self.step) else { return Vec::new() };
        let looks_at = |other: &usize| steps.get(*other).is_some_and(|other| step.looks_at_status(&other.id));
        let needs = step.needs.iter().copied().filter(|need| !looks_at(need));
        let needs = needs.map(|step| Known { step, is_performed: false });
        // That its `if` held is known of a step that was performed, not of one that let others through.
        let asked = (0..steps.len()).filter(|other| self.is_performed && looks_at(other));
        let asked = asked.filter(|other| knowledge.is_proven(*other, self.step));
        needs.chain(asked.map(|step| Known { step, is_performed: true })).collect()
    }
}
