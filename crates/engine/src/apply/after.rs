//! Facts about what follows a call: somebody looks whether it happened, and what it holds is undone.

use std::sync::Arc;

use model::{Event, Failure, Holds, LetGo, Record, RunId, StepKey, Timestamp, UndoReason};
use serde_json::{Value, json};
use workflow::Effect;

use super::illegal;
use crate::held::Held;
use crate::place::Place;
use crate::run::{Phase, Run};
use crate::state::{Prepared, State, StepState, Verifying};

/// What counts into a budget.
const BUDGET: std::time::Duration = std::time::Duration::from_secs(3600);
/// A run that disrupts more often than this is over every budget.
const MOST_DISRUPTIONS: usize = 1000;

impl Run {
    pub(super) fn prepared(&self, place: Place, step: &StepKey, new: Prepared) -> Result<State, String> {
        let state = &self.state_at(place).state;
        let is_same = if let State::Retrying(prepared, _) = state { *prepared == new } else { false };
        if is_same || matches!(state, State::Pending) {
            return Ok(State::Ready(new));
        }
        Err(illegal(step, "prepared", state))
    }

    /// What is on disk before anything is sent: what will hold, and how it is undone.
    pub(super) fn note_intent(
        &mut self,
        place: Place,
        target: Option<&String>,
        holds: Option<&Holds>,
        at: Timestamp,
    ) {
        if place.is_undo {
            return;
        }
        if self.step_at(place).effect == Effect::Disrupt {
            self.disrupted_at.retain(|earlier| at.since(*earlier) < BUDGET);
            if self.disrupted_at.len() < MOST_DISRUPTIONS {
                self.disrupted_at.push(at);
            }
        }
        if let (Some(target), Some(holds)) = (target, holds) {
            self.held.insert((place.step, place.item), Held::new(target.clone(), holds, at));
        }
    }

    pub(super) fn joined(
        &mut self,
        place: Place,
        step: &StepKey,
        by: RunId,
        target: &str,
        holds: &Holds,
        at: Timestamp,
    ) -> Result<State, String> {
        let State::Ready(_) = &self.state_at(place).state else {
            return Err(illegal(step, "joined", &self.state_at(place).state));
        };
        let held = Held { joined: Some(by), ..Held::new(target.to_owned(), holds, at) };
        self.held.insert((place.step, place.item), held);
        self.keep_output(place, json!({ "already_contained_by": by }).into());
        Ok(State::Ok)
    }

    pub(super) fn verify_started(
        &self,
        place: Place,
        step: &StepKey,
        output: Option<&Arc<Value>>,
        failure: Option<&Failure>,
        inputs: &Arc<Value>,
        until: Timestamp,
    ) -> Result<State, String> {
        let State::Running(prepared) = &self.state_at(place).state else {
            return Err(illegal(step, "verified", &self.state_at(place).state));
        };
        Ok(State::Verifying(Box::new(Verifying {
            prepared: prepared.clone(),
            output: output.cloned(),
            failure: failure.cloned(),
            inputs: inputs.clone(),
            until,
            look: 1,
            again_at: None,
        })))
    }

    pub(super) fn looked_in_vain(
        &self,
        place: Place,
        step: &StepKey,
        look: u32,
        again_at: Timestamp,
    ) -> Result<State, String> {
        let state = &self.state_at(place).state;
        let verifying = state.verifying().filter(|verifying| verifying.is_looking(look));
        let verifying = verifying.ok_or_else(|| illegal(step, "looked at", state))?.clone();
        Ok(State::Verifying(Box::new(Verifying { again_at: Some(again_at), ..verifying })))
    }

    pub(super) fn look_started(&self, place: Place, step: &StepKey, look: u32) -> Result<State, String> {
        let state = &self.state_at(place).state;
        let is_next = |verifying: &&Verifying| verifying.again_at.is_some() && look == verifying.look + 1;
        let verifying = state.verifying().filter(is_next);
        let verifying = verifying.ok_or_else(|| illegal(step, "looked at again", state))?.clone();
        Ok(State::Verifying(Box::new(Verifying { look, again_at: None, ..verifying })))
    }

