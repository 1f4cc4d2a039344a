//! Where a step stands, with what it takes to go on from there.

use std::collections::BTreeSet;
use std::sync::Arc;

use model::{ApprovalRequest, Failure, Person, RunId, StepStatus, Timestamp};
use serde_json::Value;

use crate::prepare;

/// Where a step stands, or one item of a step that is performed for each item of a list.
#[derive(Debug, Clone)]
pub(crate) enum State {
    Pending,
    /// Its inputs are fixed, and nothing stands in its way any more: an approval was given, or a person said to send
    /// again.
    Ready(Prepared),
    Running(Prepared),
    Retrying(Prepared, Timestamp),
    /// Nobody knows what became of it, and it is sent again with the key by which the other side knows it.
    Unsure(Prepared, Failure, Timestamp),
    /// Somebody looks whether it happened.
    Verifying(Box<Verifying>),
    Delayed(Timestamp),
    Asking(Box<Asking>),
    /// Another run performs it.
    Called(Box<Called>),
    /// Its items are being performed.
    Each(Box<Each>),
    Ok,
    /// Not performed, by its own decision: what needs it goes on.
    SkippedItself,
    /// Not performed because a need did not let it through: what needs it is stopped as well.
    Stopped,
    Failed,
    Rejected,
    Expired,
    InDoubt(Prepared, Failure),
    Cancelled,
}

/// The inputs with which a step is performed, fixed before its first attempt.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Prepared {
    pub(crate) inputs: Arc<Value>,
    pub(crate) target: Option<String>,
}

/// Looking whether something happened.
#[derive(Debug, Clone)]
pub(crate) struct Verifying {
    pub(crate) prepared: Prepared,
    /// What the call gave, where it was taken.
    pub(crate) output: Option<Arc<Value>>,
    /// What was seen, where nobody knows.
    pub(crate) failure: Option<Failure>,
    /// What a look is performed with.
    pub(crate) inputs: Arc<Value>,
    pub(crate) until: Timestamp,
    /// The number of the look that is under way, or was the last.
    pub(crate) look: u32,
    /// When the next one is due; none: one is under way.
    pub(crate) again_at: Option<Timestamp>,
}

impl Verifying {
    pub(crate) fn is_looking(&self, look: u32) -> bool {
        self.again_at.is_none() && self.look == look
    }
}

/// An approval that waits for its answers.
#[derive(Debug, Clone)]
pub(crate) struct Asking {
    pub(crate) request: ApprovalRequest,
    pub(crate) approved_by: Vec<Person>,
}

/// The run that performs a step.
#[derive(Debug, Clone)]
pub(crate) struct Called {
    pub(crate) run: RunId,
    pub(crate) workflow: String,
    pub(crate) inputs: Arc<Value>,
}

/// The items of a step, in the order of the list.
#[derive(Debug, Clone)]
pub(crate) struct Each {
    pub(crate) list: Arc<Value>,
    pub(crate) items: Vec<Item>,
    /// The items that are under way: with these in hand, nobody has to look at all of them.
    pub(crate) open: BTreeSet<usize>,
    /// The first item that has not begun; they begin in order.
    pub(crate) next: usize,
    /// Whether an item came to an end that is not a good one.
    pub(crate) is_marred: bool,
    /// The bytes of what went into the items that are under way.
    pub(crate) under_way: usize,
    /// The bytes of what the items gave, and of what was held back.
    pub(crate) kept: usize,
}

/// How far one item has come, and what it gave.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub(crate) state: StepState,
    pub(crate) output: Option<Arc<Value>>,
    pub(crate) failure: Option<Failure>,
    /// The bytes of what went into it.
    weight: usize,
}

/// A step's state, since when, and how often it was attempted.
#[derive(Debug, Clone)]
pub(crate) struct StepState {
    pub(crate) state: State,
    pub(crate) since: Timestamp,
    pub(crate) attempt: u32,
    /// What the operator's guardrails asked, and people said yes to.
    pub(crate) answered: Vec<String>,
    /// Whether an attempt was sent of which nobody knows what became, and nobody has said since.
    pub(crate) was_unknown: bool,
}

impl StepState {
    pub(crate) fn pending(since: Timestamp) -> StepState {
        StepState { state: State::Pending, since, attempt: 0, answered: Vec::new(), was_unknown: false }
    }
}

impl Each {
    pub(crate) fn new(list: Arc<Value>, length: usize, since: Timestamp) -> Each {
        let item = Item { state: StepState::pending(since), output: None, failure: None, weight: 0 };
        Each {
            list,
            items: vec![item; length],
            open: BTreeSet::new(),
            next: 0,
            is_marred: false,
            under_way: 0,
            kept: 0,
        }
    }

