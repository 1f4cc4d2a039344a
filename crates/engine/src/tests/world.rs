//! A catalogue of four nodes, and a run whose clock and people are moved by hand.

use std::sync::Arc;
use std::time::Duration;

use model::{
    Decision, Event, Failure, FailureClass, Outcome, Person, Record, Resolution, RunId, SkipReason,
    Timestamp, Trigger, TriggerKind,
};
use serde_json::{Value, json};
use workflow::{Catalog, Diagnostics, Workflow};

use crate::{Input, Rejected, Run, Start, Verdict};

pub(super) const NODES: [&str; 13] = [
    "node: look\nsummary: looks\neffect: read\non_doubt: retry\nrequest: { method: POST, path: /x }\ninputs:\n  at: { type: any, summary: x }\n",
    "node: act\nsummary: acts\neffect: disrupt\non_doubt: ask\nrequest: { method: POST, path: /x }\ntarget: \"host/{{ inputs.on }}\"\ninputs:\n  on: { type: string, required: true, summary: x }\n",
    "node: isolate\nsummary: isolates\neffect: disrupt\non_doubt: verify\nrequest: { method: POST, path: /x }\ntarget: \"host/{{ inputs.on }}/network\"\nverify: { uses: seen, with: { key: \"{{ call.key }}\" }, expect: output.found, every: 5s, within: 12s }\nundo: { uses: release, with: { on: \"{{ inputs.on }}\" } }\ninputs:\n  on: { type: string, required: true, summary: x }\n",
    "node: seen\nsummary: looks whether it happened\neffect: read\non_doubt: retry\nrequest: { method: GET, path: /x }\ninputs:\n  key: { type: string, required: true, summary: x }\n",
    "node: release\nsummary: undoes isolate\neffect: write\non_doubt: retry\nrequest: { method: POST, path: /y }\ninputs:\n  on: { type: string, required: true, summary: x }\n",
    "node: timed\nsummary: blocks for a while\neffect: disrupt\non_doubt: ask\nrequest: { method: POST, path: /x }\ntarget: \"host/{{ inputs.on }}/port\"\nlasts: \"{{ inputs.for }}\"\ninputs:\n  on: { type: string, required: true, summary: x }\n  for: { type: duration, required: true, summary: x }\n",
    "node: order\nsummary: orders once\neffect: write\non_doubt: same_key\nrequest: { method: POST, path: /x, headers: { idempotency-key: \"{{ call.key }}\" } }\n",
    "node: file\nsummary: opens a file once\neffect: write\non_doubt: verify\nrequest: { method: POST, path: /x }\nverify: { uses: seen, with: { key: \"{{ call.key }}\" }, expect: output.found, every: 5s, within: 5s, when: doubt, otherwise: retry, output: { id: \"{{ output.id }}\" } }\n",
    "node: tell\nsummary: tells people\neffect: write\non_doubt: retry\nrequest: { method: POST, path: /x }\ninputs:\n  text: { type: string, required: true, summary: x }\n",
    "node: set\nsummary: sets\neffect: read\non_doubt: retry\nengine: set\n",
    "node: approval\nsummary: asks\neffect: read\non_doubt: retry\nengine: approval\n",
    "node: workflow\nsummary: calls\neffect: read\non_doubt: retry\nengine: workflow\ninputs:\n  workflow: { type: string, required: true, summary: x }\n  inputs: { type: object, default: {}, summary: x }\n",
    "node: delay\nsummary: waits\neffect: read\non_doubt: retry\nengine: delay\ninputs:\n  for: { type: duration, required: true, summary: x }\n",
];

/// The workflow with this text; a finding is a mistake of the test.
pub(super) fn workflow(text: &str) -> Arc<Workflow> {
    check(text).unwrap_or_else(|findings| panic!("{findings}"))
}

/// The workflow with this text, if the checker passes it.
pub(super) fn check(text: &str) -> Result<Arc<Workflow>, Diagnostics> {
    let mut catalog = Catalog::default();
    for node in NODES {
        catalog.add("node.yaml", node).unwrap();
    }
    let callee = "workflow: callee\ninputs: { x: { type: any } }\nsteps: [{ id: a, uses: set }]\noutputs: { y: steps.a.y }\n";
    catalog.add_workflow(workflow::Draft::parse("callee.yaml", callee).unwrap().signature().unwrap());
    let (workflow, findings) = workflow::load("story.yaml", text, &catalog);
    workflow.map(Arc::new).ok_or(findings)
}

pub(super) fn id() -> RunId {
    RunId::from_bytes([7; 16])
}

pub(super) fn start() -> Start {
    Start {
        trigger: Trigger {
            kind: TriggerKind::Manual,
            received_at: Timestamp::from_millis(0),
            headers: Default::default(),
            query: Default::default(),
            by: None,
            parent: None,
            reconciled: false,
        },
        turn: None,
        alert: json!({ "rule": { "id": "5763", "level": 10, "description": "brute force" }, "agent": { "name": "web-01" } })
            .into(),
    }
}

