//! What follows from what is known: steps start, are skipped, or are put before people, until nothing more follows.

use std::collections::BTreeMap;

use model::{Event, Failure, FailureClass, Record, RunStatus, SkipReason, StepId, StepKey, Timestamp};
use serde_json::Value;
use workflow::{Effect, EngineNode, OnError};

use crate::prepare;
use crate::run::{Phase, Run};
use crate::state::{Prepared, State};

impl Run {
    pub(crate) fn settle(&mut self, now: Timestamp, journal: &mut Vec<Record>) {
        if self.phase != Phase::Live {
            return;
        }
        let workflow = self.workflow.clone();
        for index in workflow.graph.order() {
            let (step, state) = self.at(*index);
            let event = if let State::Ready(prepared) = &state.state {
                Some(started(step.id.clone().into(), state.attempt + 1, prepared.clone()))
            } else if matches!(state.state, State::Pending) {
                self.start_step(*index, now)
            } else {
                None
            };
            if let Some(event) = event {
                self.record(event, now, journal);
            }
        }
        if self.steps.iter().all(|step| step.state.is_settled()) {
            let event = self.finished();
            self.record(event, now, journal);
        }
    }

    /// What becomes of a step that has not started; none while one of its needs has not settled.
    fn start_step(&self, index: usize, now: Timestamp) -> Option<Event> {
        let (step, _) = self.at(index);
        if step.needs.iter().any(|need| !self.at(*need).1.state.is_settled()) {
            return None;
        }
        let key: StepKey = step.id.clone().into();
        if let Some(need) = self.stopped_by(index) {
            return Some(Event::StepSkipped { step: key, reason: SkipReason::StoppedBy(need) });
        }
        let event = match step.condition.as_ref().map_or(Ok(true), |condition| condition.holds(&self.scope)) {
            Ok(false) => Ok(Event::StepSkipped { step: key.clone(), reason: SkipReason::Condition }),
            Ok(true) => self.open_step(index, key.clone(), now),
            Err(error) => Err(error.message),
        };
        Some(event.unwrap_or_else(|message| {
            let failure = Failure::new(FailureClass::Input, message);
            Event::StepFailed { step: key, failure, retry_at: None }
        }))
    }

    /// The first need, in the order in which they are listed, that does not let the step through.
    fn stopped_by(&self, index: usize) -> Option<StepId> {
        let (step, _) = self.at(index);
        let stops = |need: &&usize| {
            let (needed, state) = self.at(**need);
            let lets_through = matches!(state.state, State::Ok)
                || matches!(state.state, State::SkippedItself) && !self.is_approval(**need)
                || matches!(state.state, State::Failed)
                    && needed.on_error == OnError::Continue
                    && !self.is_approval(**need);
            !lets_through && !step.looks_at_status(&needed.id)
        };
        step.needs.iter().find(stops).map(|need| self.at(*need).0.id.clone())
    }

    /// The step is to be performed: what it takes for that.
    fn open_step(&self, index: usize, key: StepKey, now: Timestamp) -> Result<Event, String> {
        let (step, _) = self.at(index);
        match step.node.engine_node() {
            Some(EngineNode::Set) => {
                let output = prepare::inputs(step, &self.scope)?.into();
                return Ok(Event::StepSucceeded { step: key, output });
            }
            Some(EngineNode::Delay) => {
                let until = now.after(prepare::delay(step, &self.scope)?);
                return Ok(Event::DelayStarted { step: key, until });
            }
            Some(EngineNode::Workflow) => return Err("no playbook can be called".to_owned()),
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
        if let Some(approval) = &step.approval {
            let skips = approval.skip_if.as_ref().map_or(Ok(false), |condition| condition.holds(&self.scope));
            if !skips.map_err(|error| error.message)? {
                let request = Box::new(prepare::request(step, approval, Some(prepared), &self.scope, now)?);
                return Ok(Event::ApprovalRequested { step: key, request });
            }
        }
        Ok(started(key, 1, prepared))
    }

    fn finished(&self) -> Event {
        let fails = |index: usize| {
            let (step, state) = self.at(index);
            matches!(state.state, State::Expired)
                || matches!(state.state, State::Failed) && step.on_error == OnError::Fail
        };
        let status = if self.is_cancelled {
            RunStatus::Cancelled
        } else if self.is_in_vain || (0..self.steps.len()).any(fails) {
            RunStatus::Failed
        } else {
            RunStatus::Succeeded
        };
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

pub(crate) fn started(step: StepKey, attempt: u32, prepared: Prepared) -> Event {
    Event::StepStarted { step, attempt, inputs: prepared.inputs, target: prepared.target }
}
