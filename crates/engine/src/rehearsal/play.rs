//! Plays the run of one test: mocks answer for the world, the test for the people, and the clock jumps.

mod people;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use expr::Condition;
use model::{
    Containment, ContainmentState, Event, Outcome, Record, RunId, RunStatus, StepId, StepKey, Timestamp,
    Trigger, TriggerKind, WaitingFor,
};
use workflow::{Step, Workflow};

use super::file::{Answers, Mock, Reply, Test};
use super::{Problem, Pure, story};
use crate::{Child, Command, Input, Rejected, Run, Start, Verdict, start_scope};

/// The run of every test: `00000000-0000-7000-8000-000000000000`.
const RUN: RunId = RunId::from_bytes([0, 0, 0, 0, 0, 0, 0x70, 0, 0x80, 0, 0, 0, 0, 0, 0, 0]);
/// When every test begins: 2026-01-01T00:00:00Z.
pub(super) const START: Timestamp = Timestamp::from_millis(1_767_225_600_000);
/// Every turn of a run uses up an attempt, an answer or a wait; what goes on for longer never ends.
const MOST_TURNS: usize = 20_000;

/// What became of a test's run.
#[derive(Debug)]
pub(super) struct Played {
    /// The run; where the alert did not start one, why not.
    pub(super) run: Result<Run, String>,
    pub(super) journal: Vec<Record>,
    /// Whether each condition of a trigger held, where it was looked at.
    pub(super) whens: Vec<Option<bool>>,
    /// How often each node was called.
    pub(super) calls: BTreeMap<String, u64>,
    /// How many of the answers and resolutions of each step were used.
    pub(super) answered: BTreeMap<StepKey, usize>,
    pub(super) resolved: BTreeMap<StepKey, usize>,
    /// The steps whose effect a person wanted undone.
    pub(super) undone: BTreeSet<StepKey>,
    pub(super) was_told_to_cancel: bool,
    pub(super) has_crashed: bool,
    /// The steps whose calls the test has no mock for: the run could not go on.
    pub(super) stuck: BTreeSet<StepId>,
    pub(super) problems: Vec<Problem>,
    pub(super) story: Vec<String>,
}

