//! Plays the run of one test: mocks answer for the world, the test for the people, and the clock jumps.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use model::{
    Outcome, Person, Record, RunId, RunStatus, StepId, Timestamp, Trigger, TriggerKind, Waiting, WaitingFor,
};
use workflow::{Step, Workflow};

use super::file::{Answer, Answers, Test};
use super::{Problem, story};
use crate::{Child, Command, Input, Rejected, Run, Start, start_scope};

/// The run of every test: `00000000-0000-7000-8000-000000000000`.
const RUN: RunId = RunId::from_bytes([0, 0, 0, 0, 0, 0, 0x70, 0, 0x80, 0, 0, 0, 0, 0, 0, 0]);
/// When every test begins: 2026-01-01T00:00:00Z.
const START: Timestamp = Timestamp::from_millis(1_767_225_600_000);
/// Every turn of a run uses up an attempt, an answer or a wait; what goes on for longer never ends.
const MOST_TURNS: usize = 20_000;

/// What became of a test's run.
#[derive(Debug)]
pub(super) struct Played {
    /// The run; where the alert did not start one, why not.
    pub(super) run: Result<Run, String>,
    pub(super) journal: Vec<Record>,
    /// How often each node was called.
    pub(super) calls: BTreeMap<String, u64>,
    /// How many of the answers and resolutions of each step were used.
    pub(super) answered: BTreeMap<StepId, usize>,
    pub(super) resolved: BTreeMap<StepId, usize>,
    pub(super) has_crashed: bool,
    /// The steps whose calls the test has no mock for: the run could not go on.
    pub(super) stuck: BTreeSet<StepId>,
    pub(super) problems: Vec<Problem>,
    pub(super) story: Vec<String>,
}

pub(super) fn play(workflow: &Arc<Workflow>, test: &Test) -> Played {
    let trigger = Trigger {
        kind: test.trigger,
        received_at: START,
        headers: BTreeMap::new(),
        query: BTreeMap::new(),
        by: None,
        parent: None,
    };
    let start = Start { trigger, alert: test.alert.clone(), turn: None };
    if let Err(why) = check_start(workflow, &start) {
        return Played::not_started(why);
    }
    let (run, journal) = Run::start(RUN, in_mode(workflow, test), start, START);
    let story = journal.iter().map(|record| story::line(record, START)).collect();
    let played = Played { run: Ok(run.clone()), journal, story, ..Played::not_started(String::new()) };
    let mut stage = Stage { run, now: START, test, played };
    let mut turns = 0;
    while stage.turn() {
        turns += 1;
        if turns == MOST_TURNS {
            stage.played.problems.push(Problem::new("the run does not come to an end"));
            break;
        }
    }
    Played { run: Ok(stage.run), ..stage.played }
}

/// Says why the alert does not start the workflow.
fn check_start(workflow: &Workflow, start: &Start) -> Result<(), String> {
    let kind = start.trigger.kind;
    let mut triggers = workflow.triggers.iter().filter(|trigger| trigger.kind == kind).peekable();
    let (name, is_by_hand) = match kind {
        TriggerKind::Webhook => ("webhook", false),
        TriggerKind::Manual => ("manual", true),
        TriggerKind::Schedule => ("schedule", false),
        TriggerKind::Workflow => return Ok(()),
    };
    if triggers.peek().is_none() && !(is_by_hand && workflow.triggers.is_empty()) {
        return Err(format!("the workflow has no trigger `{name}`"));
    }
    if is_by_hand {
        return Ok(());
    }
    let scope = start_scope(workflow, start);
    let mut why = "its `when` does not hold for this alert".to_owned();
    for trigger in triggers {
        match trigger.when.as_ref().map_or(Ok(true), |when| when.holds(&scope)) {
            Ok(true) => return Ok(()),
            Ok(false) => {}
            Err(error) => why = format!("its `when` cannot be evaluated: {}", error.message),
        }
    }
    Err(why)
}

