//! The ledger of containments: which run holds what, by target.
//!
//! It is in memory only. What a run holds stands in its row, so a start rebuilds the ledger from the rows, and every
//! append brings it up to date. Whoever is about to contain something, or to undo it, asks here first: what holds already
//! is not sent again, and what another run still holds is not undone.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use engine::{Clearance, Verdict};
use model::{Containment, ContainmentState, RunId, StepKey, Timestamp};

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
    workflow: String,
    containment: Containment,
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
                    let entry = Entry { workflow: workflow.to_owned(), containment: containment.clone() };
                    ((run, containment.step.clone()), entry)
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
        for ((holder, step), entry) in row.holders.iter().filter(|(key, _)| **key != own) {
            let containment = &entry.containment;
            match containment.state {
                ContainmentState::Sending | ContainmentState::Undoing => {
                    row.waiting.insert(run);
                    return None;
                }
                ContainmentState::Holding | ContainmentState::UndoAsked => {
                    // What ends on its own has to hold for as long as it is wanted.
                    let lasts = containment
                        .until
                        .is_none_or(|until| holds.until.is_some_and(|wanted| wanted <= until));
                    if containment.can_undo || lasts {
                        return Some(Verdict::Joined { by: *holder });
                    }
                }
                ContainmentState::InDoubt | ContainmentState::UndoFailing | ContainmentState::UndoInDoubt
                    if clearance.is_asked => {}
                ContainmentState::InDoubt | ContainmentState::UndoFailing | ContainmentState::UndoInDoubt => {
                    let why = format!(
                        "nobody knows whether {target} is contained: the step `{step}` of run {holder} is {}",
                        containment.state.as_str()
                    );
                    return Some(Verdict::Ask(why));
                }
            }
        }
        let containment = Containment {
            step: clearance.step.clone(),
            target: target.clone(),
            node: clearance.node.name.clone(),
            state: ContainmentState::Sending,
            since: now,
            until: holds.until,
            can_undo: holds.undo.is_some(),
            verified_at: None,
            joined: None,
            trouble: None,
        };
        row.holders.insert(own, Entry { workflow: workflow.to_owned(), containment });
        rows.by_run.entry(run).or_default().insert(target.clone());
        Some(Verdict::Go)
    }

    fn clear_undo(&self, run: RunId, target: &str, step: &StepKey) -> Option<Verdict> {
        let mut rows = self.rows();
        let row = rows.by_target.entry(target.to_owned()).or_default();
        let own = (run, step.clone());
        let mut others = row.holders.iter().filter(|(key, _)| **key != own);
        if others.clone().any(|(_, entry)| entry.containment.state == ContainmentState::Undoing) {
            row.waiting.insert(run);
            return None;
        }
        if let Some(((to, _), _)) = others.next() {
            return Some(Verdict::HandedOver { to: *to });
        }
        if let Some(entry) = row.holders.get_mut(&own) {
            entry.containment.state = ContainmentState::Undoing;
        }
        Some(Verdict::Go)
    }

    /// Everything that is held, by target.
    pub(crate) fn all(&self) -> Vec<Contained> {
        let rows = self.rows();
        let held = rows.by_target.iter().filter(|(_, row)| !row.holders.is_empty()).map(|(target, row)| {
            let mut holders: Vec<Holder> = row
                .holders
                .iter()
                .map(|((run, _), entry)| Holder {
                    run: *run,
                    workflow: entry.workflow.clone(),
                    containment: entry.containment.clone(),
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
