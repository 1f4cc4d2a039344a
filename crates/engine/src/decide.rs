//! What follows at once from an input.

use std::sync::Arc;

use model::{
    Decision, Digest, Event, Failure, FailureClass, LetGo, Mode, Outcome, Person, Record, Resolution, RunId,
    RunStatus, StepKey, StepStatus, Timestamp, UndoReason,
};
use serde_json::Value;
use workflow::{Effect, OnConflict, OnDoubt};

use crate::held::Held;
use crate::input::{Input, Rejected, Start};
use crate::place::Place;
use crate::retry;
use crate::run::{Phase, Run};
use crate::state::State;
use crate::summary::alert_id;
use crate::verify::after_success;

/// A step that was interrupted so often is given up: it may be what kills the process.
const MOST_INTERRUPTED_ATTEMPTS: u32 = 10;
/// What is known by its key is sent so often at most while nobody knows whether it happened.
const MOST_WITH_SAME_KEY: u32 = 8;
/// So many alerts are kept beside the one that started a run; of further ones, only that they came.
const MOST_JOINED_ALERTS: usize = 50;
/// What comes after so many leaves no trace in the run.
const MOST_COUNTED_ALERTS: u32 = 1000;

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
            Some(OnConflict::Drop) => model::Held::Dropped,
            Some(OnConflict::Queue) | None => model::Held::Queued,
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
        match input {
            Input::Tick | Input::Recovered | Input::Restored => Ok(()),
            input if !self.takes(&input) => Err(Rejected::Finished),
            Input::Finished { step, attempt, outcome } => self.finish(step, attempt, outcome, now, journal),
            Input::Looked { step, look, outcome } => {
                let event = self.looked(&step, look, outcome, now)?;
                self.record(event, now, journal);
                self.alarm(&step, now, journal);
                Ok(())
            }
            Input::Cleared { step, verdict } => self.cleared(&step, verdict, now, journal),
            Input::Undo { step, is_done, by, reason } => {
                let event = self.undo(&step, is_done, by, reason)?;
                self.record(event, now, journal);
                Ok(())
            }
            Input::AlertAgain { alert, received_at, reconciled } => {
                if let Some(event) = self.alert_again(alert, received_at, reconciled) {
                    self.record(event, now, journal);
                }
                Ok(())
            }
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

    /// Whether a run takes such an input. One that has finished still undoes what it holds.
    fn takes(&self, input: &Input) -> bool {
        let is_live = self.phase == Phase::Live;
        match input {
            Input::Finished { step, .. }
            | Input::Looked { step, .. }
            | Input::Cleared { step, .. }
            | Input::ChildEnded { step, .. }
            | Input::Decided { step, .. }
            | Input::Resolved { step, .. } => is_live || self.goes_on(step),
            Input::Undo { .. }
            | Input::AlertAgain { .. }
            | Input::Tick
            | Input::Recovered
            | Input::Restored => true,
            Input::Admitted | Input::Cancelled { .. } => is_live,
        }
    }

    /// Whether something may happen to a step although the run has finished.
    pub(crate) fn goes_on(&self, step: &StepKey) -> bool {
        let is_handler = |index: usize| index >= self.workflow.main_steps;
        step.is_undo || self.is_alarmed && self.workflow.index(&step.step).is_some_and(is_handler)
    }

    /// The same alert again adds to what is known of the incident; the very same one, sent twice, adds nothing.
    fn alert_again(&self, alert: Arc<Value>, received_at: Timestamp, reconciled: bool) -> Option<Event> {
        let is_first = self.scope.get(&["alert"]) == Some(alert.as_ref());
        if is_first || self.joined_alerts.contains(&alert) || self.alerts_again >= MOST_COUNTED_ALERTS {
            return None;
        }
        let is_kept = self.joined_alerts.len() < MOST_JOINED_ALERTS;
        let id = alert_id(&alert).filter(|_| !is_kept);
        Some(Event::AlertJoined { alert: Some(alert).filter(|_| is_kept), id, received_at, reconciled })
    }

    /// What follows where a person wants something undone, or has undone it.
    fn undo(&self, key: &StepKey, is_done: bool, by: Person, reason: String) -> Result<Event, Rejected> {
        let undo = key.undo();
        let nothing = || Rejected::NothingHeld(key.done());
        let place = self.place(&undo).ok_or_else(nothing)?;
        let held = self.held_at(place).filter(|held| held.is_open()).ok_or_else(nothing)?;
        if let Some(role) = self.governing_role(place.step)
            && !by.roles.iter().any(|given| given == role)
        {
            return Err(Rejected::NotAllowed { person: by.name, role: role.to_owned() });
        }
        if reason.trim().is_empty() {
            return Err(Rejected::ReasonRequired);
        }
        if is_done && self.is_under_way(place) {
            // It may happen after it was undone by hand.
            return Err(Rejected::NotWaiting { step: key.done(), status: StepStatus::Running });
        }
        if is_done {
            return Ok(Event::LetGo { step: undo, how: LetGo::ByHand { by, reason } });
        }
        if held.inverse.is_none() {
            return Err(Rejected::NoInverse(key.done()));
        }
        let is_possible = matches!(held.undo.state, State::Pending | State::Asking(_) | State::Retrying(..));
        if !is_possible || self.undo_is_wanted(place) {
            return Err(Rejected::NotWaiting { step: undo, status: held.undo.state.status() });
        }
        Ok(Event::UndoDue { step: undo, why: UndoReason::Person { by, reason } })
    }

    fn undo_is_wanted(&self, place: Place) -> bool {
        let held = self.held_at(place);
        held.is_some_and(|held| {
            held.due.is_some() && !matches!(held.undo.state, State::Asking(_) | State::Retrying(..))
        })
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
                let prepared = prepared.clone();
                match self.needs_clearance(place) {
                    // It is cleared anew: meanwhile another run may hold what would be undone.
                    true => {
                        Event::StepPrepared { step: key, inputs: prepared.inputs, target: prepared.target }
                    }
                    false => self.perform(place, prepared, now),
                }
            } else if let State::Unsure(prepared, failure, _) = &state.state {
                match self.is_stopped(place) {
                    true => Event::StepInDoubt { step: key, failure: failure.clone() },
                    false => {
                        let prepared = prepared.clone();
                        self.perform(place, prepared, now)
                    }
                }
            } else if let Some(event) = self.next_look(place) {
                event
            } else if matches!(state.state, State::Asking(_)) {
                Event::ApprovalExpired { step: key }
            } else {
                Event::StepSucceeded { step: key, output: serde_json::json!({}).into() }
            };
            self.record(event, now, journal);
        }
        let due = |place: &Place| self.undo_wakes_at(*place).is_some_and(|at| at <= now);
        let due: Vec<Place> = self.undo_places().filter(due).collect();
        for event in due.into_iter().filter_map(|place| self.elapse_undo(place)).collect::<Vec<_>>() {
            self.record(event, now, journal);
        }
    }

    /// Whether nothing is sent there any more. What is held is undone whatever became of the run.
    pub(crate) fn is_stopped(&self, place: Place) -> bool {
        let is_unwanted = |held: &Held| !held.is_at_rest();
        !place.is_undo
            && (self.is_cancelled
                || self.is_timed_out && place.step < self.workflow.main_steps
                || self.held_at(place).is_some_and(is_unwanted))
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
                Ok(true) => match after_success(step) {
                    Some(look) => self.begin_verify(place, look, Some(output), None, now),
                    None => Event::StepSucceeded { step: key, output },
                },
                Ok(false) => {
                    let retry_at = retry::next_look(self.id, step, &key, attempt, now)
                        .filter(|_| !self.is_stopped(place));
                    let message = format!("`until` does not hold after {attempt} attempts");
                    let failure = Failure::new(FailureClass::NotYet, message);
                    Event::StepFailed { step: key, failure, retry_at }
                }
                Err(message) => {
                    let failure = Failure::new(FailureClass::Input, format!("`until`: {message}"));
                    Event::StepFailed { step: key, failure, retry_at: None }
                }
            },
            Outcome::Unknown(failure) if step.on_doubt != OnDoubt::Retry => {
                self.unknown(place, attempt, failure, now)
            }
            // That this attempt did not happen says nothing of one before it of which nobody knows.
            Outcome::Failed(failure) if state.was_unknown => self.unknown(place, attempt, failure, now),
            Outcome::Failed(failure) | Outcome::Unknown(failure) => {
                let next = match place.is_undo {
                    true => Some(retry::again(self.id, step, &key, attempt, now)),
                    false => retry::next(self.id, step, &key, attempt, &failure, now),
                };
                Event::StepFailed { step: key, failure, retry_at: next.filter(|_| !self.is_stopped(place)) }
            }
        };
        let key = self.key_of(place);
        self.record(event, now, journal);
        self.alarm(&key, now, journal);
        Ok(())
    }

    /// What becomes of an attempt of which nobody knows whether it happened.
    fn unknown(&self, place: Place, attempt: u32, failure: Failure, now: Timestamp) -> Event {
        let (step, key) = (self.step_at(place), self.key_of(place));
        if let Some(look) = &step.verify {
            return self.begin_verify(place, look, None, Some(failure), now);
        }
        if step.on_doubt == OnDoubt::SameKey && attempt < MOST_WITH_SAME_KEY && !self.is_stopped(place) {
            let again_at = retry::again(self.id, step, &key, attempt, now);
            return Event::StepUnknown { step: key, failure, again_at };
        }
        Event::StepInDoubt { step: key, failure }
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
    pub(crate) fn recover(&mut self, is_copy: bool, now: Timestamp, journal: &mut Vec<Record>) {
        for place in self.places_where(|state| matches!(state, State::Running(_))) {
            let (step, state) = (self.step_at(place), self.state_at(place));
            let State::Running(prepared) = &state.state else {
                continue;
            };
            let (key, attempt) = (self.key_of(place), state.attempt);
            let message = match is_copy {
                true => format!(
                    "attempt {attempt} was under way when the backup was taken that this was restored from"
                ),
                false => format!("the process ended while attempt {attempt} was under way"),
            };
            let failure = Failure::new(FailureClass::Interrupted, message);
            let is_given_up = self.is_stopped(place) || attempt >= MOST_INTERRUPTED_ATTEMPTS;
            let event = match step.on_doubt {
                OnDoubt::Retry | OnDoubt::SameKey if is_copy && !self.only_looks(place) && !place.is_undo => {
                    Event::StepInDoubt { step: key.clone(), failure }
                }
                OnDoubt::Ask | OnDoubt::SameKey | OnDoubt::Verify => {
                    self.unknown(place, attempt, failure, now)
                }
                OnDoubt::Retry if place.is_undo && attempt >= MOST_INTERRUPTED_ATTEMPTS => {
                    let again_at = retry::again(self.id, step, &key, attempt, now);
                    Event::StepFailed { step: key.clone(), failure, retry_at: Some(again_at) }
                }
                OnDoubt::Retry if is_given_up => {
                    Event::StepFailed { step: key.clone(), failure, retry_at: None }
                }
                OnDoubt::Retry => {
                    let prepared = prepared.clone();
                    self.perform(place, prepared, now)
                }
            };
            self.record(event, now, journal);
            self.alarm(&key, now, journal);
        }
        if is_copy {
            self.doubt_attempts_to_come(now, journal);
        }
    }

    /// In a copy of an older state, an attempt that is still to come may have been made since. What disrupts is asked for
    /// anew anyway, and to undo something once more does no harm.
    fn doubt_attempts_to_come(&mut self, now: Timestamp, journal: &mut Vec<Record>) {
        for place in self.places_where(|state| matches!(state, State::Retrying(..) | State::Unsure(..))) {
            let is_asked_for =
                self.needs_clearance(place) && matches!(self.state_at(place).state, State::Retrying(..));
            if self.only_looks(place) || place.is_undo || is_asked_for {
                continue;
            }
            let message =
                "it may have been tried again since the backup was taken that this was restored from";
            let failure = Failure::new(FailureClass::Interrupted, message);
            self.record(Event::StepInDoubt { step: self.key_of(place), failure }, now, journal);
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
        let is_undone = |held: &Held| !held.is_at_rest();
        if resolution == Resolution::SendAgain && !place.is_undo && self.held_at(place).is_some_and(is_undone)
        {
            return Err(Rejected::IsUndone(key.clone()));
        }
        if resolution == Resolution::SendAgain && self.is_stopped(place) {
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
    pub(crate) fn governing_role(&self, index: usize) -> Option<&str> {
        let role = |index: usize| self.step_at(index.into()).approval.as_ref()?.from.role.as_deref();
        let graph = &self.workflow.graph;
        let before = graph.order().iter().rev().filter(|step| graph.is_before(**step, index));
        role(index).or_else(|| before.copied().filter(|step| self.is_approval(*step)).find_map(role))
    }
}
