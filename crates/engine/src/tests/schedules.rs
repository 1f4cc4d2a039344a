//! What holds whatever happens and in whatever order: outcomes, crashes, a clock that jumps, people, guardrails, the ledger.
//!
//! 256 schedules each time the tests run; `PROPTEST_CASES=10000 cargo test --release -p engine schedules` tries more.

#![expect(clippy::wildcard_enum_match_arm, reason = "the properties look for single events")]

use std::collections::BTreeMap;
use std::time::Duration;

use model::{
    Decision, Event, Failure, FailureClass, Outcome, Record, Resolution, RunId, RunStatus, StepKey,
    WaitingFor,
};
use proptest::prelude::*;
use serde_json::json;
use workflow::OnDoubt;

use super::world::{World, id, person};
use crate::{Input, Run, Verdict};

const OTHER: RunId = RunId::from_bytes([9; 16]);

/// Something that may happen next.
#[derive(Debug, Clone, Copy)]
enum Move {
    /// A call or a look that is under way ends: which, and how.
    Ends(u8, u8),
    /// What waits for a clearance is answered: which, and how.
    Cleared(u8, u8),
    /// Somebody answers a question, or says what became of a doubt: which, and what.
    Says(u8, u8),
    /// The process dies.
    Crash,
    /// The clock moves on to what is due.
    Due,
    /// The clock jumps, by minutes and either way.
    Jump(i8),
    Undo(u8, bool),
    Cancel,
    Again(u8),
}

fn moves() -> impl Strategy<Value = Move> {
    prop_oneof![
        8 => (any::<u8>(), any::<u8>()).prop_map(|(which, how)| Move::Ends(which, how)),
        6 => (any::<u8>(), any::<u8>()).prop_map(|(which, how)| Move::Cleared(which, how)),
        6 => (any::<u8>(), any::<u8>()).prop_map(|(which, how)| Move::Says(which, how)),
        3 => Just(Move::Crash),
        4 => Just(Move::Due),
        2 => (-60..60_i8).prop_map(Move::Jump),
        1 => (any::<u8>(), any::<bool>()).prop_map(|(which, is_done)| Move::Undo(which, is_done)),
        1 => Just(Move::Cancel),
        1 => any::<u8>().prop_map(Move::Again),
    ]
}

/// A playbook of steps of every kind of doubt.
fn playbooks() -> impl Strategy<Value = String> {
    let step = (0..7_u8, any::<u8>(), any::<bool>());
    (prop::collection::vec(step, 1..5), any::<bool>()).prop_map(|(steps, is_limited)| {
        let mut text = "workflow: random\n".to_owned();
        text.push_str(if is_limited { "timeout: 40m\nsteps:\n" } else { "steps:\n" });
        for (index, (kind, needs, undoes)) in steps.into_iter().enumerate() {
            let needs: Vec<String> =
                (0..index).filter(|i| needs >> (i % 8) & 1 == 1).map(|i| format!("s{i}")).collect();
            text.push_str(&format!("  - id: s{index}\n    needs: [{}]\n", needs.join(", ")));
            let undo = if undoes { "    undo: { after: 20m, on: [failed, cancelled] }\n" } else { "" };
            let asked = "    approval: { ask: \"?\", expires: 30m }\n";
            text.push_str(&match kind {
                0 => format!("    uses: isolate\n    with: {{ on: h{index} }}\n{asked}{undo}"),
                1 => format!(
                    "    uses: isolate\n    with: {{ on: \"{{{{ item }}}}\" }}\n    foreach: \"['x', 'y']\"\n    max_items: 2\n    on_item_error: continue\n{asked}{undo}"
                ),
                2 => format!("    uses: timed\n    with: {{ on: h{index}, for: 15m }}\n{asked}"),
                3 => format!(
                    "    uses: act\n    with: {{ on: h{index} }}\n    retry: {{ max: 3, wait: 5s, on: [timeout] }}\n{asked}"
                ),
                4 => "    uses: order\n".to_owned(),
                5 => "    uses: file\n".to_owned(),
                _ => "    uses: look\n    retry: { max: 3, wait: 1s, on: [timeout] }\n".to_owned(),
            });
        }
        text.push_str("on_failure:\n  - { id: alarm, uses: tell, with: { text: \"{{ error.message }}\" } }\n");
        text
    })
}

