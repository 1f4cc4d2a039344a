//! Looking whether a call happened: what was taken is not done until it was seen, where it can be seen.

use std::sync::Arc;

use expr::{Scope, ValueTemplate};
use model::{Event, Failure, FailureClass, Outcome, StepKey, Timestamp};
use serde_json::{Map, Value, json};
use workflow::{Look, Otherwise, Step};

use crate::command::call_root;
use crate::input::Rejected;
use crate::place::Place;
use crate::prepare;
use crate::retry;
use crate::run::Run;
use crate::state::{Prepared, State, Verifying};

/// A call that was proven not to have happened so often is not made again.
const MOST_ATTEMPTS: u32 = 5;

impl Run {
    /// What becomes of an attempt that was taken, or of which nobody knows, where one can look.
    pub(crate) fn begin_verify(
        &self,
        place: Place,
        look: &Look,
        output: Option<Arc<Value>>,
        failure: Option<Failure>,
        now: Timestamp,
    ) -> Event {
        let step = self.key_of(place);
        let State::Running(prepared) = &self.state_at(place).state else {
            unreachable!("only what is under way can be verified")
        };
        let given = output.as_deref().cloned().unwrap_or(Value::Null);
        let scope = self.look_scope(place, prepared, given);
        match look_inputs(look, &scope) {
            Ok(inputs) => {
                let until = now.after(look.verify.within);
                Event::VerifyStarted { step, output, failure, inputs: inputs.into(), until }
            }
            Err(message) => {
                let message = format!("nobody can look whether it happened: {message}");
                Event::StepInDoubt { step, failure: Failure::new(FailureClass::Input, message) }
            }
        }
    }

    /// A look has ended.
    pub(crate) fn looked(
        &self,
        key: &StepKey,
        look: u32,
        outcome: Outcome,
        now: Timestamp,
    ) -> Result<Event, Rejected> {
        let place = self.find(key)?;
        let stale = || Rejected::Stale { step: key.clone(), attempt: look };
        let State::Verifying(verifying) = &self.state_at(place).state else { return Err(stale()) };
        let Some(policy) = self.step_at(place).verify.as_deref().filter(|_| verifying.is_looking(look))
        else {
            return Err(stale());
        };
        let failure = match outcome {
            Outcome::Succeeded(seen) => match self.is_seen(place, verifying, policy, &seen) {
                Ok(Some(output)) => return Ok(Event::StepSucceeded { step: key.clone(), output }),
                Ok(None) => None,
                Err(message) => Some(Failure::new(FailureClass::Input, message)),
            },
            Outcome::Failed(failure) | Outcome::Unknown(failure) => Some(failure),
        };
        let again_at = now.after(policy.verify.every);
        if again_at <= verifying.until {
            return Ok(Event::LookedInVain { step: key.clone(), look, failure, again_at });
        }
        Ok(self.not_seen(place, verifying, policy, failure.as_ref(), now))
    }

    /// What the step gives where it was seen; none where it was not.
    fn is_seen(
        &self,
        place: Place,
        verifying: &Verifying,
        look: &Look,
        seen: &Arc<Value>,
    ) -> Result<Option<Arc<Value>>, String> {
        let scope = self.look_scope(place, &verifying.prepared, seen.as_ref().clone());
        if !look.verify.expect.holds(&scope).map_err(|error| format!("`expect`: {}", error.message))? {
            return Ok(None);
        }
        let given = match (&verifying.output, &look.verify.output) {
            (Some(output), _) => output.as_ref().clone(),
            (None, Some(output)) => output.eval(&scope).map_err(|error| error.message)?,
            (None, None) => json!({}),
        };
        let mut output = match given {
            Value::Object(fields) => fields,
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                Map::from_iter([("output".to_owned(), given)])
            }
        };
        output.insert("verified".to_owned(), seen.as_ref().clone());
        let output = Value::Object(output);
        Ok(Some(match self.check_room(place, &output) {
            Ok(()) => output.into(),
            Err(message) => json!({ "left_out": message }).into(),
        }))
    }

    /// Nothing shows in all the time that it happened.
    fn not_seen(
        &self,
        place: Place,
        verifying: &Verifying,
        look: &Look,
        last: Option<&Failure>,
        now: Timestamp,
    ) -> Event {
        let step = self.key_of(place);
        let within = expr::duration::display(look.verify.within);
        let what = match (&verifying.failure, last) {
            (None, None) => format!("it was taken, and nothing shows within {within} that it was done"),
            (None, Some(last)) => {
                format!("it was taken, and nobody could look whether it was done: {}", last.message)
            }
            (Some(first), None) => {
                format!("{}; and nothing shows within {within} that it was done", first.message)
            }
            (Some(first), Some(last)) => {
                format!("{}; and nobody could look whether it was done: {}", first.message, last.message)
            }
        };
        let failure = Failure::new(FailureClass::NotSeen, what);
        if look.verify.otherwise == Otherwise::Ask || last.is_some() {
            return Event::StepInDoubt { step, failure };
        }
        let attempt = self.state_at(place).attempt;
        let is_tried_again = !self.is_stopped(place) && (place.is_undo || attempt < MOST_ATTEMPTS);
        let retry_at =
            is_tried_again.then(|| retry::again(self.id, self.step_at(place), &step, attempt, now));
        Event::StepFailed { step, failure, retry_at }
    }

    fn look_scope(&self, place: Place, prepared: &Prepared, output: Value) -> Scope {
        let inputs = prepared.inputs.as_ref();
        Scope::new(
            json!({ "inputs": inputs, "output": output, "call": call_root(self.id, &self.key_of(place), self.started_at) }),
        )
    }

    /// What is due by the clock: the next look.
    pub(crate) fn next_look(&self, place: Place) -> Option<Event> {
        let State::Verifying(verifying) = &self.state_at(place).state else { return None };
        Some(Event::LookStarted { step: self.key_of(place), look: verifying.look + 1 })
    }
}

fn look_inputs(look: &Look, scope: &Scope) -> Result<Value, String> {
    values(&look.node, &look.verify.with, scope)
}

/// What a node is performed with that another one names.
pub(crate) fn values(
    node: &workflow::Manifest,
    with: &std::collections::BTreeMap<String, ValueTemplate>,
    scope: &Scope,
) -> Result<Value, String> {
    let mut inputs = Map::new();
    for (name, values) in with {
        let of = |message: String| format!("the input `{name}` of `{}`: {message}", node.name);
        let mut value = values.eval(scope).map_err(|error| of(error.message))?;
        if let Some(input) = node.inputs.get(name) {
            value = input.take(value).map_err(of)?;
        }
        inputs.insert(name.clone(), value);
    }
    let inputs = Value::Object(inputs);
    prepare::check_size(&inputs)?;
    Ok(inputs)
}

/// The step's policy of looking, where an attempt that was taken has to be seen.
pub(crate) fn after_success(step: &Step) -> Option<&Look> {
    step.verify.as_deref().filter(|look| !look.verify.only_in_doubt)
}
