//! What each fact means: the only place where a run changes, live and on replay.

mod after;
mod people;
mod steps;

use std::sync::Arc;

use model::{
    Event, Failure, FailureClass, Held, Mode, Record, RunId, RunStatus, StepKey, Trigger, TriggerKind,
    WorkflowRef,
};
use serde_json::{Value, json};
use workflow::{EngineNode, OnError};

use crate::place::Place;
use crate::run::{Corrupt, Phase, Run};
use crate::scope;
use crate::state::State;
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
            Phase::Finished(_) if !self.follows_the_end(&record.event) => {
                return Err(corrupt("this does not follow run_finished".to_owned()));
            }
            Phase::Empty | Phase::Live | Phase::Finished(_) => {}
        }
        let applied = match record.event.step() {
            Some(key) => self.apply_to_step(key, record),
            None => self.apply_to_run(record),
        };
        applied.map_err(corrupt)?;
        self.next_seq = record.seq + 1;
        self.updated_at = record.at;
        Ok(())
    }

    fn apply_to_run(&mut self, record: &Record) -> Result<(), String> {
        match &record.event {
            Event::RunStarted { workflow, mode, trigger, alert, concurrency } => {
                self.concurrency.clone_from(concurrency);
                self.apply_begun(workflow, *mode, trigger, alert, record)
            }
            Event::TriggerFailed { message } => self.apply_in_vain(message, record),
            Event::RunHeld { by, then } => self.apply_held(*by, *then, record),
            Event::RunAdmitted => self.apply_admitted(record),
            Event::RunCancelled { .. } => {
                self.is_cancelled = true;
                self.is_queued = false;
                self.stop_what_has_not_started(self.steps.len(), record)
            }
            Event::RunTimedOut => self.apply_timed_out(record),
            Event::AlertJoined { alert, reconciled, .. } => {
                self.reconciled |= reconciled;
                self.joined_alerts.extend(alert.clone());
                self.alerts_again += 1;
                Ok(())
            }
            Event::RunFinished { status, outputs, .. } => {
                self.outputs.clone_from(outputs);
                self.apply_finished(*status)
            }
            Event::StepStarted { .. }
            | Event::StepSucceeded { .. }
            | Event::StepFailed { .. }
            | Event::StepSkipped { .. }
            | Event::StepInDoubt { .. }
            | Event::EachStarted { .. }
            | Event::EachEnded { .. }
            | Event::ChildStarted { .. }
            | Event::DelayStarted { .. }
            | Event::ApprovalRequested { .. }
            | Event::ApprovalDecided { .. }
            | Event::ApprovalExpired { .. }
            | Event::StepPrepared { .. }
            | Event::StepJoined { .. }
            | Event::VerifyStarted { .. }
            | Event::LookedInVain { .. }
            | Event::LookStarted { .. }
            | Event::StepUnknown { .. }
            | Event::UndoDue { .. }
            | Event::AlarmRaised { .. }
            | Event::LetGo { .. }
            | Event::Resolved { .. } => Err("the fact is about a step".to_owned()),
        }
    }

    /// Whether a fact may follow the end of the run: what is held is undone, and people are told; the alert comes again.
    fn follows_the_end(&self, event: &Event) -> bool {
        let is_again = matches!(event, Event::AlertJoined { .. });
        is_again || event.step().is_some_and(|step| self.goes_on(step))
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
        self.began_at = record.at;
        self.parent.clone_from(&trigger.parent);
        self.about = match &trigger.parent {
            Some(parent) => parent.about.clone(),
            None => summary::about(alert),
        };
        self.alert_id = summary::alert_id(alert).filter(|_| trigger.kind == TriggerKind::Webhook);
        self.reconciled = trigger.reconciled;
        scope::begin(&mut self.scope, self.id, &self.workflow, trigger, alert, record);
        self.steps.iter_mut().for_each(|step| step.since = record.at);
        Ok(())
    }

    fn apply_in_vain(&mut self, message: &str, record: &Record) -> Result<(), String> {
        self.is_in_vain = true;
        self.error = Some(summary::line(&format!("when: {message}")));
        self.stop_what_has_not_started(self.steps.len(), record)
    }

    fn apply_held(&mut self, by: RunId, then: Held, record: &Record) -> Result<(), String> {
        if record.seq != 1 {
            return Err("a run is held before anything else happens".to_owned());
        }
        match then {
            Held::Queued => self.is_queued = true,
            Held::Dropped => {
                self.is_cancelled = true;
                let key = self.concurrency.as_deref().unwrap_or_default();
                self.error = Some(summary::line(&format!("dropped: the run {by} holds the key `{key}`")));
                self.stop_what_has_not_started(self.steps.len(), record)?;
            }
        }
        Ok(())
    }

    fn apply_admitted(&mut self, record: &Record) -> Result<(), String> {
        if !self.is_queued {
            return Err("the run was not held".to_owned());
        }
        self.is_queued = false;
        self.began_at = record.at;
        Ok(())
    }

    fn apply_timed_out(&mut self, record: &Record) -> Result<(), String> {
        let Some(timeout) = self.workflow.timeout.filter(|_| !self.is_timed_out) else {
            return Err("the run has no time limit that could be over".to_owned());
        };
        self.is_timed_out = true;
        let message = format!("the run took longer than {}", expr::duration::display(timeout));
        self.note_error("run", &Failure::new(FailureClass::Timeout, message));
        self.stop_what_has_not_started(self.workflow.main_steps, record)
    }

    fn apply_finished(&mut self, status: RunStatus) -> Result<(), String> {
        let is_open = |index: usize| {
            let state = &self.state_at(index.into()).state;
            !state.is_settled() && (index < self.workflow.main_steps || state.is_open())
        };
        if !status.is_finished() || (0..self.steps.len()).any(is_open) {
            return Err("the run finished while a step was not settled".to_owned());
        }
        self.phase = Phase::Finished(status);
        // Whom `on_failure` tells hears of it from here on.
        self.held.values_mut().for_each(|held| held.is_alarmed = false);
        self.is_alarmed = false;
        Ok(())
    }

    /// Whatever has not started among the first steps will not start.
    fn stop_what_has_not_started(&mut self, steps: usize, record: &Record) -> Result<(), String> {
        let has_not_started = |state: &State| {
            let is_under_way = matches!(
                state,
                State::Running(_)
                    | State::Unsure(..)
                    | State::Verifying(_)
                    | State::InDoubt(..)
                    | State::Called(_)
                    | State::Each(_)
            );
            !is_under_way && !state.is_settled()
        };
        for step in 0..steps {
            let items = self.list_at(step.into()).map_or(0, |each| each.items.len());
            let items = (0..items).map(|item| Place::of_item(step, item));
            for place in std::iter::once(Place::from(step)).chain(items) {
                if has_not_started(&self.state_at(place).state) {
                    self.enter(place, State::Cancelled, record);
                }
            }
        }
        Ok(())
    }

    pub(crate) fn enter(&mut self, place: Place, state: State, record: &Record) {
        match place.item {
            _ if place.is_undo => {}
            Some(item) => self.list_mut(place).into_iter().for_each(|each| each.weigh(item, &state)),
            None => {
                let id = self.step_at(place).id.clone();
                self.scope.set(&["status", id.as_str()], state.status().as_str().into());
            }
        }
        let at = self.state_mut(place);
        at.state = state;
        at.since = record.at;
    }

    /// Keeps why a step did not succeed: for the steps that read it, for the list of runs, and for `on_failure`.
    pub(crate) fn keep_failure(&mut self, place: Place, failure: &Failure) {
        if place.is_undo {
            if let Some(held) = self.held.get_mut(&(place.step, place.item)) {
                held.trouble = Some(summary::line(&failure.message));
            }
            return;
        }
        if let Some(item) = place.item {
            if let State::Each(each) = &mut self.state_mut(place.step.into()).state
                && let Some(item) = each.items.get_mut(item)
            {
                item.failure = Some(failure.clone());
            }
            return;
        }
        let step = self.step_at(place);
        let (id, continues) = (step.id.clone(), step.on_error == OnError::Continue);
        let description = json!({ "message": failure.message, "class": failure.class, "help": failure.help });
        self.scope.set(&["errors", id.as_str()], description);
        if !continues {
            self.note_error(id.as_str(), failure);
        }
    }

    /// The first thing that makes the run fail is what lists show, and what `on_failure` reads.
    pub(crate) fn note_error(&mut self, step: &str, failure: &Failure) {
        if self.error.is_none() {
            self.error = Some(summary::line(&format!("{step}: {}", failure.message)));
            let error = json!({ "step": step, "message": failure.message, "class": failure.class });
            self.scope.set(&["error"], error);
        }
    }

    pub(crate) fn is_approval(&self, index: usize) -> bool {
        self.step_at(index.into()).node.engine_node() == Some(EngineNode::Approval)
    }
}

pub(crate) fn illegal(step: &StepKey, what: &str, state: &State) -> String {
    format!("`{step}` cannot be {what}: it is {}", state.status().as_str())
}
