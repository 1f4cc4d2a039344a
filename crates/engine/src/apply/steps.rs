//! Facts about a step or an item: it starts, it ends, it is performed for each item of a list.

use std::sync::Arc;

use model::{Event, Failure, Record, SkipReason, StepKey, StepStatus, Timestamp};
use serde_json::Value;

use super::illegal;
use crate::place::Place;
use crate::prepare;
use crate::run::Run;
use crate::state::{Asking, Called, Each, Prepared, State};

impl Run {
    pub(super) fn apply_to_step(&mut self, key: &StepKey, record: &Record) -> Result<(), String> {
        let place = self.place(key).ok_or_else(|| format!("there is no step `{key}`"))?;
        if let Event::AlarmRaised { step, message } = &record.event {
            return self.alarm_raised(place, step, message, record.at);
        }
        if let Some(next) = self.next_state(place, record)? {
            self.note_held(place, &next, record);
            self.enter(place, next, record);
        }
        Ok(())
    }

    /// What a fact makes of a step whose call is about to be made, or was made; nothing where it is another fact.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the other facts are for `next_state`, which knows all"
    )]
    fn state_after_call(&mut self, place: Place, record: &Record) -> Result<Option<State>, String> {
        let next = match &record.event {
            Event::StepStarted { step, attempt, inputs, target, holds } => {
                let prepared = Prepared { inputs: inputs.clone(), target: target.clone() };
                let next = self.started(place, step, *attempt, prepared)?;
                self.note_intent(place, target.as_ref(), holds.as_ref(), record.at);
                next
            }
            Event::StepInDoubt { step, failure } => {
                let next = self.in_doubt(place, step, failure)?;
                if place.is_undo {
                    self.keep_failure(place, failure);
                }
                next
            }
            Event::StepPrepared { step, inputs, target } => {
                let prepared = Prepared { inputs: inputs.clone(), target: target.clone() };
                self.prepared(place, step, prepared)?
            }
            Event::StepJoined { step, by, inputs: _, target, holds } => {
                self.joined(place, step, *by, target, holds, record.at)?
            }
            Event::VerifyStarted { step, output, failure, inputs, until } => {
                self.verify_started(place, step, output.as_ref(), failure.as_ref(), inputs, *until)?
            }
            Event::LookedInVain { step, look, again_at, .. } => {
                self.looked_in_vain(place, step, *look, *again_at)?
            }
            Event::LookStarted { step, look } => self.look_started(place, step, *look)?,
            Event::StepUnknown { step, failure, again_at } => {
                let State::Running(prepared) = &self.state_at(place).state else {
                    return Err(illegal(step, "unknown", &self.state_at(place).state));
                };
                let next = State::Unsure(prepared.clone(), failure.clone(), *again_at);
                self.state_mut(place).was_unknown = true;
                next
            }
            Event::UndoDue { step, why } => self.undo_due(place, step, why)?,
            Event::LetGo { step, how } => self.let_go(place, step, how)?,
            _ => return Ok(None),
        };
        Ok(Some(next))
    }

    /// What a fact makes of the step; nothing where the step only takes note of it.
    fn next_state(&mut self, place: Place, record: &Record) -> Result<Option<State>, String> {
        if let Some(next) = self.state_after_call(place, record)? {
            return Ok(Some(next));
        }
        let next = match &record.event {
            Event::StepSucceeded { step, output } => self.succeeded(place, step, output)?,
            Event::StepFailed { step, failure, retry_at } => self.failed(place, step, failure, *retry_at)?,
            Event::StepSkipped { step, reason } => self.skipped(place, step, reason)?,
            Event::DelayStarted { step, until } => {
                self.expect_pending(place, step, "delayed")?;
                State::Delayed(*until)
            }
            Event::EachStarted { step, items } => {
                self.expect_pending(place, step, "performed for each item")?;
                State::Each(Box::new(list(step, items, record.at)?))
            }
            Event::EachEnded { step, status, output, failure } => {
                self.list_ended(place, step, *status, output, failure.as_ref())?
            }
            Event::ChildStarted { step, run, workflow, inputs } => {
                self.expect_pending(place, step, "performed by another run")?;
                let (workflow, inputs) = (workflow.clone(), inputs.clone());
                State::Called(Box::new(Called { run: *run, workflow, inputs }))
            }
            Event::ApprovalRequested { step, request } => {
                if !matches!(self.state_at(place).state, State::Ready(_)) {
                    self.expect_pending(place, step, "put before people")?;
                }
                let asking = Asking { request: request.as_ref().clone(), approved_by: Vec::new() };
                State::Asking(Box::new(asking))
            }
            Event::ApprovalDecided { step, decision, by, reason, digest } => {
                let request = self.expect_asking(place, step, digest)?;
                return self.decided(place, step, request, *decision, by, reason.as_deref(), record.at);
            }
            Event::ApprovalExpired { step } => self.expired(place, step)?,
            Event::Resolved { step, resolution, by, reason } => {
                self.resolved(place, step, *resolution, by, reason)?
            }
            Event::RunStarted { .. }
            | Event::TriggerFailed { .. }
            | Event::RunHeld { .. }
            | Event::RunAdmitted
            | Event::RunCancelled { .. }
            | Event::RunTimedOut
            | Event::AlertJoined { .. }
            | Event::AlarmRaised { .. }
            | Event::StepStarted { .. }
            | Event::StepInDoubt { .. }
            | Event::StepPrepared { .. }
            | Event::StepJoined { .. }
            | Event::VerifyStarted { .. }
            | Event::LookedInVain { .. }
            | Event::LookStarted { .. }
            | Event::StepUnknown { .. }
            | Event::UndoDue { .. }
            | Event::LetGo { .. }
            | Event::RunFinished { .. } => return Err("the fact is about no step".to_owned()),
        };
        Ok(Some(next))
    }

    fn started(
        &mut self,
        place: Place,
        step: &StepKey,
        attempt: u32,
        new: Prepared,
    ) -> Result<State, String> {
        let state = &self.state_at(place).state;
        let is_same = match state {
            State::Pending => true,
            State::Ready(prepared)
            | State::Running(prepared)
            | State::Unsure(prepared, ..)
            | State::Retrying(prepared, _) => *prepared == new,
            State::Verifying(_)
            | State::Delayed(_)
            | State::Asking(_)
            | State::Called(_)
            | State::Each(_)
            | State::Ok
            | State::SkippedItself
            | State::Stopped
            | State::Failed
            | State::Rejected
            | State::Expired
            | State::InDoubt(..)
            | State::Cancelled => return Err(illegal(step, "started", state)),
        };
        if !is_same {
            return Err(format!("`{step}` was started with other inputs than those that were fixed"));
        }
        let at = self.state_mut(place);
        if attempt != at.attempt + 1 {
            return Err(format!("attempt {attempt} of `{step}` follows attempt {}", at.attempt));
        }
        at.attempt = attempt;
        Ok(State::Running(new))
    }

    fn skipped(&mut self, place: Place, step: &StepKey, reason: &SkipReason) -> Result<State, String> {
        self.expect_pending(place, step, "skipped")?;
        match reason {
            SkipReason::Shadow { inputs, target } => {
                if let Some(each) = self.list_mut(place) {
                    each.kept += prepare::size(inputs) + target.as_ref().map_or(0, String::len);
                }
                Ok(State::SkippedItself)
            }
            SkipReason::Condition => Ok(State::SkippedItself),
            SkipReason::StoppedBy(_) => Ok(State::Stopped),
        }
    }

    fn succeeded(&mut self, place: Place, step: &StepKey, output: &Arc<Value>) -> Result<State, String> {
        let state = &self.state_at(place).state;
        let is_possible = matches!(
            state,
            State::Running(_) | State::Verifying(_) | State::Pending | State::Delayed(_) | State::Called(_)
        );
        if !is_possible {
            return Err(illegal(step, "done", state));
        }
        if !place.is_undo {
            self.keep_output(place, output.clone());
        }
        Ok(State::Ok)
    }

    fn failed(
        &mut self,
        place: Place,
        step: &StepKey,
        failure: &Failure,
        retry_at: Option<Timestamp>,
    ) -> Result<State, String> {
        let state = &self.state_at(place).state;
        let prepared = state.attempted();
        if let (Some(prepared), Some(at)) = (prepared, retry_at) {
            let next = State::Retrying(prepared.clone(), at);
            if place.is_undo {
                self.keep_failure(place, failure);
            }
            return Ok(next);
        }
        let is_possible =
            prepared.is_some() || matches!(state, State::Pending | State::Ready(_) | State::Called(_));
        if !is_possible || place.is_undo || retry_at.is_some() {
            return Err(illegal(step, "failed", state));
        }
        self.keep_failure(place, failure);
        Ok(State::Failed)
    }

    fn list_ended(
        &mut self,
        place: Place,
        step: &StepKey,
        status: StepStatus,
        output: &Arc<Value>,
        failure: Option<&Failure>,
    ) -> Result<State, String> {
        let State::Each(each) = &self.state_at(place).state else {
            return Err(illegal(step, "done with its items", &self.state_at(place).state));
        };
        if each.items.iter().any(|item| item.state.state.is_open()) {
            return Err(format!("`{step}` ended while an item was under way"));
        }
        if status != StepStatus::Skipped {
            self.keep_output(place, output.clone());
        }
        let is_decision = matches!(status, StepStatus::Rejected | StepStatus::Cancelled);
        if let Some(failure) = failure.filter(|_| !is_decision) {
            self.keep_failure(place, failure);
            if status == StepStatus::Expired {
                // It fails the run, whatever `on_error` says.
                self.note_error(step.step.as_str(), failure);
            }
        }
        match status {
            StepStatus::Ok => Ok(State::Ok),
            StepStatus::Failed => Ok(State::Failed),
            StepStatus::Rejected => Ok(State::Rejected),
            StepStatus::Expired => Ok(State::Expired),
            StepStatus::Cancelled => Ok(State::Cancelled),
            StepStatus::Skipped => Ok(State::SkippedItself),
            StepStatus::Pending
            | StepStatus::Running
            | StepStatus::Waiting
            | StepStatus::InDoubt
            | StepStatus::Undone => Err(format!("`{step}` cannot end as {}", status.as_str())),
        }
    }

    /// Keeps what a step gave, for the steps that read it.
    pub(super) fn keep_output(&mut self, place: Place, output: Arc<Value>) {
        let id = self.step_at(place).id.clone();
        let Some(item) = place.item else {
            return self.scope.share(&["steps", id.as_str()], output);
        };
        if let Some(each) = self.list_mut(place)
            && let Some(item) = each.items.get_mut(item)
        {
            each.kept += prepare::size(&output);
            item.output = Some(output);
        }
    }

    fn expect_pending(&self, place: Place, step: &StepKey, what: &str) -> Result<(), String> {
        let state = &self.state_at(place).state;
        if matches!(state, State::Pending) { Ok(()) } else { Err(illegal(step, what, state)) }
    }
}

fn list(step: &StepKey, items: &Arc<Value>, since: Timestamp) -> Result<Each, String> {
    let length = items.as_array().ok_or_else(|| format!("the items of `{step}` are no list"))?.len();
    Ok(Each::new(items.clone(), length, since))
}
