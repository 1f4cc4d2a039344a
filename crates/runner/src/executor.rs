//! Who performs the calls.

use async_trait::async_trait;
use engine::Command;
use model::Outcome;

/// Performs one call, once, and says what became of it. It bounds its own time by the command's timeout.
#[async_trait]
pub trait Executor: Send + Sync {
    /// Performs one call.
    async fn perform(&self, command: &Command) -> Outcome;
}
