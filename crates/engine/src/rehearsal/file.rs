//! `NAME.test.yaml`: what each test says, read with a place for every mistake.

mod read;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use model::{
    ContainmentState, Decision, Mode, Outcome, Resolution, RunStatus, StepId, StepKey, StepStatus,
    TriggerKind,
};
use serde_json::Value;

pub(super) use read::read;

/// One test.
#[derive(Debug)]
pub(super) struct Test {
    pub(super) name: String,
    pub(super) lines: Lines,
    pub(super) alert: Arc<Value>,
    pub(super) trigger: TriggerKind,
    pub(super) mode: Option<Mode>,
    /// By the step, or its undo; never by an item.
    pub(super) mocks: BTreeMap<StepKey, Mock>,
    /// By the step, or its undo; never by an item.
    pub(super) answers: BTreeMap<StepKey, Answers>,
    pub(super) resolutions: BTreeMap<StepKey, Vec<Resolved>>,
    pub(super) undos: BTreeMap<StepId, Undone>,
    pub(super) cancel: Option<Cancel>,
    /// The process dies after the first call of this step, or of its undo, has left.
    pub(super) crash: Option<StepKey>,
    /// How long the clock runs; none: until nothing is due any more.
    pub(super) advance: Option<Duration>,
    pub(super) expected: Expected,
}

/// What the world answers to the calls of a step.
#[derive(Debug, Clone)]
pub(super) enum Mock {
    /// The same to every attempt.
    Always(Reply),
    /// To each attempt its own.
    Successive(Vec<Reply>),
    /// To each item of a list its own, in the order of the list.
    Items(Vec<Mock>),
}

/// What the world answers to one call.
#[derive(Debug, Clone)]
pub(super) struct Reply {
    pub(super) outcome: Outcome,
    /// How long the call takes.
    pub(super) takes: Duration,
    /// What the node gives that looks whether it happened: to each look its own, the last one again and again. None:
    /// it sees that it happened.
    pub(super) looks: Vec<Arc<Value>>,
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
    /// How long after the question it comes, also where nobody waits for it any more; none: as soon as somebody waits.
    pub(super) after: Option<Duration>,
}

/// What a person says became of a step that is in doubt.
#[derive(Debug)]
pub(super) struct Resolved {
    pub(super) resolution: Resolution,
    pub(super) by: String,
    pub(super) reason: String,
    /// How long after the doubt it comes.
    pub(super) after: Duration,
}

/// A person wants undone what a step holds.
#[derive(Debug)]
pub(super) struct Undone {
    pub(super) by: String,
    pub(super) reason: String,
    /// How long after it was sent.
    pub(super) after: Duration,
    /// They have done it by hand already.
    pub(super) is_done: bool,
}

/// A person stops the run.
#[derive(Debug)]
pub(super) struct Cancel {
    pub(super) by: String,
    pub(super) reason: String,
    /// How long after the start of the run.
    pub(super) after: Duration,
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
    /// Parts of the last failure of a step.
    pub(super) errors: BTreeMap<StepId, Value>,
    /// All that the run holds in the end, by its target; none: it may hold anything.
    pub(super) contained: Option<BTreeMap<String, ContainmentState>>,
    /// Facts that have to come in this order.
    pub(super) journal: Vec<Fact>,
}

/// A fact that has to come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fact {
    pub(super) name: String,
    /// How long after the start of the run.
    pub(super) at: Option<Duration>,
}

/// On which line each part of a test stands, from 1, by its path from the test.
#[derive(Debug, Default)]
pub(super) struct Lines(pub(super) BTreeMap<String, usize>);

impl Lines {
    /// The line of a part; what does not stand there stands where it would.
    pub(super) fn of(&self, path: &str) -> usize {
        let ends = path.rmatch_indices('/').map(|(end, _)| end);
        let paths = std::iter::once(path.len()).chain(ends).filter_map(|end| path.get(..end));
        paths.chain([""]).find_map(|path| self.0.get(path)).copied().unwrap_or(1)
    }
}

impl Mock {
    /// Whether it says what a look gives.
    pub(super) fn tells_looks(&self) -> bool {
        match self {
            Mock::Always(reply) => !reply.looks.is_empty(),
            Mock::Successive(replies) => replies.iter().any(|reply| !reply.looks.is_empty()),
            Mock::Items(mocks) => mocks.iter().any(Mock::tells_looks),
        }
    }

    /// What the world answers to this attempt, from 1, of a step or of one of its items.
    pub(super) fn reply(&self, item: Option<u32>, attempt: u32) -> Option<&Reply> {
        match self {
            Mock::Always(reply) => Some(reply),
            Mock::Successive(replies) => {
                usize::try_from(attempt).ok()?.checked_sub(1).and_then(|index| replies.get(index))
            }
            Mock::Items(mocks) => mocks.get(usize::try_from(item?).ok()?)?.reply(None, attempt),
        }
    }
}
