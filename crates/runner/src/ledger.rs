//! The ledger of containments: which run holds what, by target.
//!
//! It is in memory only. What a run holds stands in its row, so a start rebuilds the ledger from the rows, and every
//! append brings it up to date. Whoever is about to contain something, or to undo it, asks here first: what holds already
//! is not sent again, and what another run still holds is not undone.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use engine::{Clearance, Verdict};
use model::{Containment, ContainmentState, RunId, StepKey, Timestamp};
use tracing::warn;

/// What is held under one target.
#[derive(Debug, Clone, PartialEq)]
pub struct Contained {
    /// What is held, as the node's `target` says.
    pub target: String,
    /// The runs that hold it, the one that has held it longest first.
    pub holders: Vec<Holder>,
}

/// A run that holds a target.
#[derive(Debug, Clone, PartialEq)]
pub struct Holder {
    /// Which run.
    pub run: RunId,
    /// Of which workflow.
    pub workflow: String,
    /// What it holds, and how that stands.
    pub containment: Containment,
}

/// All that is held.
#[derive(Debug, Default)]
pub(crate) struct Ledger(Mutex<Rows>);

#[derive(Debug, Default)]
struct Rows {
    by_target: BTreeMap<String, Row>,
    by_run: HashMap<RunId, BTreeSet<String>>,
}

#[derive(Debug, Default)]
struct Row {
    holders: BTreeMap<(RunId, StepKey), Entry>,
    /// The runs that want to know when something changes here.
    waiting: BTreeSet<RunId>,
}

#[derive(Debug, Clone, PartialEq)]
struct Entry {
    run: RunId,
    workflow: String,
    containment: Containment,
    /// Whether the run was told what it may do, and what it makes of it is no fact yet: everybody else waits.
    is_reserved: bool,
}

impl Row {
    /// What others hold here.
    fn others<'a>(&'a self, own: &'a (RunId, StepKey)) -> impl Iterator<Item = &'a Entry> {
        self.holders.iter().filter(move |(holder, _)| *holder != own).map(|(_, entry)| entry)
    }

    /// Who would go on to hold it, and undo it.
    fn heir(&self, own: &(RunId, StepKey)) -> Option<RunId> {
        self.others(own).find(|entry| entry.containment.can_undo).map(|entry| entry.run)
    }

    /// For whom an undo has to wait.
    fn in_the_way<'a>(&'a self, own: &'a (RunId, StepKey)) -> Option<&'a Entry> {
        // What is in doubt may turn out not to hold: nothing is handed over to that.
        let is_open = |entry: &&Entry| {
            let state = entry.containment.state;
            entry.is_reserved
                || entry.is_doubtful()
                || state != ContainmentState::UndoDue && is_changing(state)
        };
        // What ends on its own is waited for: nobody else would undo it.
        let ends = || self.others(own).next().filter(|_| self.heir(own).is_none());
        self.others(own).find(is_open).or_else(ends)
    }

    fn explain(&self, run: RunId, containment: &mut Containment) {
        let own = (run, containment.step.clone());
        let is_due = containment.state == ContainmentState::UndoDue
            && self.holders.get(&own).is_some_and(|entry| !entry.is_reserved);
        containment.waits = self.in_the_way(&own).filter(|_| is_due).map(Entry::in_the_way);
    }
}

impl Entry {
    fn is_doubtful(&self) -> bool {
        self.containment.state == ContainmentState::InDoubt
    }

    /// Why others wait for it.
    fn in_the_way(&self) -> String {
        let (run, step) = (self.run, &self.containment.step);
        if self.is_doubtful() {
            // For a shell.
            let quote = if step.to_string().contains('[') { "'" } else { "" };
            return format!(
                "nobody knows whether the step `{step}` of run {run} contained it too; somebody has to say so: `portcullis \
                 resolve {run} {quote}{step}{quote} ok|failed|send-again --why \"...\"`"
            );
        }
        match self.containment.until.filter(|_| !self.containment.can_undo) {
            Some(until) => format!("the step `{step}` of run {run} holds it too, until {until}"),
            None => format!(
                "the step `{step}` of run {run} holds it too, and is {}",
                self.containment.state.as_str()
            ),
        }
    }
}

