//! What people say: whether they may, and what follows.

use model::{Decision, Digest, Event, LetGo, Person, Resolution, StepKey, StepStatus, UndoReason};

use crate::held::Held;
use crate::input::Rejected;
use crate::place::Place;
use crate::run::Run;
use crate::state::State;

impl Run {
    /// What follows where a person wants something undone, or has undone it.
    pub(super) fn undo(
        &self,
        key: &StepKey,
        is_done: bool,
        by: Person,
        reason: String,
    ) -> Result<Event, Rejected> {
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
            if matches!(held.undo.state, State::InDoubt(..)) {
                return Err(Rejected::NotWaiting { step: undo, status: held.undo.state.status() });
            }
            return Err(Rejected::BeingUndone(key.done()));
        }
        Ok(Event::UndoDue { step: undo, why: UndoReason::Person { by, reason } })
    }

    fn undo_is_wanted(&self, place: Place) -> bool {
        let held = self.held_at(place);
        held.is_some_and(|held| {
            held.due.is_some() && !matches!(held.undo.state, State::Asking(_) | State::Retrying(..))
        })
    }

    pub(super) fn check_decision(
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

    pub(super) fn check_resolution(
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
