//! The row that lists show: a copy, derived from the journal, of what matters without reading it.

use serde::{Deserialize, Serialize};

use crate::event::{Asked, RunStatus};
use crate::id::{Digest, RunId, StepKey};
use crate::time::Timestamp;

/// Where a run stands, small enough to keep for every run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunSummary {
    /// Which run.
    pub run: RunId,
    /// The workflow's name.
    pub workflow: String,
    /// The digest of the workflow's source, which the run is pinned to.
    pub source: Digest,
    /// What the run is about, in a line: the alert's rule and agent.
    pub about: String,
    /// Which alert started it: the manager that raised it, and its id there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alert: Option<String>,
    /// Whether one of its alerts never came by itself.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reconciled: bool,
    /// Where it stands.
    pub status: RunStatus,
    /// When it started.
    pub started_at: Timestamp,
    /// When its last fact was recorded.
    pub updated_at: Timestamp,
    /// The number of facts, which is also the sequence number of the next.
    pub next_seq: u32,
    /// When the clock has to look at it again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wake_at: Option<Timestamp>,
    /// What it waits for from people.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waiting: Vec<Waiting>,
    /// The runs that its steps called and whose end it waits for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<RunId>,
    /// The key that other runs of the workflow do not share while this one goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<String>,
    /// Whether it waits for another run that holds this key.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_queued: bool,
    /// The first failure, in a line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// How many further alerts were one and the same with the one that started it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub alerts_again: u32,
    /// What it holds: blocks, isolations, locks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub containments: Vec<Containment>,
    /// When it disrupted something, as far as that counts into a budget: the last hour before its last fact.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub disrupted_at: Vec<Timestamp>,
    /// Whether something follows although it has finished: what it holds is still to be undone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_unsettled: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands it over like this")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl RunSummary {
    /// Whether nothing follows any more.
    pub fn is_over(&self) -> bool {
        self.status.is_finished() && !self.is_unsettled
    }

    /// Whether something is being done that its status does not tell: what it held is being undone, or people are told
    /// that it cannot be.
    pub fn is_busy_undoing(&self) -> bool {
        if !self.status.is_finished() {
            let is_undone = |containment: &Containment| match containment.state {
                ContainmentState::UndoDue | ContainmentState::Undoing => true,
                ContainmentState::Sending
                | ContainmentState::InDoubt
                | ContainmentState::Holding
                | ContainmentState::UndoAsked
                | ContainmentState::UndoFailing
                | ContainmentState::UndoInDoubt => false,
            };
            return self.containments.iter().any(is_undone);
        }
        let rests = |containment: &Containment| match containment.state {
            ContainmentState::Holding
            | ContainmentState::UndoAsked
            | ContainmentState::UndoFailing
            | ContainmentState::UndoInDoubt => containment.trouble.is_none(),
            ContainmentState::Sending
            | ContainmentState::InDoubt
            | ContainmentState::UndoDue
            | ContainmentState::Undoing => false,
        };
        self.is_unsettled && (self.containments.is_empty() || !self.containments.iter().all(rests))
    }
}

/// What a run holds: the effect of a step that lasts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Containment {
    /// The step that did it.
    pub step: StepKey,
    /// What is held, as the node's `target` says.
    pub target: String,
    /// The node that did it.
    pub node: String,
    /// Where it stands.
    pub state: ContainmentState,
    /// Since when: the time of the intent.
    pub since: Timestamp,
    /// Until when; none: until somebody undoes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Whether it can be undone from here.
    pub can_undo: bool,
    /// When it was last seen to be so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified_at: Option<Timestamp>,
    /// The run that had done it already, where one had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub joined: Option<RunId>,
    /// Why undoing it does not succeed, in a line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// Why it is not undone yet although it is due, where another run stands in the way. Nothing that is kept: the ledger
    /// says it to whoever asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits: Option<String>,
}

/// Where a containment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContainmentState {
    /// It is being sent, or somebody looks whether it happened.
    Sending,
    /// Nobody knows whether it happened.
    InDoubt,
    /// It holds.
    Holding,
    /// People are asked whether it is to be undone.
    UndoAsked,
    /// It is to be undone as soon as nothing stands in the way.
    UndoDue,
    /// It is being undone.
    Undoing,
    /// Undoing it has not succeeded, and is tried again.
    UndoFailing,
    /// Nobody knows whether it was undone.
    UndoInDoubt,
}

impl ContainmentState {
    /// The state as the API writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            ContainmentState::Sending => "sending",
            ContainmentState::InDoubt => "in_doubt",
            ContainmentState::Holding => "holding",
            ContainmentState::UndoAsked => "undo_asked",
            ContainmentState::UndoDue => "undo_due",
            ContainmentState::Undoing => "undoing",
            ContainmentState::UndoFailing => "undo_failing",
            ContainmentState::UndoInDoubt => "undo_in_doubt",
        }
    }
}

/// One thing that a run waits for from people.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Waiting {
    /// Which step.
    pub step: StepKey,
    /// What is asked for.
    #[serde(rename = "for")]
    pub reason: WaitingFor,
    /// Since when.
    pub since: Timestamp,
}

/// What a run asks of people.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum WaitingFor {
    /// A yes or no.
    Approval {
        /// The question, cut to a line.
        ask: String,
        /// What the step acts on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        target: Option<String>,
        /// Who may answer, and how many have to.
        from: Asked,
        /// Who has approved so far.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        approved_by: Vec<String>,
        /// The digest that the answer is bound to.
        digest: Digest,
        /// When the question lapses.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires_at: Option<Timestamp>,
    },
    /// A word on whether something happened.
    Resolution {
        /// What was seen.
        message: String,
    },
}

/// Where a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepStatus {
    /// Not started: it waits for the steps that it needs.
    Pending,
    /// An attempt is being performed.
    Running,
    /// It waits for a person, for the clock, or for its next attempt.
    Waiting,
    /// Done.
    Ok,
    /// Not performed.
    Skipped,
    /// Failed for good.
    Failed,
    /// A person said no.
    Rejected,
    /// Nobody answered in time.
    Expired,
    /// It may have happened or not; a person has to say which.
    InDoubt,
    /// The run was cancelled before it was done.
    Cancelled,
    /// Done, and undone since.
    Undone,
}

impl StepStatus {
    /// The status as playbooks and the API write it.
    pub fn as_str(self) -> &'static str {
        match self {
            StepStatus::Pending => "pending",
            StepStatus::Running => "running",
            StepStatus::Waiting => "waiting",
            StepStatus::Ok => "ok",
            StepStatus::Skipped => "skipped",
            StepStatus::Failed => "failed",
            StepStatus::Rejected => "rejected",
            StepStatus::Expired => "expired",
            StepStatus::InDoubt => "in_doubt",
            StepStatus::Cancelled => "cancelled",
            StepStatus::Undone => "undone",
        }
    }
}
