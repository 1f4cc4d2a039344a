//! What holds for every workflow and every order of events.

#![expect(clippy::wildcard_enum_match_arm, reason = "the properties look for single events")]

use std::time::Duration;

use model::{
    Decision, Event, Failure, FailureClass, Outcome, Record, Resolution, RunStatus, StepKey, Waiting,
    WaitingFor,
};
use proptest::prelude::*;
use serde_json::json;
use workflow::OnDoubt;

use super::world::{World, check, id, person};
use crate::{Input, Rejected, Run};

/// A random playbook: every step needs some of those before it.
fn playbooks() -> impl Strategy<Value = String> {
    let step = (0..9_u8, any::<u8>(), 0..4_u8, any::<bool>());
    (prop::collection::vec(step, 1..9), 0..3_u8, any::<bool>()).prop_map(|(steps, handlers, is_limited)| {
        let mut text = "workflow: random\n".to_owned();
        text.push_str(if is_limited { "timeout: 15m\nsteps:\n" } else { "steps:\n" });
        let main = steps.len();
        let steps = steps.iter().chain(steps.iter().take(usize::from(handlers))).copied();
        for (index, (kind, needs, condition, continues)) in steps.enumerate() {
            if index == main {
                text.push_str("on_failure:\n");
            }
            let needs = if index < main { needs } else { 0 };
            let needs: Vec<String> =
                (0..index).filter(|i| needs >> (i % 8) & 1 == 1).map(|i| format!("s{i}")).collect();
            let first = needs.first().cloned();
            text.push_str(&format!("  - id: s{index}\n    needs: [{}]\n", needs.join(", ")));
            match (condition, first) {
                (0, Some(need)) => text.push_str(&format!("    if: status.{need} != \"ok\"\n")),
                (1, _) => text.push_str("    if: alert.rule.level > 50\n"),
                _ => {}
            }
            if continues && kind != 3 {
                text.push_str("    on_error: continue\n");
            }
            text.push_str(match kind {
                0 | 1 => "    uses: look\n    retry: { max: 3, wait: 1s, on: [timeout] }\n",
                2 => "    uses: set\n    with: { x: \"1\" }\n",
                3 => "    uses: approval\n    with: { ask: \"?\", expires: 10m }\n",
                4 => "    uses: delay\n    with: { for: 1m }\n",
                5 => {
                    "    uses: look\n    foreach: \"[1, 2, 3]\"\n    max_parallel: 2\n    retry: { max: 2, wait: 1s, on: [timeout] }\n"
                }
                6 => {
                    "    uses: act\n    foreach: \"['x', 'y']\"\n    on_item_error: continue\n    max_items: 3\n    with: { on: \"{{ item }}\" }\n    approval: { ask: \"{{ item }}?\", expires: 5m }\n"
                }
                7 => "    uses: workflow\n    with: { workflow: callee }\n",
                _ => {
                    "    uses: act\n    with: { on: h }\n    retry: { max: 2, wait: 1s, on: [timeout] }\n    approval: { ask: \"?\", expires: 5m }\n"
                }
            });
        }
        text
    })
}

/// The same playbooks, with approvals that may be unable to ask and disruptive steps that have no gate of their own.
fn daring_playbooks() -> impl Strategy<Value = String> {
    (playbooks(), any::<u16>()).prop_map(|(text, bits)| {
        let mut position = 0;
        let mut bit = || {
            position += 1;
            bits >> (position % 16) & 1 == 1
        };
        let lines = text.lines().map(|line| match line.trim() {
            "approval: { ask: \"?\", expires: 5m }" if bit() => String::new(),
            "with: { ask: \"?\", expires: 10m }" if bit() => {
                "    with: { ask: \"{{ alert.data.srcip }}?\", expires: 10m }".to_owned()
            }
            "on_error: continue" if bit() => String::new(),
            _ => line.to_owned(),
        });
        lines.collect::<Vec<_>>().join("\n")
    })
}

