//! What follows from what is known: steps start, are skipped, or are put before people, until nothing more follows.

use std::collections::BTreeMap;
use std::ops::Range;

use model::{Event, Failure, FailureClass, Record, RunId, RunStatus, SkipReason, StepId, StepKey, Timestamp};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use workflow::{Effect, EngineNode, OnError};

use crate::place::Place;
use crate::prepare;
use crate::run::{Phase, Run};
use crate::state::{Prepared, State};

impl Run {
    pub(crate) fn settle(&mut self, now: Timestamp, journal: &mut Vec<Record>) {
        if matches!(self.phase, Phase::Finished(_)) {
            return self.settle_after_the_end(now, journal);
        }
        if self.phase == Phase::Empty || self.is_queued {
            return;
        }
        self.settle_undos(now, journal);
        let workflow = self.workflow.clone();
        self.settle_steps(0..workflow.main_steps, now, journal);
        if !self.is_settled(0..workflow.main_steps) {
            return;
        }
        let status = self.verdict();
        let is_handled = status == RunStatus::Failed && !self.is_in_vain;
        if is_handled {
            self.settle_steps(workflow.handlers(), now, journal);
        }
        let mut handlers = self.steps.iter().skip(workflow.main_steps).map(|step| &step.state);
        let is_over = match is_handled {
            true => handlers.all(State::is_settled),
            false => !handlers.any(State::is_open),
        };
        if is_over {
            let event = self.finished(status);
            self.record(event, now, journal);
            self.settle_after_the_end(now, journal);
        }
    }

    /// What is held is undone, and people are told of what cannot be: of one thing after the other.
    fn settle_after_the_end(&mut self, now: Timestamp, journal: &mut Vec<Record>) {
        loop {
            if self.is_alarmed {
                self.settle_steps(self.workflow.handlers(), now, journal);
            }
            let Some(key) = self.alarm_to_raise() else { break };
            self.alarm(&key, now, journal);
        }
        self.settle_undos(now, journal);
    }

    fn settle_steps(&mut self, part: Range<usize>, now: Timestamp, journal: &mut Vec<Record>) {
        let workflow = self.workflow.clone();
        for index in workflow.graph.order().iter().copied().filter(|index| part.contains(index)) {
            let place = Place::from(index);
            let is_pending = matches!(self.state_at(place).state, State::Pending);
            let event = if is_pending { self.start_step(index, now) } else { self.start_ready(place, now) };
            if let Some(event) = event {
                self.record(event, now, journal);
            }
            if matches!(self.state_at(place).state, State::Each(_)) {
                self.settle_items(index, now, journal);
            }
        }
    }

    /// What was prepared is performed; what needs a clearance waits for it.
    pub(crate) fn start_ready(&mut self, place: Place, now: Timestamp) -> Option<Event> {
        let State::Ready(prepared) = &self.state_at(place).state else { return None };
        if self.needs_clearance(place) {
            return None;
        }
        let prepared = prepared.clone();
        Some(self.perform(place, prepared, now))
    }

    fn is_settled(&self, part: Range<usize>) -> bool {
        self.steps.get(part).unwrap_or_default().iter().all(|step| step.state.is_settled())
    }

    /// What becomes of a step that has not started; none while one of its needs has not settled.
    fn start_step(&self, index: usize, now: Timestamp) -> Option<Event> {
        let place = Place::from(index);
        let step = self.step_at(place);
        if step.needs.iter().any(|need| !self.state_at((*need).into()).state.is_settled()) {
            return None;
        }
        let key = self.key_of(place);
        if let Some(need) = self.stopped_by(index) {
            return Some(Event::StepSkipped { step: key, reason: SkipReason::StoppedBy(need) });
        }
        let event = match step.condition.as_ref().map_or(Ok(true), |condition| condition.holds(&self.scope)) {
            Ok(false) => Ok(Event::StepSkipped { step: key.clone(), reason: SkipReason::Condition }),
            Ok(true) => match &step.each {
                Some(each) => self.open_list(each, key.clone()),
                None => self.open_step(place, now),
            },
            Err(error) => Err(error.message),
        };
        Some(event.unwrap_or_else(|message| cannot_start(key, message)))
    }

