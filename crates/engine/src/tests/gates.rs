//! The checker's proof of gates, compared with everything that a run may do.
//!
//! Small random playbooks are played through every answer of the world and of people. A step that the checker passes is
//! performed without a word of anybody in none of these runs, and one that it flags in at least one of them. A step that
//! no run performs, because its `if` contradicts what it needs, may be flagged as well.

use std::collections::BTreeSet;

use model::{Decision, Event, Failure, FailureClass, Outcome, Record, RunStatus};
use proptest::prelude::*;
use serde_json::json;
use workflow::Workflow;

use super::world::{NODES, person, start};
use crate::{Input, Run, Start, Verdict};

/// How many kinds of an `if` there are, none counted as well.
const CONDITIONS: u8 = 10;

/// What a step is; what it needs; its `if`; whether others go on when it fails.
type Drawn = (u8, u8, u8, bool);

/// A playbook of steps that look, ask, and disrupt with and without gates of their own; those from `main` on are performed
/// when it failed.
fn text(steps: &[Drawn], main: usize, is_limited: bool) -> String {
    let mut text = "workflow: random\n".to_owned();
    // Longer than a gate waits, and shorter than an approval does.
    text.push_str(if is_limited { "timeout: 7m\nsteps:\n" } else { "steps:\n" });
    for (index, drawn) in steps.iter().enumerate() {
        if index == main {
            text.push_str("on_failure:\n");
        }
        push_step(&mut text, index, if index < main { 0 } else { main }, drawn);
    }
    text
}

fn push_step(text: &mut String, index: usize, first: usize, (kind, needs, condition, continues): &Drawn) {
    let needed: Vec<usize> = (first..index).filter(|i| needs >> i & 1 == 1).collect();
    let names: Vec<String> = needed.iter().map(|i| format!("s{i}")).collect();
    text.push_str(&format!("  - id: s{index}\n    needs: [{}]\n", names.join(", ")));
    // A step of `on_failure` can look at all main steps.
    let seen: Vec<usize> = (0..first).chain(needed).collect();
    let of = seen.get(usize::from(condition / CONDITIONS) % seen.len().max(1));
    let of = of.map(|of| format!("status.s{of}"));
    match (condition % CONDITIONS, of) {
        (0, Some(status)) => text.push_str(&format!("    if: {status} != 'ok'\n")),
        (1, Some(status)) => text.push_str(&format!("    if: {status} == 'ok'\n")),
        (2, Some(status)) => text.push_str(&format!("    if: {status} == 'ok' && alert.a\n")),
        (3, Some(status)) => text.push_str(&format!("    if: {status} == 'ok' || alert.a\n")),
        (4, _) => text.push_str("    if: alert.a\n"),
        (5, Some(status)) => {
            text.push_str(&format!(
                "    if: \"!({status} in ['failed', 'skipped', 'rejected', 'expired'])\"\n"
            ));
        }
        (6, Some(status)) => text.push_str(&format!("    if: {status} == 'ok' || size(status) > 2\n")),
        (7, Some(status)) => {
            text.push_str(&format!("    if: {status} == 'ok' || status.exists(k, k == 's0')\n"));
        }
        _ => {}
    }
    if *continues && *kind != 1 {
        text.push_str("    on_error: continue\n");
    }
    text.push_str(match kind {
        0 => "    uses: look\n",
        1 => "    uses: approval\n    with: { ask: \"?\", expires: 10m }\n",
        2 => "    uses: act\n    with: { on: h }\n",
        3 => "    uses: act\n    with: { on: h }\n    approval: { ask: \"?\", expires: 5m }\n",
        _ => "    uses: act\n    foreach: \"['x']\"\n    max_items: 2\n    with: { on: \"{{ item }}\" }\n",
    });
}