fn in_mode(workflow: &Arc<Workflow>, test: &Test) -> Arc<Workflow> {
    let mut workflow = workflow.clone();
    if let Some(mode) = test.mode {
        Arc::make_mut(&mut workflow).mode = mode;
    }
    workflow
}

impl Played {
    fn not_started(why: String) -> Played {
        Played {
            run: Err(why),
            journal: Vec::new(),
            calls: BTreeMap::new(),
            answered: BTreeMap::new(),
            resolved: BTreeMap::new(),
            has_crashed: false,
            stuck: BTreeSet::new(),
            problems: Vec::new(),
            story: Vec::new(),
        }
    }
}

struct Stage<'a> {
    run: Run,
    now: Timestamp,
    test: &'a Test,
    played: Played,
}

impl Stage<'_> {
    /// Does the next thing; false where nothing is left to be done.
    fn turn(&mut self) -> bool {
        self.perform() || self.call() || self.answer() || self.resolve() || self.pass_time()
    }

    fn perform(&mut self) -> bool {
        let is_open = |command: &Command| !self.played.stuck.contains(&command.step.step);
        let Some(command) = self.run.commands().into_iter().find(is_open) else {
            return false;
        };
        let step = command.step.step.clone();
        *self.played.calls.entry(command.node.name.clone()).or_default() += 1;
        if !self.played.has_crashed && self.test.crash.as_ref() == Some(&step) {
            self.crash(&step);
            return true;
        }
        let mock = self.test.mocks.get(&step);
        let Some(outcome) = mock.and_then(|mock| mock.outcome(command.attempt)).cloned() else {
            let problem = missing_mock(&command, mock.is_some(), self.run.workflow().step(&step));
            self.played.problems.push(problem);
            self.played.stuck.insert(step);
            return true;
        };
        let input = Input::Finished { step: command.step, attempt: command.attempt, outcome };
        self.tell(input).expect("the run asked for this call");
        true
    }

    /// Ends the run of a playbook that a step calls as the mock of the step says.
    fn call(&mut self) -> bool {
        let is_open = |child: &Child| !self.played.stuck.contains(&child.parent.step.step);
        let Some(child) = self.run.children().into_iter().find(is_open) else {
            return false;
        };
        let step = child.parent.step;
        *self.played.calls.entry(child.workflow.clone()).or_default() += 1;
        let outcome = self.test.mocks.get(&step.step).and_then(|mock| mock.outcome(1));
        let (status, outputs, error) = match outcome {
            Some(Outcome::Succeeded(output)) => (RunStatus::Succeeded, output.clone(), None),
            Some(Outcome::Failed(failure) | Outcome::Unknown(failure)) => {
                (RunStatus::Failed, Arc::default(), Some(failure.message.clone()))
            }
            None => {
                let what = format!(
                    "`{step}` calls the playbook {}, and the test has no mock for it",
                    child.workflow
                );
                let help = format!("mock: {{ {}: {{ output: {{ ... }} }} }}", step.step);
                self.played.problems.push(Problem::new(what).help(help));
                self.played.stuck.insert(step.step);
                return true;
            }
        };
        let input = Input::ChildEnded { step, run: child.run, status, outputs, error };
        self.tell(input).expect("the run called this playbook");
        true
    }

    /// The process dies, another one reads the journal, and is told so.
    fn crash(&mut self, step: &StepId) {
        self.played.has_crashed = true;
        self.note(format!("the process dies after `{step}` was sent, and another one takes over"));
        let workflow = self.run.workflow().clone();
        self.run =
            Run::replay(RUN, workflow, &self.played.journal).expect("the run wrote this journal itself");
        self.tell(Input::Recovered).expect("a run can always be told that it was interrupted");
    }

    fn answer(&mut self) -> bool {
        let test = self.test;
        for Waiting { step, reason, .. } in self.run.summary().waiting {
            let WaitingFor::Approval { from, .. } = reason else { continue };
            let Some(Answers::Given(answers)) = test.answers.get(&step.step) else { continue };
            let used = self.played.answered.entry(step.step.clone()).or_default();
            let Some(answer) = answers.get(*used) else { continue };
            *used += 1;
            let roles = answer.roles.clone().unwrap_or_else(|| from.role.into_iter().collect());
            let by = Person { name: answer.by.clone(), via: None, roles };
            let (decision, reason) = (answer.decision, answer.reason.clone());
            let name = step.step.clone();
            let result = self.tell(Input::Decided { step, decision, by, reason, digest: None });
            self.check_answer(&name, answer, result);
            return true;
        }
        false
    }

    fn check_answer(&mut self, step: &StepId, answer: &Answer, result: Result<(), Rejected>) {
        let by = &answer.by;
        let problem = match (result, answer.is_refused) {
            (Ok(()), false) => return,
            (Err(rejected), true) => {
                return self.note(format!("{step} refuses the answer of {by}: {rejected}"));
            }
            (Ok(()), true) => format!("the answer of `{by}` to `{step}` was taken, and should be refused"),
            (Err(rejected), false) => format!("the answer of `{by}` to `{step}` was refused: {rejected}"),
        };
        self.played.problems.push(Problem::new(problem));
    }

    fn resolve(&mut self) -> bool {
        let test = self.test;
        for Waiting { step, reason, .. } in self.run.summary().waiting {
            let WaitingFor::Resolution { .. } = reason else { continue };
            let Some(resolutions) = test.resolutions.get(&step.step) else { continue };
            let used = self.played.resolved.entry(step.step.clone()).or_default();
            let Some(resolved) = resolutions.get(*used) else { continue };
            *used += 1;
            let role = self.run.resolver_role(&step).map(str::to_owned);
            let by = Person { name: resolved.by.clone(), via: None, roles: role.into_iter().collect() };
            let (resolution, reason) = (resolved.resolution, resolved.reason.clone());
            let name = step.step.clone();
            if let Err(rejected) = self.tell(Input::Resolved { step, resolution, by, reason }) {
                let problem = format!("what `{}` says about `{name}` was refused: {rejected}", resolved.by);
                self.played.problems.push(Problem::new(problem));
            }
            return true;
        }
        false
    }

    /// Jumps to what is due next. A question lapses only where the test says so.
    fn pass_time(&mut self) -> bool {
        let Some(wake_at) = self.run.wake_at() else {
            return false;
        };
        let lapses = |waiting: &Waiting| {
            let WaitingFor::Approval { expires_at, .. } = waiting.reason else { return false };
            let may = matches!(self.test.answers.get(&waiting.step.step), Some(Answers::Expire));
            expires_at == Some(wake_at) && !may
        };
        if self.run.summary().waiting.iter().any(lapses) {
            return false;
        }
        self.now = self.now.max(wake_at);
        self.tell(Input::Tick).expect("a run can always be told the time");
        true
    }

    fn tell(&mut self, input: Input) -> Result<(), Rejected> {
        let (records, result) = self.run.handle(input, self.now);
        self.played.story.extend(records.iter().map(|record| story::line(record, START)));
        self.played.journal.extend(records);
        result
    }

    fn note(&mut self, text: String) {
        self.played.story.push(story::note(self.now, START, text));
    }
}

fn missing_mock(command: &Command, is_mocked: bool, step: Option<&Step>) -> Problem {
    let (name, node) = (&command.step.step, &command.node.name);
    if is_mocked {
        let what =
            format!("attempt {} of `{name}` is called, and the mock has no answer to it", command.attempt);
        return Problem::new(what).help(format!("add one to the list of `{name}`"));
    }
    let fields = step.and_then(|step| step.node.output_fields()).unwrap_or_default();
    let fields: Vec<String> = fields.iter().map(|field| format!("{field}: ...")).collect();
    let output = if fields.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", fields.join(", ")) };
    Problem::new(format!("`{name}` is called ({node}), and the test has no mock for it"))
        .help(format!("mock: {{ {name}: {{ output: {output} }} }}"))
}
