//! Runs that perform steps of other runs: they are made once, driven like any other, and tell their end.

use std::collections::BTreeMap;
use std::sync::Arc;

use engine::{Child, Input, Run, Start};
use model::{Parent, Person, RunId, RunStatus, StepKey, Trigger, TriggerKind};
use serde_json::Value;
use tracing::{error, warn};
use workflow::Workflow;

use crate::drive::{self, Letter};
use crate::error::Error;
use crate::runner::{Runner, Shared};

/// How many runs may have called each other; a playbook that calls itself is refused before, unless it was changed
/// since.
const DEEPEST_CALL: u32 = 8;

/// How a run ended.
struct End {
    status: RunStatus,
    outputs: BTreeMap<String, Value>,
    error: Option<String>,
}

impl Shared {
    /// Makes the run that performs a step, or tells the end of one that was made before and has ended since.
    pub(crate) async fn call(self: &Arc<Shared>, child: &Child) -> Result<(), Error> {
        match self.store.summary(child.run).await? {
            None => self.start_child(child).await,
            Some(summary) if summary.status.is_finished() => {
                let run = drive::load(self, child.run).await?;
                self.tell_parent(&run);
                Ok(())
            }
            Some(_) => Ok(()),
        }
    }

    async fn start_child(self: &Arc<Shared>, child: &Child) -> Result<(), Error> {
        let fails = |message: String| {
            let end = End { status: RunStatus::Failed, outputs: BTreeMap::new(), error: Some(message) };
            self.tell_end(&child.parent, child.run, end);
        };
        let workflows = self.workflows.borrow().clone();
        let Some(workflow) = workflows.get(&child.workflow).cloned() else {
            fails(format!("there is no workflow `{}`", child.workflow));
            return Ok(());
        };
        if child.parent.depth > DEEPEST_CALL {
            fails(format!("more than {DEEPEST_CALL} runs have called each other"));
            return Ok(());
        }
        let inputs = match workflow.take_inputs(&child.inputs) {
            Ok(inputs) => Arc::new(inputs),
            Err(message) => {
                fails(message);
                return Ok(());
            }
        };
        let trigger = Trigger {
            kind: TriggerKind::Workflow,
            received_at: self.clock.now(),
            headers: BTreeMap::new(),
            query: BTreeMap::new(),
            by: None,
            parent: Some(child.parent.clone()),
        };
        let runner = Runner { shared: self.clone() };
        let start = Start { trigger, alert: inputs, turn: None };
        match runner.create(child.run, &workflow, start, None).await {
            Ok(_) => Ok(()),
            Err(Error::Refused(message)) => {
                fails(message);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Hands on what a run held that has ended: its turn, and its outputs to the run that called it.
    pub(crate) fn ended(self: &Arc<Shared>, run: &Run) {
        self.give_up_turn(run.workflow(), run.summary().concurrency, run.id());
        self.tell_parent(run);
    }

    /// A run that was not made after all does not keep its turn.
    pub(crate) fn give_up_turn(self: &Arc<Shared>, workflow: &Workflow, key: Option<String>, run: RunId) {
        if let Some(next) = key.and_then(|key| self.turns.leave(&workflow.name, &key, run)) {
            self.send(next, Input::Admitted);
        }
    }

    fn tell_parent(self: &Arc<Shared>, run: &Run) {
        if let Some(parent) = run.parent() {
            let (status, error) = (run.status(), run.summary().error);
            self.tell_end(parent, run.id(), End { status, outputs: run.outputs().clone(), error });
        }
    }

    fn tell_end(self: &Arc<Shared>, parent: &Parent, run: RunId, end: End) {
        let (step, status, error): (StepKey, _, _) = (parent.step.clone(), end.status, end.error);
        let outputs = Arc::new(Value::Object(end.outputs.into_iter().collect()));
        self.send(parent.run, Input::ChildEnded { step, run, status, outputs, error });
    }

    /// Stops the runs that a run has called: what they were called for does not go on.
    pub(crate) fn cancel_children(self: &Arc<Shared>, run: &Run, why: &str) {
        let by = Person { name: "portcullis".to_owned(), via: None, roles: Vec::new() };
        for child in run.children() {
            let reason = format!("the run {} that called this one {why}", run.id());
            self.send(child.run, Input::Cancelled { by: by.clone(), reason });
        }
    }

    /// Tells a run something that nobody waits for. Where it cannot be delivered, the next start finds out by itself.
    pub(crate) fn send(self: &Arc<Shared>, run: RunId, input: Input) {
        match self.deliver(run, Letter { input, reply: None }) {
            Ok(()) => {}
            Err(Error::Stopped(_)) => {}
            Err(error @ Error::Busy) => {
                warn!(%run, %error, "a run was not told of another: it is looked at again");
                self.timers.set(run, Some(self.clock.now().after(std::time::Duration::from_secs(1))));
            }
            Err(error) => error!(%run, %error, "a run was not told of another"),
        }
    }
}
