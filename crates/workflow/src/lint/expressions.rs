//! All expressions of a playbook, each with its place and the step that reads it.

use expr::{Condition, Leaf, Reference, Template, ValueTemplate};

use crate::manifest::EngineNode;
use crate::workflow::{Step, Workflow};
use crate::yaml::{Node, Object};

/// One expression of a playbook.
pub(super) struct Expression<'a> {
    pub(super) node: Node<'a>,
    /// The step that reads; none: it is read when all steps have settled.
    pub(super) step: Option<usize>,
    pub(super) leaf: Leaf<'a>,
}

impl Expression<'_> {
    pub(super) fn references(&self) -> &[Reference] {
        match self.leaf {
            Leaf::Text(template) => template.references(),
            Leaf::Expression(condition) => condition.references(),
        }
    }
}

/// The expressions that are evaluated in a run.
pub(super) fn in_a_run<'a>(
    root: &Object<'a>,
    nodes: &[Node<'a>],
    workflow: &'a Workflow,
) -> Vec<Expression<'a>> {
    let mut found = Vec::new();
    for (index, (node, step)) in nodes.iter().zip(&workflow.steps).enumerate() {
        let mut list = List { node, step: Some(index), found: &mut found };
        list.step(step);
    }
    if let Some(outputs) = root.get("outputs") {
        let mut list = List { node: &outputs, step: None, found: &mut found };
        for (name, condition) in &workflow.outputs {
            list.condition(&format!("/{name}"), Some(condition));
        }
    }
    found
}

struct List<'l, 'a> {
    node: &'l Node<'a>,
    step: Option<usize>,
    found: &'l mut Vec<Expression<'a>>,
}

impl<'a> List<'_, 'a> {
    fn step(&mut self, step: &'a Step) {
        self.condition("/if", step.condition.as_ref());
        self.condition("/foreach", step.each.as_ref().map(|each| &each.list));
        self.condition("/until", step.until.as_ref());
        self.template("/title", step.title.as_ref());
        for (name, values) in &step.inputs {
            self.values(&format!("/with/{name}"), values);
        }
        self.template("/undo/after", step.undo.as_ref().and_then(|undo| undo.after.as_ref()));
        let Some(approval) = &step.approval else { return };
        let is_gate = step.node.engine_node() != Some(EngineNode::Approval);
        let place = if is_gate { "/approval" } else { "/with" };
        self.template(&format!("{place}/ask"), Some(&approval.ask));
        self.condition(&format!("{place}/skip_if"), approval.skip_if.as_ref());
    }

    fn condition(&mut self, path: &str, condition: Option<&'a Condition>) {
        self.add(path, condition.map(Leaf::Expression));
    }

    fn template(&mut self, path: &str, template: Option<&'a Template>) {
        self.add(path, template.map(Leaf::Text));
    }

    fn values(&mut self, path: &str, values: &'a ValueTemplate) {
        for leaf in values.expressions() {
            self.add(path, Some(leaf));
        }
    }

    fn add(&mut self, path: &str, leaf: Option<Leaf<'a>>) {
        let node = self.node.below(path);
        self.found.extend(leaf.map(|leaf| Expression { node, step: self.step, leaf }));
    }
}
