//! Runs, told and asked as the runner does it, with a world that answers at once.

use std::sync::Arc;

use engine::{Input, Run, Start, Verdict};
use model::{Outcome, Record, RunId, RunStatus, Timestamp};
use serde_json::{Value, json};
use workflow::Workflow;

use crate::playbooks::start;

/// What every call gives.
pub(crate) fn answer() -> Value {
    json!({
        "id": "4212",
        "name": "web-01",
        "malicious": 9,
        "groups": ["default", "linux", "web"],
        "os": { "name": "Debian GNU/Linux", "version": "12", "platform": "debian" },
        "last_seen": "2026-11-20T08:14:31.402Z",
    })
}

fn id() -> RunId {
    RunId::from_bytes([7; 16])
}

/// A run from its start to its end, with all its facts.
pub(crate) fn perform(workflow: &Arc<Workflow>, start: Start) -> (Run, Vec<Record>) {
    let mut now = Timestamp::from_millis(1_795_162_471_410);
    let (mut run, mut journal) = Run::start(id(), workflow.clone(), start, now);
    let answer: Arc<Value> = answer().into();
    while let Some(input) = next(&run, &answer) {
        now = Timestamp::from_millis(now.as_millis() + 3);
        let (records, result) = run.handle(input, now);
        result.expect("it was asked for");
        journal.extend(records);
        // The row goes to the store with the facts.
        std::hint::black_box(run.summary());
    }
    assert_eq!(run.status(), RunStatus::Succeeded);
    (run, journal)
}

/// What the run is told next: first that what disrupts may be done, then what became of the call that left first.
fn next(run: &Run, answer: &Arc<Value>) -> Option<Input> {
    if let Some(clearance) = run.clearances().into_iter().next() {
        return Some(Input::Cleared { step: clearance.step, verdict: Verdict::Go });
    }
    let command = run.commands().into_iter().next()?;
    let outcome = Outcome::Succeeded(answer.clone());
    Some(Input::Finished { step: command.step, attempt: command.attempt, outcome })
}

/// The facts of a run of this playbook.
pub(crate) fn journal(workflow: &Arc<Workflow>) -> Vec<Record> {
    perform(workflow, start()).1
}

/// The run that wrote these facts.
pub(crate) fn replay(workflow: &Arc<Workflow>, journal: &[Record]) -> Run {
    Run::replay(id(), workflow.clone(), journal).expect("a run wrote them")
}
