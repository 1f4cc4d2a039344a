//! What there is to see of a playbook, whatever it is drawn with.

use std::collections::BTreeMap;
use std::ops::Range;

use expr::{Scope, ValueTemplate, duration};
use model::{Asked, TriggerKind};
use serde_json::{Value, json};

use super::text::clean;
use crate::manifest::{Action, Effect, EngineNode};
use crate::workflow::{Approval, OnError, Step, Trigger, Workflow};

const LONGEST_LINE: usize = 90;

/// A picture: parts that stand beside each other.
#[derive(Debug)]
pub(super) struct Picture {
    pub(super) name: String,
    pub(super) parts: Vec<Part>,
}

/// Shapes and the lines between them.
#[derive(Debug, Default)]
pub(super) struct Part {
    /// What sets it apart; the steps themselves have none.
    pub(super) heading: Option<&'static str>,
    pub(super) shapes: Vec<Shape>,
    pub(super) edges: Vec<Edge>,
}

/// One thing in a picture.
#[derive(Debug)]
pub(super) struct Shape {
    /// A name of letters, digits and `_` that no other shape has.
    pub(super) key: String,
    pub(super) kind: Kind,
    pub(super) heading: String,
    pub(super) lines: Vec<Line>,
    /// Whether it is left out where a condition says so.
    pub(super) is_conditional: bool,
    /// Whether it is performed for each item of a list.
    pub(super) is_repeated: bool,
}

/// What a shape stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// It starts runs.
    Trigger,
    /// Where several triggers come together before several steps.
    Junction,
    /// People are asked before the step below it.
    Gate,
    /// People are asked, as a step of its own.
    Question,
    /// It computes.
    Compute,
    /// It waits for the clock.
    Wait,
    /// It looks.
    Read,
    /// It writes what disturbs nobody.
    Write,
    /// It takes something away from somebody.
    Disrupt,
    /// It runs another playbook.
    Call,
}

/// A line of a shape below its heading.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) text: String,
    pub(super) is_code: bool,
}

/// A line from one shape of a part to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Edge {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) flow: Flow,
}

/// When what is behind an edge goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Flow {
    /// When what is before it was done.
    Done,
    /// Also when that failed, or was refused.
    Ended,
    /// When people agree.
    Agreed,
}

impl Picture {
    pub(super) fn of(workflow: &Workflow) -> Picture {
        let mut parts = vec![part(workflow, 0..workflow.main_steps, None)];
        if !workflow.handlers().is_empty() {
            parts.push(part(workflow, workflow.handlers(), Some("on failure: when the run has failed")));
        }
        Picture { name: clean(&workflow.name, LONGEST_LINE), parts }
    }
}

impl Kind {
    /// The word that stands in the shape, beside its form and its colour.
    pub(super) fn word(self) -> &'static str {
        match self {
            Kind::Trigger => "starts a run",
            Kind::Junction => "",
            Kind::Gate | Kind::Question => "asks",
            Kind::Compute => "computes",
            Kind::Wait => "waits",
            Kind::Read => "reads",
            Kind::Write => "writes",
            Kind::Disrupt => "DISRUPTS",
            Kind::Call => "runs a playbook",
        }
    }
}

impl Part {
    fn add(&mut self, shape: Shape) -> usize {
        self.shapes.push(shape);
        self.shapes.len() - 1
    }

    fn connect(&mut self, from: usize, to: usize, flow: Flow) {
        self.edges.push(Edge { from, to, flow });
    }
}

