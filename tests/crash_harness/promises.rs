//! What has to be true of a session when it is over: each promise is a function over what was said and what is there.
//!
//! The folder is opened here once more, by nobody but the store, and every journal is replayed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use engine::Run;
use model::{Decision, Event, FailureClass, Record, Resolution, RunSummary, StepKey, Timestamp};
use serde_json::{Value, json};
use store::{Query, Store};
use store_sled::SledStore;
use workflow::{Bundle, Effect, Workflow};

use crate::history::{History, Word};
use crate::people::{counts, effects, key};
use crate::world::World;

/// Everything that there is to compare.
struct Evidence<'a> {
    world: &'a World,
    history: &'a History,
    runs: BTreeMap<String, Told>,
    /// Every call that was meant to be made, by its key.
    keys: BTreeMap<String, (String, StepKey)>,
}

/// A run as the store tells it.
struct Told {
    row: RunSummary,
    journal: Vec<Record>,
    workflow: Arc<Workflow>,
}

type Promise = fn(&Evidence<'_>) -> Vec<String>;

/// A new promise is a function and a line here.
const PROMISES: [Promise; 11] = [
    answered_alerts_have_one_run,
    every_run_has_ended,
    journals_replay_to_their_rows,
    answered_words_are_kept_once,
    effects_have_their_intent_and_their_decision,
    what_failed_or_worked_did,
    doubt_has_a_reason,
    undos_are_known_before_what_they_undo,
    what_is_in_force_is_what_is_held,
    nothing_is_released_that_another_run_holds,
    the_log_is_quiet,
];

/// What is not as it was promised, and the journals that tell of it.
pub(crate) async fn broken(world: &World, history: &History) -> (Vec<String>, String) {
    let runs = read(world).await;
    let mut keys = BTreeMap::new();
    for (run, told) in &runs {
        for record in &told.journal {
            if let Event::StepStarted { step, .. } = &record.event {
                keys.insert(key(run, &step.to_string()), (run.clone(), step.clone()));
            }
        }
    }
    let evidence = Evidence { world, history, runs, keys };
    let problems: Vec<String> = PROMISES.iter().flat_map(|promise| promise(&evidence)).collect();
    let mut journals = String::new();
    for (run, told) in &evidence.runs {
        if problems.iter().any(|problem| problem.contains(run)) || !told.row.containments.is_empty() {
            let lines = told.journal.iter().map(|record| serde_json::to_string(record).unwrap() + "\n");
            journals += &format!("--- run {run}\n{}", lines.collect::<String>());
        }
    }
    (problems, journals)
}

async fn read(world: &World) -> BTreeMap<String, Told> {
    let folder = world.folder.path().join("data");
    let store = SledStore::open(&folder, &store_sled::Settings::default()).unwrap();
    let mut rows = Vec::new();
    let mut query = Query { limit: Query::MOST, ..Query::default() };
    loop {
        let page = store.runs(query.clone()).await.unwrap();
        rows.extend(page.runs);
        query.before = page.next;
        if query.before.is_none() {
            break;
        }
    }
    let mut runs = BTreeMap::new();
    for row in rows {
        let source = store.source(&row.source).await.unwrap().expect("a run's playbook is in the store");
        let bundle: Bundle = serde_json::from_str(&source.text).unwrap();
        let workflow = Arc::new(bundle.load("pinned.yaml").0.expect("a playbook that was live can be read"));
        let journal = store.journal(row.run).await.unwrap();
        runs.insert(row.run.to_string(), Told { row, journal, workflow });
    }
    runs
}

fn answered_alerts_have_one_run(evidence: &Evidence<'_>) -> Vec<String> {
    let mut problems = Vec::new();
    for alert in &evidence.history.alerts {
        let source = json!(alert.source);
        let of_alert: Vec<&String> = evidence
            .runs
            .iter()
            .filter(|(_, told)| matches!(&told.journal[0].event, Event::RunStarted { alert, .. } if alert.pointer("/data/srcip") == Some(&source)))
            .map(|(run, _)| run)
            .collect();
        let (told, named) = (of_alert.as_slice(), &alert.answers);
        if told.len() != 1 || named.is_empty() || named.iter().any(|run| run != told[0]) {
            problems.push(format!("the alert of {source} was answered with {named:?} and has {told:?}"));
        }
    }
    problems
}

fn every_run_has_ended(evidence: &Evidence<'_>) -> Vec<String> {
    let open = evidence.runs.values().filter(|told| !told.row.status.is_finished());
    open.map(|told| format!("a run has not ended: {:?}", told.row)).collect()
}

fn journals_replay_to_their_rows(evidence: &Evidence<'_>) -> Vec<String> {
    let mut problems = Vec::new();
    for (run, told) in &evidence.runs {
        match Run::replay(told.row.run, told.workflow.clone(), &told.journal) {
            Ok(replayed) if replayed.summary() == told.row => {}
            Ok(replayed) => {
                problems.push(format!("the row says {:?}, the journal {:?}", told.row, replayed.summary()));
            }
            Err(corrupt) => problems.push(format!("the journal of {run} does not replay: {corrupt}")),
        }
    }
    problems
}

/// A word that was answered with 200 is in the journal, and no word is there twice.
fn answered_words_are_kept_once(evidence: &Evidence<'_>) -> Vec<String> {
    let mut problems = Vec::new();
    for word in &evidence.history.words {
        let journal = evidence.runs.get(&word.run).map_or(&[][..], |told| &told.journal);
        let is_this = |record: &&Record| said(&record.event) == Some(word.reason.as_str());
        let times = journal.iter().filter(is_this).count();
        if times > 1 || (word.is_answered && times == 0) {
            let Word { run, reason, is_answered } = word;
            problems.push(format!("`{reason}` about {run} is kept {times} times, answered: {is_answered}"));
        }
    }
    problems
}

fn said(event: &Event) -> Option<&str> {
    if let Event::ApprovalDecided { reason, .. } = event {
        return reason.as_deref();
    }
    if let Event::Resolved { reason, .. } = event { Some(reason) } else { None }
}

/// What was sent for one step: when it was meant to be sent, and how often it arrived.
struct Sent<'a> {
    told: &'a Told,
    step: &'a StepKey,
    agent: &'a str,
    /// What the agent got.
    taken: usize,
    /// What it did.
    effects: usize,
}

