//! What the tests of a playbook showed of it: which steps were performed, and which branches were taken.

use std::collections::BTreeMap;

use model::{Decision, Event, Resolution, SkipReason, StepKey, StepStatus};
use workflow::{EngineNode, OnError, Step, Workflow};

use super::play::Played;

/// What tests showed of a playbook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coverage {
    /// Each condition of a trigger, and then each step.
    pub parts: Vec<Part>,
}

/// What tests showed of a trigger or a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The trigger, or the step's id.
    pub name: String,
    /// How far the step came at most; none: it is a trigger.
    pub reach: Option<Reach>,
    /// Every way that it can go, and whether a test went there.
    pub branches: Vec<(Branch, bool)>,
}

/// How far a step came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// Nothing was decided about it.
    Never,
    /// It was skipped, rejected or held back.
    NotPerformed,
    /// It was performed.
    Performed,
}

/// A way that a trigger or a step can go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Branch {
    /// The alert is for this workflow.
    WhenTrue,
    /// It is not.
    WhenFalse,
    /// The step's own `if` holds.
    IfTrue,
    /// It does not.
    IfFalse,
    /// People approved.
    Approved,
    /// A person rejected.
    Rejected,
    /// Nobody answered in time.
    Expired,
    /// Nobody had to be asked, by `skip_if`.
    NotAsked,
    /// The step failed, and what needs it went on, by `on_error`.
    Failed,
    /// What it did was undone.
    Undone,
}

impl Branch {
    /// The branch in a few words.
    pub fn as_str(self) -> &'static str {
        match self {
            Branch::WhenTrue => "`when` true",
            Branch::WhenFalse => "`when` false",
            Branch::IfTrue => "`if` true",
            Branch::IfFalse => "`if` false",
            Branch::Approved => "approved",
            Branch::Rejected => "rejected",
            Branch::Expired => "expired",
            Branch::NotAsked => "not asked",
            Branch::Failed => "failed",
            Branch::Undone => "undone",
        }
    }
}

impl Coverage {
    /// Nothing of a workflow.
    pub fn none(workflow: &Workflow) -> Coverage {
        let triggers = workflow.triggers.iter().filter(|trigger| trigger.when.is_some());
        let triggers = triggers.map(|trigger| Part {
            name: format!("{} {}", trigger.kind.as_str(), trigger.path.as_deref().unwrap_or_default()),
            reach: None,
            branches: vec![(Branch::WhenTrue, false), (Branch::WhenFalse, false)],
        });
        let steps = workflow.steps.iter().map(|step| Part {
            name: step.id.to_string(),
            reach: Some(Reach::Never),
            branches: branches(step).into_iter().map(|branch| (branch, false)).collect(),
        });
        Coverage { parts: triggers.chain(steps).collect() }
    }

    /// Adds what another test of the same workflow showed.
    pub fn add(&mut self, other: &Coverage) {
        for (part, other) in self.parts.iter_mut().zip(&other.parts) {
            part.reach = part.reach.max(other.reach);
            for ((_, was_taken), (_, is_taken)) in part.branches.iter_mut().zip(&other.branches) {
                *was_taken |= is_taken;
            }
        }
    }

    /// How many steps were performed, and how many there are.
    pub fn steps(&self) -> (usize, usize) {
        let reaches = || self.parts.iter().filter_map(|part| part.reach);
        (reaches().filter(|reach| *reach == Reach::Performed).count(), reaches().count())
    }

    /// How many branches were taken, and how many there are.
    pub fn branches(&self) -> (usize, usize) {
        let branches = || self.parts.iter().flat_map(|part| &part.branches);
        (branches().filter(|(_, is_taken)| *is_taken).count(), branches().count())
    }
}

fn branches(step: &Step) -> Vec<Branch> {
    let mut branches = Vec::new();
    if step.condition.is_some() {
        branches.extend([Branch::IfTrue, Branch::IfFalse]);
    }
    if let Some(approval) = &step.approval {
        branches.extend([Branch::Approved, Branch::Rejected]);
        branches.extend(approval.expires.map(|_| Branch::Expired));
        branches.extend(approval.skip_if.as_ref().map(|_| Branch::NotAsked));
    }
    if step.on_error == OnError::Continue {
        branches.push(Branch::Failed);
    }
    branches.extend(step.undo.as_ref().map(|_| Branch::Undone));
    branches
}