/// Does one thing that the world may do next, chosen by `choice`; false where nothing is left to be done.
fn turn(world: &mut World, choice: u8) -> bool {
    let commands = world.run.commands();
    if let Some(command) = commands.get(usize::from(choice) % commands.len().max(1)) {
        let failure = |class| Failure::new(class, "x");
        let outcome = match choice % 5 {
            0 => Outcome::Failed(failure(FailureClass::Timeout)),
            1 => Outcome::Unknown(failure(FailureClass::Reset)),
            _ => Outcome::Succeeded(json!({ "n": choice }).into()),
        };
        let input = Input::Finished { step: command.step.clone(), attempt: command.attempt, outcome };
        world.tell(input).unwrap();
        return true;
    }
    if let Some(child) = world.run.children().into_iter().next() {
        let status = if choice.is_multiple_of(3) { RunStatus::Failed } else { RunStatus::Succeeded };
        let (step, run, outputs) = (child.parent.step, child.run, json!({}).into());
        world.tell(Input::ChildEnded { step, run, status, outputs, error: None }).unwrap();
        return true;
    }
    if let Some(waiting) = world.run.summary().waiting.first().cloned()
        && !choice.is_multiple_of(4)
    {
        let step = waiting.step.to_string();
        let decision = if choice.is_multiple_of(3) { Decision::Reject } else { Decision::Approve };
        if world.decides(&step, decision, person("ana", &[]), "because").is_err() {
            let resolution =
                [Resolution::Ok, Resolution::Failed, Resolution::SendAgain][usize::from(choice) % 3];
            if let Err(refused) = world.resolves(&step, resolution) {
                assert_eq!((refused, resolution), (Rejected::Cancelled, Resolution::SendAgain));
                world.resolves(&step, Resolution::Failed).unwrap();
            }
        }
        return true;
    }
    let Some(wake_at) = world.run.wake_at() else {
        return world.run.summary().waiting.first().is_some_and(|_| turn(world, choice | 1));
    };
    world.now = wake_at.max(world.now.after(Duration::from_millis(1)));
    world.tell(Input::Tick).unwrap();
    true
}

/// Plays a run to its end.
fn play(text: &str, choices: &[u8]) -> World {
    let mut world = World::new(text);
    for round in 0..400 {
        let choice = choices.get(round % choices.len()).copied().unwrap_or(2);
        // Later choices succeed, so that a run that is only unlucky comes to its end.
        let choice = if round > 200 { 7 } else { choice };
        if !turn(&mut world, choice) {
            break;
        }
    }
    world
}

/// What a run looks like from outside.
fn look(run: &Run) -> String {
    let commands: Vec<String> = run.commands().iter().map(|c| format!("{c:?}")).collect();
    format!("{:?} {:?} {commands:?} {:?}", run.summary(), run.wake_at(), run.scope)
}

fn sent(journal: &[Record]) -> usize {
    let is_act = |record: &&Record| matches!(&record.event, Event::StepStarted { target: Some(_), .. });
    journal.iter().filter(is_act).count()
}

