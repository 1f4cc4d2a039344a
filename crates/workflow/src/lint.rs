//! What a playbook says that cannot be right: paths that lead nowhere, and disruption without a gate.

mod expressions;
mod gate;
mod missing;
mod outside;
mod target;
mod values;

use expr::Reference;

use crate::diagnostic::Diagnostic;
use crate::manifest::EngineNode;
use crate::rule::Rule;
use crate::workflow::{Approval, Step, Workflow};
use crate::yaml::{Node, Object, suggest};

/// What can be read everywhere. Beside it stand `alert`, or `inputs` in a playbook that others call; `error` in
/// `on_failure`; the item of a `foreach`; and `output` in `until`.
const ROOTS: [&str; 7] = ["approvals", "errors", "run", "status", "steps", "trigger", "vars"];

pub(crate) fn check<'a>(root: &Object<'a>, nodes: &[Node<'a>], workflow: &'a Workflow) {
    let expressions = expressions::in_a_run(root, nodes, workflow);
    let knowledge = missing::Knowledge::new(workflow);
    missing::check(&knowledge, &expressions);
    gate::check(nodes, &knowledge);
    values::check(root, workflow, &expressions);
    target::check(nodes, workflow);
    outside::check(nodes, workflow);
    for (index, (node, step)) in nodes.iter().zip(&workflow.steps).enumerate() {
        check_step_references(node, index, step, workflow);
    }
    let checker = References { workflow, before: None, own: Vec::new() };
    if let Some(outputs) = root.get("outputs") {
        for (key, condition) in &workflow.outputs {
            checker.check(&outputs.below(&format!("/{key}")), condition.references());
        }
    }
    for (index, trigger) in workflow.triggers.iter().enumerate() {
        let when = root.node().below(&format!("/triggers/{index}/when"));
        checker.check_early(&when, trigger.when.iter().flat_map(|when| when.references()), "when");
    }
    if let Some(dedupe) = &workflow.dedupe {
        checker.check_early(&root.node().below("/dedupe/key"), dedupe.key.references(), "key");
    }
    if let Some(concurrency) = &workflow.concurrency {
        checker.check_early(&root.node().below("/concurrency/key"), concurrency.key.references(), "key");
    }
}

fn check_step_references(node: &Node<'_>, index: usize, step: &Step, workflow: &Workflow) {
    let own = workflow.handlers().contains(&index).then_some("error").into_iter().collect();
    let mut checker = References { workflow, before: Some(index), own };
    if let Some(condition) = &step.condition {
        checker.check(&node.below("/if"), condition.references());
    }
    if let Some(each) = &step.each {
        checker.check(&node.below("/foreach"), each.list.references());
        checker.own.push(&each.name);
    }
    if let Some(until) = &step.until {
        let own = checker.own.iter().copied().chain(["output"]).collect();
        let checker = References { workflow, before: Some(index), own };
        checker.check(&node.below("/until"), until.references());
    }
    if let Some(title) = &step.title {
        checker.check(&node.below("/title"), title.references());
    }
    for (name, values) in &step.inputs {
        checker.check(&node.below(&format!("/with/{name}")), values.references());
    }
    if let Some(after) = step.undo.as_ref().and_then(|undo| undo.after.as_ref()) {
        checker.check(&node.below("/undo/after"), after.references());
    }
    if let Some(approval) = step.inverse.as_ref().and_then(|inverse| inverse.approval.as_ref()) {
        // Asked when all steps have settled.
        let checker = References { workflow, before: None, own: checker.own.clone() };
        checker.check_question(&node.below("/undo/approval"), approval);
    }
    let Some(approval) = &step.approval else { return };
    let is_gate = step.node.engine_node() != Some(EngineNode::Approval);
    let place = node.below(if is_gate { "/approval" } else { "/with" });
    checker.check_question(&place, approval);
    if let Some(skip_if) = &approval.skip_if {
        checker.check(&place.below("/skip_if"), skip_if.references());
    }
}

struct References<'a> {
    workflow: &'a Workflow,
    /// The step that reads; none: all steps are settled.
    before: Option<usize>,
    /// The roots that are there beside those that always are.
    own: Vec<&'a str>,
}

