//! What may be done at all: asked before each disruptive call, whatever the playbook says and whoever approved it.

mod address;
mod budget;
mod guardrails;
mod name;
mod recent;
mod rules;
mod touched;

use std::fmt;

use async_trait::async_trait;
use model::{Failure, RunId, StepKey, Timestamp};
use serde_json::Value;
use workflow::Manifest;

pub use address::Block;
pub use budget::{Budget, Disruption};
pub use guardrails::{Directory, Guardrails};
pub use name::Pattern;
pub use recent::recent_disruptions;
pub use rules::{AgentFacts, NeverTouch, Rules, agent};

use crate::runner::Shared;

/// What is about to be done, before anything is sent.
#[derive(Debug, Clone, Copy)]
pub struct Intent<'a> {
    /// Which run.
    pub run: RunId,
    /// When the run started.
    pub started_at: Timestamp,
    /// The workflow's name.
    pub workflow: &'a str,
    /// Which step.
    pub step: &'a StepKey,
    /// The node that performs it.
    pub node: &'a Manifest,
    /// The name of the connection, where the step names one.
    pub connection: Option<&'a str>,
    /// The rendered inputs.
    pub inputs: &'a Value,
    /// What it acts on.
    pub target: Option<&'a str>,
    /// What earlier [`Verdict::Ask`]s of this step asked, and people said yes to.
    pub answered: &'a [String],
}

/// Whether something may be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// It may, and it counts as done.
    Go,
    /// A person has to say yes first; why.
    Ask(String),
    /// It may not.
    Refuse(Failure),
}

/// Says before each disruptive call whether it may be made. Undos are not judged: to give back is always allowed.
#[async_trait]
pub trait Guard: fmt::Debug + Send + Sync {
    /// Judges what is about to be done. It bounds its own time.
    async fn judge(&self, intent: &Intent<'_>, now: Timestamp) -> Verdict;
}

/// Lets everything through.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unguarded;

#[async_trait]
impl Guard for Unguarded {
    async fn judge(&self, _intent: &Intent<'_>, _now: Timestamp) -> Verdict {
        Verdict::Go
    }
}

impl Shared {
    /// Whether a disruptive call may be made; asked after its inputs are fixed and before its intent is recorded.
    pub(crate) async fn judge(&self, intent: &Intent<'_>) -> Verdict {
        if let Some(failure) = self.halt.refuses() {
            return Verdict::Refuse(failure);
        }
        self.guard.judge(intent, self.clock.now()).await
    }
}
