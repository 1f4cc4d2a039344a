//! The run state machine: an input and the time go in, facts come out.
//!
//! A [`Run`] is a fold over its journal. It decides what follows from an input, says which [`Command`]s the world owes
//! it, and when the clock has to look at it again. No clock, no randomness, no IO, no async; and it never sees a secret.

#![warn(missing_docs)]

mod apply;
mod clearance;
mod command;
mod decide;
mod each;
mod held;
mod input;
mod place;
mod prepare;
pub mod rehearsal;
mod retry;
mod run;
mod scope;
mod settle;
mod state;
mod summary;
mod verify;

pub use clearance::{Clearance, Verdict};
pub use command::{CallId, Child, Command};
pub use input::{Input, Rejected, Start, Turn};
pub use prepare::size;
pub use run::{Corrupt, Run};
pub use scope::start_scope;
pub use summary::{about, alert_id};

#[cfg(test)]
mod tests;