impl Evidence<'_> {
    /// Whether a fact's time can be compared with that of the world.
    fn has_real_time(&self, at: Timestamp) -> bool {
        !self.history.has_jumped && self.history.peace.is_none_or(|peace| at <= peace)
    }

    /// Every step that was meant to disrupt.
    fn sent(&self) -> Vec<Sent<'_>> {
        let mut found: Vec<Sent<'_>> = Vec::new();
        for (run, told) in &self.runs {
            for record in &told.journal {
                if let Event::StepStarted { step, inputs, .. } = &record.event
                    && !step.is_undo
                    && told
                        .workflow
                        .step(&step.step)
                        .is_some_and(|step| step.node.effect == Some(Effect::Disrupt))
                    && !found.iter().any(|sent| sent.told.row.run == told.row.run && sent.step == step)
                {
                    let agent = inputs["agent"].as_str().unwrap_or_default();
                    let got = effects(self.world, run, &step.to_string(), agent);
                    let done = got.iter().filter(|response| counts(response)).count();
                    found.push(Sent { told, step, agent, taken: got.len(), effects: done });
                }
            }
        }
        found
    }
}

impl Sent<'_> {
    fn events(&self) -> impl Iterator<Item = &Record> {
        self.told.journal.iter().filter(|record| record.event.step() == Some(self.step))
    }

    fn count(&self, is_meant: fn(&Event) -> bool) -> usize {
        self.events().filter(|record| is_meant(&record.event)).count()
    }
}

/// Nothing arrives that was not meant, nothing is meant that nobody approved, and nothing arrives more often than somebody
/// decided.
fn effects_have_their_intent_and_their_decision(evidence: &Evidence<'_>) -> Vec<String> {
    let mut problems = Vec::new();
    let sent = evidence.sent();
    for response in evidence.world.lab.active_responses() {
        let run = response.alert.pointer("/data/portcullis_run").and_then(Value::as_str);
        let is_known = match (response.key(), run) {
            (Some(key), _) => evidence.keys.contains_key(key),
            (None, Some(run)) => {
                sent.iter().any(|sent| sent.told.row.run.to_string() == run && sent.agent == response.agent)
            }
            (None, None) => false,
        };
        if !is_known {
            problems.push(format!("nobody meant to send {response:?}"));
        }
    }
    for sent in sent {
        let again =
            sent.count(|event| matches!(event, Event::Resolved { resolution: Resolution::SendAgain, .. }));
        let is_approval = |record: &&Record| {
            matches!(&record.event, Event::ApprovalDecided { decision: Decision::Approve, .. })
        };
        let gate: Vec<_> = sent.told.journal.iter().filter(is_approval).collect();
        let is_gate = |record: &&&Record| {
            record.event.step().is_some_and(|step| step == sent.step || step.to_string() == "question")
        };
        let approvals = gate.iter().filter(is_gate).count();
        let (run, step) = (sent.told.row.run, sent.step);
        let is_question = |record: &&Record| matches!(&record.event, Event::ApprovalRequested { .. });
        let asked: Vec<_> = sent.told.journal.iter().filter(is_question).collect();
        let asked = asked.iter().filter(is_gate).count();
        if approvals == 0 || approvals > asked {
            problems.push(format!("{run} {step} was started after {approvals} approvals of {asked}"));
        }
        if sent.taken > 1 + again {
            problems.push(format!("{run} {step} arrived {} times, decided {}", sent.taken, 1 + again));
        }
    }
    problems
}

