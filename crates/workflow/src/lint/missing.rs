//! Outputs that are read and may not be there.
//!
//! A step that was skipped by its own `if`, or that failed with `on_error: continue`, lets the steps behind it through
//! and has no output. The question is always the same: does it follow from the fact that this step runs, that the other
//! one is `ok`? What the step's `if` says of statuses is tried out with all that they can be; what else it reads is not
//! known, so a doubt that remains is a finding.

use std::collections::BTreeSet;

use expr::{Condition, Leaf, Reference, Scope};
use model::Mode;
use serde_json::{Map, Value, json};

use super::expressions::Expression;
use crate::diagnostic::Diagnostic;
use crate::manifest::{Effect, EngineNode};
use crate::rule::Rule;
use crate::workflow::{OnError, Step, Workflow};

/// A condition that looks at more steps than these is not tried out.
const MOST_STATUSES: usize = 4;

pub(super) fn check(knowledge: &Knowledge<'_>, expressions: &[Expression<'_>]) {
    let workflow = knowledge.workflow;
    for expression in expressions {
        let mut seen = BTreeSet::new();
        for reference in expression.references() {
            let Some(index) = read_step(workflow, reference) else { continue };
            if is_guarded(workflow, expression, reference, index) || !seen.insert(index) {
                continue;
            }
            let Some(why) = knowledge.doubt(index, expression.step) else { continue };
            let Some(step) = workflow.steps.get(index) else { continue };
            let message = format!("`{}` may not be there: the step `{}` {why}", reference.text(), step.id);
            let at = expression.node.word_at(&reference.text());
            let finding = Diagnostic::new(Rule::MAYBE_MISSING, at, message);
            expression.node.report(finding.help(help(expression, reference, &step.id)));
        }
    }
}

fn help(expression: &Expression<'_>, reference: &Reference, id: &model::StepId) -> String {
    match expression.leaf {
        Leaf::Text(_) => {
            let default = format!("write `{{{{ default {} \"...\" }}}}`", reference.text());
            format!("{default}, or give the step `if: status.{id} == \"ok\"`")
        }
        Leaf::Expression(_) if reference.is_optional => {
            format!("`has` wants `steps.{id}` to be there: write `status.{id} == \"ok\" && ...`")
        }
        Leaf::Expression(_) => {
            format!("write `status.{id} == \"ok\" && ...`, or `has(steps.{id}) ? ... : ...`")
        }
    }
}

/// The step whose output a path reads.
fn read_step(workflow: &Workflow, reference: &Reference) -> Option<usize> {
    let name = reference.path.get(1).filter(|_| reference.root() == "steps")?;
    workflow.steps.iter().position(|step| step.id.as_str() == name)
}

/// Whether the expression copes itself, or asks for the step before it reads.
fn is_guarded(workflow: &Workflow, expression: &Expression<'_>, reference: &Reference, index: usize) -> bool {
    let copes = match expression.leaf {
        Leaf::Text(_) => reference.is_optional,
        Leaf::Expression(_) => reference.is_optional && reference.path.len() == 2,
    };
    let asks = |references: &[Reference]| references.iter().any(|other| asks_for(workflow, other, index));
    copes || asks(expression.references())
}

/// `status.ID`, or `has(steps.ID)`.
fn asks_for(workflow: &Workflow, reference: &Reference, index: usize) -> bool {
    let Some(step) = workflow.steps.get(index) else { return false };
    let path: Vec<&str> = reference.path.iter().map(String::as_str).collect();
    path == ["status", step.id.as_str()]
        || (reference.is_optional && reference.within.is_empty() && path == ["steps", step.id.as_str()])
}

/// What follows from the graph and the conditions of a playbook about the statuses of its steps.
pub(super) struct Knowledge<'a> {
    pub(super) workflow: &'a Workflow,
    /// Which steps can be skipped by their own `if`, or are held back.
    skippable: Vec<bool>,
}

impl<'a> Knowledge<'a> {
    pub(super) fn new(workflow: &'a Workflow) -> Knowledge<'a> {
        let mut knowledge = Knowledge { workflow, skippable: vec![true; workflow.steps.len()] };
        for index in workflow.graph.order() {
            let Some(step) = workflow.steps.get(*index) else { continue };
            let is_held_back = workflow.mode == Mode::Shadow && step.effect == Effect::Disrupt;
            let can_skip = step.condition.as_ref().is_some_and(|condition| {
                !knowledge.always(condition, true, &|of| knowledge.statuses(of, *index))
            });
            if let Some(place) = knowledge.skippable.get_mut(*index) {
                *place = can_skip || is_held_back;
            }
        }
        knowledge
    }

    /// Why the output of a step may be missing where it is read; none: it is there.
    fn doubt(&self, read: usize, reader: Option<usize>) -> Option<&'static str> {
        let step = self.workflow.steps.get(read)?;
        let reader = match reader {
            // What a run gives is looked at when it has succeeded: then only this can be missing.
            None => return self.lets_through_without_output(read, step),
            Some(reader) => reader,
        };
        if self.follows(read, reader) {
            return None;
        }
        if self.workflow.handlers().contains(&reader) && read < self.workflow.main_steps {
            return Some("may not have been performed when `on_failure` begins");
        }
        let why = self.lets_through_without_output(read, step);
        Some(why.unwrap_or("may not be `ok`: the `if` of this step lets it run all the same"))
    }

