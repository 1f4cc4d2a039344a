//! How calls end: their outcome, the end of a run that was called, and the end of the process that made them.

use std::sync::Arc;

use model::{Event, Failure, FailureClass, Outcome, Record, RunId, RunStatus, StepKey, Timestamp};
use serde_json::Value;
use workflow::{Effect, OnDoubt};

use crate::input::Rejected;
use crate::place::Place;
use crate::retry;
use crate::run::Run;
use crate::state::State;
use crate::verify::after_success;

/// A step that was interrupted so often is given up: it may be what kills the process.
const MOST_INTERRUPTED_ATTEMPTS: u32 = 10;
/// What is known by its key is sent so often at most while nobody knows whether it happened.
const MOST_WITH_SAME_KEY: u32 = 8;

impl Run {
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
        self.scope.share(&["output"], output.clone());
        let holds = self.with_item(place, |run| until.holds(&run.scope).map_err(|error| error.message));
        self.scope.remove("output");
        holds
    }

    pub(super) fn child_ended(
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
}
