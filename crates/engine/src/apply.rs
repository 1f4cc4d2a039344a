//! What each fact means: the only place where a run changes, live and on replay.

use std::sync::Arc;

use model::{
    Decision, Event, Failure, FailureClass, Mode, Person, Record, Resolution, RunStatus, SkipReason, StepKey,
    Timestamp, Trigger, WorkflowRef,
};
use serde_json::{Value, json};
use workflow::{EngineNode, OnError};

use crate::run::{Corrupt, Phase, Run};
use crate::scope;
use crate::state::{Asking, Prepared, State};
use crate::summary;

impl Run {
    /// Applies a fact. It fails where the fact cannot follow from those before it, and changes nothing then.
    pub fn apply(&mut self, record: &Record) -> Result<(), Corrupt> {
        let corrupt = |message: String| Corrupt { seq: record.seq, message };
        if record.v != Record::VERSION {
            return Err(corrupt(format!("version {} is not known", record.v)));
        }
        if record.seq != self.next_seq {
            return Err(corrupt(format!("it should have the number {}", self.next_seq)));
        }
        let is_start = matches!(record.event, Event::RunStarted { .. });
        match self.phase {
            Phase::Empty if !is_start => return Err(corrupt("a journal begins with run_started".to_owned())),
            Phase::Live if is_start => return Err(corrupt("a run starts once".to_owned())),
            Phase::Finished(_) => return Err(corrupt("nothing follows run_finished".to_owned())),
            Phase::Empty | Phase::Live => {}
        }
        self.apply_event(record).map_err(corrupt)?;
        self.next_seq = record.seq + 1;
        self.updated_at = record.at;
        Ok(())
    }

    fn apply_event(&mut self, record: &Record) -> Result<(), String> {
        match &record.event {
            Event::RunStarted { workflow, mode, trigger, alert } => {
                self.apply_begun(workflow, *mode, trigger, alert, record)
            }
            Event::TriggerFailed { message } => self.apply_in_vain(message, record),
            Event::StepStarted { step, attempt, inputs, target } => {
                let prepared = Prepared { inputs: inputs.clone(), target: target.clone() };
                self.apply_started(step, *attempt, prepared, record)
            }
            Event::StepSucceeded { step, output } => self.apply_succeeded(step, output, record),
            Event::StepFailed { step, failure, retry_at } => {
                self.apply_failed(step, failure, *retry_at, record)
            }
            Event::StepSkipped { step, reason } => {
                self.expect_pending(step, "skipped")?;
                let next = match reason {
                    SkipReason::Condition | SkipReason::Shadow { .. } => State::SkippedItself,
                    SkipReason::StoppedBy(_) => State::Stopped,
                };
                self.enter(step, next, record)
            }
            Event::StepInDoubt { step, failure } => {
                let State::Running(prepared) = self.state_of(step)? else {
                    return Err(illegal(step, "in doubt", self.state_of(step)?));
                };
                self.enter(step, State::InDoubt(prepared.clone(), failure.clone()), record)
            }
            Event::DelayStarted { step, until } => {
                self.expect_pending(step, "delayed")?;
                self.enter(step, State::Delayed(*until), record)
            }
            Event::ApprovalRequested { step, request } => {
                self.expect_pending(step, "put before people")?;
                let asking = Asking { request: request.as_ref().clone(), approved_by: Vec::new() };
                self.enter(step, State::Asking(Box::new(asking)), record)
            }
            Event::ApprovalDecided { step, decision, by, reason, digest } => {
                let State::Asking(asking) = self.state_of(step)? else {
                    return Err(illegal(step, "decided", self.state_of(step)?));
                };
                if asking.request.digest != *digest {
                    return Err(format!("`{step}` was decided for another request"));
                }
                self.apply_decided(step, *decision, by, reason.as_deref(), record)
            }
            Event::ApprovalExpired { step } => self.apply_expired(step, record),
            Event::Resolved { step, resolution, by, reason } => {
                self.apply_resolved(step, *resolution, by, reason, record)
            }
            Event::RunCancelled { .. } => {
                self.is_cancelled = true;
                self.apply_cancelled(record)
            }
            Event::RunFinished { status, .. } => self.apply_finished(*status),
        }
    }

