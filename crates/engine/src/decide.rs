//! What follows at once from an input.

use std::sync::Arc;

use model::{
    Decision, Digest, Event, Failure, FailureClass, Held, Mode, Outcome, Person, Record, Resolution, RunId,
    RunStatus, StepKey, Timestamp,
};
use serde_json::Value;
use workflow::{Effect, OnConflict, OnDoubt};

use crate::input::{Input, Rejected, Start};
use crate::place::Place;
use crate::retry;
use crate::run::{Phase, Run};
use crate::settle::started;
use crate::state::State;

/// A step that was interrupted so often is given up: it may be what kills the process.
const MOST_INTERRUPTED_ATTEMPTS: u32 = 10;

impl Run {
    pub(crate) fn begin(&mut self, start: Start, now: Timestamp, journal: &mut Vec<Record>) {
        let workflow =
            model::WorkflowRef { name: self.workflow.name.clone(), source: self.workflow.digest.clone() };
        let Start { trigger, alert, turn } = start;
        let is_shadow = trigger.parent.as_ref().is_some_and(|parent| parent.mode == Mode::Shadow);
        let mode = if is_shadow { Mode::Shadow } else { self.workflow.mode };
        let (concurrency, held_by) = turn.map_or((None, None), |turn| (Some(turn.key), turn.held_by));
        self.record(Event::RunStarted { workflow, mode, trigger, alert, concurrency }, now, journal);
        let on_conflict = self.workflow.concurrency.as_ref().map(|concurrency| concurrency.on_conflict);
        let then = match on_conflict {
            Some(OnConflict::Drop) => Held::Dropped,
            Some(OnConflict::Queue) | None => Held::Queued,
        };
        if let Some(by) = held_by {
            self.record(Event::RunHeld { by, then }, now, journal);
        }
    }

    pub(crate) fn decide(
        &mut self,
        input: Input,
        now: Timestamp,
        journal: &mut Vec<Record>,
    ) -> Result<(), Rejected> {
        let is_live = self.phase == Phase::Live;
        match input {
            Input::Tick | Input::Recovered => Ok(()),
            _ if !is_live => Err(Rejected::Finished),
            Input::Finished { step, attempt, outcome } => self.finish(step, attempt, outcome, now, journal),
            Input::ChildEnded { step, run, status, outputs, error } => {
                let event = self.child_ended(step, run, status, outputs, error)?;
                self.record(event, now, journal);
                Ok(())
            }
            Input::Admitted => {
                if self.is_queued {
                    self.record(Event::RunAdmitted, now, journal);
                }
                Ok(())
            }
            Input::Decided { step, decision, by, reason, digest } => {
                let reason = reason.filter(|reason| !reason.trim().is_empty());
                let digest = self.check_decision(&step, decision, &by, reason.as_deref(), digest)?;
                self.record(Event::ApprovalDecided { step, decision, by, reason, digest }, now, journal);
                Ok(())
            }
            Input::Resolved { step, resolution, by, reason } => {
                self.check_resolution(&step, resolution, &by, &reason)?;
                self.record(Event::Resolved { step, resolution, by, reason }, now, journal);
                Ok(())
            }
            Input::Cancelled { by, reason } => {
                if self.is_cancelled {
                    return Err(Rejected::Cancelled);
                }
                if reason.trim().is_empty() {
                    return Err(Rejected::ReasonRequired);
                }
                self.record(Event::RunCancelled { by, reason }, now, journal);
                Ok(())
            }
        }
    }

    /// The time limit, before the clock and the end of a process make further attempts.
    pub(crate) fn run_out(&mut self, now: Timestamp, journal: &mut Vec<Record>) {
        if self.deadline().is_some_and(|deadline| deadline <= now) {
            self.record(Event::RunTimedOut, now, journal);
        }
    }

    /// What is due by the clock, before anything else is looked at: an answer that comes too late comes too late.
    pub(crate) fn elapse(&mut self, now: Timestamp, journal: &mut Vec<Record>) {
        for place in self.places_where(|state| state.wake_at().is_some_and(|at| at <= now)) {
            let (key, state) = (self.key_of(place), self.state_at(place));
            let event = if let State::Retrying(prepared, _) = &state.state {
                started(key, state.attempt + 1, prepared.clone())
            } else if matches!(state.state, State::Asking(_)) {
                Event::ApprovalExpired { step: key }
            } else {
                Event::StepSucceeded { step: key, output: serde_json::json!({}).into() }
            };
            self.record(event, now, journal);
        }
    }