/// Whether it will be known before long what holds.
fn is_changing(state: ContainmentState) -> bool {
    match state {
        ContainmentState::Sending | ContainmentState::UndoDue | ContainmentState::Undoing => true,
        ContainmentState::Holding
        | ContainmentState::UndoAsked
        | ContainmentState::InDoubt
        | ContainmentState::UndoFailing
        | ContainmentState::UndoInDoubt => false,
    }
}

/// Whether it is known to hold.
fn is_certain(state: ContainmentState) -> bool {
    matches!(state, ContainmentState::Holding | ContainmentState::UndoAsked)
}

impl Ledger {
    /// Takes note of what a run holds now; gives the runs that waited for a change of it.
    pub(crate) fn note(&self, run: RunId, workflow: &str, held: &[Containment]) -> BTreeSet<RunId> {
        let mut rows = self.rows();
        if held.is_empty() && !rows.by_run.contains_key(&run) {
            return BTreeSet::new();
        }
        let before = rows.by_run.remove(&run).unwrap_or_default();
        let now: BTreeSet<String> = held.iter().map(|containment| containment.target.clone()).collect();
        let mut woken = BTreeSet::new();
        for target in before.union(&now) {
            let row = rows.by_target.entry(target.clone()).or_default();
            let holds = held.iter().filter(|containment| containment.target == *target);
            let new: BTreeMap<(RunId, StepKey), Entry> = holds
                .map(|containment| {
                    let (workflow, containment) = (workflow.to_owned(), containment.clone());
                    let entry = Entry { run, workflow, containment, is_reserved: false };
                    ((run, entry.containment.step.clone()), entry)
                })
                .collect();
            let old = row.holders.iter().filter(|((holder, _), _)| *holder == run);
            if !old.eq(new.iter()) {
                woken.append(&mut row.waiting);
            }
            row.holders.retain(|(holder, _), _| *holder != run);
            row.holders.extend(new);
            if row.holders.is_empty() && row.waiting.is_empty() {
                rows.by_target.remove(target);
            }
        }
        if !now.is_empty() {
            rows.by_run.insert(run, now);
        }
        woken
    }

    /// Whether a run may do what it is about to do; none: not yet, and it is woken when that changes. From a `Go` on
    /// others find the target taken.
    pub(crate) fn clear(
        &self,
        run: RunId,
        workflow: &str,
        clearance: &Clearance,
        now: Timestamp,
    ) -> Option<Verdict> {
        let Some(target) = &clearance.target else { return Some(Verdict::Go) };
        if clearance.step.is_undo {
            return self.clear_undo(run, target, &clearance.step.done());
        }
        let Some(holds) = &clearance.holds else { return Some(Verdict::Go) };
        let mut rows = self.rows();
        let row = rows.by_target.entry(target.clone()).or_default();
        let own = (run, clearance.step.clone());
        if row.others(&own).any(|entry| entry.is_reserved || is_changing(entry.containment.state)) {
            row.waiting.insert(run);
            return None;
        }
        let joins = |entry: &&Entry| {
            // What ends on its own has to hold for as long as it is wanted.
            let until = entry.containment.until;
            let lasts = until.is_none_or(|until| holds.until.is_some_and(|wanted| wanted <= until));
            is_certain(entry.containment.state) && (entry.containment.can_undo || lasts)
        };
        let joined = row.others(&own).find(joins).map(|entry| entry.run);
        let doubtful = |entry: &&Entry| !is_certain(entry.containment.state);
        if let Some(entry) = row.others(&own).find(doubtful).filter(|_| joined.is_none()) {
            let (step, by, state) = (&entry.containment.step, entry.run, entry.containment.state.as_str());
            let why = format!(
                "nobody knows whether {target} is contained: the step `{step}` of run {by} is {state}"
            );
            if !clearance.answered.contains(&why) {
                return Some(Verdict::Ask(why));
            }
        }
        let containment = Containment {
            step: clearance.step.clone(),
            target: target.clone(),
            node: clearance.node.name.clone(),
            state: if joined.is_some() { ContainmentState::Holding } else { ContainmentState::Sending },
            since: now,
            until: holds.until,
            can_undo: holds.undo.is_some(),
            verified_at: None,
            joined,
            trouble: None,
            waits: None,
        };
        row.holders.insert(own, Entry { run, workflow: workflow.to_owned(), containment, is_reserved: true });
        rows.by_run.entry(run).or_default().insert(target.clone());
        Some(joined.map_or(Verdict::Go, |by| Verdict::Joined { by }))
    }

