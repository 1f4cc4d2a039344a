//! What a run holds: the effect of a step that lasts, until it is undone.
//!
//! How it is undone is on disk before it is done. It outlives the run's own end: a run has finished when its steps have
//! settled, and is over when it holds nothing any more.

use expr::Scope;
use model::{
    Containment, ContainmentState, Event, Holds, LetGo, Record, RunStatus, StepKey, Timestamp, UndoReason,
};
use serde_json::{Value, json};
use workflow::{Effect, Step};

use crate::command::call_root;
use crate::place::Place;
use crate::prepare;
use crate::run::{Phase, Run};
use crate::state::{Prepared, State, StepState};
use crate::summary;
use crate::verify;

/// What a run holds, or will hold if a call that is under way succeeds.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    pub(crate) target: String,
    pub(crate) since: Timestamp,
    pub(crate) until: Option<Timestamp>,
    /// What undoing it is performed with; none: it ends on its own, or nobody here can undo it.
    pub(crate) inverse: Option<Prepared>,
    /// The run that had done it already.
    pub(crate) joined: Option<model::RunId>,
    pub(crate) verified_at: Option<Timestamp>,
    /// Why it is to be undone now; none: it is not.
    pub(crate) due: Option<UndoReason>,
    /// How far undoing it has come.
    pub(crate) undo: StepState,
    /// Why undoing it does not succeed.
    pub(crate) trouble: Option<String>,
    pub(crate) is_alarmed: bool,
}

impl Held {
    pub(crate) fn new(target: String, holds: &Holds, since: Timestamp) -> Held {
        let inverse = holds.undo.clone();
        let inverse = inverse.map(|inputs| Prepared { inputs, target: Some(target.clone()) });
        Held {
            target,
            since,
            until: holds.until,
            inverse,
            joined: None,
            verified_at: None,
            due: None,
            undo: StepState::pending(since),
            trouble: None,
            is_alarmed: false,
        }
    }

    /// Whether it is not undone yet.
    pub(crate) fn is_open(&self) -> bool {
        !self.undo.state.is_settled()
    }

    /// What people are told where undoing it does not succeed.
    fn alarm(&self) -> Option<String> {
        self.trouble.as_ref().map(|trouble| format!("`{}` is still contained: {trouble}", self.target))
    }

    /// Whether nobody has begun to undo it.
    pub(crate) fn is_at_rest(&self) -> bool {
        self.due.is_none() && matches!(self.undo.state, State::Pending)
    }
}

/// A step, or an item of one, that may hold something.
pub(crate) type Holder = (usize, Option<usize>);

impl Run {
    /// What a step will hold if it happens now; none: its effect does not last. Evaluated before anything is sent.
    pub(crate) fn holds(
        &self,
        place: Place,
        inputs: &Value,
        now: Timestamp,
    ) -> Result<Option<Holds>, String> {
        let step = self.step_at(place);
        if place.is_undo || !step.node.contains() {
            return Ok(None);
        }
        let own = Scope::new(
            json!({ "inputs": inputs, "call": call_root(self.id, &self.key_of(place), self.started_at) }),
        );
        let lasts = match &step.node.after.lasts {
            None => None,
            Some(lasts) => {
                duration(&lasts.eval(&own).map_err(|error| format!("`lasts`: {}", error.message))?)?
            }
        };
        let undo = match (&step.inverse, &step.node.after.undo) {
            (Some(inverse), Some(_)) => Some(verify::values(&inverse.node, &inverse.inputs, &own)?.into()),
            _ => None,
        };
        let after = match step.undo.as_ref().and_then(|undo| undo.after.as_ref()) {
            None => None,
            Some(after) => {
                let text = after
                    .eval_text(&self.item_scope(place))
                    .map_err(|error| format!("`undo`: {}", error.message))?;
                let after = expr::duration::parse(&text).map_err(|message| format!("`undo`: {message}"))?;
                Some(after)
            }
        };
        if lasts.is_none() && undo.is_none() {
            return Ok(None);
        }
        Ok(Some(Holds { until: after.or(lasts).map(|lasts| now.after(lasts)), undo }))
    }

    /// The places of what is held and not undone yet.
    pub(crate) fn undo_places(&self) -> impl Iterator<Item = Place> {
        let open = self.held.iter().filter(|(_, held)| held.is_open());
        open.map(|((step, item), _)| Place { step: *step, item: *item, is_undo: true })
    }

    pub(crate) fn held_at(&self, place: Place) -> Option<&Held> {
        self.held.get(&(place.step, place.item))
    }

