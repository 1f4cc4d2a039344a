//! Where a step stands, with what it takes to go on from there.

use std::sync::Arc;

use model::{ApprovalRequest, Failure, Person, StepStatus, Timestamp};
use serde_json::Value;

/// Where a step stands.
#[derive(Debug, Clone)]
pub(crate) enum State {
    Pending,
    /// Its inputs are fixed, and nothing stands in its way any more: an approval was given, or a person said to send
    /// again.
    Ready(Prepared),
    Running(Prepared),
    Retrying(Prepared, Timestamp),
    Delayed(Timestamp),
    Asking(Box<Asking>),
    Ok,
    /// Not performed, by its own decision: what needs it goes on.
    SkippedItself,
    /// Not performed because a need did not let it through: what needs it is stopped as well.
    Stopped,
    Failed,
    Rejected,
    Expired,
    InDoubt(Prepared, Failure),
    Cancelled,
}

/// The inputs with which a step is performed, fixed before its first attempt.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Prepared {
    pub(crate) inputs: Arc<Value>,
    pub(crate) target: Option<String>,
}

/// An approval that waits for its answers.
#[derive(Debug, Clone)]
pub(crate) struct Asking {
    pub(crate) request: ApprovalRequest,
    pub(crate) approved_by: Vec<Person>,
}

/// A step's state, since when, and how often it was attempted.
#[derive(Debug, Clone)]
pub(crate) struct StepState {
    pub(crate) state: State,
    pub(crate) since: Timestamp,
    pub(crate) attempt: u32,
}

impl State {
    pub(crate) fn status(&self) -> StepStatus {
        match self {
            State::Pending => StepStatus::Pending,
            State::Ready(_) | State::Running(_) => StepStatus::Running,
            State::Retrying(..) | State::Delayed(_) | State::Asking(_) => StepStatus::Waiting,
            State::Ok => StepStatus::Ok,
            State::SkippedItself | State::Stopped => StepStatus::Skipped,
            State::Failed => StepStatus::Failed,
            State::Rejected => StepStatus::Rejected,
            State::Expired => StepStatus::Expired,
            State::InDoubt(..) => StepStatus::InDoubt,
            State::Cancelled => StepStatus::Cancelled,
        }
    }

    /// Whether nothing more happens to the step.
    pub(crate) fn is_settled(&self) -> bool {
        match self {
            State::Pending
            | State::Ready(_)
            | State::Running(_)
            | State::Retrying(..)
            | State::Delayed(_)
            | State::Asking(_)
            | State::InDoubt(..) => false,
            State::Ok
            | State::SkippedItself
            | State::Stopped
            | State::Failed
            | State::Rejected
            | State::Expired
            | State::Cancelled => true,
        }
    }

    /// When the clock has to look at the step again.
    pub(crate) fn wake_at(&self) -> Option<Timestamp> {
        match self {
            State::Retrying(_, at) | State::Delayed(at) => Some(*at),
            State::Asking(asking) => asking.request.expires_at,
            State::Pending
            | State::Ready(_)
            | State::Running(_)
            | State::Ok
            | State::SkippedItself
            | State::Stopped
            | State::Failed
            | State::Rejected
            | State::Expired
            | State::InDoubt(..)
            | State::Cancelled => None,
        }
    }
}
