//! What a run is told, and why it may refuse.

use std::sync::Arc;

use model::{
    Decision, Digest, Outcome, Person, Resolution, RunId, RunStatus, StepKey, StepStatus, Timestamp, Trigger,
};
use serde_json::Value;

use crate::clearance::Verdict;

/// What starts a run.
#[derive(Debug, Clone)]
pub struct Start {
    /// What started it.
    pub trigger: Trigger,
    /// The alert, as the sender wrote it; the inputs, where another run called this one.
    pub alert: Arc<Value>,
    /// The key of the workflow's `concurrency`, and whether it is free.
    pub turn: Option<Turn>,
}

/// The key of a workflow's `concurrency`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// The key.
    pub key: String,
    /// The run that holds it; none: it is free.
    pub held_by: Option<RunId>,
}

/// What a run is told.
#[derive(Debug, Clone)]
pub enum Input {
    /// An attempt that [`crate::Command`] asked for has ended.
    Finished {
        /// Which step.
        step: StepKey,
        /// Which attempt.
        attempt: u32,
        /// What became of it.
        outcome: Outcome,
    },
    /// A look that [`crate::Command`] asked for has ended.
    Looked {
        /// Which step.
        step: StepKey,
        /// Which look.
        look: u32,
        /// What was seen.
        outcome: Outcome,
    },
    /// The answer to a [`crate::Clearance`].
    Cleared {
        /// Which step.
        step: StepKey,
        /// The answer.
        verdict: Verdict,
    },
    /// A person wants something undone now, or says that they have undone it by hand.
    Undo {
        /// The step that did it.
        step: StepKey,
        /// Whether it was undone by hand already.
        is_done: bool,
        /// Who.
        by: Person,
        /// Why, or how they know.
        reason: String,
    },
    /// The same alert came again.
    AlertAgain {
        /// The alert, as the sender wrote it.
        alert: Arc<Value>,
        /// When it arrived.
        received_at: Timestamp,
        /// Whether it never came by itself.
        reconciled: bool,
    },
    /// A run that performs a step has ended, or could not be started.
    ChildEnded {
        /// The step that called it.
        step: StepKey,
        /// Which run.
        run: RunId,
        /// How it ended.
        status: RunStatus,
        /// What it gave.
        outputs: Arc<Value>,
        /// Why it did not succeed.
        error: Option<String>,
    },
    /// It is the turn of a run that waited for another one of its workflow.
    Admitted,
    /// A person answered an approval.
    Decided {
        /// Which step.
        step: StepKey,
        /// What was said.
        decision: Decision,
        /// Who said it.
        by: Person,
        /// Why.
        reason: Option<String>,
        /// The digest of the request that was seen; none: whatever stands there now.
        digest: Option<Digest>,
    },
    /// A person says what became of a step that is in doubt.
    Resolved {
        /// Which step.
        step: StepKey,
        /// What became of it.
        resolution: Resolution,
        /// Who says it.
        by: Person,
        /// How they know.
        reason: String,
    },
    /// A person stops the run.
    Cancelled {
        /// Who.
        by: Person,
        /// Why.
        reason: String,
    },
    /// Time has passed.
    Tick,
    /// The process that performed the run's commands is gone, and with it what it knew about attempts that were under
    /// way.
    Recovered,
    /// The run comes out of a copy that was taken in the past: as [`Input::Recovered`], and what was under way then may have
    /// ended since, and been tried again. Nothing of it is sent again before a person has said what became of it, but for
    /// what only looks.
    Restored,
}

/// The run refuses an input, and nothing changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// The workflow has no such step.
    #[error("there is no step `{0}`")]
    NoSuchStep(StepKey),
    /// What is wanted goes on already.
    #[error(
        "what the step `{0}` contained is being undone already; `portcullis contained` says where that stands"
    )]
    BeingUndone(StepKey),
    /// The step does not wait for what was said.
    #[error("the step `{step}` does not wait for this: it is {}", status.as_str())]
    NotWaiting {
        /// Which step.
        step: StepKey,
        /// Where it stands.
        status: StepStatus,
    },
    /// The person lacks the role that was asked for.
    #[error("`{person}` may not answer this: it takes the role `{role}`")]
    NotAllowed {
        /// Who tried.
        person: String,
        /// The role that it takes.
        role: String,
    },
    /// The person has answered already, and it takes another one.
    #[error("`{0}` has approved this already: it takes another person")]
    AlreadyDecided(String),
    /// The answer lacks a reason.
    #[error("a reason is needed here: say why")]
    ReasonRequired,
    /// What the person saw is not what would be sent.
    #[error("the request has changed since it was shown: look again")]
    WrongDigest,
    /// The run was cancelled, by a person or by its time limit, and nothing may be sent again.
    #[error("the run was cancelled, or its time limit is over: nothing is sent any more")]
    Cancelled,
    /// Nothing of the step is held, or not any more.
    #[error("the step `{0}` holds nothing that could be undone")]
    NothingHeld(StepKey),
    /// Nothing here can undo what the step did.
    #[error("nothing here can undo `{0}`: undo it by hand, and say so")]
    NoInverse(StepKey),
    /// What the step did is being undone, or was.
    #[error(
        "what `{0}` may have done is undone already: it is not sent again in this run; say what became of it"
    )]
    IsUndone(StepKey),
    /// The run has finished.
    #[error("the run has finished")]
    Finished,
    /// The attempt is not the one that is under way.
    #[error("attempt {attempt} of the step `{step}` is not under way")]
    Stale {
        /// Which step.
        step: StepKey,
        /// Which attempt.
        attempt: u32,
    },
}