pub(super) fn person(name: &str, roles: &[&str]) -> Person {
    Person { name: name.to_owned(), via: None, roles: roles.iter().map(|role| (*role).to_owned()).collect() }
}

/// A run, the clock that it sees, and everything that it recorded.
pub(super) struct World {
    pub(super) run: Run,
    pub(super) now: Timestamp,
    pub(super) journal: Vec<Record>,
    /// Whether whatever is to be done may be done.
    pub(super) clears: bool,
}

impl World {
    pub(super) fn new(text: &str) -> World {
        World::with(text, start())
    }

    pub(super) fn with(text: &str, start: Start) -> World {
        let now = Timestamp::from_millis(1_000);
        let (run, journal) = Run::start(id(), workflow(text), start, now);
        let mut world = World { run, now, journal, clears: true };
        world.clear();
        world
    }

    /// Nothing stands in the way of what is to be done, unless the test says so.
    fn clear(&mut self) {
        while let Some(clearance) = self.run.clearances().into_iter().next().filter(|_| self.clears) {
            let input = Input::Cleared { step: clearance.step, verdict: Verdict::Go };
            let (records, result) = self.run.handle(input, self.now);
            self.journal.extend(records);
            result.unwrap();
        }
    }

    pub(super) fn tell(&mut self, input: Input) -> Result<(), Rejected> {
        let (records, result) = self.run.handle(input, self.now);
        self.journal.extend(records);
        self.clear();
        result
    }

    /// Says whether something that is to be done may be.
    pub(super) fn cleared(&mut self, step: &str, verdict: Verdict) {
        self.tell(Input::Cleared { step: step.parse().unwrap(), verdict }).unwrap();
    }

    /// A look ends with this.
    pub(super) fn sees(&mut self, step: &str, seen: Value) {
        let step = step.parse().unwrap();
        let look = self.run.commands().into_iter().find(|command| command.step == step).unwrap().look;
        let outcome = Outcome::Succeeded(seen.into());
        self.tell(Input::Looked { step, look: look.expect("somebody looks"), outcome }).unwrap();
    }

    /// A look comes back with nothing but an error.
    pub(super) fn look_fails(&mut self, step: &str) {
        let step = step.parse().unwrap();
        let look = self.run.commands().into_iter().find(|command| command.step == step).unwrap().look;
        let outcome = Outcome::Failed(Failure::new(FailureClass::Connect, "the indexer refuses connections"));
        self.tell(Input::Looked { step, look: look.expect("somebody looks"), outcome }).unwrap();
    }

    pub(super) fn unknown(&mut self, step: &str) {
        self.ends(step, Outcome::Unknown(Failure::new(FailureClass::Timeout, "no answer")));
    }

    /// The process dies, and another one takes the run up.
    pub(super) fn crash(&mut self) {
        self.run = Run::replay(id(), self.run.workflow().clone(), &self.journal).unwrap();
        self.tell(Input::Recovered).unwrap();
    }

    pub(super) fn undoes(&mut self, step: &str, is_done: bool) -> Result<(), Rejected> {
        let (by, reason) = (person("ana", &[]), "it was the scanner".to_owned());
        self.tell(Input::Undo { step: step.parse().unwrap(), is_done, by, reason })
    }

    /// What the run holds: target, state, and until when.
    pub(super) fn held(&self) -> String {
        let row = |row: &model::Containment| {
            let until =
                row.until.map_or("for ever".to_owned(), |until| (until.as_millis() / 1000).to_string());
            format!("{} {} {until}", row.target, row.state.as_str())
        };
        self.run.summary().containments.iter().map(row).collect::<Vec<_>>().join("; ")
    }

    pub(super) fn wait(&mut self, seconds: u64) {
        self.now = self.now.after(Duration::from_secs(seconds));
        self.tell(Input::Tick).unwrap();
    }

    pub(super) fn ends(&mut self, step: &str, outcome: Outcome) {
        let step = step.parse().unwrap();
        let commands = self.run.commands();
        let command = commands.iter().find(|command| command.step == step).expect("the step is under way");
        self.tell(Input::Finished { step, attempt: command.attempt, outcome }).unwrap();
    }

    pub(super) fn succeeds(&mut self, step: &str, output: Value) {
        self.ends(step, Outcome::Succeeded(output.into()));
    }

    pub(super) fn fails(&mut self, step: &str, class: FailureClass) {
        self.ends(step, Outcome::Failed(Failure::new(class, "it did not work")));
    }

    pub(super) fn decides(
        &mut self,
        step: &str,
        decision: Decision,
        by: Person,
        reason: &str,
    ) -> Result<(), Rejected> {
        let reason = (!reason.is_empty()).then(|| reason.to_owned());
        self.tell(Input::Decided { step: step.parse().unwrap(), decision, by, reason, digest: None })
    }

