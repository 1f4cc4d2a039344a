//! What follows at once from an input.

mod calls;
mod people;

use std::sync::Arc;

use model::{Event, LetGo, Mode, Record, Resolution, StepKey, Timestamp};
use serde_json::Value;
use workflow::OnConflict;

use crate::held::Held;
use crate::input::{Input, Rejected, Start};
use crate::place::Place;
use crate::run::{Phase, Run};
use crate::state::State;
use crate::summary::alert_id;

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
                let undo = step.undo();
                self.record(Event::Resolved { step, resolution, by, reason }, now, journal);
                if resolution == Resolution::Failed && self.asks_in_vain(&undo) {
                    self.record(Event::LetGo { step: undo, how: LetGo::DidNotHappen }, now, journal);
                }
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
}