/// The workflow, and the steps that have no gate as the checker sees it.
fn check(text: &str) -> (Workflow, BTreeSet<usize>) {
    let load = |is_harmless: bool| {
        let mut catalog = workflow::Catalog::default();
        for node in NODES {
            let node =
                if is_harmless { node.replace("effect: disrupt", "effect: write") } else { node.to_owned() };
            catalog.add("node.yaml", &node).unwrap();
        }
        workflow::load("random.yaml", text, &catalog)
    };
    let (_, findings) = load(false);
    let flagged = findings.findings().into_iter().filter(|finding| finding.rule.id == "ungated-disruption");
    let line = |at: usize| findings.line_and_column(at).0;
    let ids: Vec<usize> =
        (1..).zip(text.lines()).filter(|(_, l)| l.starts_with("  - id")).map(|(n, _)| n).collect();
    let step =
        |finding: &workflow::Diagnostic| ids.iter().filter(|id| **id <= line(finding.at.start)).count() - 1;
    let flagged = flagged.map(step).collect();
    // What would be refused is played nevertheless, as if it did no harm.
    let (workflow, findings) = load(true);
    (workflow.unwrap_or_else(|| panic!("{findings}")), flagged)
}

/// Steps that disrupt: those that are performed in some run, and those that are so without a word of anybody, neither
/// for them nor before them.
#[derive(Default)]
struct Seen {
    performed: BTreeSet<usize>,
    daring: BTreeSet<usize>,
}

fn play_all(workflow: &Workflow) -> Seen {
    let workflow = std::sync::Arc::new(workflow.clone());
    let mut seen = Seen::default();
    for a in [false, true] {
        let now = model::Timestamp::from_millis(1000);
        let start = Start { alert: json!({ "a": a }).into(), ..start() };
        let (run, journal) = Run::start(super::world::id(), workflow.clone(), start, now);
        let mut open = vec![(run, journal)];
        while let Some((run, journal)) = open.pop() {
            seen.note(&workflow, &journal);
            open.extend(nexts(&run).into_iter().map(|(input, at)| {
                let mut run = run.clone();
                let (records, result) = run.handle(input, at);
                result.unwrap();
                (run, [journal.clone(), records].concat())
            }));
        }
    }
    seen
}

/// Everything that may happen next to the first thing that is owed or waited for.
fn nexts(run: &Run) -> Vec<(Input, model::Timestamp)> {
    let now = run.summary().updated_at;
    if let Some(clearance) = run.clearances().into_iter().next() {
        return vec![(Input::Cleared { step: clearance.step, verdict: Verdict::Go }, now)];
    }
    if let Some(command) = run.commands().into_iter().next() {
        let failed = Outcome::Failed(Failure::new(FailureClass::Reset, "x"));
        let ends = [Outcome::Succeeded(json!({}).into()), failed];
        let input =
            |outcome| Input::Finished { step: command.step.clone(), attempt: command.attempt, outcome };
        let ends = ends.into_iter().map(|outcome| (input(outcome), now));
        return ends.chain(run.wake_at().map(|later| (Input::Tick, later))).collect();
    }
    let Some(waiting) = run.summary().waiting.into_iter().next() else {
        assert!(run.status() != RunStatus::Running && run.wake_at().is_none());
        return Vec::new();
    };
    let decide = |decision| Input::Decided {
        step: waiting.step.clone(),
        decision,
        by: person("ana", &[]),
        reason: Some("x".to_owned()),
        digest: None,
    };
    let later = run.wake_at().unwrap_or(now);
    vec![(decide(Decision::Approve), now), (decide(Decision::Reject), now), (Input::Tick, later)]
}

impl Seen {
    fn note(&mut self, workflow: &Workflow, journal: &[Record]) {
        let mut approved: BTreeSet<usize> = BTreeSet::new();
        for record in journal {
            if let Event::ApprovalDecided { step, decision: Decision::Approve, .. } = &record.event {
                approved.extend(workflow.index(&step.step));
            }
            let Event::StepStarted { step, target: Some(_), .. } = &record.event else { continue };
            let index = workflow.index(&step.step).unwrap();
            self.performed.insert(index);
            let is_word = |word: &usize| *word == index || workflow.graph.is_before(*word, index);
            let is_asked = |word: &&usize| {
                **word == index
                    || workflow.steps[**word].node.engine_node() == Some(workflow::EngineNode::Approval)
            };
            if !approved.iter().filter(is_asked).any(is_word) {
                self.daring.insert(index);
            }
        }
    }
}

