//! Starts workflows when their time has come: one task for all schedules.
//!
//! What it has seen to is kept in the store, one note for each workflow: for each of its schedules the time up to which
//! all is done. The note follows the run, and the run's dedupe key holds the time: a crash between the two starts
//! nothing twice. A schedule that is new begins with the present.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use model::Timestamp;
use serde_json::Value;
use store::Note;
use tokio::sync::watch;
use tracing::{info, warn};
use workflow::{Missed, Schedule, Trigger, Workflow};

use crate::error::Error;
use crate::runner::Runner;
use crate::timers::LONGEST_SLEEP;
use crate::workflows::Workflows;

/// Who is later than this has missed the time.
const LATE: Duration = Duration::from_secs(60);
/// How long a start that failed is left alone.
const AFTER_A_FAILURE: Duration = Duration::from_secs(10);

/// Starts what is due until the runner stops.
pub(crate) async fn keep_time(runner: Runner, mut live: watch::Receiver<Arc<Workflows>>) {
    let mut stopped = runner.shared.stopped();
    let mut schedules = Schedules { runner, adopted: None, by_workflow: BTreeMap::new() };
    loop {
        let workflows = live.borrow_and_update().clone();
        let next = match schedules.turn(&workflows).await {
            Ok(next) => next,
            Err(error) => {
                warn!(%error, "schedules were not taken over, and will be tried again");
                Some(schedules.now().after(AFTER_A_FAILURE))
            }
        };
        let now = schedules.now();
        let sleep = async {
            match next {
                Some(next) => tokio::time::sleep(next.since(now).min(LONGEST_SLEEP)).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = stopped.wait_for(Option::is_some) => return,
            _ = live.changed() => {}
            () = sleep => {}
        }
    }
}

struct Schedules {
    runner: Runner,
    /// Whose schedules these are.
    adopted: Option<Arc<Workflows>>,
    by_workflow: BTreeMap<String, BTreeMap<String, Mark>>,
}

/// How far a schedule is.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Mark {
    /// Up to then all is done.
    seen: Timestamp,
    next: Option<Timestamp>,
}

/// What is kept of the schedules of a workflow.
type Seen = BTreeMap<String, Timestamp>;

impl Mark {
    fn new(schedule: &Schedule, seen: Timestamp) -> Mark {
        Mark { seen, next: schedule.next_after(seen) }
    }
}

impl Schedules {
    fn now(&self) -> Timestamp {
        self.runner.shared.clock.now()
    }

    /// Starts what is due; gives when to look again.
    async fn turn(&mut self, workflows: &Arc<Workflows>) -> Result<Option<Timestamp>, Error> {
        if !self.adopted.as_ref().is_some_and(|adopted| Arc::ptr_eq(adopted, workflows)) {
            self.adopt(workflows).await?;
            self.adopted = Some(workflows.clone());
        }
        let mut next: Option<Timestamp> = None;
        for workflow in workflows.iter() {
            for schedule in schedules_of(workflow) {
                // One that cannot start keeps no other waiting.
                let later = self.fire(workflow, schedule).await.unwrap_or_else(|error| {
                    warn!(workflow = workflow.name, %error, "what is due was not started, and will be tried again");
                    Some(self.now().after(AFTER_A_FAILURE))
                });
                next = later.into_iter().chain(next).min();
            }
        }
        Ok(next)
    }

    /// Takes over the schedules of these workflows in place of the ones before.
    async fn adopt(&mut self, workflows: &Workflows) -> Result<(), Error> {
        let now = self.now();
        for workflow in workflows.iter() {
            // What the store knows of counts at the start only: what comes later is new.
            let before = match self.by_workflow.get(&workflow.name) {
                Some(marks) => seen(marks),
                None if self.adopted.is_none() => self.read(&workflow.name).await?,
                None => Seen::new(),
            };
            let marks: BTreeMap<String, Mark> = schedules_of(workflow)
                .map(|schedule| {
                    let name = schedule.to_string();
                    // A clock that was ahead must not keep it quiet until then.
                    let seen = before.get(&name).copied().unwrap_or(now).min(now);
                    (name, Mark::new(schedule, seen))
                })
                .collect();
            if seen(&marks) != before {
                self.write(&workflow.name, &marks).await?;
            }
            if marks.is_empty() {
                self.by_workflow.remove(&workflow.name);
            } else {
                self.by_workflow.insert(workflow.name.clone(), marks);
            }
        }
        let is_gone = |name: &&String| workflows.get(name).is_none();
        let gone: Vec<String> = self.by_workflow.keys().filter(is_gone).cloned().collect();
        for name in gone {
            self.write(&name, &BTreeMap::new()).await?;
            self.by_workflow.remove(&name);
        }
        Ok(())
    }

    /// Starts a workflow if its time has come, once for all times that have; gives the next one.
    async fn fire(
        &mut self,
        workflow: &Arc<Workflow>,
        schedule: &Schedule,
    ) -> Result<Option<Timestamp>, Error> {
        let (now, name) = (self.now(), schedule.to_string());
        let marks = self.by_workflow.get(&workflow.name);
        let Some(mark) = marks.and_then(|marks| marks.get(&name)).copied() else { return Ok(None) };
        if mark.next.is_none_or(|next| next > now) {
            return Ok(mark.next);
        }
        let Some(due) = schedule.last_within(mark.seen, now) else { return Ok(mark.next) };
        if now.since(due) > LATE && schedule.missed == Missed::Skip {
            info!(workflow = workflow.name, schedule = name, %due, "a time was missed, and is skipped");
        } else {
            let is_it = |trigger: &&Trigger| trigger.schedule.as_ref() == Some(schedule);
            let triggers: Vec<&Trigger> = workflow.triggers.iter().filter(is_it).collect();
            self.runner.start_scheduled(workflow, &triggers, due).await?;
        }
        let mark = Mark::new(schedule, due);
        if let Some(marks) = self.by_workflow.get_mut(&workflow.name) {
            marks.insert(name, mark);
            let marks = marks.clone();
            self.write(&workflow.name, &marks).await?;
        }
        Ok(mark.next)
    }

    async fn read(&self, workflow: &str) -> Result<Seen, Error> {
        let note = self.runner.shared.store.note(&key(workflow)).await?;
        // A note that cannot be read is of another version: the schedule begins with the present.
        Ok(note.and_then(|note| serde_json::from_value(note).ok()).unwrap_or_default())
    }

    async fn write(&self, workflow: &str, marks: &BTreeMap<String, Mark>) -> Result<(), Error> {
        let value = if marks.is_empty() {
            Value::Null
        } else {
            serde_json::to_value(seen(marks)).expect("times by name have a JSON form")
        };
        Ok(self.runner.shared.store.put_note(Note { key: key(workflow), value }).await?)
    }
}

fn seen(marks: &BTreeMap<String, Mark>) -> Seen {
    marks.iter().map(|(name, mark)| (name.clone(), mark.seen)).collect()
}

fn key(workflow: &str) -> String {
    format!("schedule/{workflow}")
}

fn schedules_of(workflow: &Workflow) -> impl Iterator<Item = &Schedule> {
    workflow.triggers.iter().filter_map(|trigger| trigger.schedule.as_ref())
}

#[cfg(test)]
mod tests;