fn part(workflow: &Workflow, steps: Range<usize>, heading: Option<&'static str>) -> Part {
    let mut part = Part { heading, ..Part::default() };
    let starts = if heading.is_none() { starts(&mut part, workflow) } else { Vec::new() };
    // Where a step is entered, and where it is left: a gate stands before it.
    let mut doors: BTreeMap<usize, (usize, usize)> = BTreeMap::new();
    for (index, step) in workflow.steps.iter().enumerate().filter(|(index, _)| steps.contains(index)) {
        let gate = step.approval.as_ref().filter(|_| step.node.engine_node() != Some(EngineNode::Approval));
        let gate = gate.map(|approval| part.add(gate_shape(step, approval)));
        let shape = part.add(step_shape(workflow, step));
        if let Some(gate) = gate {
            part.connect(gate, shape, Flow::Agreed);
        }
        doors.insert(index, (gate.unwrap_or(shape), shape));
    }
    for (from, to) in workflow.graph.reduced() {
        if let (Some((_, from_shape)), Some((to_shape, _))) = (doors.get(&from), doors.get(&to)) {
            part.connect(*from_shape, *to_shape, flow(workflow, from, to));
        }
    }
    let is_first = |index: &&usize| workflow.steps.get(**index).is_some_and(|step| step.needs.is_empty());
    let firsts: Vec<usize> =
        doors.keys().filter(is_first).filter_map(|index| doors.get(index)).map(|(door, _)| *door).collect();
    connect_starts(&mut part, &starts, &firsts);
    part
}

/// Lines from every start to every first step; where both are many, through one point.
fn connect_starts(part: &mut Part, starts: &[usize], firsts: &[usize]) {
    if starts.len() < 2 || firsts.len() < 2 {
        for start in starts {
            firsts.iter().for_each(|first| part.connect(*start, *first, Flow::Done));
        }
        return;
    }
    let junction = part.add(shape("start".to_owned(), Kind::Junction, String::new(), Vec::new()));
    starts.iter().for_each(|start| part.connect(*start, junction, Flow::Done));
    firsts.iter().for_each(|first| part.connect(junction, *first, Flow::Done));
}

fn flow(workflow: &Workflow, from: usize, to: usize) -> Flow {
    match (workflow.steps.get(from), workflow.steps.get(to)) {
        (Some(need), Some(step)) if need.on_error == OnError::Continue || step.looks_at_status(&need.id) => {
            Flow::Ended
        }
        _ => Flow::Done,
    }
}

fn starts(part: &mut Part, workflow: &Workflow) -> Vec<usize> {
    if let Some(inputs) = &workflow.inputs {
        let names = inputs.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        let lines = if names.is_empty() { Vec::new() } else { vec![words(format!("with {names}"))] };
        return vec![part.add(shape(
            "trigger_0".to_owned(),
            Kind::Trigger,
            "called by another playbook".to_owned(),
            lines,
        ))];
    }
    let shapes = workflow.triggers.iter().enumerate().map(|(index, trigger)| trigger_shape(index, trigger));
    shapes.map(|shape| part.add(shape)).collect()
}

fn trigger_shape(index: usize, trigger: &Trigger) -> Shape {
    let mut lines = Vec::new();
    let heading = match trigger.kind {
        TriggerKind::Webhook => {
            format!("webhook /hooks/{}", trigger.path.as_deref().unwrap_or_default())
        }
        TriggerKind::Manual if trigger.roles.is_empty() => "by hand".to_owned(),
        TriggerKind::Manual => format!("by hand: {}", trigger.roles.join(", ")),
        TriggerKind::Schedule => "schedule".to_owned(),
        TriggerKind::Workflow => "called by another playbook".to_owned(),
    };
    if let Some(when) = &trigger.when {
        lines.push(code(format!("when {}", when.source())));
    }
    shape(format!("trigger_{index}"), Kind::Trigger, heading, lines)
}

fn step_shape(workflow: &Workflow, step: &Step) -> Shape {
    let kind = kind(step);
    let mut lines = Vec::new();
    if let Some(title) = &step.title {
        lines.push(words(title.source().to_owned()));
    }
    lines.push(match (kind, &step.approval, step.callee()) {
        (Kind::Question, Some(approval), _) => words(approval.ask.source().to_owned()),
        (Kind::Call, _, Some(callee)) => code(format!("{} {callee}", kind.word())),
        (Kind::Wait, ..) => code(format!("{}{}", kind.word(), pause(step))),
        _ => code(format!("{} · {}", kind.word(), step.node.name)),
    });
    if let (Kind::Question, Some(approval)) = (kind, &step.approval) {
        lines.push(words(format!("{} {}", kind.word(), people(&approval.from))));
        lines.extend(lapse(approval));
    }
    if let Some(each) = &step.each {
        let most = each.max_items.map_or_else(String::new, |most| format!(", at most {most}"));
        lines.push(code(format!("for each {} in {}{most}", each.name, each.list.source())));
    }
    if let Some(until) = &step.until {
        lines.push(code(format!("until {}", until.source())));
    }
    lines.extend(end(workflow, step));
    if let Some(condition) = &step.condition {
        lines.push(code(format!("if {}", condition.source())));
    }
    let shape = shape(format!("step_{}", step.id), kind, step.id.to_string(), lines);
    Shape { is_conditional: step.condition.is_some(), is_repeated: step.each.is_some(), ..shape }
}

