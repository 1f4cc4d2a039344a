//! What facts are made of.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::id::{Digest, RunId, StepId, StepKey};
use crate::time::Timestamp;

/// What a step holds once it has happened: a block, an isolation, a lock.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Holds {
    /// Until when; none: until somebody undoes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// What undoing it is performed with; none: it ends on its own, or nobody here can undo it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<Arc<Value>>,
}

/// Why something is undone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UndoReason {
    /// Its time is over.
    Time,
    /// The run has failed.
    RunFailed,
    /// The run was cancelled.
    RunCancelled,
    /// A person wants it.
    Person {
        /// Who.
        by: Person,
        /// Why.
        reason: String,
    },
}

/// How a run came to hold no more what it did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LetGo {
    /// The other side ends it by itself, and the time is over.
    Ended,
    /// It never held: a person knows that it did not happen.
    DidNotHappen,
    /// Another run holds it too, and undoes it when it lets go.
    HandedOver {
        /// Which run.
        to: RunId,
    },
    /// A person undid it by hand.
    ByHand {
        /// Who says so.
        by: Person,
        /// How they know.
        reason: String,
    },
}

/// Names a workflow and pins its text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkflowRef {
    /// The workflow's name.
    pub name: String,
    /// The digest of its source together with the descriptions of the nodes that it uses.
    pub source: Digest,
}

/// What becomes of a run whose key another run holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Held {
    /// It waits for its turn.
    Queued,
    /// It does nothing; the alert is kept.
    Dropped,
}

/// Whether a workflow acts or only says what it would do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Everything is performed.
    #[default]
    Live,
    /// Disruptive steps are held back.
    Shadow,
}

/// What started a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trigger {
    /// Which kind of trigger.
    pub kind: TriggerKind,
    /// When the alert arrived.
    pub received_at: Timestamp,
    /// Headers of the request, names in lower case, without the ones that carry secrets.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Query parameters of the request.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub query: BTreeMap<String, String>,
    /// Who started it, where a person did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Person>,
    /// The step that called the run, where one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<Parent>,
    /// Whether the alert never came by itself: it was found where Wazuh keeps its alerts.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reconciled: bool,
}

/// The step that called a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parent {
    /// Of which run.
    pub run: RunId,
    /// Which step.
    pub step: StepKey,
    /// What that run is about, in a line.
    pub about: String,
    /// How many runs called each other to get here.
    pub depth: u32,
    /// Whether that run acts; one that only says what it would do calls none that does more.
    #[serde(default)]
    pub mode: Mode,
}

/// The kinds of triggers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TriggerKind {
    /// An HTTP request to `/hooks/{path}`.
    Webhook,
    /// A person.
    Manual,
    /// The clock.
    Schedule,
    /// A step of another run.
    Workflow,
}

impl TriggerKind {
    /// The kind as the API writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            TriggerKind::Webhook => "webhook",
            TriggerKind::Manual => "manual",
            TriggerKind::Schedule => "schedule",
            TriggerKind::Workflow => "workflow",
        }
    }
}

/// A person, as the API knows them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Person {
    /// The person's name.
    pub name: String,
    /// The API token through which they spoke, where that token may speak for others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<String>,
    /// The roles that they had when they spoke.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<String>,
}

/// Why a step is not performed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SkipReason {
    /// Its own `if` said no.
    Condition,
    /// A step that it needs did not let it through.
    StoppedBy(StepId),
    /// The workflow only says what it would do: this is what the step would have been performed with.
    Shadow {
        /// The rendered inputs.
        inputs: Arc<Value>,
        /// What it would have acted on.
        target: Option<String>,
    },
}

/// What people are asked, and the exact inputs to which their answer is bound.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApprovalRequest {
    /// The question.
    pub ask: String,
    /// What the question is about: paths of the playbook with their values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub show: BTreeMap<String, Value>,
    /// The rendered inputs of the step behind the gate; none for an approval that is a step of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inputs: Option<Arc<Value>>,
    /// What the step acts on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The digest of node, connection, target and inputs: the answer is bound to it.
    pub digest: Digest,
    /// Who may answer, and how many have to.
    pub from: Asked,
    /// Whether an approval needs a reason; a rejection always does.
    #[serde(default)]
    pub reason_required: bool,
    /// When the question lapses; none: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// Why the operator's guardrails ask, where it is they who ask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guardrail: Option<String>,
}

/// Who may answer an approval, and how many have to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// The role that a person needs to answer; none: anybody with a token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// How many different people have to approve.
    pub count: u32,
}

/// An answer to an approval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Yes.
    Approve,
    /// No.
    Reject,
}

/// What a person says became of a step that was in doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resolution {
    /// It happened.
    Ok,
    /// It did not happen, and shall not.
    Failed,
    /// It did not happen; send it again.
    SendAgain,
}

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// Something is being done.
    Running,
    /// It waits for a person or for the clock.
    Waiting,
    /// Every step settled, and none failed.
    Succeeded,
    /// A step failed, or an approval expired.
    Failed,
    /// A person stopped it.
    Cancelled,
}

impl RunStatus {
    /// Whether nothing follows any more.
    pub fn is_finished(self) -> bool {
        match self {
            RunStatus::Running | RunStatus::Waiting => false,
            RunStatus::Succeeded | RunStatus::Failed | RunStatus::Cancelled => true,
        }
    }

    /// The status as the API writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            RunStatus::Running => "running",
            RunStatus::Waiting => "waiting",
            RunStatus::Succeeded => "succeeded",
            RunStatus::Failed => "failed",
            RunStatus::Cancelled => "cancelled",
        }
    }
}