    fn clear_undo(&self, run: RunId, target: &str, step: &StepKey) -> Option<Verdict> {
        let mut rows = self.rows();
        let row = rows.by_target.entry(target.to_owned()).or_default();
        let own = (run, step.clone());
        if let Some(other) = row.in_the_way(&own) {
            let (why, is_doubtful) = (other.in_the_way(), other.is_doubtful());
            if row.waiting.insert(run) && is_doubtful {
                warn!(%run, %step, target, why, "an undo waits");
            }
            return None;
        }
        let to = row.heir(&own);
        if let Some(entry) = row.holders.get_mut(&own) {
            entry.is_reserved = true;
        }
        Some(to.map_or(Verdict::Go, |to| Verdict::HandedOver { to }))
    }

    /// Says of what a run holds, and is to undo, what it waits for.
    pub(crate) fn explain(&self, run: RunId, held: &mut [Containment]) {
        let rows = self.rows();
        for containment in held {
            if let Some(row) = rows.by_target.get(&containment.target) {
                row.explain(run, containment);
            }
        }
    }

    /// Who else holds what a step holds.
    pub(crate) fn others(&self, run: RunId, step: &StepKey) -> Vec<(RunId, StepKey)> {
        let rows = self.rows();
        let own = (run, step.clone());
        let row = rows.by_target.values().find(|row| row.holders.contains_key(&own));
        row.into_iter().flat_map(|row| row.holders.keys()).filter(|key| **key != own).cloned().collect()
    }

    /// Everything that is held, by target.
    pub(crate) fn all(&self) -> Vec<Contained> {
        let rows = self.rows();
        let held = rows.by_target.iter().filter(|(_, row)| !row.holders.is_empty()).map(|(target, row)| {
            let mut holders: Vec<Holder> = row
                .holders
                .values()
                .map(|entry| {
                    let mut containment = entry.containment.clone();
                    row.explain(entry.run, &mut containment);
                    Holder { run: entry.run, workflow: entry.workflow.clone(), containment }
                })
                .collect();
            holders.sort_by_key(|holder| (holder.containment.since, holder.run));
            Contained { target: target.clone(), holders }
        });
        held.collect()
    }

    /// How many targets are held, and how many of them cannot be undone although they should be.
    pub(crate) fn count(&self) -> (usize, usize) {
        let rows = self.rows();
        let held = rows.by_target.values().filter(|row| !row.holders.is_empty());
        let is_stuck = |row: &&Row| row.holders.values().any(|entry| entry.containment.trouble.is_some());
        (held.clone().count(), held.filter(is_stuck).count())
    }

    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use insta::assert_snapshot;
    use model::ContainmentState::*;
    use serde_json::json;

    use super::*;

    const A: RunId = RunId::from_bytes([1; 16]);
    const B: RunId = RunId::from_bytes([2; 16]);

    fn held(state: ContainmentState) -> Containment {
        Containment {
            step: "isolate".parse().unwrap(),
            target: "host".to_owned(),
            node: "isolate".to_owned(),
            state,
            since: Timestamp::default(),
            until: None,
            can_undo: true,
            verified_at: None,
            joined: None,
            trouble: None,
            waits: None,
        }
    }

