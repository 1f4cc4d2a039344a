//! What an operator finds in the log and in the figures of what was recorded.

use std::sync::Arc;

use engine::Run;
use model::{Event, Record, RunStatus, StepKey};
use store::{Append, Appended, Dedupe, Position};
use tracing::{debug, error, info, warn};

use crate::runner::{Shared, Update};

/// The step whose effect this fact has undone.
fn undone(event: &Event) -> Option<&StepKey> {
    if let Event::StepSucceeded { step, .. } = event { Some(step).filter(|step| step.is_undo) } else { None }
}

fn is_notable(record: &Record) -> bool {
    let is_other = matches!(
        record.event,
        Event::StepInDoubt { .. }
            | Event::ApprovalRequested { .. }
            | Event::ApprovalDecided { .. }
            | Event::Resolved { .. }
            | Event::StepJoined { .. }
            | Event::UndoDue { .. }
            | Event::LetGo { .. }
            | Event::AlarmRaised { .. }
            | Event::RunCancelled { .. }
    );
    is_other || undone(&record.event).is_some()
}

/// What an operator wants to find in the log: what people are asked, and what they say.
fn note(run: &Run, record: &Record) {
    let (run, workflow) = (run.id(), &run.workflow().name);
    if let Event::StepInDoubt { step, failure } = &record.event {
        warn!(%run, workflow, %step, class = %failure.class, "a step is in doubt");
    } else if let Event::ApprovalRequested { step, .. } = &record.event {
        info!(%run, workflow, %step, "an approval is asked for");
    } else if let Event::ApprovalDecided { step, decision, by, .. } = &record.event {
        info!(%run, workflow, %step, ?decision, by = by.name, "an approval was decided");
    } else if let Event::Resolved { step, resolution, by, .. } = &record.event {
        info!(%run, workflow, %step, ?resolution, by = by.name, "a step was resolved");
    } else if let Event::StepJoined { step, by, target, .. } = &record.event {
        info!(%run, workflow, %step, %by, target, "contained already");
    } else if let Event::UndoDue { step, .. } = &record.event {
        info!(%run, workflow, %step, "an undo is due");
    } else if let Event::LetGo { step, .. } = &record.event {
        info!(%run, workflow, %step, "not held any more");
    } else if let Event::AlarmRaised { step, message } = &record.event {
        error!(%run, workflow, %step, why = message, "what was contained cannot be undone");
    } else if let Event::RunCancelled { by, .. } = &record.event {
        info!(%run, workflow, by = by.name, "a run was cancelled");
    } else if let Some(step) = undone(&record.event) {
        info!(%run, workflow, %step, "undone");
    }
}

impl Shared {
    /// Appends facts together with the row that follows from them.
    pub(crate) async fn commit(
        self: &Arc<Shared>,
        run: &Run,
        records: Vec<Record>,
        dedupe: Option<Dedupe>,
    ) -> Result<Appended, store::Error> {
        if records.is_empty() {
            return Ok(Appended::At(Position::default()));
        }
        let summary = run.summary();
        let next_seq = summary.next_seq;
        let notable: Vec<Record> = records.iter().filter(|record| is_notable(record)).cloned().collect();
        let waits_for_people = !summary.waiting.is_empty();
        let held = summary.containments.clone();
        let records_alarm = records.iter().any(|record| matches!(record.event, Event::AlarmRaised { .. }));
        let ends = records.iter().any(|record| matches!(record.event, Event::RunFinished { .. }));
        let append = Append { records, summary, dedupe, fence: Some(self.fence) };
        let answers = self.store.append(vec![append]).await?;
        let Some(answer) = answers.into_iter().next() else {
            return Err(store::Error::Broken("the store gave no answer".to_owned()));
        };
        if matches!(answer, Appended::At(_)) {
            notable.iter().for_each(|record| note(run, record));
            self.metrics.note(run.id(), waits_for_people);
            if records_alarm {
                failpoints::reach("alarm.raised");
            }
            self.settle_ledger(run.id(), &run.workflow().name, &held);
            // Nobody may be listening.
            let _ = self.updates.send(Update { run: run.id(), next_seq });
        }
        if matches!(answer, Appended::At(_)) && ends {
            self.metrics.finished(&run.workflow().name, run.status());
            let (run, workflow, status) = (run.id(), &run.workflow().name, run.status());
            // Journal and figures tell of each run; a line for each that went well would bury the others.
            if status == RunStatus::Succeeded {
                debug!(%run, workflow, "run succeeded");
            } else {
                info!(%run, workflow, status = status.as_str(), "run finished");
            }
        }
        Ok(answer)
    }
}