/// Does one thing, if it is possible.
fn act(world: &mut World, next: Move) {
    match next {
        Move::Ends(which, how) => ends(world, which, how),
        Move::Cleared(which, how) => clears(world, which, how),
        Move::Says(which, how) => says(world, which, how),
        Move::Crash => world.crash(),
        Move::Due => {
            if let Some(at) = world.run.wake_at() {
                world.now = at.max(world.now);
                world.tell(Input::Tick).unwrap();
            }
        }
        Move::Jump(minutes) => {
            let by = Duration::from_secs(60 * u64::from(minutes.unsigned_abs()));
            world.now = if minutes < 0 { world.now.before(by) } else { world.now.after(by) };
            world.tell(Input::Tick).unwrap();
        }
        Move::Undo(which, is_done) => {
            let held = world.run.summary().containments;
            if let Some(held) = held.get(usize::from(which) % held.len().max(1)) {
                let step = held.step.to_string();
                let _ = world.undoes(&step, is_done);
            }
        }
        Move::Cancel => {
            let _ = world.tell(Input::Cancelled { by: person("ana", &[]), reason: "enough".to_owned() });
        }
        Move::Again(n) => {
            let received_at = world.now;
            world
                .tell(Input::AlertAgain { alert: json!({ "n": n }).into(), received_at, reconciled: false })
                .unwrap();
        }
    }
}

fn ends(world: &mut World, which: u8, how: u8) {
    let commands = world.run.commands();
    let Some(command) = commands.get(usize::from(which) % commands.len().max(1)) else { return };
    let failure = |class| Failure::new(class, "x");
    let outcome = match how % 6 {
        0 => Outcome::Failed(failure(FailureClass::Timeout)),
        1 | 2 => Outcome::Unknown(failure(FailureClass::Reset)),
        // As the answer to a look: that it was seen, or was not.
        3 => Outcome::Succeeded(json!({ "found": false, "id": "1" }).into()),
        _ => Outcome::Succeeded(json!({ "found": true, "id": "1" }).into()),
    };
    let (step, attempt) = (command.step.clone(), command.attempt);
    let input = match command.look {
        Some(look) => Input::Looked { step, look, outcome },
        None => Input::Finished { step, attempt, outcome },
    };
    world.tell(input).unwrap();
}

fn clears(world: &mut World, which: u8, how: u8) {
    let clearances = world.run.clearances();
    let Some(clearance) = clearances.get(usize::from(which) % clearances.len().max(1)) else { return };
    let verdict = match (how % 8, clearance.step.is_undo) {
        (0, true) => Verdict::HandedOver { to: OTHER },
        (0, false) if clearance.holds.is_some() => Verdict::Joined { by: OTHER },
        (1, false) => Verdict::Refused(Failure::new(FailureClass::Guardrail, "never touched")),
        (2, false) if clearance.answered.is_empty() => Verdict::Ask("over the budget".to_owned()),
        _ => Verdict::Go,
    };
    let step = clearance.step.clone();
    world.tell(Input::Cleared { step, verdict }).unwrap();
}

fn says(world: &mut World, which: u8, how: u8) {
    let waiting = world.run.summary().waiting;
    let Some(waiting) = waiting.get(usize::from(which) % waiting.len().max(1)) else { return };
    let step = waiting.step.to_string();
    // That it comes too late is an answer too.
    match waiting.reason {
        WaitingFor::Approval { .. } => {
            let decision = if how.is_multiple_of(4) { Decision::Reject } else { Decision::Approve };
            let _ = world.decides(&step, decision, person("ana", &[]), "because");
        }
        WaitingFor::Resolution { .. } => {
            let resolution =
                [Resolution::Ok, Resolution::Failed, Resolution::SendAgain][usize::from(how) % 3];
            let _ = world.resolves(&step, resolution);
        }
    }
}