    pub(super) fn resolves(&mut self, step: &str, resolution: Resolution) -> Result<(), Rejected> {
        let by = person("ana", &[]);
        self.tell(Input::Resolved {
            step: step.parse().unwrap(),
            resolution,
            by,
            reason: "looked at the host".to_owned(),
        })
    }

    /// The journal as a person would tell it, and what the run waits for.
    pub(super) fn story(&self) -> String {
        let mut lines: Vec<String> = self.journal.iter().map(line).collect();
        let commands: Vec<String> = self
            .run
            .commands()
            .iter()
            .map(|command| format!("{}#{}", command.step, command.attempt))
            .collect();
        lines.push(format!("-- {} {}", self.run.status().as_str(), commands.join(" ")).trim_end().to_owned());
        lines.join("\n")
    }
}

#[expect(clippy::too_many_lines, reason = "a line for each fact")]
fn line(record: &Record) -> String {
    let seconds = record.at.as_millis() / 1000;
    let what = match &record.event {
        Event::RunStarted { .. } => "run started".to_owned(),
        Event::TriggerFailed { message } => format!("nobody knows whether it is meant: {message}"),
        Event::StepStarted { step, attempt, inputs, target, .. } => {
            let target = target.as_ref().map(|target| format!(" on {target}")).unwrap_or_default();
            format!("{step} started #{attempt} {inputs}{target}")
        }
        Event::StepSucceeded { step, output } => format!("{step} ok {output}"),
        Event::StepFailed { step, failure, retry_at } => {
            let retry = if retry_at.is_some() { ", to be tried again" } else { "" };
            format!("{step} failed: {failure} ({}){retry}", failure.class)
        }
        Event::StepSkipped { step, reason: SkipReason::Condition } => format!("{step} skipped by its own if"),
        Event::StepSkipped { step, reason: SkipReason::StoppedBy(need) } => {
            format!("{step} stopped by {need}")
        }
        Event::StepSkipped { step, reason: SkipReason::Shadow { inputs, .. } } => {
            format!("{step} held back {inputs}")
        }
        Event::StepInDoubt { step, failure } => format!("{step} in doubt: {failure}"),
        Event::EachStarted { step, items } => format!("{step} for each of {items}"),
        Event::EachEnded { step, status, output, failure } => {
            let why = failure.as_ref().map(|failure| format!(" because {failure}")).unwrap_or_default();
            format!("{step} ends {}{why} {output}", status.as_str())
        }
        Event::ChildStarted { step, workflow, inputs, .. } => format!("{step} calls {workflow} {inputs}"),
        Event::StepPrepared { step, .. } => format!("{step} prepared"),
        Event::StepJoined { step, target, .. } => format!("{step} joined: {target} is held already"),
        Event::VerifyStarted { step, failure, .. } => {
            let why = failure.as_ref().map_or("taken".to_owned(), |failure| format!("unknown ({failure})"));
            format!("{step} {why}, looked for")
        }
        Event::LookedInVain { step, look, again_at, .. } => {
            format!("{step} not seen by look {look}, again at {}", again_at.as_millis() / 1000)
        }
        Event::LookStarted { step, look } => format!("{step} look {look}"),
        Event::StepUnknown { step, failure, .. } => format!("{step} unknown: {failure}, to be sent again"),
        Event::UndoDue { step, why } => format!("{step} due: {why:?}"),
        Event::AlarmRaised { step, message } => format!("{step} alarm: {message}"),
        Event::LetGo { step, how } => format!("{step} let go: {how:?}"),
        Event::AlertJoined { alert, .. } => {
            format!("alert again{}", if alert.is_some() { "" } else { ", not kept" })
        }
        Event::RunHeld { then, .. } => format!("run {then:?}"),
        Event::RunAdmitted => "run admitted".to_owned(),
        Event::RunTimedOut => "run timed out".to_owned(),
        Event::DelayStarted { step, until } => format!("{step} waits until {}", until.as_millis() / 1000),
        Event::ApprovalRequested { step, request } => format!("{step} asks \"{}\"", request.ask),
        Event::ApprovalDecided { step, decision, by, .. } => format!("{step} {decision:?} by {}", by.name),
        Event::ApprovalExpired { step } => format!("{step} expired"),
        Event::Resolved { step, resolution, by, .. } => {
            format!("{step} resolved {resolution:?} by {}", by.name)
        }
        Event::RunCancelled { by, .. } => format!("run cancelled by {}", by.name),
        Event::RunFinished { status, outputs, errors } => {
            let outputs = serde_json::to_string(outputs).unwrap();
            format!("run {} {outputs}{}", status.as_str(), errors.values().cloned().collect::<String>())
        }
    };
    format!("{seconds:>3} {what}")
}
