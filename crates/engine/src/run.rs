//! One execution of a workflow.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use expr::Scope;
use model::{
    Event, Mode, Outcome, Parent, Record, RunId, RunStatus, RunSummary, StepId, StepKey, StepStatus,
    Timestamp,
};
use serde_json::Value;
use workflow::{Effect, Step, Workflow};

use crate::command::{Child, Command};
use crate::held::{Held, Holder};
use crate::input::{Input, Rejected, Start};
use crate::place::Place;
use crate::scope;
use crate::state::{State, StepState, Verifying};
use crate::summary;

/// One execution of a workflow: the fold over its journal.
#[derive(Debug, Clone)]
pub struct Run {
    pub(crate) id: RunId,
    pub(crate) workflow: Arc<Workflow>,
    pub(crate) steps: Vec<StepState>,
    pub(crate) scope: Scope,
    pub(crate) phase: Phase,
    pub(crate) is_cancelled: bool,
    pub(crate) is_in_vain: bool,
    pub(crate) is_timed_out: bool,
    /// Whether it waits for another run of its workflow.
    pub(crate) is_queued: bool,
    pub(crate) is_shadow: bool,
    pub(crate) concurrency: Option<String>,
    pub(crate) parent: Option<Parent>,
    pub(crate) about: String,
    pub(crate) error: Option<String>,
    pub(crate) outputs: BTreeMap<String, Value>,
    /// What it holds, or held, and by which step.
    pub(crate) held: BTreeMap<Holder, Held>,
    /// What a person does not want to be undone, whatever the clock says.
    pub(crate) kept: BTreeSet<Holder>,
    /// Whether something could not be undone, and the steps of `on_failure` say so.
    pub(crate) is_alarmed: bool,
    /// When it disrupted something, in the last hour.
    pub(crate) disrupted_at: Vec<Timestamp>,
    /// The alerts that came again, as far as they are kept, and how many came.
    pub(crate) joined_alerts: Vec<Arc<Value>>,
    pub(crate) alerts_again: u32,
    /// Which alert started it.
    pub(crate) alert_id: Option<String>,
    /// Whether one of its alerts never came by itself.
    pub(crate) reconciled: bool,
    pub(crate) started_at: Timestamp,
    /// When its turn came; its time limit counts from here.
    pub(crate) began_at: Timestamp,
    pub(crate) updated_at: Timestamp,
    pub(crate) next_seq: u32,
}

/// How far a run has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Empty,
    Live,
    Finished(RunStatus),
}

/// A journal that no run of this workflow can have written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("record {seq} cannot be: {message}")]
pub struct Corrupt {
    /// The sequence number of the record.
    pub seq: u32,
    /// Why it cannot be.
    pub message: String,
}

impl Run {
    /// Records an alert of which nobody can say whether the workflow is meant for it: a run that has failed before its
    /// first step.
    pub fn start_in_vain(
        id: RunId,
        workflow: Arc<Workflow>,
        start: Start,
        message: String,
        now: Timestamp,
    ) -> (Run, Vec<Record>) {
        let mut run = Run::empty(id, workflow);
        let mut journal = Vec::new();
        run.begin(start, now, &mut journal);
        run.record(Event::TriggerFailed { message }, now, &mut journal);
        run.settle(now, &mut journal);
        (run, journal)
    }

    /// Starts a run, and gives its first facts.
    pub fn start(id: RunId, workflow: Arc<Workflow>, start: Start, now: Timestamp) -> (Run, Vec<Record>) {
        let mut run = Run::empty(id, workflow);
        let mut journal = Vec::new();
        run.begin(start, now, &mut journal);
        run.settle(now, &mut journal);
        (run, journal)
    }

    /// The run that wrote this journal. A history that cannot be is refused.
    pub fn replay(id: RunId, workflow: Arc<Workflow>, journal: &[Record]) -> Result<Run, Corrupt> {
        let mut run = Run::empty(id, workflow);
        for record in journal {
            run.apply(record)?;
        }
        Ok(run)
    }