    fn lets_through_without_output(&self, index: usize, step: &Step) -> Option<&'static str> {
        if self.skippable.get(index) == Some(&true) {
            return Some("can be skipped, and then it has no output");
        }
        (step.on_error == OnError::Continue).then_some("can fail and let others go on (`on_error: continue`)")
    }

    /// Whether it follows that `read` is `ok` when `reader` is performed, as far as the author seems to mean it: an `if`
    /// that also depends on the alert counts when it asks for the step.
    fn follows(&self, read: usize, reader: usize) -> bool {
        let condition = self.workflow.steps.get(reader).and_then(|step| step.condition.as_ref());
        self.is_proven(read, reader)
            || condition.is_some_and(|condition| self.asks_blindly(condition, read, reader))
    }

    /// Whether it follows that `read` is `ok` when `reader` is performed, whatever the alert is.
    pub(super) fn is_proven(&self, read: usize, reader: usize) -> bool {
        if self.follows_from_needs(read, reader) {
            return true;
        }
        let Some(condition) = self.workflow.steps.get(reader).and_then(|step| step.condition.as_ref()) else {
            return false;
        };
        let statuses = |index: usize| {
            let mut statuses = self.statuses(index, reader);
            if index == read {
                statuses.retain(|status| *status != "ok");
            } else if self.follows_from_needs(read, index) {
                // It was stopped, for it needs the step that is not `ok`.
                statuses.retain(|status| matches!(*status, "skipped" | "cancelled"));
            }
            statuses
        };
        self.always(condition, false, &statuses)
    }

    /// Whether it follows that `read` is `ok` when the needs of `reader` have let it through.
    fn follows_from_needs(&self, read: usize, reader: usize) -> bool {
        let mut seen = BTreeSet::new();
        let mut let_through = vec![reader];
        while let Some(step) = let_through.pop().and_then(|index| self.workflow.steps.get(index)) {
            for need in &step.needs {
                let Some(needed) = self.workflow.steps.get(*need) else { continue };
                if step.looks_at_status(&needed.id) {
                    continue;
                }
                if *need == read && self.lets_through_without_output(*need, needed).is_none() {
                    return true;
                }
                if seen.insert(*need) {
                    let_through.push(*need);
                }
            }
        }
        false
    }

    /// Whether a condition that cannot be tried out asks for the step.
    fn asks_blindly(&self, condition: &Condition, read: usize, reader: usize) -> bool {
        let asks = condition.references().iter().any(|reference| asks_for(self.workflow, reference, read));
        asks && !self
            .outcomes(condition, &|index| match index == read {
                true => self.statuses(index, reader).into_iter().filter(|status| *status != "ok").collect(),
                false => self.statuses(index, reader),
            })
            .contains(&Some(true))
    }

    /// What a step can be when another one, behind it, looks at its status.
    fn statuses(&self, index: usize, reader: usize) -> Vec<&'static str> {
        let Some(step) = self.workflow.steps.get(index) else { return Vec::new() };
        let mut statuses = vec!["ok", "failed"];
        let is_stopped = step.needs.iter().any(|need| {
            let needed = self.workflow.steps.get(*need);
            needed.is_some_and(|needed| !step.looks_at_status(&needed.id))
        });
        if is_stopped || self.skippable.get(index) == Some(&true) {
            statuses.push("skipped");
        }
        if step.approval.is_some() || step.node.engine_node() == Some(EngineNode::Approval) {
            statuses.extend(["rejected", "expired"]);
        }
        let is_of_before = index < self.workflow.main_steps && reader >= self.workflow.main_steps;
        if is_of_before && self.workflow.timeout.is_some() {
            // The time limit was over before it began.
            statuses.push("cancelled");
        }
        statuses
    }

    /// Whether a condition gives this value for every combination of statuses.
    fn always(
        &self,
        condition: &Condition,
        value: bool,
        statuses: &dyn Fn(usize) -> Vec<&'static str>,
    ) -> bool {
        let outcomes = self.outcomes(condition, statuses);
        !outcomes.is_empty() && outcomes.iter().all(|outcome| *outcome == Some(value))
    }

    /// What a condition gives for every combination of statuses; none where it depends on more.
    fn outcomes(
        &self,
        condition: &Condition,
        statuses: &dyn Fn(usize) -> Vec<&'static str>,
    ) -> Vec<Option<bool>> {
        if condition.references().iter().any(|reference| reference.path == ["status"]) {
            // It looks at all of them, and only some are tried out.
            return Vec::new();
        }
        let mut looked_at: Vec<usize> = Vec::new();
        for reference in condition.references().iter().filter(|reference| reference.root() == "status") {
            let named = reference.path.get(1).and_then(|name| {
                self.workflow.steps.iter().position(|step| step.id.as_str() == name.as_str())
            });
            looked_at.extend(named.filter(|index| !looked_at.contains(index)));
        }
        if looked_at.is_empty() || looked_at.len() > MOST_STATUSES {
            return Vec::new();
        }
        let mut combinations: Vec<Map<String, Value>> = vec![Map::new()];
        for index in looked_at {
            let name = self.workflow.steps.get(index).map_or_else(String::new, |step| step.id.to_string());
            let with = |combination: &Map<String, Value>, status: &str| {
                let mut combination = combination.clone();
                combination.insert(name.clone(), status.into());
                combination
            };
            let choices = statuses(index);
            combinations = (combinations.iter())
                .flat_map(|combination| choices.iter().map(move |status| with(combination, status)))
                .collect();
        }
        let scope = |status| Scope::new(json!({ "status": status, "vars": self.workflow.vars }));
        combinations.into_iter().map(|status| condition.holds(&scope(status)).ok()).collect()
    }
}
