//! Facts about what people said, or did not say in time.

use model::{
    ApprovalRequest, Decision, Digest, Failure, FailureClass, Person, Resolution, StepKey, Timestamp,
};
use serde_json::json;

use super::illegal;
use crate::place::Place;
use crate::run::Run;
use crate::state::{Prepared, State};

impl Run {
    pub(super) fn expect_asking(
        &self,
        place: Place,
        step: &StepKey,
        digest: &Digest,
    ) -> Result<ApprovalRequest, String> {
        let State::Asking(asking) = &self.state_at(place).state else {
            return Err(illegal(step, "decided", &self.state_at(place).state));
        };
        if asking.request.digest != *digest {
            return Err(format!("`{step}` was decided for another request"));
        }
        Ok(asking.request.clone())
    }

    /// What follows from an answer; nothing while it takes more of them.
    #[expect(clippy::too_many_arguments, reason = "the parts of one fact, and what it answers")]
    pub(super) fn decided(
        &mut self,
        place: Place,
        step: &StepKey,
        request: ApprovalRequest,
        decision: Decision,
        by: &Person,
        reason: Option<&str>,
        at: Timestamp,
    ) -> Result<Option<State>, String> {
        let State::Asking(asking) = &mut self.state_mut(place).state else {
            return Err(format!("`{step}` was not put before people"));
        };
        let mut names: Vec<&str> = asking.approved_by.iter().map(|person| person.name.as_str()).collect();
        if names.contains(&by.name.as_str()) {
            return Err(format!("`{}` decided `{step}` twice", by.name));
        }
        names.push(&by.name);
        let reason = reason.unwrap_or("no reason given");
        let word = json!({ "decision": decision, "by": names.join(", "), "at": at, "reason": reason });
        let is_undo = place.is_undo;
        let next = match decision {
            Decision::Reject if is_undo => return Ok(Some(self.keep(place))),
            Decision::Reject => State::Rejected,
            Decision::Approve => {
                asking.approved_by.push(by.clone());
                if asking.approved_by.len() < request.from.count as usize {
                    return Ok(None);
                }
                match request.inputs {
                    Some(inputs) => State::Ready(Prepared { inputs, target: request.target }),
                    None => State::Ok,
                }
            }
        };
        let answered = request.guardrail.filter(|_| decision == Decision::Approve);
        self.state_mut(place).answered.extend(answered);
        if is_undo {
            return Ok(Some(next));
        }
        if place.item.is_some() && decision == Decision::Reject {
            let message = format!("{} said no: {reason}", by.name);
            self.keep_failure(place, &Failure::new(FailureClass::Resolved, message));
        } else if place.item.is_none() {
            let id = step.step.as_str();
            self.scope.set(&["approvals", id], word.clone());
            if matches!(next, State::Ok) {
                self.scope.set(&["steps", id], word);
            }
        }
        Ok(Some(next))
    }

    pub(super) fn expired(&mut self, place: Place, step: &StepKey) -> Result<State, String> {
        let State::Asking(_) = &self.state_at(place).state else {
            return Err(illegal(step, "expired", &self.state_at(place).state));
        };
        let failure = Failure::new(FailureClass::Timeout, "nobody answered in time");
        match place.item {
            Some(_) => self.keep_failure(place, &failure),
            None => self.note_error(step.step.as_str(), &failure),
        }
        Ok(State::Expired)
    }

    pub(super) fn resolved(
        &mut self,
        place: Place,
        step: &StepKey,
        resolution: Resolution,
        by: &Person,
        reason: &str,
    ) -> Result<State, String> {
        let State::InDoubt(prepared, _) = &self.state_at(place).state else {
            return Err(illegal(step, "resolved", &self.state_at(place).state));
        };
        let prepared = prepared.clone();
        self.state_mut(place).was_unknown = false;
        match resolution {
            Resolution::SendAgain if self.is_cancelled && !place.is_undo => {
                Err("a cancelled run sends nothing".to_owned())
            }
            Resolution::SendAgain => Ok(State::Ready(prepared)),
            Resolution::Failed if place.is_undo => Ok(self.keep(place)),
            Resolution::Failed => {
                let message = format!("{} says that it did not happen: {reason}", by.name);
                self.keep_failure(place, &Failure::new(FailureClass::Resolved, message));
                Ok(State::Failed)
            }
            Resolution::Ok => {
                let word = json!({ "resolved_by": by.name, "reason": reason });
                if !place.is_undo {
                    self.keep_output(place, word.into());
                }
                Ok(State::Ok)
            }
        }
    }
}