/// What one test showed.
pub(super) fn of(workflow: &Workflow, played: &Played) -> Coverage {
    let mut coverage = Coverage::none(workflow);
    let conditions = coverage.parts.len() - workflow.steps.len();
    for (part, holds) in coverage.parts.iter_mut().take(conditions).zip(&played.whens) {
        match holds {
            Some(true) => part.take(Branch::WhenTrue),
            Some(false) => part.take(Branch::WhenFalse),
            None => {}
        }
    }
    // How many people have approved each step that was put before people.
    let mut approvals: BTreeMap<StepKey, u32> = BTreeMap::new();
    for record in &played.journal {
        let index = record.event.step().and_then(|key| workflow.index(&key.step));
        let Some((index, step)) = index.and_then(|index| Some((index, workflow.steps.get(index)?))) else {
            continue;
        };
        let part = coverage.parts.get_mut(conditions + index).expect("each step has its part");
        if record.event.step().is_some_and(|key| key.is_undo) {
            if matches!(record.event, Event::StepSucceeded { .. } | Event::LetGo { .. }) {
                part.take(Branch::Undone);
            }
            continue;
        }
        let (reach, branch) = shown(step, &record.event, &mut approvals);
        part.reach = part.reach.max(Some(reach));
        branch.into_iter().for_each(|branch| part.take(branch));
    }
    coverage
}

/// What a fact shows of the step that it is about.
fn shown(step: &Step, event: &Event, approvals: &mut BTreeMap<StepKey, u32>) -> (Reach, Vec<Branch>) {
    let is_question = step.node.engine_node() == Some(EngineNode::Approval);
    match event {
        Event::StepStarted { step: key, .. } if step.approval.is_some() && !approvals.contains_key(key) => {
            (Reach::Performed, vec![Branch::IfTrue, Branch::NotAsked])
        }
        Event::StepStarted { .. }
        | Event::StepSucceeded { .. }
        | Event::StepJoined { .. }
        | Event::ChildStarted { .. }
        | Event::DelayStarted { .. } => (Reach::Performed, vec![Branch::IfTrue]),
        Event::ApprovalRequested { step: key, .. } => {
            approvals.insert(key.clone(), 0);
            let reach = if is_question { Reach::Performed } else { Reach::NotPerformed };
            (reach, vec![Branch::IfTrue])
        }
        Event::ApprovalDecided { step: key, decision: Decision::Approve, .. } => {
            let count = approvals.entry(key.clone()).or_default();
            *count += 1;
            let is_enough = step.approval.as_ref().is_some_and(|approval| *count >= approval.from.count);
            (Reach::NotPerformed, is_enough.then_some(Branch::Approved).into_iter().collect())
        }
        Event::ApprovalDecided { decision: Decision::Reject, .. } => {
            (Reach::NotPerformed, vec![Branch::Rejected])
        }
        Event::ApprovalExpired { .. } => (Reach::NotPerformed, vec![Branch::Expired]),
        Event::StepSkipped { reason: SkipReason::Condition, .. } => {
            (Reach::NotPerformed, vec![Branch::IfFalse])
        }
        Event::StepSkipped { reason: SkipReason::Shadow { .. }, .. } => {
            (Reach::NotPerformed, vec![Branch::IfTrue])
        }
        Event::EachStarted { .. } => (Reach::NotPerformed, vec![Branch::IfTrue]),
        // The failure of one item is not the failure of its step.
        Event::StepFailed { step: key, retry_at: None, .. }
        | Event::EachEnded { step: key, status: StepStatus::Failed, .. }
        | Event::Resolved { step: key, resolution: Resolution::Failed, .. } => {
            let branch = key.item.is_none().then_some(Branch::Failed);
            (Reach::NotPerformed, branch.into_iter().collect())
        }
        Event::StepSkipped { reason: SkipReason::StoppedBy(_), .. }
        | Event::StepFailed { retry_at: Some(_), .. }
        | Event::EachEnded { .. }
        | Event::StepInDoubt { .. }
        | Event::Resolved { resolution: Resolution::Ok | Resolution::SendAgain, .. }
        | Event::RunStarted { .. }
        | Event::TriggerFailed { .. }
        | Event::RunHeld { .. }
        | Event::RunAdmitted
        | Event::RunTimedOut
        | Event::StepPrepared { .. }
        | Event::VerifyStarted { .. }
        | Event::LookedInVain { .. }
        | Event::LookStarted { .. }
        | Event::StepUnknown { .. }
        | Event::UndoDue { .. }
        | Event::AlarmRaised { .. }
        | Event::LetGo { .. }
        | Event::AlertJoined { .. }
        | Event::RunCancelled { .. }
        | Event::RunFinished { .. } => (Reach::NotPerformed, Vec::new()),
    }
}

impl Part {
    /// The branches that no test took.
    pub fn missing(&self) -> Vec<&'static str> {
        let missing = self.branches.iter().filter(|(_, is_taken)| !is_taken);
        missing.map(|(branch, _)| branch.as_str()).collect()
    }

    fn take(&mut self, branch: Branch) {
        if let Some((_, is_taken)) = self.branches.iter_mut().find(|(known, _)| *known == branch) {
            *is_taken = true;
        }
    }
}
