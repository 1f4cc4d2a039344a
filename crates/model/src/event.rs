//! The facts of a run: what happened, in the order in which it happened.
//!
//! A journal is a list of [`Record`]s and the only thing that is stored about a run; everything else follows from it.
//! The JSON form is the form on disk: a new event is a new variant, and a variant that is in use keeps its fields.

mod parts;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::id::{Digest, RunId, StepKey};
use crate::outcome::Failure;
use crate::summary::StepStatus;
use crate::time::Timestamp;

pub use parts::{
    ApprovalRequest, Asked, Decision, Held, Holds, LetGo, Mode, Parent, Person, Resolution, RunStatus,
    SkipReason, Trigger, TriggerKind, UndoReason, WorkflowRef,
};

/// One line of a journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The version of this form; a reader refuses what it does not know.
    pub v: u8,
    /// The place in the run's journal, from 0 without gaps.
    pub seq: u32,
    /// When it was recorded.
    pub at: Timestamp,
    /// What happened.
    pub event: Event,
}

impl Record {
    /// The version that is written.
    pub const VERSION: u8 = 1;
}

/// A fact about a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Event {
    /// The run exists. Always the first fact, and only the first.
    RunStarted {
        /// Which workflow, and exactly which text of it.
        workflow: WorkflowRef,
        /// Whether disruptive steps are performed or held back.
        mode: Mode,
        /// What started it.
        trigger: Trigger,
        /// The alert, as the sender wrote it; where another run called this one, what it was called with.
        alert: Arc<Value>,
        /// The key that other runs of the workflow do not share while this one goes on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        concurrency: Option<String>,
    },
    /// Another run of the workflow holds the key of this one.
    RunHeld {
        /// Which run.
        by: RunId,
        /// What follows from that.
        then: Held,
    },
    /// The run that held the key has ended: it is this one's turn.
    RunAdmitted,
    /// Nobody can say whether the workflow is meant for this alert: the trigger's condition cannot be evaluated. No
    /// step is performed; the alert is kept.
    TriggerFailed {
        /// Why not.
        message: String,
    },
    /// The intent to perform a step: what will be sent, on disk before it is sent where that matters.
    StepStarted {
        /// Which step.
        step: StepKey,
        /// The number of this attempt, from 1.
        attempt: u32,
        /// The rendered inputs, which every attempt of the step shares.
        inputs: Arc<Value>,
        /// What it acts on, as the node's `target` says; for steps that disrupt.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        target: Option<String>,
        /// What will hold if it happens, and how it is undone: on disk before it is sent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        holds: Option<Holds>,
    },
    /// What the step will be performed with is fixed; whether it may be is still to be said.
    StepPrepared {
        /// Which step.
        step: StepKey,
        /// The rendered inputs.
        inputs: Arc<Value>,
        /// What it acts on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        target: Option<String>,
    },
    /// What the step would do holds already: the run becomes one of those that hold it, and nothing is sent.
    StepJoined {
        /// Which step.
        step: StepKey,
        /// A run that holds it.
        by: RunId,
        /// The rendered inputs.
        inputs: Arc<Value>,
        /// What is held.
        target: String,
        /// For how long it is wanted, and how it is undone.
        holds: Holds,
    },
    /// The call was taken, or nobody knows: now somebody looks whether it happened.
    VerifyStarted {
        /// Which step.
        step: StepKey,
        /// What the call gave, where it was taken.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        output: Option<Arc<Value>>,
        /// What was seen, where nobody knows.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failure: Option<Failure>,
        /// What the look is performed with.
        inputs: Arc<Value>,
        /// When looking ends.
        until: Timestamp,
    },
    /// A look has shown nothing yet.
    LookedInVain {
        /// Which step.
        step: StepKey,
        /// The number of the look, from 1.
        look: u32,
        /// Why the look itself failed, where it did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failure: Option<Failure>,
        /// When the next one is due.
        again_at: Timestamp,
    },
    /// The next look begins.
    LookStarted {
        /// Which step.
        step: StepKey,
        /// Its number.
        look: u32,
    },
    /// Nobody knows what became of an attempt, and the other side knows it by its key: it is sent again.
    StepUnknown {
        /// Which step.
        step: StepKey,
        /// What was seen.
        failure: Failure,
        /// When it is sent again.
        again_at: Timestamp,
    },
    /// The step is done.
    StepSucceeded {
        /// Which step.
        step: StepKey,
        /// What later steps read as `steps.<id>`.
        output: Arc<Value>,
    },
    /// An attempt failed, and provably changed nothing where the node disrupts.
    StepFailed {
        /// Which step.
        step: StepKey,
        /// Why.
        failure: Failure,
        /// When the next attempt is due; none: the step has failed for good.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_at: Option<Timestamp>,
    },
    /// The step is not performed.
    StepSkipped {
        /// Which step.
        step: StepKey,
        /// Why not.
        reason: SkipReason,
    },
    /// An attempt may have happened or not; a person has to say which.
    StepInDoubt {
        /// Which step.
        step: StepKey,
        /// What was seen.
        failure: Failure,
    },
    /// The step is performed once for each of these.
    EachStarted {
        /// Which step.
        step: StepKey,
        /// The items.
        items: Arc<Value>,
    },
    /// Nothing more happens to any item.
    EachEnded {
        /// Which step.
        step: StepKey,
        /// How the step ends.
        status: StepStatus,
        /// What later steps read as `steps.<id>`.
        output: Arc<Value>,
        /// Why it did not succeed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failure: Option<Failure>,
    },
    /// Another run performs the step.
    ChildStarted {
        /// Which step.
        step: StepKey,
        /// The run.
        run: RunId,
        /// The workflow that it executes.
        workflow: String,
        /// What it is called with.
        inputs: Arc<Value>,
    },
    /// What a step did is to be undone now. `step` names the undo.
    UndoDue {
        /// Which undo.
        step: StepKey,
        /// Why now.
        why: UndoReason,
    },
    /// Undoing does not succeed, and somebody has to know: the steps of `on_failure` are performed.
    AlarmRaised {
        /// Which undo.
        step: StepKey,
        /// What is wrong.
        message: String,
    },
    /// The run holds no more what the step did, without having undone it. `step` names the undo.
    LetGo {
        /// Which undo.
        step: StepKey,
        /// How that came.
        how: LetGo,
    },
    /// The same alert came again, and belongs to this run.
    AlertJoined {
        /// The alert, as the sender wrote it; none where the run holds enough of them.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        alert: Option<Arc<Value>>,
        /// Which alert it was, where it is not kept and says so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<String>,
        /// When it arrived.
        received_at: Timestamp,
        /// Whether it never came by itself: it was found where Wazuh keeps its alerts.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        reconciled: bool,
    },
    /// The step waits until a point in time.
    DelayStarted {
        /// Which step.
        step: StepKey,
        /// Until when.
        until: Timestamp,
    },
    /// People are asked.
    ApprovalRequested {
        /// Which step.
        step: StepKey,
        /// What they are asked.
        request: Box<ApprovalRequest>,
    },
    /// One person answered.
    ApprovalDecided {
        /// Which step.
        step: StepKey,
        /// What was said.
        decision: Decision,
        /// Who said it.
        by: Person,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// The digest of the request that this person saw.
        digest: Digest,
    },
    /// Nobody answered in time. Never an approval.
    ApprovalExpired {
        /// Which step.
        step: StepKey,
    },
    /// A person said what became of a step that was in doubt.
    Resolved {
        /// Which step.
        step: StepKey,
        /// What became of it.
        resolution: Resolution,
        /// Who said it.
        by: Person,
        /// How they know.
        reason: String,
    },
    /// A person stopped the run; steps that have not started will not start.
    RunCancelled {
        /// Who.
        by: Person,
        /// Why.
        reason: String,
    },
    /// The run has taken longer than it may; steps that have not started will not start.
    RunTimedOut,
    /// Nothing follows any more. Always the last fact.
    RunFinished {
        /// How it ended.
        status: RunStatus,
        /// The workflow's outputs.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        outputs: BTreeMap<String, Value>,
        /// The outputs that could not be evaluated, with the reason.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        errors: BTreeMap<String, String>,
    },
}

