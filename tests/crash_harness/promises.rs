//! What has to be true of a session when it is over: each promise is a function over what was said and what is there.
//!
//! The folder is opened here once more, by nobody but the store, and every journal is replayed.

use std::collections::BTreeMap;
use std::sync::Arc;

use engine::Run;
use model::{Decision, Event, FailureClass, Record, Resolution, RunSummary, StepKey, Timestamp};
use serde_json::{Value, json};
use store::{Query, Store};
use store_sled::SledStore;
use workflow::{Bundle, Effect, Workflow};

use crate::history::{History, Word};
use crate::people::effects;
use crate::world::World;

/// Everything that there is to compare.
struct Evidence<'a> {
    world: &'a World,
    history: &'a History,
    runs: BTreeMap<String, Told>,
}

/// A run as the store tells it.
struct Told {
    row: RunSummary,
    journal: Vec<Record>,
    workflow: Arc<Workflow>,
}

type Promise = fn(&Evidence<'_>) -> Vec<String>;

/// A new promise is a function and a line here.
const PROMISES: [Promise; 8] = [
    answered_alerts_have_one_run,
    every_run_has_ended,
    journals_replay_to_their_rows,
    answered_words_are_kept_once,
    effects_have_their_intent_and_their_decision,
    what_failed_or_worked_did,
    doubt_has_a_reason,
    the_log_is_quiet,
];

/// What is not as it was promised.
pub(crate) async fn broken(world: &World, history: &History) -> Vec<String> {
    let evidence = Evidence { world, history, runs: read(world).await };
    PROMISES.iter().flat_map(|promise| promise(&evidence)).collect()
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
    effects: usize,
}

impl Evidence<'_> {
    /// Every step that was meant to disrupt.
    fn sent(&self) -> Vec<Sent<'_>> {
        let mut found: Vec<Sent<'_>> = Vec::new();
        for (run, told) in &self.runs {
            for record in &told.journal {
                if let Event::StepStarted { step, inputs, .. } = &record.event
                    && told
                        .workflow
                        .step(&step.step)
                        .is_some_and(|step| step.node.effect == Some(Effect::Disrupt))
                    && !found.iter().any(|sent| sent.told.row.run == told.row.run && sent.step == step)
                {
                    let agent = inputs["agent"].as_str().unwrap_or_default();
                    found.push(Sent { told, step, agent, effects: effects(self.world, run, agent) });
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
        let run = response.alert.pointer("/data/portcullis_run").and_then(Value::as_str).unwrap_or_default();
        let is_this = |sent: &Sent<'_>| sent.told.row.run.to_string() == run && sent.agent == response.agent;
        if !sent.iter().any(is_this) {
            problems
                .push(format!("agent {} got something of {run} that nobody meant to send", response.agent));
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
        if approvals != 1 {
            problems.push(format!("{run} {step} was started after {approvals} approvals"));
        }
        if sent.effects > 1 + again {
            problems.push(format!("{run} {step} arrived {} times, decided {}", sent.effects, 1 + again));
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
            if failure.class != FailureClass::Interrupted {
                by_peer += 1;
                continue;
            }
            let since = begun[step];
            if !evidence.history.has_jumped
                && !evidence.history.deaths.iter().any(|death| *death >= since && *death <= record.at)
            {
                let run = told.row.run;
                problems.push(format!("{run} {step} is in doubt since {}, and nobody died", record.at));
            }
        }
    }
    if by_peer > evidence.history.faults {
        problems.push(format!("{by_peer} steps in doubt by {} faults", evidence.history.faults));
    }
    problems
}

/// A kill damages nothing: there is nothing to repair, and nothing to complain of. Only an index that was being opened
/// is not trusted, and made again.
fn the_log_is_quiet(evidence: &Evidence<'_>) -> Vec<String> {
    let is_loud = |line: &&str| {
        line.contains("\"ERROR\"") || line.contains("panicked") || line.contains("the store was repaired")
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