    /// When the clock has to look at what is held there. While the step itself is under way, it is not undone.
    pub(crate) fn undo_wakes_at(&self, place: Place) -> Option<Timestamp> {
        let held = self.held_at(place)?;
        let is_at_rest = matches!(held.undo.state, State::Pending);
        let until = held.until.filter(|_| is_at_rest && held.due.is_none() && !self.is_under_way(place));
        until.or(held.undo.state.wake_at())
    }

    pub(crate) fn is_under_way(&self, place: Place) -> bool {
        let state = self.doing_state(place);
        state.is_some_and(|state| state.attempted().is_some() || matches!(state, State::Ready(_)))
    }

    /// How far the step has come whose effect is held there; none where its items are gone, which have ended then.
    fn doing_state(&self, place: Place) -> Option<&State> {
        let step = self.steps.get(place.step)?;
        let Some(item) = place.item else { return Some(&step.state) };
        let State::Each(each) = &step.state else { return None };
        each.items.get(item).map(|item| &item.state.state)
    }

    /// What is due there by the clock.
    pub(crate) fn elapse_undo(&self, place: Place) -> Option<Event> {
        let step = self.key_of(place);
        let held = self.held_at(place)?;
        if !matches!(held.undo.state, State::Pending) {
            return None;
        }
        Some(match held.inverse {
            Some(_) => Event::UndoDue { step, why: UndoReason::Time },
            None => Event::LetGo { step, how: LetGo::Ended },
        })
    }

    /// Begins to undo what is due: people are asked first where the playbook wants that.
    pub(crate) fn settle_undos(&mut self, now: Timestamp, journal: &mut Vec<Record>) {
        self.undo_for_the_end(now, journal);
        let places: Vec<Place> = self.undo_places().collect();
        for place in places {
            let Some(held) = self.held_at(place) else { continue };
            let (Some(why), Some(prepared)) = (&held.due, held.inverse.clone()) else { continue };
            // What is still being done is undone afterwards: who knows which of the two would arrive first.
            if !matches!(held.undo.state, State::Pending) || self.is_under_way(place) {
                continue;
            }
            let is_wanted = matches!(why, UndoReason::Person { .. });
            let event = match self.step_at(place).approval.clone().filter(|_| !is_wanted) {
                Some(approval) => {
                    let step = self.step_at(place);
                    let asked = prepare::request(step, &approval, Some(prepared.clone()), &self.scope, now);
                    let request = asked.unwrap_or_else(|_| {
                        // What it says cannot be said; that somebody has to be asked stays.
                        prepare::plain_request(step, &approval, prepared, &held.target)
                    });
                    Event::ApprovalRequested { step: self.key_of(place), request: Box::new(request) }
                }
                None => {
                    let Prepared { inputs, target } = prepared;
                    Event::StepPrepared { step: self.key_of(place), inputs, target }
                }
            };
            self.record(event, now, journal);
        }
    }

    /// What is undone as soon as the run has ended as it has.
    fn undo_for_the_end(&mut self, now: Timestamp, journal: &mut Vec<Record>) {
        let Phase::Finished(status) = self.phase else { return };
        let why = match status {
            RunStatus::Failed => UndoReason::RunFailed,
            RunStatus::Cancelled => UndoReason::RunCancelled,
            RunStatus::Running | RunStatus::Waiting | RunStatus::Succeeded => return,
        };
        let is_meant = |place: &Place| {
            let undo = self.done_step(*place).undo.as_ref();
            let is_failed = status == RunStatus::Failed;
            let applies = undo.is_some_and(|undo| if is_failed { undo.on_failed } else { undo.on_cancelled });
            applies && self.held_at(*place).is_some_and(|held| held.is_at_rest() && held.inverse.is_some())
        };
        // A person may have kept it since, against the clock and against this.
        let places: Vec<Place> =
            self.undo_places().filter(is_meant).filter(|place| !self.is_kept(*place)).collect();
        for place in places {
            self.record(Event::UndoDue { step: self.key_of(place), why: why.clone() }, now, journal);
        }
    }

    /// Whether people are asked whether something is undone that did not happen.
    pub(crate) fn asks_in_vain(&self, undo: &StepKey) -> bool {
        let Some(place) = self.place(undo).filter(|place| place.is_undo) else { return false };
        let is_asked = self.held_at(place).is_some_and(|held| matches!(held.undo.state, State::Asking(_)));
        is_asked && matches!(self.doing_state(place), Some(State::Failed))
    }

    fn is_kept(&self, place: Place) -> bool {
        self.kept.contains(&(place.step, place.item))
    }

