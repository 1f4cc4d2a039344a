//! Compares what came with what a test expects.

mod journal;

use std::collections::BTreeMap;

use model::{Event, FailureClass, Record, RunStatus, SkipReason, StepId, StepKey, StepStatus, WaitingFor};
use serde_json::Value;

use super::Problem;
use super::file::{Answers, Test};
use super::play::{Played, mocked};
use crate::Run;

/// JSON that is longer is written on several lines.
const LONGEST_LINE: usize = 40;

pub(super) fn problems(test: &Test, played: &Played) -> Vec<Problem> {
    let run = match (&played.run, test.expected.starts) {
        (Ok(run), true) => run,
        (Err(_), false) => return Vec::new(),
        (Ok(_), false) => {
            let problem = Problem::new("the alert starts the workflow, and should not");
            return vec![problem.at("/expect/starts")];
        }
        (Err(why), true) => {
            let problem = Problem::new(format!("the alert does not start the workflow: {why}"));
            return vec![problem.help("expect: { starts: false } if it should not")];
        }
    };
    if !played.stuck.is_empty() {
        return played.problems.clone();
    }
    let mut problems = played.problems.clone();
    unused(test, played, &mut problems);
    open_ends(test, run, &mut problems);
    broken_expressions(test, &played.journal, &mut problems);
    statuses(test, run, &mut problems);
    calls(test, played, &mut problems);
    outputs(test, &played.journal, &mut problems);
    inputs(test, run, &played.journal, &mut problems);
    errors(test, run, &mut problems);
    contained(test, run, &mut problems);
    problems.extend(journal::problem(&test.expected.journal, &played.journal));
    problems
}

/// What the test says and the run never asked for. A gate that nobody came to is not a gate.
fn unused(test: &Test, played: &Played, problems: &mut Vec<Problem>) {
    let was_asked = |step: &StepKey| {
        let asks = |record: &Record| matches!(&record.event, Event::ApprovalRequested { step: asked, .. } if mocked(asked) == *step);
        played.journal.iter().any(asks)
    };
    for (step, answers) in &test.answers {
        let used = most_used(&played.answered, step);
        let has_lapsed = |record: &Record| matches!(&record.event, Event::ApprovalExpired { step: expired } if mocked(expired) == *step);
        let what = match answers {
            Answers::Expire if played.journal.iter().any(has_lapsed) => continue,
            Answers::Expire if was_asked(step) => format!("the question of `{step}` did not lapse"),
            Answers::Expire => format!("nobody was asked before `{step}`, so nothing could expire"),
            Answers::Given(answers) => match answers.get(used) {
                None => continue,
                Some(answer) if was_asked(step) && used == 0 => {
                    format!("`{}` did not come to answer `{step}`", answer.by)
                }
                Some(answer) => format!("`{}` was not asked before `{step}`", answer.by),
            },
        };
        problems.push(clock(test, Problem::new(what).at(format!("/approvals/{step}"))));
    }
    for (step, resolutions) in &test.resolutions {
        let used = most_used(&played.resolved, step);
        if let Some(resolved) = resolutions.get(used) {
            let problem = Problem::new(format!("`{step}` was not in doubt when `{}` came", resolved.by));
            problems.push(clock(test, problem.at(format!("/resolve/{step}"))));
        }
    }
    for (step, undone) in &test.undos {
        if !played.undone.iter().any(|key| key.step == *step) {
            let problem = Problem::new(format!("`{}` found nothing of `{step}` to undo", undone.by));
            problems.push(clock(test, problem.at(format!("/undo/{step}"))));
        }
    }
    if let Some(cancel) = test.cancel.as_ref().filter(|_| !played.was_told_to_cancel) {
        let problem = Problem::new(format!("`{}` did not come to cancel the run", cancel.by));
        problems.push(clock(test, problem.at("/cancel")));
    }
    if let Some(step) = &test.crash
        && !played.has_crashed
    {
        let problem = Problem::new(format!("the process did not die at `{step}.sent`: it was never sent"));
        problems.push(problem.at("/crash"));
    }
}

/// For items of a list the same is said to each of them.
fn most_used(used: &BTreeMap<StepKey, usize>, step: &StepKey) -> usize {
    let of_step = used.iter().filter(|(key, _)| mocked(key) == *step);
    of_step.map(|(_, used)| *used).max().unwrap_or_default()
}

fn clock(test: &Test, problem: Problem) -> Problem {
    match test.advance {
        None => problem,
        Some(advance) => problem.help(format!("the clock stops after {}", expr::duration::display(advance))),
    }
}

