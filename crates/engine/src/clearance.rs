//! The last question before something is done that disrupts, or is undone: may it be, and does it hold already?
//!
//! The run asks and does not know: the operator's guardrails and the ledger of all runs are outside. What was answered
//! becomes a fact.

use std::sync::Arc;

use model::{Asked, Event, Failure, Holds, LetGo, Record, RunId, StepKey, Timestamp};
use serde_json::Value;
use workflow::Manifest;

use crate::input::Rejected;
use crate::place::Place;
use crate::prepare;
use crate::run::Run;
use crate::settle::cannot_start;
use crate::state::{Prepared, State};

/// Something that is to be done, and may not be before somebody has said so.
#[derive(Debug, Clone)]
pub struct Clearance {
    /// Which step, or which undo.
    pub step: StepKey,
    /// The node that would be performed.
    pub node: Arc<Manifest>,
    /// The name of the connection.
    pub connection: Option<String>,
    /// The rendered inputs.
    pub inputs: Arc<Value>,
    /// What it acts on.
    pub target: Option<String>,
    /// What would hold; none: its effect does not last.
    pub holds: Option<Holds>,
    /// What was asked before this, and people said yes to.
    pub answered: Vec<String>,
}

/// The answer to a [`Clearance`].
#[derive(Debug, Clone)]
pub enum Verdict {
    /// Do it.
    Go,
    /// It holds already, by the doing of this run.
    Joined {
        /// Which run.
        by: RunId,
    },
    /// Another run holds it too: it is not undone yet.
    HandedOver {
        /// Which run.
        to: RunId,
    },
    /// A person has to say yes, for this reason.
    Ask(String),
    /// It may not be done.
    Refused(Failure),
}

impl Run {
    /// What is to be done as soon as somebody has said that it may be.
    pub fn clearances(&self) -> Vec<Clearance> {
        let clearance = |place: Place| {
            let state = self.state_at(place);
            let State::Ready(prepared) = &state.state else { return None };
            if !self.needs_clearance(place) {
                return None;
            }
            let step = self.step_at(place);
            Some(Clearance {
                step: self.key_of(place),
                node: step.node.clone(),
                connection: step.connection.clone(),
                inputs: prepared.inputs.clone(),
                target: prepared.target.clone(),
                holds: self.holds(place, &prepared.inputs, self.updated_at).ok().flatten(),
                answered: state.answered.clone(),
            })
        };
        self.places().filter_map(clearance).collect()
    }

    pub(crate) fn cleared(
        &mut self,
        key: &StepKey,
        verdict: Verdict,
        now: Timestamp,
        journal: &mut Vec<Record>,
    ) -> Result<(), Rejected> {
        let place = self.find(key)?;
        let state = self.state_at(place);
        let State::Ready(prepared) = &state.state else {
            return Err(Rejected::NotWaiting { step: key.clone(), status: state.state.status() });
        };
        let prepared = prepared.clone();
        let event = match verdict {
            Verdict::Go => self.perform(place, prepared, now),
            Verdict::Joined { by } => self.join(place, prepared, by, now),
            Verdict::HandedOver { to } if place.is_undo => {
                Event::LetGo { step: key.clone(), how: LetGo::HandedOver { to } }
            }
            Verdict::Refused(failure) if !place.is_undo => {
                Event::StepFailed { step: key.clone(), failure, retry_at: None }
            }
            Verdict::Ask(why) if !place.is_undo => self.ask_for_guardrail(place, prepared, why, now),
            Verdict::HandedOver { .. } | Verdict::Refused(_) | Verdict::Ask(_) => {
                return Err(Rejected::NotWaiting { step: key.clone(), status: state.state.status() });
            }
        };
        self.record(event, now, journal);
        Ok(())
    }

    /// The intent to perform what was prepared, with what will hold if it happens.
    pub(crate) fn perform(&self, place: Place, prepared: Prepared, now: Timestamp) -> Event {
        let (step, attempt) = (self.key_of(place), self.state_at(place).attempt + 1);
        match self.holds(place, &prepared.inputs, now) {
            Ok(holds) => {
                let Prepared { inputs, target } = prepared;
                Event::StepStarted { step, attempt, inputs, target, holds }
            }
            Err(message) => cannot_start(step, message),
        }
    }

    fn join(&self, place: Place, prepared: Prepared, by: RunId, now: Timestamp) -> Event {
        let step = self.key_of(place);
        match self.holds(place, &prepared.inputs, now) {
            Ok(Some(holds)) => {
                let target = prepared.target.unwrap_or_default();
                Event::StepJoined { step, by, inputs: prepared.inputs, target, holds }
            }
            Ok(None) => cannot_start(step, "nothing of it would last, so it cannot hold already".to_owned()),
            Err(message) => cannot_start(step, message),
        }
    }

    fn ask_for_guardrail(&self, place: Place, prepared: Prepared, why: String, now: Timestamp) -> Event {
        let role = self.governing_role(place.step).map(str::to_owned);
        let step = self.step_at(place);
        let from = match step.approval.as_ref() {
            Some(approval) => approval.from.clone(),
            None => Asked { role, count: 1 },
        };
        let expires = step.approval.as_ref().and_then(|approval| approval.expires);
        let request = Box::new(prepare::guardrail_request(step, prepared, why, from, expires, now));
        Event::ApprovalRequested { step: self.key_of(place), request }
    }
}
