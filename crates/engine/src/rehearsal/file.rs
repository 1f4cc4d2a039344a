//! `NAME.test.yaml`: what each test says, read with a place for every mistake.

mod read;

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{Decision, Mode, Outcome, Resolution, RunStatus, StepId, StepStatus, TriggerKind};
use serde_json::Value;

pub(super) use read::read;

/// One test.
#[derive(Debug)]
pub(super) struct Test {
    pub(super) name: String,
    /// Where it stands in the text.
    pub(super) at: usize,
    pub(super) alert: Arc<Value>,
    pub(super) trigger: TriggerKind,
    pub(super) mode: Option<Mode>,
    pub(super) mocks: BTreeMap<StepId, Mock>,
    pub(super) answers: BTreeMap<StepId, Answers>,
    pub(super) resolutions: BTreeMap<StepId, Vec<Resolved>>,
    /// The process dies after the first call of this step has left.
    pub(super) crash: Option<StepId>,
    pub(super) expected: Expected,
}

/// What the world answers to the calls of a step.
#[derive(Debug, Clone)]
pub(super) enum Mock {
    /// The same to every attempt.
    Always(Outcome),
    /// To each attempt its own.
    Successive(Vec<Outcome>),
}

/// What people answer when they are asked.
#[derive(Debug)]
pub(super) enum Answers {
    /// Nothing, until the question lapses.
    Expire,
    /// One after the other.
    Given(Vec<Answer>),
}

/// One answer of one person.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) decision: Decision,
    pub(super) by: String,
    /// None: the role that is asked for.
    pub(super) roles: Option<Vec<String>>,
    pub(super) reason: Option<String>,
    /// The test wants the engine to refuse this answer.
    pub(super) is_refused: bool,
}

/// What a person says became of a step that is in doubt.
#[derive(Debug)]
pub(super) struct Resolved {
    pub(super) resolution: Resolution,
    pub(super) by: String,
    pub(super) reason: String,
}

/// What a test expects; what it does not name may be anything.
#[derive(Debug, Default)]
pub(super) struct Expected {
    /// Whether the alert starts the workflow.
    pub(super) starts: bool,
    pub(super) run: Option<RunStatus>,
    pub(super) steps: BTreeMap<StepId, StepStatus>,
    /// By the name of the node.
    pub(super) calls: BTreeMap<String, u64>,
    pub(super) outputs: BTreeMap<String, Value>,
    /// Parts of the inputs that a step was performed with, or put before people with.
    pub(super) inputs: BTreeMap<StepId, Value>,
}

impl Mock {
    /// What the world answers to this attempt, from 1.
    pub(super) fn outcome(&self, attempt: u32) -> Option<&Outcome> {
        match self {
            Mock::Always(outcome) => Some(outcome),
            Mock::Successive(outcomes) => {
                usize::try_from(attempt).ok()?.checked_sub(1).and_then(|index| outcomes.get(index))
            }
        }
    }
}
