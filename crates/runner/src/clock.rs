//! The time that runs are told.

use std::time::UNIX_EPOCH;

use model::Timestamp;
use tokio::time::Instant;

/// The time that runs are told.
#[derive(Debug, Clone, Copy)]
pub enum Clock {
    /// The system's.
    System,
    /// One that starts at a point in time and follows tokio's, which tests can stop and move.
    Tokio {
        /// Where it started.
        base: Timestamp,
        /// When it started.
        started: Instant,
    },
}

impl Clock {
    /// A clock that starts at this point in time and follows tokio's.
    pub fn tokio(base: Timestamp) -> Clock {
        Clock::Tokio { base, started: Instant::now() }
    }

    /// What time it is.
    pub fn now(self) -> Timestamp {
        match self {
            Clock::System => {
                let since = failpoints::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                Timestamp::default().after(since)
            }
            Clock::Tokio { base, started } => base.after(started.elapsed()),
        }
    }
}