/// What the run still waits for although the test does not say that it should.
fn open_ends(test: &Test, run: &Run, problems: &mut Vec<Problem>) {
    if test.expected.run == Some(RunStatus::Waiting) {
        return;
    }
    for waiting in run.summary().waiting {
        let step = &waiting.step.step;
        let is_said = match waiting.step.is_undo {
            true => test.expected.contained.is_some(),
            false => {
                test.expected.steps.get(step).is_some_and(|expected| run.step_status(step) == Some(*expected))
            }
        };
        if is_said {
            continue;
        }
        let step = mocked(&waiting.step);
        let problem = match &waiting.reason {
            WaitingFor::Approval { ask, .. } => {
                let help = format!("approvals: {{ {step}: {{ decision: approve, by: ana, reason: ... }} }}");
                Problem::new(format!("`{step}` waits for an answer: {ask}")).help(help)
            }
            WaitingFor::Resolution { message } => {
                let expect = match step.is_undo {
                    true => "contained: { ... }".to_owned(),
                    false => format!("status: {{ {step}: in_doubt }}"),
                };
                let help = format!(
                    "expect: {{ {expect} }}, or resolve: {{ {step}: {{ resolution: ok, by: ana, reason: ... }} }}"
                );
                Problem::new(format!("`{step}` is in doubt: {message}")).help(help)
            }
        };
        problems.push(problem);
    }
}

/// A step whose own expressions failed, where the test does not expect a failure.
fn broken_expressions(test: &Test, journal: &[Record], problems: &mut Vec<Problem>) {
    for record in journal {
        let Event::StepFailed { step, failure, retry_at: None } = &record.event else { continue };
        let is_expected = test.expected.steps.get(&step.step) == Some(&StepStatus::Failed);
        if failure.class == FailureClass::Input && !is_expected {
            problems.push(Problem::new(format!("`{step}` cannot be performed: {failure}")));
        }
    }
}

fn statuses(test: &Test, run: &Run, problems: &mut Vec<Problem>) {
    if let Some(expected) = test.expected.run
        && run.status() != expected
    {
        let problem = Problem::difference("status of the run", expected.as_str(), run.status().as_str());
        problems.push(problem.at("/expect/status/run"));
    }
    for (step, expected) in &test.expected.steps {
        let got = run.step_status(step).map_or("nothing", StepStatus::as_str);
        if got != expected.as_str() {
            let problem = Problem::difference(format!("status of `{step}`"), expected.as_str(), got);
            problems.push(problem.at(format!("/expect/status/{step}")));
        }
    }
}

fn calls(test: &Test, played: &Played, problems: &mut Vec<Problem>) {
    for (node, expected) in &test.expected.calls {
        let got = played.calls.get(node).copied().unwrap_or_default();
        if got != *expected {
            let what = format!("calls of `{node}`");
            let problem = Problem::difference(what, expected.to_string(), got.to_string());
            problems.push(problem.at(format!("/expect/calls/{node}")));
        }
    }
}

fn outputs(test: &Test, journal: &[Record], problems: &mut Vec<Problem>) {
    let finished = journal.iter().find_map(|record| match &record.event {
        Event::RunFinished { outputs, errors, .. } => Some((outputs, errors)),
        Event::RunStarted { .. }
        | Event::TriggerFailed { .. }
        | Event::StepPrepared { .. }
        | Event::StepJoined { .. }
        | Event::VerifyStarted { .. }
        | Event::LookedInVain { .. }
        | Event::LookStarted { .. }
        | Event::StepUnknown { .. }
        | Event::UndoDue { .. }
        | Event::AlarmRaised { .. }
        | Event::LetGo { .. }
        | Event::AlertJoined { .. }
        | Event::StepStarted { .. }
        | Event::StepSucceeded { .. }
        | Event::StepFailed { .. }
        | Event::StepSkipped { .. }
        | Event::StepInDoubt { .. }
        | Event::EachStarted { .. }
        | Event::EachEnded { .. }
        | Event::ChildStarted { .. }
        | Event::DelayStarted { .. }
        | Event::ApprovalRequested { .. }
        | Event::ApprovalDecided { .. }
        | Event::ApprovalExpired { .. }
        | Event::Resolved { .. }
        | Event::RunHeld { .. }
        | Event::RunAdmitted
        | Event::RunTimedOut
        | Event::RunCancelled { .. } => None,
    });
    for (name, expected) in &test.expected.outputs {
        let got = match finished {
            None => "nothing: the run has not finished".to_owned(),
            Some((outputs, errors)) => match (outputs.get(name), errors.get(name)) {
                (Some(got), _) if got == expected => continue,
                (Some(got), _) => shown(got),
                (None, error) => error.map_or("nothing", String::as_str).to_owned(),
            },
        };
        let problem = Problem::difference(format!("output `{name}`"), shown(expected), got);
        problems.push(problem.at(format!("/expect/outputs/{name}")));
    }
}

fn inputs(test: &Test, run: &Run, journal: &[Record], problems: &mut Vec<Problem>) {
    let given = given(run, journal);
    for (step, expected) in &test.expected.inputs {
        let place = Place { what: format!("inputs of `{step}`"), path: format!("/expect/inputs/{step}") };
        match given.get(step) {
            Some(got) => compare(expected, got, &place, problems),
            None => {
                let problem = Problem::new(format!("`{step}` never came so far as to have inputs"));
                problems.push(problem.at(place.path));
            }
        }
    }
}