    /// Takes an input, and gives the facts that follow from it, already applied. A refused input changes nothing but
    /// what was due by the clock anyway.
    pub fn handle(&mut self, input: Input, now: Timestamp) -> (Vec<Record>, Result<(), Rejected>) {
        let mut journal = Vec::new();
        self.run_out(now, &mut journal);
        if matches!(input, Input::Recovered | Input::Restored) {
            // Before the clock is looked at: what falls due now is started now, and nobody has missed its outcome.
            self.recover(matches!(input, Input::Restored), now, &mut journal);
        }
        self.elapse(now, &mut journal);
        let result = self.decide(input, now, &mut journal);
        self.settle(now, &mut journal);
        (journal, result)
    }

    /// Records what became of an attempt, and nothing that would follow from it: for a process that is about to stop.
    pub fn note(
        &mut self,
        step: StepKey,
        attempt: u32,
        outcome: Outcome,
        now: Timestamp,
    ) -> (Vec<Record>, Result<(), Rejected>) {
        let mut journal = Vec::new();
        let result = self.finish(step, attempt, outcome, now, &mut journal);
        (journal, result)
    }

    /// The calls that are to be made: one for each step that is being performed.
    pub fn commands(&self) -> Vec<Command> {
        let command = |place: Place| {
            let (step, state) = (self.step_at(place), self.state_at(place));
            if let State::Verifying(verifying) = &state.state {
                return self.look(place, step, state.attempt, verifying);
            }
            let State::Running(prepared) = &state.state else { return None };
            Some(Command {
                step: self.key_of(place),
                attempt: state.attempt,
                look: None,
                node: step.node.clone(),
                connection: step.connection.clone(),
                inputs: prepared.inputs.clone(),
                run: self.id,
                started_at: self.started_at,
                timeout: step.timeout,
                verify: step.verify.as_ref().map(|look| look.node.clone()),
                is_disruption: step.effect == Effect::Disrupt && !place.is_undo,
                needs_durable_intent: step.effect != Effect::Read,
            })
        };
        self.places().filter_map(command).collect()
    }

    /// Whether the attempts of a step leave no trace in the world, so that it can be performed again without harm.
    pub fn only_reads(&self, step: &StepKey) -> bool {
        self.place(step).is_some_and(|place| self.step_at(place).effect == Effect::Read)
    }

    fn look(&self, place: Place, step: &Step, attempt: u32, verifying: &Verifying) -> Option<Command> {
        let look = step.verify.as_ref().filter(|_| verifying.again_at.is_none())?;
        let is_of_product = look.node.connection == step.node.connection;
        Some(Command {
            step: self.key_of(place),
            attempt,
            look: Some(verifying.look),
            node: look.node.clone(),
            connection: step.connection.clone().filter(|_| is_of_product),
            inputs: verifying.inputs.clone(),
            run: self.id,
            started_at: self.started_at,
            timeout: look.node.timeout,
            verify: None,
            is_disruption: false,
            needs_durable_intent: false,
        })
    }

    /// The runs that perform steps of this one, from before they exist until their end has been told.
    pub fn children(&self) -> Vec<Child> {
        let depth = self.parent.as_ref().map_or(1, |parent| parent.depth + 1);
        let mode = if self.is_shadow { Mode::Shadow } else { Mode::Live };
        let child = |place: Place| {
            let State::Called(called) = &self.state_at(place).state else { return None };
            let step = self.key_of(place);
            let is_over = self.is_timed_out && place.step < self.workflow.main_steps;
            Some(Child {
                is_wanted: !self.is_cancelled && !is_over,
                parent: Parent { run: self.id, step, about: self.about.clone(), depth, mode },
                run: called.run,
                workflow: called.workflow.clone(),
                inputs: called.inputs.clone(),
            })
        };
        self.places().filter_map(child).collect()
    }

    /// The key that it does not share with other runs of its workflow.
    pub fn concurrency(&self) -> Option<&str> {
        self.concurrency.as_deref()
    }

    /// Whether it waits for the run that holds this key.
    pub fn is_queued(&self) -> bool {
        self.is_queued
    }

    /// The first thing that made it fail, in a line.
    pub fn error(&self) -> Option<&str> {
        self.error.as_deref()
    }

    /// The step that called this run, where one did.
    pub fn parent(&self) -> Option<&Parent> {
        self.parent.as_ref()
    }

    /// When it started.
    pub fn started_at(&self) -> Timestamp {
        self.started_at
    }