/// From here on everything goes well, and the clock and people do their part.
fn come_to_an_end(world: &mut World) -> bool {
    world.clears = true;
    for _ in 0..500 {
        if world.run.summary().is_over() {
            return true;
        }
        if world.run.commands().is_empty() && world.run.clearances().is_empty() {
            match (world.run.summary().waiting.is_empty(), world.run.wake_at()) {
                (false, _) => says(world, 0, 1),
                (true, Some(at)) => {
                    world.now = at.max(world.now);
                    world.tell(Input::Tick).unwrap();
                }
                (true, None) => {
                    let held = world.run.summary().containments;
                    let Some(held) = held.first() else { return false };
                    let step = held.step.to_string();
                    if world.undoes(&step, !held.can_undo).is_err() {
                        return false;
                    }
                }
            }
        }
        ends(world, 0, 5);
        world.tell(Input::Tick).unwrap();
    }
    false
}

/// How often each call was sent, and how often that was allowed.
#[derive(Default, Debug)]
struct Account {
    sent: u32,
    allowed: u32,
}

/// Each time that something was sent whose outcome nobody may guess, there was a new reason for it.
fn accounts(world: &World) -> BTreeMap<StepKey, Account> {
    let mut accounts: BTreeMap<StepKey, Account> = BTreeMap::new();
    for record in &world.journal {
        let Some(key) = record.event.step() else { continue };
        let account = accounts.entry(key.clone()).or_default();
        match &record.event {
            Event::StepStarted { .. } => account.sent += 1,
            // A gate that was passed without a question.
            Event::StepPrepared { .. } if account.sent == 0 && !key.is_undo => account.allowed = 1,
            Event::ApprovalDecided { decision: Decision::Approve, .. } if account.sent == 0 => {
                account.allowed = 1
            }
            // It provably did not happen; or a person says so.
            Event::StepFailed { retry_at: Some(_), .. }
            | Event::Resolved { resolution: Resolution::SendAgain, .. } => account.allowed += 1,
            _ => {}
        }
    }
    accounts
}

/// What a run looks like from outside.
fn look(run: &Run) -> String {
    format!(
        "{:?} {:?} {:?} {:?} {:?}",
        run.summary(),
        run.wake_at(),
        run.scope,
        run.commands(),
        run.clearances()
    )
}

fn on_doubt(world: &World, key: &StepKey) -> OnDoubt {
    let step = world.run.workflow().step(&key.step).unwrap();
    let step = step.inverse.as_deref().filter(|_| key.is_undo).unwrap_or(step);
    step.on_doubt
}

fn is_registered(world: &World, record: &Record) -> bool {
    let Event::StepStarted { step, holds, .. } = &record.event else { return true };
    let node = &world.run.workflow().step(&step.step).unwrap().node;
    step.is_undo || !node.contains() || holds.is_some()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_nothing_is_forgotten_or_sent_without_a_reason(
        text in playbooks(),
        moves in prop::collection::vec(moves(), 1..60),
    ) {
        let mut world = World::new(&text);
        world.clears = false;
        for next in moves {
            act(&mut world, next);
            let waits_or_works = !world.run.commands().is_empty()
                || !world.run.clearances().is_empty()
                || world.run.wake_at().is_some()
                || !world.run.summary().waiting.is_empty()
                || !world.run.summary().containments.is_empty();
            prop_assert!(waits_or_works || world.run.summary().is_over(), "stuck\n{text}\n{}", world.story());
            let read = Run::replay(id(), world.run.workflow().clone(), &world.journal);
            prop_assert_eq!(look(&read.unwrap()), look(&world.run));
        }
        prop_assert!(world.journal.iter().all(|record| is_registered(&world, record)), "{text}\n{}", world.story());
        prop_assert!(come_to_an_end(&mut world), "no end\n{text}\n{}", world.story());
        prop_assert!(world.run.status().is_finished() && world.run.status() != RunStatus::Running);
        for (key, account) in accounts(&world) {
            match on_doubt(&world, &key) {
                OnDoubt::Ask | OnDoubt::Verify => {
                    // What does not disrupt needs no word for the first time.
                    let allowed = account.allowed + u32::from(!is_disruptive(&world, &key));
                    prop_assert!(account.sent <= allowed, "{key}: {account:?}\n{text}\n{}", world.story());
                }
                OnDoubt::Retry | OnDoubt::SameKey => {}
            }
        }
    }
}

fn is_disruptive(world: &World, key: &StepKey) -> bool {
    let step = world.run.workflow().step(&key.step).unwrap();
    !key.is_undo && step.effect == workflow::Effect::Disrupt
}
