//! A workflow that has been read and checked.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use expr::{Condition, Template, ValueTemplate};
use model::{Asked, Digest, FailureClass, Mode, StepId, TriggerKind};
use serde_json::{Map, Value};

use crate::graph::Graph;
use crate::manifest::{Effect, EngineNode, Input, Manifest, OnDoubt, Verify};
use crate::schedule::Schedule;

/// A workflow that has been read and checked.
#[derive(Debug, Clone)]
pub struct Workflow {
    /// The name.
    pub name: String,
    /// What it is for, in a line.
    pub title: Option<String>,
    /// Who looks after it.
    pub owner: Option<String>,
    /// The ATT&CK techniques that it answers to.
    pub attack: Vec<String>,
    /// Whether disruptive steps are performed or held back.
    pub mode: Mode,
    /// What starts it.
    pub triggers: Vec<Trigger>,
    /// What it takes where another playbook calls it; none: it is started by its triggers.
    pub inputs: Option<BTreeMap<String, Input>>,
    /// Which alerts are one and the same.
    pub dedupe: Option<Dedupe>,
    /// Which of its runs do not go on side by side.
    pub concurrency: Option<Concurrency>,
    /// How long a run may take.
    pub timeout: Option<Duration>,
    /// Values with a name.
    pub vars: Map<String, Value>,
    /// The steps, in the order in which they stand; those of `on_failure` behind all others.
    pub steps: Vec<Step>,
    /// How many steps there are before those of `on_failure`.
    pub main_steps: usize,
    /// What it gives.
    pub outputs: BTreeMap<String, Condition>,
    /// Which step needs which.
    pub graph: Graph,
    /// The digest of the text together with the nodes that it uses.
    pub digest: Digest,
    /// The text.
    pub text: String,
    pub(crate) trigger_nodes: Vec<Arc<Manifest>>,
    /// The outputs of the playbooks that it calls, where they are known.
    pub(crate) callees: BTreeMap<String, Vec<String>>,
}

/// What starts a workflow.
#[derive(Debug, Clone)]
pub struct Trigger {
    /// Which kind.
    pub kind: TriggerKind,
    /// The path below `/hooks/`, of a webhook.
    pub path: Option<String>,
    /// Who may start it by hand; empty: anybody with a token.
    pub roles: Vec<String>,
    /// How long a webhook waits for what the run gives before it answers; none: it does not.
    pub respond_within: Option<Duration>,
    /// When it starts on its own.
    pub schedule: Option<Schedule>,
    /// Which alerts start it, over `alert` and `trigger`.
    pub when: Option<Condition>,
}

/// Which alerts are one and the same.
#[derive(Debug, Clone)]
pub struct Dedupe {
    /// Alerts with the same key are.
    pub key: Template,
    /// For so long after the first of them.
    pub window: Duration,
}

/// Which runs of a workflow do not go on side by side.
#[derive(Debug, Clone)]
pub struct Concurrency {
    /// Runs with the same key do not.
    pub key: Template,
    /// What becomes of the later one.
    pub on_conflict: OnConflict,
}

/// What becomes of a run whose key another run holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnConflict {
    /// It waits for its turn.
    Queue,
    /// It is kept, and does nothing.
    Drop,
}

/// One step.
#[derive(Debug, Clone)]
pub struct Step {
    /// The name.
    pub id: StepId,
    /// What it does, for people.
    pub title: Option<Template>,
    /// The node that it uses.
    pub node: Arc<Manifest>,
    /// The name of the connection; none: the one of the node's product.
    pub connection: Option<String>,
    /// What it does to the world.
    pub effect: Effect,
    /// What an unknown outcome means.
    pub on_doubt: OnDoubt,
    /// The steps that have to settle first.
    pub needs: Needs,
    /// Whether it is performed.
    pub condition: Option<Condition>,
    /// The list for each item of which it is performed.
    pub each: Option<Each>,
    /// What goes into the node.
    pub inputs: BTreeMap<String, ValueTemplate>,
    /// How long a call may take.
    pub timeout: Duration,
    /// When it is tried again.
    pub retry: Option<Retry>,
    /// What its output has to be before it counts as done; until then it is performed again.
    pub until: Option<Condition>,
    /// What its failure means for the steps behind it.
    pub on_error: OnError,
    /// The gate before it; for an approval that is a step of its own, the question itself.
    pub approval: Option<Approval>,
    /// How one finds out whether it happened.
    pub verify: Option<Box<Look>>,
    /// The step that undoes it: never one of the workflow's own, and with inputs over `inputs` and `call` of this one.
    pub inverse: Option<Box<Step>>,
    /// When it is undone without anybody's asking for it.
    pub undo: Option<Undo>,
}

/// How one finds out whether a step happened.
#[derive(Debug, Clone)]
pub struct Look {
    /// The node that looks.
    pub node: Arc<Manifest>,
    /// What it looks with and for; the times are those of the step.
    pub verify: Verify,
}

/// When a step is undone without anybody's asking for it.
#[derive(Debug, Clone)]
pub struct Undo {
    /// So long after it was sent, as a duration.
    pub after: Option<Template>,
    /// As soon as the run has failed.
    pub on_failed: bool,
    /// As soon as the run was cancelled.
    pub on_cancelled: bool,
}