    /// The step whose effect is undone there.
    pub(crate) fn done_step(&self, place: Place) -> &Step {
        self.step_at(Place { is_undo: false, ..place })
    }

    /// What people have to be told of next; none while they are being told of something.
    pub(crate) fn alarm_to_raise(&self) -> Option<StepKey> {
        let is_silent = |held: &Held| held.trouble.is_some() && !held.is_alarmed;
        let mut places = self.undo_places().filter(|place| self.held_at(*place).is_some_and(is_silent));
        places.next().filter(|_| !self.tells_people()).map(|place| self.key_of(place))
    }

    /// Whether the steps of `on_failure` are being performed.
    fn tells_people(&self) -> bool {
        self.steps.iter().skip(self.workflow.main_steps).any(|step| step.state.is_open())
    }

    /// Says that undoing does not succeed: at once in the log, and when the run has ended with the steps of `on_failure`.
    pub(crate) fn alarm(&mut self, key: &StepKey, now: Timestamp, journal: &mut Vec<Record>) {
        if matches!(self.phase, Phase::Finished(_)) && self.tells_people() {
            return;
        }
        let Some(place) = self.place(key).filter(|place| place.is_undo) else { return };
        let Some(held) = self.held_at(place).filter(|held| !held.is_alarmed) else { return };
        if let Some(message) = held.alarm() {
            self.record(Event::AlarmRaised { step: key.clone(), message }, now, journal);
        }
    }

    /// What cannot be undone at this moment, in a line.
    pub(crate) fn still_contained(&self) -> Option<String> {
        let alarm = |place| Some(format!("{}: {}", self.key_of(place), self.held_at(place)?.alarm()?));
        self.undo_places().find_map(alarm).map(|alarm| summary::line(&alarm))
    }

    /// The rows of the ledger that this run has a part in.
    pub fn containments(&self) -> Vec<Containment> {
        let row = |place: Place| {
            let held = self.held_at(place)?;
            let state = self.containment_state(place, held);
            Some(Containment {
                step: self.key_of(Place { is_undo: false, ..place }),
                target: held.target.clone(),
                node: self.done_step(place).node.name.clone(),
                state,
                since: held.since,
                until: held.until,
                can_undo: held.inverse.is_some(),
                verified_at: held.verified_at,
                joined: held.joined,
                trouble: held.trouble.clone(),
                waits: None,
            })
        };
        self.undo_places().filter_map(row).collect()
    }

    fn containment_state(&self, place: Place, held: &Held) -> ContainmentState {
        let state = &held.undo.state;
        let is_open = matches!(state, State::Pending | State::Asking(_));
        if is_open && self.is_under_way(place) {
            return ContainmentState::Sending;
        }
        let is_asked = matches!(state, State::Asking(_));
        let is_doubtful = self.doing_state(place).is_some_and(|state| matches!(state, State::InDoubt(..)));
        if is_doubtful && (is_asked || is_open && held.due.is_none()) {
            // That somebody is asked whether it is undone does not make it known to hold.
            return ContainmentState::InDoubt;
        }
        if is_open && !is_asked && held.due.is_none() {
            return ContainmentState::Holding;
        }
        if is_asked {
            ContainmentState::UndoAsked
        } else if matches!(state, State::Pending | State::Ready(_)) {
            ContainmentState::UndoDue
        } else if matches!(state, State::Retrying(..)) {
            ContainmentState::UndoFailing
        } else if matches!(state, State::InDoubt(..)) {
            ContainmentState::UndoInDoubt
        } else {
            ContainmentState::Undoing
        }
    }

    /// Whether nothing follows any more.
    pub fn is_over(&self) -> bool {
        self.status().is_finished() && !self.is_unsettled()
    }

    /// Whether something follows although the run has finished.
    pub(crate) fn is_unsettled(&self) -> bool {
        let handlers = self.steps.iter().skip(self.workflow.main_steps);
        matches!(self.phase, Phase::Finished(_))
            && (self.held.values().any(Held::is_open)
                || self.is_alarmed && handlers.clone().any(|step| step.state.is_open()))
    }

    /// Whether somebody has to say that it may be done, right before it is.
    pub(crate) fn needs_clearance(&self, place: Place) -> bool {
        place.is_undo || self.step_at(place).effect == Effect::Disrupt
    }
}

fn duration(value: &Value) -> Result<Option<std::time::Duration>, String> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) if text.trim().is_empty() => Ok(None),
        Value::String(text) => {
            expr::duration::parse(text).map(Some).map_err(|message| format!("`lasts`: {message}"))
        }
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            Err("`lasts` has to be a duration".to_owned())
        }
    }
}
