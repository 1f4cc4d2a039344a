//! Drives runs: start, append, perform, timers, recovery.
//!
//! One task owns a run while something happens in it, and a run that waits costs nothing but its row. [`drive`] is the
//! only place where facts meet effects; all IO hangs on it through [`store::Store`] and [`Executor`].

mod children;
mod clear;
mod clock;
mod drive;
mod ended;
mod error;
mod executor;
pub mod guard;
mod halt;
mod ledger;
mod metrics;
mod pinned;
mod reconcile;
mod retention;
mod runner;
mod schedules;
mod start;
mod timers;
mod turns;
mod upkeep;
mod workflows;

pub use clock::Clock;
pub use ended::{Ended, Ending};
pub use error::Error;
pub use executor::Executor;
pub use guard::{Guard, Intent, Unguarded, Verdict};
pub use halt::Halted;
pub use ledger::{Contained, Holder};
pub use metrics::{Counter, Metric, Sample};
pub use reconcile::{AlertPage, AlertSource, Gap, Reconcile, Reconciled};
pub use retention::Retention;
pub use runner::{Runner, Settings, Update};
pub use start::{Delivery, Received, Started};
pub use workflows::{Found, Live, Playbook, Trouble, Workflows};