/// Where nobody had to say what became of a step, the step knows it.
fn what_failed_or_worked_did(evidence: &Evidence<'_>) -> Vec<String> {
    let mut problems = Vec::new();
    for sent in evidence.sent() {
        let is_known = sent.count(|event| matches!(event, Event::StepInDoubt { .. })) == 0;
        let has_worked = sent.count(|event| matches!(event, Event::StepSucceeded { .. })) > 0;
        let (run, step, effects) = (sent.told.row.run, sent.step, sent.effects);
        if is_known && effects != usize::from(has_worked) {
            problems.push(format!("{run} {step} arrived {effects} times, and is ok: {has_worked}"));
        }
        let was_seen =
            sent.count(|event| matches!(event, Event::Resolved { resolution: Resolution::Ok, .. }));
        if was_seen > 0 && effects == 0 {
            problems.push(format!("{run} {step} is ok by a word, and nothing arrived"));
        }
    }
    problems
}

/// A step is in doubt because the process died while it was under way, or because the other side was told to fail.
fn doubt_has_a_reason(evidence: &Evidence<'_>) -> Vec<String> {
    let (mut problems, mut by_peer) = (Vec::new(), 0);
    for told in evidence.runs.values() {
        let mut begun: BTreeMap<&StepKey, Timestamp> = BTreeMap::new();
        for record in &told.journal {
            if let Event::StepStarted { step, .. } = &record.event {
                begun.insert(step, record.at);
            }
            let Event::StepInDoubt { step, failure } = &record.event else { continue };
            let since = begun[step];
            let mut deaths = evidence.history.deaths.iter();
            let has_died = deaths.any(|death| *death >= since && *death <= record.at);
            let is_blind = evidence.history.has_jumped || !evidence.has_real_time(record.at);
            if failure.class != FailureClass::Interrupted {
                by_peer += u32::from(!has_died && !is_blind);
                continue;
            }
            if !has_died && !is_blind {
                let run = told.row.run;
                problems.push(format!("{run} {step} is in doubt since {}, and nobody died", record.at));
            }
        }
    }
    let ignored = evidence.world.lab.active_responses().iter().filter(|response| !response.is_done).count();
    let faults = evidence.history.faults + u32::try_from(ignored).unwrap();
    if by_peer > faults {
        problems.push(format!("{by_peer} steps in doubt by {faults} faults"));
    }
    problems
}

/// Whatever an agent did by which something holds, its undo was in the journal before, and is there or done now.
fn undos_are_known_before_what_they_undo(evidence: &Evidence<'_>) -> Vec<String> {
    let mut problems = Vec::new();
    for response in evidence.world.lab.active_responses() {
        let is_hold = ["!portcullis-isolate", "!portcullis-block"].contains(&response.command.as_str());
        let Some((run, step)) = response.key().and_then(|key| evidence.keys.get(key)) else { continue };
        if !is_hold {
            continue;
        }
        let told = &evidence.runs[run];
        let at = Timestamp::from_millis(i64::try_from(response.at).unwrap());
        let registers = |record: &&Record| {
            let in_time = record.at <= at || !evidence.has_real_time(record.at);
            matches!(&record.event, Event::StepStarted { step: started, holds: Some(holds), .. }
                if started == step && holds.undo.is_some() && in_time)
        };
        if !told.journal.iter().any(|record| registers(&record)) {
            problems.push(format!("{run} {step} was done before its undo was registered"));
        }
    }
    for (run, told) in &evidence.runs {
        if told.row.is_over() && !told.row.containments.is_empty() {
            problems.push(format!("{run} is over and holds {:?}", told.row.containments));
        }
    }
    problems
}