    /// Whether nothing is sent there any more.
    pub(crate) fn is_over(&self, place: Place) -> bool {
        self.is_cancelled || self.is_timed_out && place.step < self.workflow.main_steps
    }

    pub(crate) fn finish(
        &mut self,
        key: StepKey,
        attempt: u32,
        outcome: Outcome,
        now: Timestamp,
        journal: &mut Vec<Record>,
    ) -> Result<(), Rejected> {
        let place = self.find(&key)?;
        let outcome = self.without_excess(place, outcome);
        let is_there = self.has_come_true(place, &outcome);
        let (step, state) = (self.step_at(place), self.state_at(place));
        if !matches!(state.state, State::Running(_)) || state.attempt != attempt {
            return Err(Rejected::Stale { step: key, attempt });
        }
        let event = match outcome {
            Outcome::Succeeded(output) => match is_there {
                Ok(true) => Event::StepSucceeded { step: key, output },
                Ok(false) => {
                    let retry_at =
                        retry::next_look(self.id, step, &key, attempt, now).filter(|_| !self.is_over(place));
                    let message = format!("`until` does not hold after {attempt} attempts");
                    let failure = Failure::new(FailureClass::NotYet, message);
                    Event::StepFailed { step: key, failure, retry_at }
                }
                Err(message) => {
                    let failure = Failure::new(FailureClass::Input, format!("`until`: {message}"));
                    Event::StepFailed { step: key, failure, retry_at: None }
                }
            },
            Outcome::Unknown(failure) if step.on_doubt == OnDoubt::Ask => {
                Event::StepInDoubt { step: key, failure }
            }
            Outcome::Failed(failure) | Outcome::Unknown(failure) => {
                let next = retry::next(self.id, step, &key, attempt, &failure, now);
                Event::StepFailed { step: key, failure, retry_at: next.filter(|_| !self.is_over(place)) }
            }
        };
        self.record(event, now, journal);
        Ok(())
    }

    /// An output that is too large to be kept fails a step that only looks; elsewhere the thing is done, and that counts.
    fn without_excess(&self, place: Place, outcome: Outcome) -> Outcome {
        let Outcome::Succeeded(output) = &outcome else { return outcome };
        let Err(message) = self.check_room(place, output) else { return outcome };
        if self.only_looks(place) {
            return Outcome::Failed(Failure::new(FailureClass::Response, format!("the output {message}")));
        }
        Outcome::Succeeded(serde_json::json!({ "left_out": message }).into())
    }

    /// Whether nothing was done but to look. What another run did is not known here.
    pub(crate) fn only_looks(&self, place: Place) -> bool {
        let step = self.step_at(place);
        step.effect == Effect::Read && step.callee().is_none()
    }

    /// Whether the step's `until` holds for what came.
    fn has_come_true(&mut self, place: Place, outcome: &Outcome) -> Result<bool, String> {
        let (Some(until), Outcome::Succeeded(output)) = (self.step_at(place).until.clone(), outcome) else {
            return Ok(true);
        };
        self.scope.set(&["output"], output.as_ref().clone());
        let holds = self.with_item(place, |run| until.holds(&run.scope).map_err(|error| error.message));
        self.scope.remove("output");
        holds
    }

    fn child_ended(
        &self,
        key: StepKey,
        run: RunId,
        status: RunStatus,
        outputs: Arc<Value>,
        error: Option<String>,
    ) -> Result<Event, Rejected> {
        let place = self.find(&key)?;
        let state = &self.state_at(place).state;
        let State::Called(called) = state else {
            return Err(Rejected::NotWaiting { step: key, status: state.status() });
        };
        if called.run != run {
            return Err(Rejected::NotWaiting { step: key, status: state.status() });
        }
        if status == RunStatus::Succeeded {
            let output = match self.check_room(place, &outputs) {
                Ok(()) => outputs,
                Err(message) => serde_json::json!({ "left_out": message }).into(),
            };
            return Ok(Event::StepSucceeded { step: key, output });
        }
        let why = error.unwrap_or_else(|| status.as_str().to_owned());
        let message = format!("the run {run} of `{}` did not succeed: {why}", called.workflow);
        Ok(Event::StepFailed {
            step: key,
            failure: Failure::new(FailureClass::Workflow, message),
            retry_at: None,
        })
    }

