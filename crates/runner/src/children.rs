//! Runs that perform steps of other runs: they are made once, driven like any other, and tell their end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use engine::{Child, Input, Run, Start, start_scope};
use model::{Parent, Person, RunId, RunStatus, StepKey, Trigger, TriggerKind};
use serde_json::Value;
use tracing::warn;

use crate::drive::Letter;
use crate::ended::end;
use crate::error::Error;
use crate::runner::{Runner, Shared};

/// How many runs may have called each other; a playbook that calls itself is refused before, unless it was changed
/// since.
const DEEPEST_CALL: u32 = 8;

/// How long a letter waits for room.
const WHILE_FULL: Duration = Duration::from_millis(50);

/// How a run ended.
struct End {
    status: RunStatus,
    outputs: BTreeMap<String, Value>,
    error: Option<String>,
}

impl End {
    fn failed(message: String) -> End {
        End { status: RunStatus::Failed, outputs: BTreeMap::new(), error: Some(message) }
    }
}

impl Shared {
    /// Makes the run that performs a step, or tells the end of one that was made before and has ended since.
    pub(crate) async fn call(self: &Arc<Shared>, child: &Child) -> Result<(), Error> {
        let Some(summary) = self.store.summary(child.run).await? else {
            return self.start_child(child).await;
        };
        if !summary.status.is_finished() {
            if !child.is_wanted {
                self.cancel_child(child, "does not want it any more");
            }
            return Ok(());
        }
        let end = match self.store.journal(child.run).await {
            Ok(journal) => end(journal),
            Err(store::Error::Damaged { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        let end = match end {
            Some((status, outputs)) => End { status, outputs, error: summary.error },
            None => End::failed("its journal is damaged, and nobody knows what it gave".to_owned()),
        };
        self.tell_end(&child.parent, child.run, end);
        Ok(())
    }

    async fn start_child(self: &Arc<Shared>, child: &Child) -> Result<(), Error> {
        let fails = |message: String| self.tell_end(&child.parent, child.run, End::failed(message));
        if !child.is_wanted {
            fails("it was not started: the run that called it goes on without it".to_owned());
            return Ok(());
        }
        // What finished so long ago is forgotten, so that it is not there does not say that it never was.
        if self.forgotten.may_include(child.run.made_at(), self.clock.now()) {
            fails("nobody knows whether it was made: it would have been forgotten by now".to_owned());
            return Ok(());
        }
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
            reconciled: false,
        };
        let runner = Runner { shared: self.clone() };
        let start = Start { trigger, alert: inputs, turn: None };
        let scope = start_scope(&workflow, &start);
        match runner.create(child.run, &workflow, start, &scope, None).await {
            Ok(_) => Ok(()),
            Err(Error::Refused(message)) => {
                fails(message);
                Ok(())
            }
            // It is owed, and made when there is room.
            Err(Error::Full(_)) => Err(Error::Busy),
            Err(error) => Err(error),
        }
    }

    /// Hands on what a run held that has ended: its turn, and its outputs to the run that called it.
    pub(crate) fn ended(self: &Arc<Shared>, run: &Run) {
        self.give_up_turn(&run.workflow().name, run.concurrency(), run.id());
        self.tell_parent(run);
    }

    /// A run that was not made after all does not keep its turn.
    pub(crate) fn give_up_turn(self: &Arc<Shared>, workflow: &str, key: Option<&str>, run: RunId) {
        if let Some(next) = key.and_then(|key| self.turns.leave(workflow, key, run)) {
            self.wake(next);
        }
    }

    fn tell_parent(self: &Arc<Shared>, run: &Run) {
        if let Some(parent) = run.parent() {
            let (status, error) = (run.status(), run.error().map(str::to_owned));
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
        run.children()
            .iter()
            .filter(|child| !child.is_wanted)
            .for_each(|child| self.cancel_child(child, why));
    }

    fn cancel_child(self: &Arc<Shared>, child: &Child, why: &str) {
        let by = Person { name: "portcullis".to_owned(), via: None, roles: Vec::new() };
        let reason = format!("the run {} that called this one {why}", child.parent.run);
        self.send(child.run, Input::Cancelled { by, reason });
    }

    /// Tells a run something that nobody waits for. Where it has too many letters, it is told as soon as it has room.
    pub(crate) fn send(self: &Arc<Shared>, run: RunId, input: Input) {
        match self.deliver(run, Letter { input: input.clone(), reply: None }) {
            Ok(()) => {}
            Err(Error::Busy) => {
                let shared = self.clone();
                tokio::spawn(async move {
                    loop {
                        tokio::time::sleep(WHILE_FULL).await;
                        let letter = Letter { input: input.clone(), reply: None };
                        if !matches!(shared.deliver(run, letter), Err(Error::Busy)) {
                            return;
                        }
                    }
                });
            }
            // The next process finds out by itself.
            Err(error) => warn!(%run, %error, "a run was not told of another"),
        }
    }
}