    fn wants(step: &str) -> Clearance {
        let mut catalog = workflow::Catalog::default();
        catalog.add("node.yaml", "node: isolate\nsummary: x\neffect: disrupt\non_doubt: ask\nrequest: { method: GET, path: / }\ntarget: x\n").unwrap();
        Clearance {
            step: step.parse().unwrap(),
            node: catalog.get("isolate").unwrap().clone(),
            connection: None,
            inputs: Arc::new(json!({})),
            target: Some("host".to_owned()),
            holds: Some(model::Holds { until: None, undo: Some(json!({}).into()) }),
            answered: Vec::new(),
        }
    }

    fn clear(ledger: &Ledger, run: RunId, step: &str) -> Option<Verdict> {
        ledger.clear(run, "w", &wants(step), Timestamp::default())
    }

    #[test]
    fn who_has_joined_holds_it_before_that_is_recorded() {
        let ledger = Ledger::default();
        ledger.note(A, "w", &[held(Holding)]);
        assert!(matches!(clear(&ledger, B, "isolate"), Some(Verdict::Joined { by }) if by == A));
        // Before B has recorded it, A lets go.
        let verdict = clear(&ledger, A, "isolate.undo");
        assert!(!matches!(verdict, Some(Verdict::Go)), "{verdict:?}: B is `ok`, and nothing is contained");
    }

    #[test]
    fn nothing_is_handed_over_to_who_may_not_hold_it_or_cannot_undo_it() {
        let cannot = Containment { can_undo: false, until: Some(Timestamp::from_millis(1)), ..held(Holding) };
        for other in [held(Sending), held(InDoubt), cannot] {
            let ledger = Ledger::default();
            ledger.note(A, "w", &[held(UndoDue)]);
            ledger.note(B, "w", std::slice::from_ref(&other));
            let verdict = clear(&ledger, A, "isolate.undo");
            assert!(verdict.is_none(), "{other:?}: {verdict:?}");
        }
    }

    #[test]
    fn an_undo_that_waits_for_a_doubt_says_whose() {
        let ledger = Ledger::default();
        ledger.note(A, "w", &[held(InDoubt)]);
        ledger.note(B, "w", &[held(UndoDue)]);
        assert!(clear(&ledger, B, "isolate.undo").is_none());
        let holders = &ledger.all()[0].holders;
        assert_eq!(holders[0].containment.waits, None);
        let why = holders[1].containment.waits.clone().unwrap();
        assert_snapshot!(why, @r#"nobody knows whether the step `isolate` of run 01010101-0101-0101-0101-010101010101 contained it too; somebody has to say so: `portcullis resolve 01010101-0101-0101-0101-010101010101 isolate ok|failed|send-again --why "..."`"#);
        let mut row = [held(UndoDue)];
        ledger.explain(B, &mut row);
        assert_eq!(row[0].waits, Some(why));
        // Once somebody has said that it did not happen, B undoes it.
        assert_eq!(ledger.note(A, "w", &[]), BTreeSet::from([B]));
        ledger.explain(B, &mut row);
        assert_eq!(row[0].waits, None);
        assert!(matches!(clear(&ledger, B, "isolate.undo"), Some(Verdict::Go)));
    }

    #[test]
    fn of_two_who_want_to_undo_it_at_once_the_second_does() {
        let ledger = Ledger::default();
        ledger.note(A, "w", &[held(UndoDue)]);
        ledger.note(B, "w", &[held(UndoDue)]);
        assert!(matches!(clear(&ledger, A, "isolate.undo"), Some(Verdict::HandedOver { to: B })));
        assert!(clear(&ledger, B, "isolate.undo").is_none());
        assert_eq!(ledger.note(A, "w", &[]), BTreeSet::from([B]));
        assert!(matches!(clear(&ledger, B, "isolate.undo"), Some(Verdict::Go)));
    }
}
