//! Before something disrupts or is undone: what the operator's guardrails and the ledger say to it.

use std::sync::Arc;

use engine::{Clearance, Run, Verdict};

use model::{Containment, RunId};

use crate::guard::{self, Intent};
use crate::runner::Shared;

impl Shared {
    /// Whether a run may do what it is about to do; none: not yet, and it is told when to ask again.
    pub(crate) async fn clear(self: &Arc<Shared>, run: &Run, clearance: &Clearance) -> Option<Verdict> {
        let (id, workflow) = (run.id(), &run.workflow().name);
        let verdict = self.ledger.clear(id, workflow, clearance, self.clock.now())?;
        if clearance.step.is_undo || !matches!(verdict, Verdict::Go) {
            return Some(verdict);
        }
        let intent = Intent {
            run: id,
            started_at: run.started_at(),
            workflow,
            step: &clearance.step,
            node: &clearance.node,
            connection: clearance.connection.as_deref(),
            inputs: &clearance.inputs,
            target: clearance.target.as_deref(),
            answered: &clearance.answered,
        };
        let verdict = match self.judge(&intent).await {
            guard::Verdict::Go => return Some(Verdict::Go),
            guard::Verdict::Ask(why) => Verdict::Ask(why),
            guard::Verdict::Refuse(failure) => Verdict::Refused(failure),
        };
        Some(verdict)
    }

    /// The ledger has what is on disk, whatever the run was about to do.
    pub(crate) async fn give_back(self: &Arc<Shared>, run: RunId) {
        if let Ok(Some(row)) = self.store.summary(run).await {
            self.settle_ledger(run, &row.workflow, &row.containments);
        }
    }

    /// What a run was told that it may do is done by now, or it does not do it after all: nobody waits for it any more.
    pub(crate) fn settle_ledger(self: &Arc<Shared>, run: RunId, workflow: &str, held: &[Containment]) {
        for waiting in self.ledger.note(run, workflow, held) {
            failpoints::reach("ledger.wake");
            self.wake(waiting);
        }
    }
}