fn allowed_to_send(journal: &[Record]) -> usize {
    let is_gate = |step: &StepKey| {
        journal.iter().any(|record| match &record.event {
            Event::ApprovalRequested { step: asked, request } if asked == step => request.inputs.is_some(),
            _ => false,
        })
    };
    let is_word = |record: &&Record| match &record.event {
        Event::ApprovalDecided { decision: Decision::Approve, step, .. } => is_gate(step),
        Event::Resolved { resolution: Resolution::SendAgain, .. } => true,
        // What provably did not happen may be tried again under the same word.
        Event::StepFailed { step, retry_at: Some(_), .. } => is_gate(step),
        _ => false,
    };
    journal.iter().filter(is_word).count()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_workflow_finishes(text in playbooks(), choices in prop::collection::vec(any::<u8>(), 1..40)) {
        let world = play(&text, &choices);
        prop_assert!(world.run.status().is_finished(), "{text}\n{}", world.story());
        prop_assert!(world.run.commands().is_empty() && world.run.wake_at().is_none());
        let has_ended = world.journal.last().is_some_and(|last| matches!(last.event, Event::RunFinished { .. }));
        prop_assert!(has_ended);
    }

    #[test]
    fn replay_equals_live_at_every_prefix(text in playbooks(), choices in prop::collection::vec(any::<u8>(), 1..40)) {
        let world = play(&text, &choices);
        let workflow = world.run.workflow();
        let mut live = Run::replay(id(), workflow.clone(), &[]).unwrap();
        for (index, record) in world.journal.iter().enumerate() {
            live.apply(record).unwrap();
            let prefix = &world.journal[..=index];
            let text_form = serde_json::to_string(prefix).unwrap();
            let read: Vec<Record> = serde_json::from_str(&text_form).unwrap();
            let replayed = Run::replay(id(), workflow.clone(), &read).unwrap();
            prop_assert_eq!(look(&live), look(&replayed));
        }
        prop_assert_eq!(look(&live), look(&world.run));
    }

    #[test]
    fn recovery_at_every_prefix_sends_nothing_twice(text in playbooks(), choices in prop::collection::vec(any::<u8>(), 1..40)) {
        let world = play(&text, &choices);
        for end in 1..=world.journal.len() {
            let prefix = &world.journal[..end];
            let mut run = Run::replay(id(), world.run.workflow().clone(), prefix).unwrap();
            let under_way: Vec<_> = run.commands().into_iter().filter(|c| c.node.on_doubt == OnDoubt::Ask).collect();
            let (records, result) = run.handle(Input::Recovered, world.now);
            prop_assert!(result.is_ok());
            for command in under_way {
                let waits = |waiting: &Waiting| {
                    waiting.step == command.step && matches!(waiting.reason, WaitingFor::Resolution { .. })
                };
                prop_assert!(run.summary().waiting.iter().any(waits));
                prop_assert!(run.commands().iter().all(|c| c.step != command.step), "{text}\n{records:?}");
            }
        }
    }

    #[test]
    fn nothing_is_sent_without_a_word_for_it(text in playbooks(), choices in prop::collection::vec(any::<u8>(), 1..40)) {
        let world = play(&text, &choices);
        for end in 1..=world.journal.len() {
            let prefix = &world.journal[..end];
            prop_assert!(sent(prefix) <= allowed_to_send(prefix), "{text}\n{}", world.story());
        }
    }

    #[test]
    fn what_the_checker_passes_disrupts_nothing_that_nobody_approved(
        text in daring_playbooks(),
        choices in prop::collection::vec(any::<u8>(), 1..40),
    ) {
        prop_assume!(check(&text).is_ok());
        let world = play(&text, &choices);
        let is_approval = |record: &Record| {
            matches!(record.event, Event::ApprovalDecided { decision: Decision::Approve, .. })
        };
        let first_act = world.journal.iter().position(|record| {
            matches!(record.event, Event::StepStarted { target: Some(_), .. })
        });
        let asked = world.journal.iter().take(first_act.unwrap_or_default()).any(is_approval);
        prop_assert!(first_act.is_none() || asked, "{text}\n{}", world.story());
    }

    #[test]
    fn a_history_with_a_fact_left_out_or_doubled_is_refused(text in playbooks(), at in any::<prop::sample::Index>()) {
        let world = play(&text, &[2]);
        let at = at.index(world.journal.len());
        let mut doubled = world.journal.clone();
        doubled.insert(at, world.journal[at].clone());
        prop_assert!(Run::replay(id(), world.run.workflow().clone(), &doubled).is_err());
        if at + 1 < world.journal.len() {
            let mut short = world.journal.clone();
            short.remove(at);
            prop_assert!(Run::replay(id(), world.run.workflow().clone(), &short).is_err());
        }
        prop_assert_ne!(world.run.status(), RunStatus::Running);
    }
}