impl Event {
    /// The step that the fact is about; none: it is about the run.
    pub fn step(&self) -> Option<&StepKey> {
        match self {
            Event::StepStarted { step, .. }
            | Event::StepSucceeded { step, .. }
            | Event::StepFailed { step, .. }
            | Event::StepSkipped { step, .. }
            | Event::StepInDoubt { step, .. }
            | Event::EachStarted { step, .. }
            | Event::EachEnded { step, .. }
            | Event::ChildStarted { step, .. }
            | Event::DelayStarted { step, .. }
            | Event::ApprovalRequested { step, .. }
            | Event::ApprovalDecided { step, .. }
            | Event::ApprovalExpired { step }
            | Event::StepPrepared { step, .. }
            | Event::StepJoined { step, .. }
            | Event::VerifyStarted { step, .. }
            | Event::LookedInVain { step, .. }
            | Event::LookStarted { step, .. }
            | Event::StepUnknown { step, .. }
            | Event::UndoDue { step, .. }
            | Event::AlarmRaised { step, .. }
            | Event::LetGo { step, .. }
            | Event::Resolved { step, .. } => Some(step),
            Event::AlertJoined { .. }
            | Event::RunStarted { .. }
            | Event::TriggerFailed { .. }
            | Event::RunHeld { .. }
            | Event::RunAdmitted
            | Event::RunCancelled { .. }
            | Event::RunTimedOut
            | Event::RunFinished { .. } => None,
        }
    }
}