    /// When the clock has to look at the run again.
    pub fn wake_at(&self) -> Option<Timestamp> {
        let wakes_at = |place: Place| match place.is_undo {
            true => self.undo_wakes_at(place),
            false => self.state_at(place).state.wake_at(),
        };
        self.places().filter_map(wakes_at).chain(self.deadline()).min()
    }

    /// When the run has taken longer than it may.
    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        let main = self.steps.get(..self.workflow.main_steps).unwrap_or_default();
        let is_bounded = self.phase == Phase::Live
            && !self.is_queued
            && !self.is_timed_out
            && !self.is_cancelled
            && main.iter().any(|step| !step.state.is_settled());
        self.workflow.timeout.filter(|_| is_bounded).map(|timeout| self.began_at.after(timeout))
    }

    /// The row that lists show.
    pub fn summary(&self) -> RunSummary {
        summary::of(self)
    }

    /// Which run this is.
    pub fn id(&self) -> RunId {
        self.id
    }

    /// What it gave; nothing before it has finished.
    pub fn outputs(&self) -> &BTreeMap<String, Value> {
        &self.outputs
    }

    /// The workflow that it executes.
    pub fn workflow(&self) -> &Arc<Workflow> {
        &self.workflow
    }

    /// Where it stands.
    pub fn status(&self) -> RunStatus {
        match self.phase {
            Phase::Finished(status) => status,
            Phase::Empty | Phase::Live => {
                let is_running = |step: &StepState| step.state.status() == StepStatus::Running;
                let goes_on = self.steps.iter().any(is_running) || self.is_behind();
                if goes_on { RunStatus::Running } else { RunStatus::Waiting }
            }
        }
    }

    /// Whether something follows that nobody has drawn yet: [`Run::note`] leaves a run so.
    fn is_behind(&self) -> bool {
        if self.phase != Phase::Live || self.is_queued {
            return false;
        }
        let (main, handlers) = self.steps.split_at(self.workflow.main_steps.min(self.steps.len()));
        let is_settled = |index: &usize| self.steps.get(*index).is_some_and(|step| step.state.is_settled());
        let can_start = main.iter().zip(&self.workflow.steps).enumerate().any(|(index, (state, step))| {
            let is_next = matches!(state.state, State::Pending) && step.needs.iter().all(is_settled);
            is_next || matches!(state.state, State::Each(_)) && self.next_item(index).is_some()
        });
        let is_done = main.iter().all(|step| step.state.is_settled());
        can_start || is_done && !handlers.iter().any(|step| step.state.is_open())
    }

    /// Where a step stands.
    pub fn step_status(&self, step: &StepId) -> Option<StepStatus> {
        let index = self.workflow.index(step)?;
        if self.held.get(&(index, None)).is_some_and(|held| matches!(held.undo.state, State::Ok)) {
            return Some(StepStatus::Undone);
        }
        self.steps.get(index).map(|step| step.state.status())
    }

    fn empty(id: RunId, workflow: Arc<Workflow>) -> Run {
        let pending = StepState::pending(Timestamp::default());
        Run {
            id,
            steps: vec![pending; workflow.steps.len()],
            scope: scope::empty(&workflow),
            workflow,
            phase: Phase::Empty,
            is_cancelled: false,
            is_in_vain: false,
            is_timed_out: false,
            is_queued: false,
            is_shadow: false,
            concurrency: None,
            parent: None,
            about: String::new(),
            error: None,
            outputs: BTreeMap::new(),
            held: BTreeMap::new(),
            kept: BTreeSet::new(),
            is_alarmed: false,
            disrupted_at: Vec::new(),
            joined_alerts: Vec::new(),
            alerts_again: 0,
            alert_id: None,
            reconciled: false,
            started_at: Timestamp::default(),
            began_at: Timestamp::default(),
            updated_at: Timestamp::default(),
            next_seq: 0,
        }
    }

    /// Records a fact: numbers it, applies it, and adds it to the journal.
    pub(crate) fn record(&mut self, event: Event, now: Timestamp, journal: &mut Vec<Record>) {
        let record = Record { v: Record::VERSION, seq: self.next_seq, at: now, event };
        self.apply(&record).expect("the engine decides only what can be");
        journal.push(record);
    }
}