impl References<'_> {
    fn check<'r>(&self, node: &Node<'_>, references: impl IntoIterator<Item = &'r Reference>) {
        for reference in references {
            if let Some((message, help)) = self.problem(reference) {
                let at = node.word_at(&reference.text());
                let mut finding = Diagnostic::new(Rule::UNKNOWN_PATH, at, message);
                finding.help = help;
                node.report(finding);
            }
        }
    }

    fn check_question(&self, place: &Node<'_>, approval: &Approval) {
        self.check(&place.below("/ask"), approval.ask.references());
        for (index, path) in approval.show.iter().enumerate() {
            let reference = Reference::optional(path.clone());
            self.check(&place.below(&format!("/show/{index}")), [&reference]);
        }
    }

    /// Checks an expression that is evaluated before the run exists.
    fn check_early<'r>(
        &self,
        node: &Node<'_>,
        references: impl IntoIterator<Item = &'r Reference>,
        key: &str,
    ) {
        let data = self.data_root();
        for reference in
            references.into_iter().filter(|reference| ![data, "trigger"].contains(&reference.root()))
        {
            let at = node.word_at(&reference.text());
            let message = format!(
                "`{key}` is evaluated before the run exists: only `{data}` and `trigger` can be read"
            );
            let help = "write the value itself, or ask for it in the `if` of a step";
            node.report(Diagnostic::new(Rule::UNKNOWN_PATH, at, message).help(help));
        }
    }

    fn problem(&self, reference: &Reference) -> Option<(String, Option<String>)> {
        let root = reference.root();
        let known = || ROOTS.into_iter().chain([self.data_root()]).chain(self.own.iter().copied());
        if !known().any(|known| known == root) {
            return Some(self.no_root(root, reference.path.len() == 1, suggest(root, known())));
        }
        let name = reference.path.get(1)?;
        match root {
            _ if self.own.contains(&root) => None,
            "inputs" => {
                let inputs = self.workflow.inputs.as_ref()?;
                let help = suggest(name, inputs.keys().map(String::as_str));
                (!inputs.contains_key(name))
                    .then(|| (format!("this playbook has no input `{name}`"), Some(help)))
            }
            "vars" if !self.workflow.vars.contains_key(name) => {
                let help = match self.workflow.vars.is_empty() {
                    true => format!("this playbook has no `vars`: add `vars: {{ {name}: ... }}` at its top"),
                    false => suggest(name, self.workflow.vars.keys().map(String::as_str)),
                };
                Some((format!("there is no variable `{name}`"), Some(help)))
            }
            "steps" | "status" | "errors" | "approvals" => self.step_problem(name, reference),
            _ => None,
        }
    }

    /// What the run was started with.
    fn data_root(&self) -> &'static str {
        if self.workflow.inputs.is_some() { "inputs" } else { "alert" }
    }

    fn no_root(&self, root: &str, is_word: bool, suggestion: String) -> (String, Option<String>) {
        let is_item = |step: &&Step| step.each.as_ref().is_some_and(|each| each.name == root);
        if root == "alert" {
            let help = "the playbook that calls this one has the alert: take what you need of it as an input";
            return ("there is no alert in a playbook that others call".to_owned(), Some(help.to_owned()));
        }
        if root == "error" {
            let help = "elsewhere, read `errors.<step>.message`";
            return ("`error` is there in `on_failure` only".to_owned(), Some(help.to_owned()));
        }
        if let Some(step) = self.workflow.steps.iter().find(is_item) {
            let message = format!("`{root}` is the item of the step `{}`, and is not known here", step.id);
            let help = "`if` and `foreach` are evaluated once, before the items: filter the list instead";
            return (message, Some(help.to_owned()));
        }
        if is_word {
            let help = format!("if it is meant as text, put it in quotes: '{root}'; else: {suggestion}");
            return (format!("there is no root `{root}`"), Some(help));
        }
        (format!("there is no root `{root}`"), Some(suggestion))
    }

    fn step_problem(&self, name: &str, reference: &Reference) -> Option<(String, Option<String>)> {
        let steps = &self.workflow.steps;
        let Some(index) = steps.iter().position(|step| step.id.as_str() == name) else {
            let known = steps.iter().map(|step| step.id.as_str());
            return Some((format!("there is no step `{name}`"), Some(suggest(name, known))));
        };
        if let Some(before) = self.before
            && !self.workflow.graph.is_before(index, before)
        {
            let message = format!("the step `{name}` has not settled when this is read");
            return Some((message, Some(format!("add `{name}` to the `needs` of this step"))));
        }
        let field = reference.path.get(2).filter(|_| reference.root() == "steps")?;
        let step = steps.get(index)?;
        let known: Vec<&str> = match step.node.engine_node() {
            _ if step.each.is_some() => vec!["failed", "items"],
            Some(EngineNode::Workflow) => {
                self.workflow.callees.get(step.callee()?)?.iter().map(String::as_str).collect()
            }
            Some(EngineNode::Set) => step.inputs.keys().map(String::as_str).collect(),
            _ => step.node.output_fields()?,
        };
        if known.contains(&field.as_str()) {
            return None;
        }
        let message = format!("the output of `{name}` ({}) has no field `{field}`", step.node.name);
        Some((message, Some(suggest(field, known.into_iter()))))
    }
}