fn errors(test: &Test, run: &Run, problems: &mut Vec<Problem>) {
    for (step, expected) in &test.expected.errors {
        let place = Place { what: format!("error of `{step}`"), path: format!("/expect/errors/{step}") };
        match run.scope.get(&["errors", step.as_str()]) {
            Some(got) => compare(expected, got, &place, problems),
            None => problems.push(Problem::new(format!("`{step}` has no error")).at(place.path)),
        }
    }
}

/// What the run holds is what the test names, and nothing else.
fn contained(test: &Test, run: &Run, problems: &mut Vec<Problem>) {
    let Some(expected) = &test.expected.contained else { return };
    let rows = run.summary().containments;
    for (target, state) in expected {
        let got = rows.iter().find(|row| row.target == *target).map_or("nothing", |row| row.state.as_str());
        if got != state.as_str() {
            let problem = Problem::difference(format!("what holds `{target}`"), state.as_str(), got);
            problems.push(problem.at(format!("/expect/contained/{target}")));
        }
    }
    for row in rows.iter().filter(|row| !expected.contains_key(&row.target)) {
        let what =
            format!("`{}` is contained ({}), and the test does not say so", row.target, row.state.as_str());
        problems.push(Problem::new(what).at("/expect/contained"));
    }
}

/// The inputs that each step was last performed with, put before people with, or held back with.
fn given<'a>(run: &Run, journal: &'a [Record]) -> BTreeMap<StepId, &'a Value> {
    let mut given = BTreeMap::new();
    for record in journal {
        let (step, inputs) = match &record.event {
            event if event.step().is_some_and(|step| step.is_undo) => continue,
            Event::StepStarted { step, inputs, .. }
            | Event::StepPrepared { step, inputs, .. }
            | Event::StepJoined { step, inputs, .. }
            | Event::ChildStarted { step, inputs, .. } => (step, inputs),
            Event::StepSkipped { step, reason: SkipReason::Shadow { inputs, .. } } => (step, inputs),
            Event::ApprovalRequested { step, request } => match &request.inputs {
                Some(inputs) => (step, inputs),
                None => continue,
            },
            // What `set` gives is what it was given.
            Event::StepSucceeded { step, output } if is_set(run, &step.step) => (step, output),
            Event::RunStarted { .. }
            | Event::VerifyStarted { .. }
            | Event::LookedInVain { .. }
            | Event::LookStarted { .. }
            | Event::StepUnknown { .. }
            | Event::UndoDue { .. }
            | Event::AlarmRaised { .. }
            | Event::LetGo { .. }
            | Event::AlertJoined { .. }
            | Event::TriggerFailed { .. }
            | Event::StepSucceeded { .. }
            | Event::StepFailed { .. }
            | Event::StepSkipped { .. }
            | Event::StepInDoubt { .. }
            | Event::EachStarted { .. }
            | Event::EachEnded { .. }
            | Event::DelayStarted { .. }
            | Event::ApprovalDecided { .. }
            | Event::ApprovalExpired { .. }
            | Event::Resolved { .. }
            | Event::RunHeld { .. }
            | Event::RunAdmitted
            | Event::RunTimedOut
            | Event::RunCancelled { .. }
            | Event::RunFinished { .. } => continue,
        };
        given.insert(step.step.clone(), inputs.as_ref());
    }
    given
}

fn is_set(run: &Run, step: &StepId) -> bool {
    let node = run.workflow().step(step).and_then(|step| step.node.engine_node());
    node == Some(workflow::EngineNode::Set)
}

/// What is expected has to be there; an object may have more keys.
fn compare(expected: &Value, got: &Value, place: &Place, problems: &mut Vec<Problem>) {
    let differs = |place: &Place, expected: &Value, got: String| {
        Problem::difference(&place.what, shown(expected), got).at(&place.path)
    };
    match (expected, got) {
        (Value::Object(expected), Value::Object(object)) => {
            for (key, expected) in expected {
                let place = place.below(key);
                match object.get(key) {
                    Some(got) => compare(expected, got, &place, problems),
                    None => problems.push(differs(&place, expected, "nothing".to_owned())),
                }
            }
        }
        (Value::Array(expected), Value::Array(list)) if expected.len() == list.len() => {
            for (index, (expected, got)) in expected.iter().zip(list).enumerate() {
                compare(expected, got, &place.below(&index.to_string()), problems);
            }
        }
        (expected, got) if expected == got => {}
        (expected, got) => problems.push(differs(place, expected, shown(got))),
    }
}

/// A part of what is compared: as a person reads it, and as a path from the test.
struct Place {
    what: String,
    path: String,
}

impl Place {
    fn below(&self, key: &str) -> Place {
        Place { what: format!("{}, `{key}`", self.what), path: format!("{}/{key}", self.path) }
    }
}

/// Text of several lines as it is, anything else as JSON: on one line if it is short.
fn shown(value: &Value) -> String {
    let line = match value.as_str() {
        Some(text) if text.trim_end().contains('\n') => return text.to_owned(),
        _ => value.to_string(),
    };
    if line.len() <= LONGEST_LINE { line } else { format!("{value:#}") }
}
