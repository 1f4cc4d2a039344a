//! What people say in a test, and when.

use model::{ContainmentState, Person, StepKey, Timestamp, WaitingFor};

use super::{START, Stage, mocked};
use crate::rehearsal::Problem;
use crate::rehearsal::file::{Answer, Answers, Cancel, Resolved, Undone};
use crate::{Input, Rejected};

/// What a person says.
pub(super) struct Word<'a> {
    /// When.
    pub(super) due: Timestamp,
    said: Said<'a>,
}

enum Said<'a> {
    Answer(StepKey, &'a Answer),
    Resolved(StepKey, &'a Resolved),
    Undone(StepKey, &'a Undone),
    Cancel(&'a Cancel),
}

impl<'a> Stage<'a> {
    /// What is said next.
    pub(super) fn next_word(&self) -> Option<Word<'a>> {
        let mut words = self.answers();
        words.extend(self.resolutions());
        words.extend(self.undos());
        if let Some(cancel) = self.test.cancel.as_ref().filter(|_| !self.played.was_told_to_cancel) {
            words.push(Word { due: START.after(cancel.after), said: Said::Cancel(cancel) });
        }
        words.into_iter().min_by_key(|word| word.due)
    }

    fn answers(&self) -> Vec<Word<'a>> {
        let test = self.test;
        if self.asked.is_empty() {
            return Vec::new();
        }
        let waiting = self.waiting(|reason| matches!(reason, WaitingFor::Approval { .. }));
        let asked = self.asked.iter().filter_map(|(step, asked_at)| {
            let Some(Answers::Given(answers)) = test.answers.get(&mocked(step)) else { return None };
            let answer = answers.get(self.played.answered.get(step).copied().unwrap_or_default())?;
            let due = match answer.after {
                Some(after) => asked_at.after(after),
                None if waiting.contains(step) => self.now,
                None => return None,
            };
            Some(Word { due, said: Said::Answer(step.clone(), answer) })
        });
        asked.collect()
    }

    fn resolutions(&self) -> Vec<Word<'a>> {
        let test = self.test;
        if self.doubted.is_empty() {
            return Vec::new();
        }
        let waiting = self.waiting(|reason| matches!(reason, WaitingFor::Resolution { .. }));
        let in_doubt = waiting.into_iter().filter_map(|step| {
            let used = self.played.resolved.get(&step).copied().unwrap_or_default();
            let resolved = test.resolutions.get(&mocked(&step))?.get(used)?;
            let due = self.doubted.get(&step).map_or(self.now, |at| at.after(resolved.after));
            Some(Word { due, said: Said::Resolved(step, resolved) })
        });
        in_doubt.collect()
    }

    fn undos(&self) -> Vec<Word<'a>> {
        let test = self.test;
        if test.undos.is_empty() {
            return Vec::new();
        }
        let held = self.run.summary().containments.into_iter();
        // Nobody undoes what is still being done.
        let held = held.filter(|row| row.state != ContainmentState::Sending);
        let wanted = held.filter(|row| !self.played.undone.contains(&row.step)).filter_map(|row| {
            let undone = test.undos.get(&row.step.step)?;
            Some(Word { due: row.since.after(undone.after), said: Said::Undone(row.step, undone) })
        });
        wanted.collect()
    }

    fn waiting(&self, is_wanted: fn(&WaitingFor) -> bool) -> Vec<StepKey> {
        let waiting = self.run.summary().waiting.into_iter();
        waiting.filter(|waiting| is_wanted(&waiting.reason)).map(|waiting| waiting.step).collect()
    }

    /// Says what is due; false where nothing is.
    pub(super) fn speak(&mut self) -> bool {
        let Some(word) = self.next_word().filter(|word| word.due <= self.now) else {
            return false;
        };
        match word.said {
            Said::Answer(step, answer) => self.answer(step, answer),
            Said::Resolved(step, resolved) => self.resolve(step, resolved),
            Said::Undone(step, undone) => self.undo(step, undone),
            Said::Cancel(cancel) => self.cancel(cancel),
        }
        true
    }

    fn answer(&mut self, step: StepKey, answer: &Answer) {
        *self.played.answered.entry(step.clone()).or_default() += 1;
        let workflow = self.run.workflow();
        let asking = workflow.step(&step.step);
        let asking = if step.is_undo { asking.and_then(|step| step.inverse.as_deref()) } else { asking };
        let asked = asking.and_then(|step| step.approval.as_ref());
        let asked = asked.and_then(|approval| approval.from.role.clone());
        let roles = answer.roles.clone().unwrap_or_else(|| asked.into_iter().collect());
        let by = Person { name: answer.by.clone(), via: None, roles };
        let (decision, reason) = (answer.decision, answer.reason.clone());
        let name = step.clone();
        let result = self.tell(Input::Decided { step, decision, by, reason, digest: None });
        self.check_answer(&name, answer, result);
    }

    fn check_answer(&mut self, step: &StepKey, answer: &Answer, result: Result<(), Rejected>) {
        let by = &answer.by;
        let problem = match (result, answer.is_refused) {
            (Ok(()), false) => return,
            (Err(rejected), true) => {
                return self.note(format!("{step} refuses the answer of {by}: {rejected}"));
            }
            (Ok(()), true) => format!("the answer of `{by}` to `{step}` was taken, and should be refused"),
            (Err(rejected), false) => format!("the answer of `{by}` to `{step}` was refused: {rejected}"),
        };
        self.played.problems.push(Problem::new(problem).at(format!("/approvals/{}", mocked(step))));
    }

    fn resolve(&mut self, step: StepKey, resolved: &Resolved) {
        *self.played.resolved.entry(step.clone()).or_default() += 1;
        let role = self.run.resolver_role(&step).map(str::to_owned);
        let by = Person { name: resolved.by.clone(), via: None, roles: role.into_iter().collect() };
        let (resolution, reason) = (resolved.resolution, resolved.reason.clone());
        let name = step.clone();
        if let Err(rejected) = self.tell(Input::Resolved { step, resolution, by, reason }) {
            let problem = format!("what `{}` says about `{name}` was refused: {rejected}", resolved.by);
            self.played.problems.push(Problem::new(problem).at(format!("/resolve/{}", mocked(&name))));
        }
    }

    fn undo(&mut self, step: StepKey, undone: &Undone) {
        self.played.undone.insert(step.clone());
        let role = self.run.resolver_role(&step).map(str::to_owned);
        let by = Person { name: undone.by.clone(), via: None, roles: role.into_iter().collect() };
        let (name, reason, is_done) = (step.clone(), undone.reason.clone(), undone.is_done);
        if let Err(rejected) = self.tell(Input::Undo { step, is_done, by, reason }) {
            let problem = format!("`{}` could not have `{name}` undone: {rejected}", undone.by);
            self.played.problems.push(Problem::new(problem).at(format!("/undo/{}", name.step)));
        }
    }

    fn cancel(&mut self, cancel: &Cancel) {
        self.played.was_told_to_cancel = true;
        let by = Person { name: cancel.by.clone(), via: None, roles: Vec::new() };
        if let Err(rejected) = self.tell(Input::Cancelled { by, reason: cancel.reason.clone() }) {
            let problem = format!("`{}` could not cancel the run: {rejected}", cancel.by);
            self.played.problems.push(Problem::new(problem).at("/cancel"));
        }
    }
}
