//! What follows at once from an input.

use model::{
    Decision, Digest, Event, Failure, FailureClass, Outcome, Person, Record, Resolution, StepKey, Timestamp,
};
use workflow::{Effect, OnDoubt};

use crate::input::{Input, Rejected, Start};
use crate::prepare;
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
        let mode = self.workflow.mode;
        let Start { trigger, alert } = start;
        self.record(Event::RunStarted { workflow, mode, trigger, alert }, now, journal);
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

    /// What is due by the clock, before anything else is looked at: an answer that comes too late comes too late.
    pub(crate) fn elapse(&mut self, now: Timestamp, journal: &mut Vec<Record>) {
        for index in 0..self.steps.len() {
            let (step, state) = self.at(index);
            if state.state.wake_at().is_none_or(|at| at > now) {
                continue;
            }
            let key: StepKey = step.id.clone().into();
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

    pub(crate) fn finish(
        &mut self,
        key: StepKey,
        attempt: u32,
        outcome: Outcome,
        now: Timestamp,
        journal: &mut Vec<Record>,
    ) -> Result<(), Rejected> {
        let index = self.index(&key).ok_or_else(|| Rejected::NoSuchStep(key.clone()))?;
        let (step, state) = self.at(index);
        if !matches!(state.state, State::Running(_)) || state.attempt != attempt {
            return Err(Rejected::Stale { step: key, attempt });
        }
        let event = match self.without_excess(index, outcome) {
            Outcome::Succeeded(output) => Event::StepSucceeded { step: key, output },
            Outcome::Unknown(failure) if step.on_doubt == OnDoubt::Ask => {
                Event::StepInDoubt { step: key, failure }
            }
            Outcome::Failed(failure) | Outcome::Unknown(failure) => {
                let next = retry::next(self.id, step, attempt, &failure, now);
                Event::StepFailed { step: key, failure, retry_at: next.filter(|_| !self.is_cancelled) }
            }
        };
        self.record(event, now, journal);
        Ok(())
    }

    /// An output that is too large to be kept fails a step that only looks; elsewhere the thing is done, and that counts.
    fn without_excess(&self, index: usize, outcome: Outcome) -> Outcome {
        let Outcome::Succeeded(output) = &outcome else { return outcome };
        let Err(message) = prepare::check_size(output) else { return outcome };
        if self.at(index).0.effect == Effect::Read {
            return Outcome::Failed(Failure::new(FailureClass::Response, format!("the output {message}")));
        }
        Outcome::Succeeded(serde_json::json!({ "left_out": message }).into())
    }

    /// Every attempt that was under way has an outcome that nobody saw.
    pub(crate) fn recover(&mut self, now: Timestamp, journal: &mut Vec<Record>) {
        for index in 0..self.steps.len() {
            let (step, state) = self.at(index);
            let State::Running(prepared) = &state.state else {
                continue;
            };
            let key: StepKey = step.id.clone().into();
            let message = format!("the process ended while attempt {} was under way", state.attempt);
            let failure = Failure::new(FailureClass::Interrupted, message);
            let event = match step.on_doubt {
                OnDoubt::Ask => Event::StepInDoubt { step: key, failure },
                OnDoubt::Retry if self.is_cancelled || state.attempt >= MOST_INTERRUPTED_ATTEMPTS => {
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
        let index = self.index(key).ok_or_else(|| Rejected::NoSuchStep(key.clone()))?;
        let State::Asking(asking) = &self.at(index).1.state else {
            return Err(Rejected::NotWaiting { step: key.clone(), status: self.at(index).1.state.status() });
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
        let index = self.index(key).ok_or_else(|| Rejected::NoSuchStep(key.clone()))?;
        let state = &self.at(index).1.state;
        if !matches!(state, State::InDoubt(..)) {
            return Err(Rejected::NotWaiting { step: key.clone(), status: state.status() });
        }
        if let Some(role) = self.governing_role(index)
            && !by.roles.iter().any(|given| given == role)
        {
            return Err(Rejected::NotAllowed { person: by.name.clone(), role: role.to_owned() });
        }
        if reason.trim().is_empty() {
            return Err(Rejected::ReasonRequired);
        }
        if resolution == Resolution::SendAgain && self.is_cancelled {
            return Err(Rejected::Cancelled);
        }
        Ok(())
    }

    /// The role that it takes to say what became of a step; none: anybody may.
    pub(crate) fn resolver_role(&self, key: &StepKey) -> Option<&str> {
        self.governing_role(self.index(key)?)
    }

    /// The role that its approval asked for, or the closest approval before it that asked for one: whoever may approve a
    /// step may say what became of it.
    fn governing_role(&self, index: usize) -> Option<&str> {
        let role = |index: usize| self.at(index).0.approval.as_ref()?.from.role.as_deref();
        let graph = &self.workflow.graph;
        let before = graph.order().iter().rev().filter(|step| graph.is_before(**step, index));
        role(index).or_else(|| before.copied().filter(|step| self.is_approval(*step)).find_map(role))
    }
}
