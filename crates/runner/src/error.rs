//! Why the runner could not do what it was asked.

use engine::Rejected;
use model::RunId;

/// Why the runner could not do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// There is no such run.
    #[error("there is no run {0}")]
    NoSuchRun(RunId),
    /// There is no such workflow, or it is not started this way.
    #[error("{0}")]
    NoSuchWorkflow(String),
    /// The person may not do this.
    #[error("{0}")]
    NotAllowed(String),
    /// The run refuses what it was told.
    #[error(transparent)]
    Rejected(#[from] Rejected),
    /// The run's journal cannot be replayed.
    #[error("run {run} cannot go on: {message}")]
    Damaged {
        /// Which run.
        run: RunId,
        /// What is wrong with it.
        message: String,
    },
    /// The store does not take this: it is too large, or there is no room. What was promised before stands.
    #[error("this cannot be kept: {0}")]
    Refused(String),
    /// The store's disk has no room; what was promised before stands, and a later try may be taken.
    #[error("nothing can be kept at the moment: {0}")]
    Full(String),
    /// Too much is going on; try again.
    #[error("too much is going on: try again in a moment")]
    Busy,
    /// The runner is stopping, or its store has failed.
    #[error("{0}")]
    Stopped(String),
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Error {
        match error {
            store::Error::Damaged { run, message } => Error::Damaged { run, message },
            store::Error::Refused(message) => Error::Refused(message),
            store::Error::Full(message) => Error::Full(message),
            store::Error::Broken(_) | store::Error::Locked(_) => Error::Stopped(error.to_string()),
        }
    }
}