/// The steps that a step needs, as indices into the workflow's steps, in the order in which they are listed.
pub type Needs = Vec<usize>;

/// The list for each item of which a step is performed.
#[derive(Debug, Clone)]
pub struct Each {
    /// The list.
    pub list: Condition,
    /// The root under which the step reads its item.
    pub name: String,
    /// How long the list may be; with a longer one the step fails before anything is done.
    pub max_items: Option<u32>,
    /// How many items are under way at once.
    pub max_parallel: u32,
    /// What the failure of one item means for the others.
    pub on_item_error: OnItemError,
}

impl Each {
    /// How long a list may be where the playbook does not say.
    pub const MOST_ITEMS: u32 = 1000;
}

/// What the failure of one item means for the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnItemError {
    /// No further item is begun, and the step ends as the item did.
    Stop,
    /// The others are performed, and the step is done.
    Continue,
}

/// When a step is tried again.
#[derive(Debug, Clone)]
pub struct Retry {
    /// How many attempts there are in all.
    pub max: u32,
    /// How long to wait before the second attempt.
    pub wait: Duration,
    /// By how much the wait grows from attempt to attempt.
    pub backoff: f64,
    /// Which failures are worth another attempt.
    pub on: Vec<RetryOn>,
}

/// A class of failures that is worth another attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryOn {
    /// Exactly this class.
    Class(FailureClass),
    /// Every status of this hundred: `http_5xx`.
    Hundred(u16),
}

/// What the failure of a step means for the steps behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnError {
    /// They are stopped, and the run fails.
    Fail,
    /// They go on.
    Continue,
}

/// What people are asked before a step is performed.
#[derive(Debug, Clone)]
pub struct Approval {
    /// When nobody has to be asked.
    pub skip_if: Option<Condition>,
    /// The question.
    pub ask: Template,
    /// What they are shown: paths.
    pub show: Vec<Vec<String>>,
    /// Who may answer, and how many have to.
    pub from: Asked,
    /// Whether an approval needs a reason.
    pub reason_required: bool,
    /// When the question lapses.
    pub expires: Option<Duration>,
}

impl Workflow {
    /// The step with this name.
    pub fn step(&self, id: &StepId) -> Option<&Step> {
        self.steps.iter().find(|step| step.id == *id)
    }

    /// What the playbook is called with, checked and with its defaults; or what is wrong with it.
    pub fn take_inputs(&self, given: &Value) -> Result<Value, String> {
        let (Some(inputs), Some(given)) = (&self.inputs, given.as_object()) else {
            return Err(format!("`{}` cannot be called with this", self.name));
        };
        if let Some(unknown) = given.keys().find(|key| !inputs.contains_key(*key)) {
            return Err(format!("`{}` has no input `{unknown}`", self.name));
        }
        let mut taken = Map::new();
        for (name, input) in inputs {
            match (given.get(name), &input.default) {
                (Some(value), _) => {
                    input.check(value).map_err(|message| format!("the input `{name}` {message}"))?;
                    taken.insert(name.clone(), value.clone());
                }
                (None, Some(default)) => drop(taken.insert(name.clone(), default.clone())),
                (None, None) if input.is_required => {
                    return Err(format!("`{}` needs the input `{name}`", self.name));
                }
                (None, None) => {}
            }
        }
        Ok(Value::Object(taken))
    }

    /// The steps that are performed where the run has failed.
    pub fn handlers(&self) -> std::ops::Range<usize> {
        self.main_steps..self.steps.len()
    }

    /// The index of the step with this name.
    pub fn index(&self, id: &StepId) -> Option<usize> {
        self.steps.iter().position(|step| step.id == *id)
    }
}

impl Step {
    /// The nodes that it takes to perform the step, to look whether it happened, and to undo it.
    pub fn nodes(&self) -> Vec<&Arc<Manifest>> {
        let looks = self.verify.iter().map(|look| &look.node);
        let inverse = self.inverse.iter().flat_map(|inverse| inverse.nodes());
        std::iter::once(&self.node).chain(looks).chain(inverse).collect()
    }

    /// The playbook that the step calls.
    pub fn callee(&self) -> Option<&str> {
        let is_call = self.node.engine_node() == Some(EngineNode::Workflow);
        match self.inputs.get("workflow") {
            Some(ValueTemplate::Literal(Value::String(name))) if is_call => Some(name),
            _ => None,
        }
    }

    /// Whether the step's own `if` looks at the status of that step, and so decides for itself what it means.
    pub fn looks_at_status(&self, id: &StepId) -> bool {
        let reads = |reference: &expr::Reference| {
            let path: Vec<&str> = reference.path.iter().map(String::as_str).collect();
            path == ["status", id.as_str()]
        };
        self.condition.as_ref().is_some_and(|condition| condition.references().iter().any(reads))
    }
}

impl RetryOn {
    /// Whether a failure is of this class.
    pub fn matches(self, class: FailureClass) -> bool {
        match (self, class) {
            (RetryOn::Class(wanted), class) => wanted == class,
            (RetryOn::Hundred(hundred), FailureClass::Http(status)) => status / 100 == hundred,
            _ => false,
        }
    }
}