    /// Every attempt that was under way has an outcome that nobody saw.
    pub(crate) fn recover(&mut self, now: Timestamp, journal: &mut Vec<Record>) {
        for place in self.places_where(|state| matches!(state, State::Running(_))) {
            let (step, state) = (self.step_at(place), self.state_at(place));
            let State::Running(prepared) = &state.state else {
                continue;
            };
            let key = self.key_of(place);
            let message = format!("the process ended while attempt {} was under way", state.attempt);
            let failure = Failure::new(FailureClass::Interrupted, message);
            let event = match step.on_doubt {
                OnDoubt::Ask => Event::StepInDoubt { step: key, failure },
                OnDoubt::Retry if self.is_over(place) || state.attempt >= MOST_INTERRUPTED_ATTEMPTS => {
                    Event::StepFailed { step: key, failure, retry_at: None }
                }
                OnDoubt::Retry => started(key, state.attempt + 1, prepared.clone()),
            };
            self.record(event, now, journal);
        }
    }

    fn check_decision(
        &self,
        key: &StepKey,
        decision: Decision,
        by: &Person,
        reason: Option<&str>,
        seen: Option<Digest>,
    ) -> Result<Digest, Rejected> {
        let place = self.find(key)?;
        let state = &self.state_at(place).state;
        let State::Asking(asking) = state else {
            return Err(Rejected::NotWaiting { step: key.clone(), status: state.status() });
        };
        let request = &asking.request;
        if let Some(role) = &request.from.role
            && !by.roles.contains(role)
        {
            return Err(Rejected::NotAllowed { person: by.name.clone(), role: role.clone() });
        }
        if asking.approved_by.iter().any(|person| person.name == by.name) {
            return Err(Rejected::AlreadyDecided(by.name.clone()));
        }
        if reason.is_none() && (request.reason_required || decision == Decision::Reject) {
            return Err(Rejected::ReasonRequired);
        }
        if seen.is_some_and(|seen| seen != request.digest) {
            return Err(Rejected::WrongDigest);
        }
        Ok(request.digest.clone())
    }

    fn check_resolution(
        &self,
        key: &StepKey,
        resolution: Resolution,
        by: &Person,
        reason: &str,
    ) -> Result<(), Rejected> {
        let place = self.find(key)?;
        let state = &self.state_at(place).state;
        if !matches!(state, State::InDoubt(..)) {
            return Err(Rejected::NotWaiting { step: key.clone(), status: state.status() });
        }
        if let Some(role) = self.governing_role(place.step)
            && !by.roles.iter().any(|given| given == role)
        {
            return Err(Rejected::NotAllowed { person: by.name.clone(), role: role.to_owned() });
        }
        if reason.trim().is_empty() {
            return Err(Rejected::ReasonRequired);
        }
        if resolution == Resolution::SendAgain && self.is_over(place) {
            return Err(Rejected::Cancelled);
        }
        Ok(())
    }

    /// The role that it takes to say what became of a step; none: anybody may.
    pub(crate) fn resolver_role(&self, key: &StepKey) -> Option<&str> {
        self.governing_role(self.workflow.index(&key.step)?)
    }

    /// The role that its approval asked for, or the closest approval before it that asked for one: whoever may approve a
    /// step may say what became of it.
    fn governing_role(&self, index: usize) -> Option<&str> {
        let role = |index: usize| self.step_at(index.into()).approval.as_ref()?.from.role.as_deref();
        let graph = &self.workflow.graph;
        let before = graph.order().iter().rev().filter(|step| graph.is_before(**step, index));
        role(index).or_else(|| before.copied().filter(|step| self.is_approval(*step)).find_map(role))
    }
}