    /// The first need, in the order in which they are listed, that does not let the step through.
    fn stopped_by(&self, index: usize) -> Option<StepId> {
        let step = self.step_at(index.into());
        let stops = |need: &&usize| {
            let (needed, state) = (self.step_at((**need).into()), self.state_at((**need).into()));
            let lets_through = matches!(state.state, State::Ok)
                || matches!(state.state, State::SkippedItself) && !self.is_approval(**need)
                || matches!(state.state, State::Failed)
                    && needed.on_error == OnError::Continue
                    && !self.is_approval(**need);
            !lets_through && !step.looks_at_status(&needed.id)
        };
        step.needs.iter().find(stops).map(|need| self.step_at((*need).into()).id.clone())
    }

    /// The step is to be performed: what it takes for that.
    pub(crate) fn open_step(&self, place: Place, now: Timestamp) -> Result<Event, String> {
        let (step, key) = (self.step_at(place), self.key_of(place));
        match step.node.engine_node() {
            Some(EngineNode::Set) => {
                let output = prepare::inputs(step, &self.scope)?.into();
                return Ok(Event::StepSucceeded { step: key, output });
            }
            Some(EngineNode::Delay) => {
                let until = now.after(prepare::delay(step, &self.scope)?);
                return Ok(Event::DelayStarted { step: key, until });
            }
            Some(EngineNode::Workflow) => {
                let workflow = step.callee().ok_or("the step calls no playbook")?.to_owned();
                let inputs = prepare::call(step, &self.scope)?.into();
                let run = child_id(self.id, &key, now);
                return Ok(Event::ChildStarted { step: key, run, workflow, inputs });
            }
            Some(EngineNode::Approval) => {
                let approval = step.approval.as_ref().ok_or("the approval asks nothing")?;
                let request = Box::new(prepare::request(step, approval, None, &self.scope, now)?);
                return Ok(Event::ApprovalRequested { step: key, request });
            }
            None => {}
        }
        let prepared = prepare::step(step, &self.scope)?;
        if self.is_shadow && step.effect == Effect::Disrupt {
            let reason = SkipReason::Shadow { inputs: prepared.inputs, target: prepared.target };
            return Ok(Event::StepSkipped { step: key, reason });
        }
        // That one can say how long it holds is known before anybody is asked.
        let holds = self.holds(place, &prepared.inputs, now)?;
        if let Some(approval) = &step.approval {
            let skips = approval.skip_if.as_ref().map_or(Ok(false), |condition| condition.holds(&self.scope));
            if !skips.map_err(|error| error.message)? {
                let request = Box::new(prepare::request(step, approval, Some(prepared), &self.scope, now)?);
                return Ok(Event::ApprovalRequested { step: key, request });
            }
        }
        if self.needs_clearance(place) {
            let Prepared { inputs, target } = prepared;
            return Ok(Event::StepPrepared { step: key, inputs, target });
        }
        Ok(Event::StepStarted {
            step: key,
            attempt: 1,
            inputs: prepared.inputs,
            target: prepared.target,
            holds,
        })
    }

    /// How the run ends, once its steps have.
    fn verdict(&self) -> RunStatus {
        let fails = |index: usize| {
            let (step, state) = (self.step_at(index.into()), self.state_at(index.into()));
            matches!(state.state, State::Expired)
                || matches!(state.state, State::Failed) && step.on_error == OnError::Fail
        };
        if self.is_cancelled {
            RunStatus::Cancelled
        } else if self.is_in_vain || self.is_timed_out || (0..self.workflow.main_steps).any(fails) {
            RunStatus::Failed
        } else {
            RunStatus::Succeeded
        }
    }

    fn finished(&self, status: RunStatus) -> Event {
        let mut outputs: BTreeMap<String, Value> = BTreeMap::new();
        let mut errors = BTreeMap::new();
        for (name, output) in &self.workflow.outputs {
            match output.eval(&self.scope) {
                Ok(value) => drop(outputs.insert(name.clone(), value)),
                Err(error) => drop(errors.insert(name.clone(), error.message)),
            }
        }
        Event::RunFinished { status, outputs, errors }
    }
}

pub(crate) fn cannot_start(step: StepKey, message: String) -> Event {
    Event::StepFailed { step, failure: Failure::new(FailureClass::Input, message), retry_at: None }
}

/// The run that performs a step: a UUID of version 7 whose random part is a hash of who calls.
fn child_id(parent: RunId, step: &StepKey, now: Timestamp) -> RunId {
    let mut hash = Sha256::new();
    hash.update(parent.as_bytes());
    hash.update(step.to_string());
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(hash.finalize()).for_each(|(byte, hashed)| *byte = hashed);
    let millis = now.as_millis().to_be_bytes();
    bytes.iter_mut().zip(millis.into_iter().skip(2)).for_each(|(byte, digit)| *byte = digit);
    RunId::from_bytes(bytes).of_version_7()
}