/// How long a step waits, where the file says it.
fn pause(step: &Step) -> String {
    match step.inputs.get("for") {
        Some(ValueTemplate::Literal(Value::String(text))) => format!(" {text}"),
        Some(ValueTemplate::Text(template)) => format!(" {}", template.source()),
        _ => String::new(),
    }
}

/// When what a step does is undone.
fn end(workflow: &Workflow, step: &Step) -> Option<Line> {
    let inverse = step.inverse.as_ref()?;
    let Some(undo) = &step.undo else { return Some(words("undone by a person".to_owned())) };
    let after = undo.after.as_ref().map(|after| {
        // The time itself, where it stands in the file.
        let scope = Scope::new(json!({ "vars": workflow.vars }));
        format!("after {}", after.eval_text(&scope).unwrap_or_else(|_| after.source().to_owned()))
    });
    let ends = [(undo.on_failed, "when the run has failed"), (undo.on_cancelled, "when it was cancelled")];
    let ends = ends.into_iter().filter(|(is_meant, _)| *is_meant).map(|(_, end)| end.to_owned());
    let when = after.into_iter().chain(ends).collect::<Vec<_>>().join(" or ");
    Some(words(match &inverse.approval {
        None => format!("undone {when}"),
        Some(approval) => format!("undone {when}, asks {}", people(&approval.from)),
    }))
}

fn kind(step: &Step) -> Kind {
    match (&step.node.action, step.effect) {
        (Action::Engine(EngineNode::Approval), _) => Kind::Question,
        (Action::Engine(EngineNode::Set), _) | (Action::Native(_), Effect::Read) => Kind::Compute,
        (Action::Engine(EngineNode::Delay), _) => Kind::Wait,
        (Action::Engine(EngineNode::Workflow), _) => Kind::Call,
        (Action::Request(_) | Action::Trigger(_), Effect::Read) => Kind::Read,
        (Action::Request(_) | Action::Native(_) | Action::Trigger(_), Effect::Write) => Kind::Write,
        (Action::Request(_) | Action::Native(_) | Action::Trigger(_), Effect::Disrupt) => Kind::Disrupt,
    }
}

fn gate_shape(step: &Step, approval: &Approval) -> Shape {
    let mut lines = vec![words(format!("{} {}", Kind::Gate.word(), people(&approval.from)))];
    lines.extend(lapse(approval));
    if let Some(skip) = &approval.skip_if {
        lines.push(code(format!("not if {}", skip.source())));
    }
    let heading = if step.each.is_some() { "gate of each item" } else { "gate" };
    let shape = shape(format!("gate_{}", step.id), Kind::Gate, heading.to_owned(), lines);
    Shape { is_conditional: approval.skip_if.is_some(), ..shape }
}

fn people(asked: &Asked) -> String {
    match (&asked.role, asked.count) {
        (Some(role), 1) => role.clone(),
        (Some(role), count) => format!("{count} of role {role}"),
        (None, 1) => "a person".to_owned(),
        (None, count) => format!("{count} people"),
    }
}

fn lapse(approval: &Approval) -> Option<Line> {
    approval.expires.map(|expires| words(format!("lapses after {}", duration::display(expires))))
}

fn shape(key: String, kind: Kind, heading: String, lines: Vec<Line>) -> Shape {
    let heading = clean(&heading, LONGEST_LINE);
    Shape { key, kind, heading, lines, is_conditional: false, is_repeated: false }
}

fn words(text: String) -> Line {
    Line { text: clean(&text, LONGEST_LINE), is_code: false }
}

fn code(text: String) -> Line {
    Line { text: clean(&text, LONGEST_LINE), is_code: true }
}