    fn apply_begun(
        &mut self,
        workflow: &WorkflowRef,
        mode: Mode,
        trigger: &Trigger,
        alert: &Arc<Value>,
        record: &Record,
    ) -> Result<(), String> {
        if workflow.source != self.workflow.digest {
            return Err(format!("the run is pinned to the source {}", workflow.source));
        }
        self.phase = Phase::Live;
        self.is_shadow = mode == Mode::Shadow;
        self.started_at = record.at;
        self.about = summary::about(alert);
        scope::begin(&mut self.scope, self.id, &self.workflow, trigger, alert, record);
        self.steps.iter_mut().for_each(|step| step.since = record.at);
        Ok(())
    }

    fn apply_finished(&mut self, status: RunStatus) -> Result<(), String> {
        if !status.is_finished() || self.steps.iter().any(|step| !step.state.is_settled()) {
            return Err("the run finished while a step was not settled".to_owned());
        }
        self.phase = Phase::Finished(status);
        Ok(())
    }

    fn apply_failed(
        &mut self,
        step: &StepKey,
        failure: &Failure,
        retry_at: Option<Timestamp>,
        record: &Record,
    ) -> Result<(), String> {
        let state = self.state_of(step)?;
        let is_possible = matches!(state, State::Running(_) | State::Pending);
        let next = match (state, retry_at) {
            (State::Running(prepared), Some(at)) => State::Retrying(prepared.clone(), at),
            (_, None) if is_possible => State::Failed,
            _ => return Err(illegal(step, "failed", state)),
        };
        let description = json!({ "message": failure.message, "class": failure.class, "help": failure.help });
        self.scope.set(&["errors", step.step.as_str()], description);
        if retry_at.is_none() {
            self.note_error(step, &failure.message);
        }
        self.enter(step, next, record)
    }

    fn apply_started(
        &mut self,
        step: &StepKey,
        attempt: u32,
        new: Prepared,
        record: &Record,
    ) -> Result<(), String> {
        let state = self.state_of(step)?;
        let is_same = match state {
            State::Pending => true,
            State::Ready(prepared) | State::Running(prepared) | State::Retrying(prepared, _) => {
                *prepared == new
            }
            State::Delayed(_)
            | State::Asking(_)
            | State::Ok
            | State::SkippedItself
            | State::Stopped
            | State::Failed
            | State::Rejected
            | State::Expired
            | State::InDoubt(..)
            | State::Cancelled => return Err(illegal(step, "started", state)),
        };
        if !is_same {
            return Err(format!("`{step}` was started with other inputs than those that were fixed"));
        }
        let index = self.index(step).ok_or_else(|| format!("there is no step `{step}`"))?;
        let place = self.steps.get_mut(index).ok_or_else(|| format!("there is no step `{step}`"))?;
        if attempt != place.attempt + 1 {
            return Err(format!("attempt {attempt} of `{step}` follows attempt {}", place.attempt));
        }
        place.attempt = attempt;
        self.enter(step, State::Running(new), record)
    }

    fn apply_succeeded(
        &mut self,
        step: &StepKey,
        output: &Arc<Value>,
        record: &Record,
    ) -> Result<(), String> {
        let state = self.state_of(step)?;
        if !matches!(state, State::Running(_) | State::Pending | State::Delayed(_)) {
            return Err(illegal(step, "done", state));
        }
        self.scope.set(&["steps", step.step.as_str()], output.as_ref().clone());
        self.enter(step, State::Ok, record)
    }

    fn apply_decided(
        &mut self,
        step: &StepKey,
        decision: Decision,
        by: &Person,
        reason: Option<&str>,
        record: &Record,
    ) -> Result<(), String> {
        let index = self.index(step).ok_or_else(|| format!("there is no step `{step}`"))?;
        let Some(State::Asking(asking)) = self.steps.get_mut(index).map(|step| &mut step.state) else {
            return Err(format!("`{step}` was not put before people"));
        };
        let mut names: Vec<&str> = asking.approved_by.iter().map(|person| person.name.as_str()).collect();
        if names.contains(&by.name.as_str()) {
            return Err(format!("`{}` decided `{step}` twice", by.name));
        }
        names.push(&by.name);
        let names = names.join(", ");
        let word = json!({
            "decision": decision,
            "by": names,
            "at": record.at,
            "reason": reason.unwrap_or("no reason given"),
        });
        let next = match decision {
            Decision::Reject => State::Rejected,
            Decision::Approve => {
                asking.approved_by.push(by.clone());
                if asking.approved_by.len() < asking.request.from.count as usize {
                    return Ok(());
                }
                match &asking.request.inputs {
                    Some(inputs) => State::Ready(Prepared {
                        inputs: inputs.clone(),
                        target: asking.request.target.clone(),
                    }),
                    None => State::Ok,
                }
            }
        };
        self.scope.set(&["approvals", step.step.as_str()], word.clone());
        if matches!(next, State::Ok) {
            self.scope.set(&["steps", step.step.as_str()], word);
        }
        self.enter(step, next, record)
    }