/// When everything is at rest, agents have in force what the ledger says, and nothing else.
fn what_is_in_force_is_what_is_held(evidence: &Evidence<'_>) -> Vec<String> {
    let in_force = evidence.world.lab.in_force();
    let rows = evidence.runs.values().flat_map(|told| &told.row.containments);
    let held: BTreeSet<String> = rows.map(|containment| containment.target.clone()).collect();
    let mut problems = Vec::new();
    if in_force != held {
        problems.push(format!("in force is {in_force:?}, held is {held:?}"));
    }
    if evidence.history.contained != held {
        problems.push(format!("the API says that {:?} is held, it is {held:?}", evidence.history.contained));
    }
    problems
}

/// A run holds something from when it knows so until it begins to undo it or lets go. Meanwhile nobody else has it
/// released.
fn nothing_is_released_that_another_run_holds(evidence: &Evidence<'_>) -> Vec<String> {
    let mut problems = Vec::new();
    let responses = evidence.world.lab.active_responses();
    let is_release = |response: &&lab::ActiveResponse| {
        response.is_done
            && ["!portcullis-release", "!portcullis-unblock"].contains(&response.command.as_str())
    };
    for response in responses.iter().filter(is_release) {
        let at = Timestamp::from_millis(i64::try_from(response.at).unwrap());
        let Some((by, _)) = response.key().and_then(|key| evidence.keys.get(key)) else { continue };
        let target = match response.alert.pointer("/data/srcip").and_then(Value::as_str) {
            Some(address) => format!("agent/{}/ip/{address}", response.agent),
            None => format!("agent/{}/network", response.agent),
        };
        if !evidence.has_real_time(at) {
            continue;
        }
        for (run, told) in evidence.runs.iter().filter(|(run, _)| *run != by) {
            if let Some(step) = told.holder_at(&target, at) {
                problems.push(format!("{by} released {target} at {at}, and {run} {step} held it"));
            }
        }
    }
    problems
}

impl Told {
    /// The step that holds a target at a time, with some room for what happens in the same moment.
    fn holder_at(&self, target: &str, at: Timestamp) -> Option<StepKey> {
        let mut holders: BTreeSet<StepKey> = BTreeSet::new();
        let mut targets: BTreeMap<StepKey, String> = BTreeMap::new();
        let room = std::time::Duration::from_millis(20);
        for record in &self.journal {
            let begins = record.at.after(room) <= at;
            let is_past = record.at <= at.after(room);
            if let Event::StepStarted { step, target: Some(of), holds: Some(_), .. } = &record.event {
                targets.insert(step.clone(), of.clone());
            }
            if let Event::StepJoined { step, target: of, .. } = &record.event {
                targets.insert(step.clone(), of.clone());
            }
            let Some(step) = record.event.step() else { continue };
            let is_held = matches!(&record.event, Event::StepSucceeded { .. } | Event::StepJoined { .. });
            if is_held && begins && !step.is_undo && targets.get(step).is_some_and(|of| of == target) {
                holders.insert(step.clone());
            }
            let ends = matches!(&record.event, Event::StepStarted { .. } | Event::LetGo { .. });
            if step.is_undo && ends && is_past {
                holders.remove(&step.done());
            }
        }
        holders.into_iter().next()
    }
}

/// A kill damages nothing: there is nothing to repair, and nothing to complain of. Only an index that was being opened
/// is not trusted, and made again.
fn the_log_is_quiet(evidence: &Evidence<'_>) -> Vec<String> {
    let is_loud = |line: &&str| {
        // An undo that fails is to be heard of.
        let is_error = line.contains("\"ERROR\"") && !line.contains("what was contained cannot be undone");
        is_error || line.contains("panicked") || line.contains("the store was repaired")
    };
    let is_excused = |line: &&str| line.contains("or the process ended while it was opened");
    let (excused, loud): (Vec<_>, Vec<_>) =
        evidence.history.log.lines().filter(is_loud).partition(is_excused);
    let mut problems: Vec<String> = loud.iter().map(|line| format!("the log says {line}")).collect();
    // It is said twice: by the store, and by who opened it.
    if excused.len() > 2 * evidence.history.deaths_at_start {
        problems.push(format!("the index was made again {} times", excused.len() / 2));
    }
    problems
}
