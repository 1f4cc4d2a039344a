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
use crate::{Input, Run, Start};

/// What a step is; what it needs; its `if`; whether others go on when it fails.
type Drawn = (u8, u8, u8, bool);

/// A playbook of steps that look, ask, and disrupt with and without gates of their own.
fn text(steps: &[Drawn]) -> String {
    let mut text = "workflow: random\nsteps:\n".to_owned();
    for (index, (kind, needs, condition, continues)) in steps.iter().enumerate() {
        let needs: Vec<String> =
            (0..index).filter(|i| needs >> i & 1 == 1).map(|i| format!("s{i}")).collect();
        text.push_str(&format!("  - id: s{index}\n    needs: [{}]\n", needs.join(", ")));
        let of = needs.last().map(|need| format!("status.{need}"));
        match (condition % 6, of) {
            (0, Some(status)) => text.push_str(&format!("    if: {status} != 'ok'\n")),
            (1, Some(status)) => text.push_str(&format!("    if: {status} == 'ok'\n")),
            (2, Some(status)) => text.push_str(&format!("    if: {status} == 'ok' && alert.a\n")),
            (3, Some(status)) => text.push_str(&format!("    if: {status} == 'ok' || alert.a\n")),
            (4, _) => text.push_str("    if: alert.a\n"),
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
            _ => {
                "    uses: act\n    foreach: \"['x']\"\n    max_items: 2\n    with: { on: \"{{ item }}\" }\n"
            }
        });
    }
    text
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
    if let Some(command) = run.commands().into_iter().next() {
        let failed = Outcome::Failed(Failure::new(FailureClass::Reset, "x"));
        let ends = [Outcome::Succeeded(json!({}).into()), failed];
        let input =
            |outcome| Input::Finished { step: command.step.clone(), attempt: command.attempt, outcome };
        return ends.map(|outcome| (input(outcome), now)).into();
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

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_checker_flags_exactly_the_steps_that_can_disrupt_without_a_word(
        steps in prop::collection::vec((0..5_u8, any::<u8>(), any::<u8>(), any::<bool>()), 1..6),
    ) {
        let text = text(&steps);
        let (workflow, flagged) = check(&text);
        let seen = play_all(&workflow);
        let flagged: BTreeSet<usize> = flagged.intersection(&seen.performed).copied().collect();
        prop_assert_eq!(flagged, seen.daring, "{}", text);
    }
}