    pub(super) fn in_doubt(&self, place: Place, step: &StepKey, failure: &Failure) -> Result<State, String> {
        let state = &self.state_at(place).state;
        // What waits for its next attempt is in doubt where that may have been made elsewhere.
        let waiting = if let State::Retrying(prepared, _) = state { Some(prepared) } else { None };
        let prepared = state.attempted().or(waiting).ok_or_else(|| illegal(step, "in doubt", state))?;
        Ok(State::InDoubt(prepared.clone(), failure.clone()))
    }

    /// What becomes of what a step would have held, when the step has come into this state.
    pub(super) fn note_held(&mut self, place: Place, next: &State, record: &Record) {
        let holder = (place.step, place.item);
        if place.is_undo {
            if matches!(next, State::Ok) && place.item.is_none() {
                let id = self.step_at(place).id.clone();
                self.scope.set(&["status", id.as_str()], "undone".into());
            }
            return;
        }
        let was_seen = matches!(self.state_at(place).state, State::Verifying(_));
        let has_not_begun = |held: &Held| matches!(held.undo.state, State::Pending);
        // A person who has it sent again says that it did not happen.
        let did_not_happen = matches!(next, State::Failed | State::Retrying(..) | State::Ready(_));
        if did_not_happen && self.held.get(&holder).is_some_and(has_not_begun) {
            // Nobody has begun to undo it either.
            self.held.remove(&holder);
        }
        let is_known = was_seen || matches!(record.event, Event::Resolved { .. });
        if let Some(held) = self.held.get_mut(&holder).filter(|_| is_known && matches!(next, State::Ok)) {
            held.verified_at = Some(record.at);
        }
    }

    pub(super) fn undo_due(
        &mut self,
        place: Place,
        step: &StepKey,
        why: &UndoReason,
    ) -> Result<State, String> {
        let holder = (place.step, place.item);
        let Some(held) = self.held.get_mut(&holder).filter(|held| held.inverse.is_some()) else {
            return Err(format!("`{step}` has nothing to undo"));
        };
        if !matches!(held.undo.state, State::Pending | State::Asking(_) | State::Retrying(..)) {
            return Err(illegal(step, "due", &held.undo.state));
        }
        held.due = Some(why.clone());
        self.kept.remove(&holder);
        Ok(State::Pending)
    }

    pub(super) fn let_go(&mut self, place: Place, step: &StepKey, how: &LetGo) -> Result<State, String> {
        let Some(held) = self.held_at(place).filter(|held| held.is_open()) else {
            return Err(format!("`{step}` holds nothing"));
        };
        let is_possible = match how {
            LetGo::Ended => matches!(held.undo.state, State::Pending),
            LetGo::DidNotHappen => matches!(held.undo.state, State::Asking(_)),
            LetGo::HandedOver { .. } => matches!(held.undo.state, State::Ready(_)),
            LetGo::ByHand { .. } => true,
        };
        if !is_possible {
            return Err(illegal(step, "let go", &held.undo.state));
        }
        // A person who undid it by hand undid it; otherwise the step did what it did.
        Ok(if matches!(how, LetGo::ByHand { .. }) { State::Ok } else { State::SkippedItself })
    }

    /// A person does not want it undone: it holds until somebody undoes it.
    pub(super) fn keep(&mut self, place: Place) -> State {
        let holder = (place.step, place.item);
        self.kept.insert(holder);
        if let Some(held) = self.held.get_mut(&holder) {
            (held.due, held.until) = (None, None);
        }
        State::Pending
    }

    /// People are told with the steps of `on_failure`, whatever these have done before.
    pub(super) fn alarm_raised(
        &mut self,
        place: Place,
        step: &StepKey,
        message: &str,
        at: Timestamp,
    ) -> Result<(), String> {
        let Some(held) = self.held.get_mut(&(place.step, place.item)).filter(|_| place.is_undo) else {
            return Err(format!("`{step}` undoes nothing"));
        };
        held.is_alarmed = true;
        self.is_alarmed = true;
        self.scope.set(&["error"], json!({ "step": step, "message": message, "class": "undo" }));
        if matches!(self.phase, Phase::Finished(_)) {
            for index in self.workflow.handlers() {
                let id = self.step_at(index.into()).id.clone();
                *self.state_mut(index.into()) = StepState::pending(at);
                self.scope.set(&["status", id.as_str()], "pending".into());
            }
        }
        Ok(())
    }
}
