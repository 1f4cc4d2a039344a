//! Before something disrupts or is undone: what the operator's guardrails and the ledger say to it.

use std::sync::Arc;

use engine::{Clearance, Input, Run, Verdict};

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
            is_asked: clearance.is_asked,
        };
        let verdict = match self.judge(&intent).await {
            guard::Verdict::Go => return Some(Verdict::Go),
            guard::Verdict::Ask(why) => Verdict::Ask(why),
            guard::Verdict::Refuse(failure) => Verdict::Refused(failure),
        };
        // It does not take the target after all.
        for waiting in self.ledger.note(id, workflow, &run.summary().containments) {
            self.send(waiting, Input::Tick);
        }
        Some(verdict)
    }
}