fn steps(count: impl Into<prop::collection::SizeRange>) -> impl Strategy<Value = Vec<Drawn>> {
    prop::collection::vec((0..5_u8, any::<u8>(), any::<u8>(), any::<bool>()), count)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_checker_flags_exactly_the_steps_that_can_disrupt_without_a_word(steps in steps(1..6)) {
        let text = text(&steps, steps.len(), false);
        // A condition over all statuses is not tried out, and may be flagged in vain.
        prop_assume!(!text.contains("(status)") && !text.contains("status.exists"));
        let (workflow, flagged) = check(&text);
        let seen = play_all(&workflow);
        let flagged: BTreeSet<usize> = flagged.intersection(&seen.performed).copied().collect();
        prop_assert_eq!(flagged, seen.daring, "{}", text);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_step_that_the_checker_passes_disrupts_without_a_word(
        steps in steps(1..5), handlers in 0..3_usize, is_limited in any::<bool>(),
    ) {
        let text = text(&steps, steps.len().saturating_sub(handlers).max(1), is_limited);
        let (workflow, flagged) = check(&text);
        let seen = play_all(&workflow);
        prop_assert!(seen.daring.is_subset(&flagged), "{:?} beside {:?}\n{}", seen.daring, flagged, text);
    }
}

/// The steps of this playbook that have no gate, as the checker sees it; `ask` is an approval.
fn flagged(rest: &str) -> BTreeSet<usize> {
    let ask = "  - id: ask\n    uses: approval\n    with: { ask: \"?\", expires: 1h }\n";
    check(&format!("workflow: w\n{}", rest.replace("ASK\n", ask))).1
}

#[test]
fn what_the_time_limit_cancelled_was_not_approved() {
    let act = "if: \"!(status.ask in ['failed', 'skipped', 'rejected', 'expired'])\"\n    uses: act\n    with: { on: h }\n";
    let handler = |head: &str| format!("{head}steps:\nASK\non_failure:\n  - id: d\n    {act}");
    assert_eq!(flagged(&handler("timeout: 10m\n")), [1].into());
    assert_eq!(flagged(&handler("")), [].into(), "nothing is cancelled without a time limit");
    // An approval of `on_failure` that nobody is asked, where the limit was over.
    let second = "on_failure:\n  - id: again\n    if: status.ask in ['ok', 'failed', 'skipped', 'rejected', 'expired']\n    uses: approval\n    with: { ask: \"?\", expires: 1h }\n";
    let act = "  - id: d\n    needs: [again]\n    if: \"!(status.again in ['failed', 'rejected', 'expired'])\"\n    uses: act\n    with: { on: h }\n";
    let both = |head: &str| format!("{head}steps:\nASK\n{second}{act}");
    assert_eq!(flagged(&both("timeout: 10m\n")), [2].into());
}

#[test]
fn a_condition_over_all_statuses_proves_nothing() {
    let over = |condition: &str| {
        let other = "  - id: other\n    needs: []\n    uses: look\n";
        let act = format!(
            "  - id: d\n    needs: [ask, other]\n    if: {condition}\n    uses: act\n    with: {{ on: h }}\n"
        );
        flagged(&format!("steps:\nASK\n{other}{act}"))
    };
    assert_eq!(over("status.ask == 'ok' || status.other == 'cancelled'"), [].into());
    for all in ["size(status) > 2", "'other' in status", "status.exists(k, k == 'other')", "status == status"]
    {
        assert_eq!(over(&format!("status.ask == 'ok' || {all}")), [2].into(), "{all}");
    }
}