    fn apply_resolved(
        &mut self,
        step: &StepKey,
        resolution: Resolution,
        by: &Person,
        reason: &str,
        record: &Record,
    ) -> Result<(), String> {
        let State::InDoubt(prepared, _) = self.state_of(step)? else {
            return Err(illegal(step, "resolved", self.state_of(step)?));
        };
        let next = match resolution {
            Resolution::SendAgain if self.is_cancelled => {
                return Err("a cancelled run sends nothing".to_owned());
            }
            Resolution::SendAgain => State::Ready(prepared.clone()),
            Resolution::Failed => State::Failed,
            Resolution::Ok => State::Ok,
        };
        match resolution {
            Resolution::SendAgain => {}
            Resolution::Failed => {
                let message = format!("{} says that it did not happen: {reason}", by.name);
                let description =
                    json!({ "message": message, "class": FailureClass::Resolved, "help": null });
                self.scope.set(&["errors", step.step.as_str()], description);
                self.note_error(step, &message);
            }
            Resolution::Ok => {
                let word = json!({ "resolved_by": by.name, "reason": reason });
                self.scope.set(&["steps", step.step.as_str()], word);
            }
        }
        self.enter(step, next, record)
    }

    fn apply_in_vain(&mut self, message: &str, record: &Record) -> Result<(), String> {
        self.is_in_vain = true;
        self.error = Some(summary::line(&format!("when: {message}")));
        self.apply_cancelled(record)
    }

    fn apply_expired(&mut self, step: &StepKey, record: &Record) -> Result<(), String> {
        let State::Asking(_) = self.state_of(step)? else {
            return Err(illegal(step, "expired", self.state_of(step)?));
        };
        self.note_error(step, "nobody answered in time");
        self.enter(step, State::Expired, record)
    }

    /// Whatever has not started will not start.
    fn apply_cancelled(&mut self, record: &Record) -> Result<(), String> {
        for index in 0..self.steps.len() {
            let (step, state) = self.at(index);
            let is_under_way = matches!(state.state, State::Running(_) | State::InDoubt(..));
            if !is_under_way && !state.state.is_settled() {
                let key = step.id.clone().into();
                self.enter(&key, State::Cancelled, record)?;
            }
        }
        Ok(())
    }

    fn enter(&mut self, step: &StepKey, state: State, record: &Record) -> Result<(), String> {
        let index = self.index(step).ok_or_else(|| format!("there is no step `{step}`"))?;
        self.scope.set(&["status", step.step.as_str()], state.status().as_str().into());
        let place = self.steps.get_mut(index).expect("the index is one of a step");
        place.state = state;
        place.since = record.at;
        Ok(())
    }

    fn expect_pending(&self, step: &StepKey, what: &str) -> Result<(), String> {
        let state = self.state_of(step)?;
        if matches!(state, State::Pending) { Ok(()) } else { Err(illegal(step, what, state)) }
    }

    fn state_of(&self, step: &StepKey) -> Result<&State, String> {
        let index = self.index(step).ok_or_else(|| format!("there is no step `{step}`"))?;
        Ok(&self.at(index).1.state)
    }

    fn note_error(&mut self, step: &StepKey, message: &str) {
        let continues = self.index(step).is_some_and(|index| self.at(index).0.on_error == OnError::Continue);
        if self.error.is_none() && !continues {
            self.error = Some(summary::line(&format!("{step}: {message}")));
        }
    }

    pub(crate) fn is_approval(&self, index: usize) -> bool {
        self.at(index).0.node.engine_node() == Some(EngineNode::Approval)
    }
}

fn illegal(step: &StepKey, what: &str, state: &State) -> String {
    format!("`{step}` cannot be {what}: it is {}", state.status().as_str())
}
