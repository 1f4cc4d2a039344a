//! Nouns that every crate shares: ids, timestamps, the facts of a run, and the row that lists show.
//!
//! Plain data with serde. No rules of the product, no IO, no clock: time is a value that somebody hands in.

#![warn(missing_docs)]

mod event;
mod id;
mod json;
mod outcome;
mod summary;
mod time;

pub use event::{
    ApprovalRequest, Asked, Decision, Event, Held, Holds, LetGo, Mode, Parent, Person, Record, Resolution,
    RunStatus, SkipReason, Trigger, TriggerKind, UndoReason, WorkflowRef,
};
pub use id::{Digest, InvalidId, RunId, StepId, StepKey};
pub use json::{DEEPEST_FROM_OUTSIDE, is_deeper_than};
pub use outcome::{Failure, FailureClass, Outcome};
pub use summary::{Containment, ContainmentState, RunSummary, StepStatus, Waiting, WaitingFor};
pub use time::Timestamp;