pub(super) fn play(workflow: &Arc<Workflow>, test: &Test, pure: &Pure<'_>) -> Played {
    let trigger = Trigger {
        kind: test.trigger,
        received_at: START,
        headers: BTreeMap::new(),
        query: BTreeMap::new(),
        by: None,
        parent: None,
        reconciled: false,
    };
    let start = Start { trigger, alert: test.alert.clone(), turn: None };
    let whens = whens(workflow, &start);
    if let Err(why) = check_start(workflow, test.trigger, &whens) {
        return Played::not_started(why, &whens);
    }
    let (run, journal) = Run::start(RUN, in_mode(workflow, test), start, START);
    let mut stage = Stage {
        played: Played { run: Ok(run.clone()), ..Played::not_started(String::new(), &whens) },
        run,
        now: START,
        test,
        pure,
        asked: Vec::new(),
        doubted: BTreeMap::new(),
        under_way: BTreeMap::new(),
    };
    stage.keep(journal);
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

/// Whether the condition of a trigger holds; none: nobody looks at it.
type When = Option<Result<bool, String>>;

/// Each condition of a trigger, over the alert.
fn whens(workflow: &Workflow, start: &Start) -> Vec<When> {
    let scope = start_scope(workflow, start);
    let triggers = workflow.triggers.iter();
    let conditions = triggers.filter_map(|trigger| Some((trigger.kind, trigger.when.as_ref()?)));
    let is_looked_at = |kind| kind == start.trigger.kind && kind != TriggerKind::Manual;
    conditions
        .map(|(kind, when)| is_looked_at(kind).then(|| when.holds(&scope).map_err(|error| error.message)))
        .collect()
}

/// Says why the alert does not start the workflow.
fn check_start(workflow: &Workflow, kind: TriggerKind, whens: &[When]) -> Result<(), String> {
    let mut triggers = workflow.triggers.iter().filter(|trigger| trigger.kind == kind).peekable();
    let is_by_hand = kind == TriggerKind::Manual;
    if kind == TriggerKind::Workflow {
        return Ok(());
    }
    if triggers.peek().is_none() && !(is_by_hand && workflow.triggers.is_empty()) {
        return Err(format!("the workflow has no trigger `{}`", kind.as_str()));
    }
    let mut whens = whens.iter().flatten();
    if is_by_hand
        || triggers.any(|trigger| trigger.when.is_none())
        || whens.clone().any(|when| *when == Ok(true))
    {
        return Ok(());
    }
    Err(match whens.find_map(|when| when.as_ref().err()) {
        Some(message) => format!("its `when` cannot be evaluated: {message}"),
        None => "its `when` does not hold for this alert".to_owned(),
    })
}

/// Where a test does not say what a look gives, the look sees that it happened.
fn see_what_happens(step: &mut Step, key: StepKey, test: &Test) {
    let is_told = test.mocks.get(&key).is_some_and(Mock::tells_looks);
    let Some(look) = step.verify.as_deref_mut().filter(|_| !is_told) else { return };
    look.verify.expect = Condition::compile("true").expect("this is a condition");
    look.verify.output = None;
}

/// Under which name a test says what is answered, and by whom.
pub(super) fn mocked(key: &StepKey) -> StepKey {
    StepKey { item: None, ..key.clone() }
}

fn in_mode(workflow: &Arc<Workflow>, test: &Test) -> Arc<Workflow> {
    let mut workflow = workflow.clone();
    if let Some(mode) = test.mode {
        Arc::make_mut(&mut workflow).mode = mode;
    }
    if workflow.steps.iter().any(|step| step.verify.is_some() || step.inverse.is_some()) {
        let workflow = Arc::make_mut(&mut workflow);
        for step in &mut workflow.steps {
            see_what_happens(step, StepKey::from(step.id.clone()), test);
            let undo = StepKey::from(step.id.clone()).undo();
            step.inverse.iter_mut().for_each(|inverse| see_what_happens(inverse, undo.clone(), test));
        }
    }
    workflow
}

impl Played {
    fn not_started(why: String, whens: &[When]) -> Played {
        let held = |when: &When| when.as_ref().and_then(|held| held.as_ref().ok().copied());
        Played {
            run: Err(why),
            whens: whens.iter().map(held).collect(),
            journal: Vec::new(),
            calls: BTreeMap::new(),
            answered: BTreeMap::new(),
            resolved: BTreeMap::new(),
            undone: BTreeSet::new(),
            was_told_to_cancel: false,
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
    pure: &'a Pure<'a>,
    /// When each question was put, in this order, and when each step came into doubt.
    asked: Vec<(StepKey, Timestamp)>,
    doubted: BTreeMap<StepKey, Timestamp>,
    under_way: BTreeMap<StepKey, UnderWay>,
    played: Played,
}

/// What has not ended yet.
struct UnderWay {
    call: Call,
    outcome: Outcome,
    ends_at: Timestamp,
}

enum Call {
    /// An attempt of a step.
    Attempt(u32),
    /// A look whether it happened.
    Look(u32),
    /// The run that performs a step.
    Child(RunId),
}

impl Stage<'_> {
    /// Does the next thing; false where nothing is left to be done.
    fn turn(&mut self) -> bool {
        self.end_call()
            || self.clear()
            || self.call()
            || self.call_playbook()
            || self.speak()
            || self.pass_time()
    }

    /// Nobody but the test stands in the way, and what it does nobody else has done.
    fn clear(&mut self) -> bool {
        let Some(clearance) = self.run.clearances().into_iter().next() else { return false };
        let cleared = Input::Cleared { step: clearance.step, verdict: Verdict::Go };
        self.tell(cleared).expect("what waits for a clearance takes it");
        true
    }

    fn call(&mut self) -> bool {
        let is_open = |command: &Command| {
            !self.played.stuck.contains(&command.step.step) && !self.under_way.contains_key(&command.step)
        };
        let Some(command) = self.run.commands().into_iter().find(is_open) else {
            return false;
        };
        if let Some(look) = command.look {
            let outcome = self.seen(&command, look);
            let call = Call::Look(look);
            self.under_way.insert(command.step, UnderWay { call, outcome, ends_at: self.now });
            return true;
        }
        let step = command.step.step.clone();
        *self.played.calls.entry(command.node.name.clone()).or_default() += 1;
        if !self.played.has_crashed && self.test.crash.as_ref() == Some(&mocked(&command.step)) {
            self.crash(&command.step);
            return true;
        }
        let Some(Reply { outcome, takes, .. }) = self.reply(&command) else {
            let is_mocked = self.test.mocks.contains_key(&mocked(&command.step));
            let problem = missing_mock(&command, is_mocked, self.run.workflow().step(&step));
            self.played.problems.push(problem);
            self.played.stuck.insert(step);
            return true;
        };
        let call = Call::Attempt(command.attempt);
        self.under_way.insert(command.step, UnderWay { call, outcome, ends_at: self.now.after(takes) });
        true
    }

    /// The run of a playbook that a step calls ends as the mock of the step says.
    fn call_playbook(&mut self) -> bool {
        let is_open = |child: &Child| {
            let step = &child.parent.step;
            !self.played.stuck.contains(&step.step) && !self.under_way.contains_key(step)
        };
        let Some(child) = self.run.children().into_iter().find(is_open) else {
            return false;
        };
        let step = child.parent.step;
        *self.played.calls.entry(child.workflow.clone()).or_default() += 1;
        let mock = self.test.mocks.get(&mocked(&step));
        let Some(Reply { outcome, takes, .. }) = mock.and_then(|mock| mock.reply(step.item, 1)).cloned()
        else {
            let workflow = &child.workflow;
            let what = format!("`{step}` calls the playbook `{workflow}`, and the test has no mock for it");
            let help = format!("mock: {{ {}: {{ output: {{ ... }} }} }}", step.step);
            self.played.problems.push(Problem::new(what).help(help));
            self.played.stuck.insert(step.step);
            return true;
        };
        let call = Call::Child(child.run);
        self.under_way.insert(step, UnderWay { call, outcome, ends_at: self.now.after(takes) });
        true
    }

    fn reply(&self, command: &Command) -> Option<Reply> {
        let reply = |outcome| Reply { outcome, takes: Duration::ZERO, looks: Vec::new() };
        match self.test.mocks.get(&mocked(&command.step)) {
            Some(mock) => mock.reply(command.step.item, command.attempt).cloned(),
            None if command.step.is_undo => Some(reply(Outcome::Succeeded(Arc::default()))),
            None => (self.pure)(command).map(reply),
        }
    }

    /// What a look gives.
    fn seen(&self, command: &Command, look: u32) -> Outcome {
        let mock = self.test.mocks.get(&mocked(&command.step));
        let reply = mock.and_then(|mock| mock.reply(command.step.item, command.attempt));
        let looks = reply.map(|reply| reply.looks.as_slice()).unwrap_or_default();
        let index = usize::try_from(look).unwrap_or(usize::MAX).saturating_sub(1);
        Outcome::Succeeded(looks.get(index).or(looks.last()).cloned().unwrap_or_default())
    }

    fn end_call(&mut self) -> bool {
        let ended = self.under_way.iter().filter(|(_, call)| call.ends_at <= self.now);
        let ended = ended.min_by_key(|(_, call)| call.ends_at);
        let Some(step) = ended.map(|(step, _)| step.clone()) else {
            return false;
        };
        let Some(UnderWay { call, outcome, .. }) = self.under_way.remove(&step) else {
            return false;
        };
        let late = format!("the answer to {step} counts no more");
        let input = match call {
            Call::Attempt(attempt) => Input::Finished { step, attempt, outcome },
            Call::Look(look) => Input::Looked { step, look, outcome },
            Call::Child(run) => child_ended(step, run, outcome),
        };
        if let Err(rejected) = self.tell(input) {
            self.note(format!("{late}: {rejected}"));
        }
        true
    }

    /// The process dies, another one reads the journal, and is told so.
    fn crash(&mut self, step: &StepKey) {
        self.played.has_crashed = true;
        self.under_way.clear();
        self.note(format!("the process dies after `{step}` was sent, and another one takes over"));
        let workflow = self.run.workflow().clone();
        self.run =
            Run::replay(RUN, workflow, &self.played.journal).expect("the run wrote this journal itself");
        self.tell(Input::Recovered).expect("a run can always be told that it was interrupted");
    }

    /// Jumps to what is due next, and no further than the test lets the clock run.
    fn pass_time(&mut self) -> bool {
        let word = self.next_word().map(|word| word.due);
        if word.is_none() && self.test.advance.is_none() && self.is_at_its_end() {
            return false;
        }
        let call = self.under_way.values().map(|call| call.ends_at).min();
        let timer = self.run.wake_at().filter(|at| word.is_some() || call.is_some() || self.may_pass(*at));
        let Some(next) = [word, call, timer].into_iter().flatten().min() else {
            return false;
        };
        if self.test.advance.is_some_and(|advance| next > START.after(advance)) {
            return false;
        }
        self.now = self.now.max(next);
        self.tell(Input::Tick).expect("a run can always be told the time");
        true
    }

    /// Whether the run has finished, and nothing goes on by itself: what it holds is undone when the test lets the clock
    /// run on, or a person wants it.
    fn is_at_its_end(&self) -> bool {
        let is_under_way = |row: &Containment| row.state == ContainmentState::Undoing;
        self.run.status().is_finished()
            && self.under_way.is_empty()
            && !self.run.summary().containments.iter().any(is_under_way)
    }

    /// While nothing else is to come, a question lapses only where the test says so, and nothing is undone for its time
    /// while people are waited for.
    fn may_pass(&self, at: Timestamp) -> bool {
        let lapses = |waiting: model::Waiting| {
            let WaitingFor::Approval { expires_at, .. } = waiting.reason else { return false };
            expires_at == Some(at)
                && !matches!(self.test.answers.get(&mocked(&waiting.step)), Some(Answers::Expire))
        };
        let summary = self.run.summary();
        let ends =
            !summary.waiting.is_empty() && summary.containments.iter().any(|row| row.until == Some(at));
        self.test.advance.is_some() || !ends && !summary.waiting.into_iter().any(lapses)
    }

    fn tell(&mut self, input: Input) -> Result<(), Rejected> {
        let (records, result) = self.run.handle(input, self.now);
        self.keep(records);
        result
    }

    fn keep(&mut self, records: Vec<Record>) {
        for record in &records {
            if let Event::ApprovalRequested { step, .. } = &record.event {
                self.asked.push((step.clone(), record.at));
            }
            if let Event::StepInDoubt { step, .. } = &record.event {
                self.doubted.insert(step.clone(), record.at);
            }
        }
        let told = records.iter().filter(|record| !story::is_repeated(&record.event));
        self.played.story.extend(told.map(|record| story::line(record, START)));
        self.played.journal.extend(records);
    }

    fn note(&mut self, text: String) {
        self.played.story.push(story::note(self.now, START, text));
    }
}

fn child_ended(step: StepKey, run: RunId, outcome: Outcome) -> Input {
    let (status, outputs, error) = match outcome {
        Outcome::Succeeded(outputs) => (RunStatus::Succeeded, outputs, None),
        Outcome::Failed(failure) | Outcome::Unknown(failure) => {
            (RunStatus::Failed, Arc::default(), Some(failure.message))
        }
    };
    Input::ChildEnded { step, run, status, outputs, error }
}

fn missing_mock(command: &Command, is_mocked: bool, step: Option<&Step>) -> Problem {
    let (name, node) = (&command.step.step, &command.node.name);
    if is_mocked {
        let (attempt, key) = (command.attempt, &command.step);
        let what = format!("attempt {attempt} of `{key}` is called, and the mock has no answer to it");
        return Problem::new(what)
            .help(format!("add one to the list of `{name}`"))
            .at(format!("/mock/{name}"));
    }
    let fields = step.and_then(|step| step.node.output_fields()).unwrap_or_default();
    let fields: Vec<String> = fields.iter().map(|field| format!("{field}: ...")).collect();
    let output = if fields.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", fields.join(", ")) };
    Problem::new(format!("`{name}` is called ({node}), and the test has no mock for it"))
        .help(format!("mock: {{ {name}: {{ output: {output} }} }}"))
        .at("/mock")
}
