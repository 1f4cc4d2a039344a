//! YAML to a checked workflow: node catalogue, graph, and findings with their places.
//!
//! Reading is total: every mistake in a file is found in one go, and what has an error is never run. Pure: the text is
//! an argument, and nothing here opens a file.

#![expect(clippy::wildcard_enum_match_arm, reason = "readers look for the one kind of JSON value that fits")]
#![warn(missing_docs)]

mod catalog;
mod diagnostic;
mod draw;
mod graph;
mod keys;
mod lint;
mod load;
mod manifest;
mod parallel;
mod reference;
mod rule;
mod schedule;
mod schema;
mod secret;
mod workflow;
pub mod yaml;

pub use catalog::Catalog;
pub use diagnostic::{Diagnostic, Diagnostics, Severity};
pub use draw::{Format, draw};
pub use graph::Graph;
pub use load::{Bundle, Draft, Signature, load};
pub use manifest::{
    Action, After, Effect, EngineNode, FailureRule, Input, InputKind, Inverse, Manifest, NativeNode, OnDoubt,
    Otherwise, Request, Verify, digest,
};
pub use parallel::in_parallel;
pub use reference::{language, reference};
pub use rule::{About, Example, Rule};
pub use schedule::{Missed, Schedule};
pub use schema::schema;
pub use workflow::{
    Approval, Concurrency, Dedupe, Each, Look, Needs, OnConflict, OnError, OnItemError, Retry, RetryOn, Step,
    Trigger, Undo, Workflow,
};