    /// Keeps the sums right when an item comes into another state.
    pub(crate) fn weigh(&mut self, item: usize, next: &State) {
        let index = item;
        let Some(item) = self.items.get_mut(index) else { return };
        self.next = self.next.max(index + 1);
        self.is_marred |= next.is_settled() && !matches!(next, State::Ok | State::SkippedItself);
        match (item.state.state.is_open(), next.is_open()) {
            (false, true) => {
                item.weight = next.weight();
                self.open.insert(index);
                self.under_way += item.weight;
            }
            (true, false) => {
                self.open.remove(&index);
                self.under_way -= item.weight;
            }
            (true, true) | (false, false) => {}
        }
    }

    pub(crate) fn value(&self, item: usize) -> &Value {
        self.list.get(item).unwrap_or(&Value::Null)
    }

    fn status(&self) -> StepStatus {
        let is = |status: StepStatus| move |item: &Item| item.state.state.status() == status;
        let is_open = |item: &Item| item.state.state.is_open();
        if self.items.iter().any(is_open) && !self.items.iter().any(is(StepStatus::Running)) {
            return StepStatus::Waiting;
        }
        StepStatus::Running
    }
}

impl State {
    pub(crate) fn status(&self) -> StepStatus {
        match self {
            State::Pending => StepStatus::Pending,
            State::Ready(_) | State::Running(_) | State::Verifying(_) => StepStatus::Running,
            State::Retrying(..)
            | State::Unsure(..)
            | State::Delayed(_)
            | State::Asking(_)
            | State::Called(_) => StepStatus::Waiting,
            State::Each(each) => each.status(),
            State::Ok => StepStatus::Ok,
            State::SkippedItself | State::Stopped => StepStatus::Skipped,
            State::Failed => StepStatus::Failed,
            State::Rejected => StepStatus::Rejected,
            State::Expired => StepStatus::Expired,
            State::InDoubt(..) => StepStatus::InDoubt,
            State::Cancelled => StepStatus::Cancelled,
        }
    }

    /// What was sent, while nobody has said what became of it.
    pub(crate) fn attempted(&self) -> Option<&Prepared> {
        if let State::Running(prepared) | State::Unsure(prepared, ..) = self {
            return Some(prepared);
        }
        self.verifying().map(|verifying| &verifying.prepared)
    }

    pub(crate) fn verifying(&self) -> Option<&Verifying> {
        if let State::Verifying(verifying) = self { Some(verifying) } else { None }
    }

    /// Whether nothing more happens to the step.
    pub(crate) fn is_settled(&self) -> bool {
        match self {
            State::Pending
            | State::Ready(_)
            | State::Running(_)
            | State::Retrying(..)
            | State::Unsure(..)
            | State::Verifying(_)
            | State::Delayed(_)
            | State::Asking(_)
            | State::Called(_)
            | State::Each(_)
            | State::InDoubt(..) => false,
            State::Ok
            | State::SkippedItself
            | State::Stopped
            | State::Failed
            | State::Rejected
            | State::Expired
            | State::Cancelled => true,
        }
    }

    /// Whether something was begun that has not come to its end.
    pub(crate) fn is_open(&self) -> bool {
        !self.is_settled() && !matches!(self, State::Pending)
    }

    /// The bytes of what went into what is under way.
    fn weight(&self) -> usize {
        match self {
            State::Ready(prepared)
            | State::Running(prepared)
            | State::Retrying(prepared, _)
            | State::Unsure(prepared, ..)
            | State::InDoubt(prepared, _) => {
                prepare::size(&prepared.inputs) + prepared.target.as_ref().map_or(0, String::len)
            }
            State::Verifying(verifying) => {
                let output = verifying.output.as_ref().map_or(0, |output| prepare::size(output));
                prepare::size(&verifying.prepared.inputs) + prepare::size(&verifying.inputs) + output
            }
            State::Called(called) => prepare::size(&called.inputs),
            State::Asking(asking) => {
                let request = &asking.request;
                let inputs = request.inputs.as_ref().map_or(0, |inputs| prepare::size(inputs));
                let asked = request.ask.len() + request.target.as_ref().map_or(0, String::len);
                inputs + asked + request.show.values().map(prepare::size).sum::<usize>()
            }
            State::Pending
            | State::Delayed(_)
            | State::Each(_)
            | State::Ok
            | State::SkippedItself
            | State::Stopped
            | State::Failed
            | State::Rejected
            | State::Expired
            | State::Cancelled => 0,
        }
    }

    /// When the clock has to look at the step again, its items aside.
    pub(crate) fn wake_at(&self) -> Option<Timestamp> {
        match self {
            State::Retrying(_, at) | State::Unsure(_, _, at) | State::Delayed(at) => Some(*at),
            State::Verifying(verifying) => verifying.again_at,
            State::Asking(asking) => asking.request.expires_at,
            State::Pending
            | State::Ready(_)
            | State::Running(_)
            | State::Called(_)
            | State::Each(_)
            | State::Ok
            | State::SkippedItself
            | State::Stopped
            | State::Failed
            | State::Rejected
            | State::Expired
            | State::InDoubt(..)
            | State::Cancelled => None,
        }
    }
}
