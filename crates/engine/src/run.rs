//! One execution of a workflow.

use std::sync::Arc;

use expr::Scope;
use model::{Event, Outcome, Record, RunId, RunStatus, RunSummary, StepId, StepKey, StepStatus, Timestamp};
use workflow::{Effect, Step, Workflow};

use crate::command::Command;
use crate::input::{Input, Rejected, Start};
use crate::scope;
use crate::state::{State, StepState};
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
    pub(crate) is_shadow: bool,
    pub(crate) about: String,
    pub(crate) error: Option<String>,
    pub(crate) started_at: Timestamp,
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
        if matches!(input, Input::Recovered) {
            // Before the clock is looked at: what falls due now is started now, and nobody has missed its outcome.
            self.recover(now, &mut journal);
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
        let pairs = self.workflow.steps.iter().zip(&self.steps);
        let running = pairs.filter_map(|(step, state)| {
            let State::Running(prepared) = &state.state else { return None };
            Some((step, state, prepared))
        });
        running
            .map(|(step, state, prepared)| Command {
                step: step.id.clone().into(),
                attempt: state.attempt,
                node: step.node.clone(),
                connection: step.connection.clone(),
                inputs: prepared.inputs.clone(),
                timeout: step.timeout,
                needs_durable_intent: step.effect != Effect::Read,
            })
            .collect()
    }

    /// When the clock has to look at the run again.
    pub fn wake_at(&self) -> Option<Timestamp> {
        self.steps.iter().filter_map(|step| step.state.wake_at()).min()
    }

    /// The row that lists show.
    pub fn summary(&self) -> RunSummary {
        summary::of(self)
    }

    /// Which run this is.
    pub fn id(&self) -> RunId {
        self.id
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
                if self.steps.iter().any(is_running) { RunStatus::Running } else { RunStatus::Waiting }
            }
        }
    }

    /// Where a step stands.
    pub fn step_status(&self, step: &StepId) -> Option<StepStatus> {
        let index = self.workflow.index(step)?;
        self.steps.get(index).map(|step| step.state.status())
    }

    fn empty(id: RunId, workflow: Arc<Workflow>) -> Run {
        let pending = StepState { state: State::Pending, since: Timestamp::default(), attempt: 0 };
        Run {
            id,
            steps: vec![pending; workflow.steps.len()],
            scope: scope::empty(&workflow),
            workflow,
            phase: Phase::Empty,
            is_cancelled: false,
            is_in_vain: false,
            is_shadow: false,
            about: String::new(),
            error: None,
            started_at: Timestamp::default(),
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

    pub(crate) fn index(&self, key: &StepKey) -> Option<usize> {
        let index = self.workflow.index(&key.step)?;
        key.item.is_none().then_some(index)
    }

    pub(crate) fn at(&self, index: usize) -> (&Step, &StepState) {
        let step = self.workflow.steps.get(index).expect("steps are named by their index");
        (step, self.steps.get(index).expect("there is a state for each step"))
    }
}
