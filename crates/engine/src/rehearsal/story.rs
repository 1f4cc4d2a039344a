//! A run as a person would tell it: a line for each fact.

use std::fmt;

use model::{Event, Held, LetGo, Record, SkipReason, StepKey, Timestamp, UndoReason};

use crate::summary;

/// The line of one fact; time counts from the start of the run.
pub(super) fn line(record: &Record, start: Timestamp) -> String {
    note(record.at, start, tell(&record.event, start))
}

/// Whether it says no more than the line before: that somebody looks once more, and sees nothing.
pub(super) fn is_repeated(event: &Event) -> bool {
    matches!(event, Event::LookStarted { .. } | Event::LookedInVain { look: 2.., failure: None, .. })
}

/// A line about something that is no fact of the run.
pub(super) fn note(at: Timestamp, start: Timestamp, text: impl fmt::Display) -> String {
    format!("{:>7}  {}", clock(at, start), summary::line(&text.to_string()))
}

/// The time since the start, in full seconds.
pub(super) fn clock(at: Timestamp, start: Timestamp) -> String {
    let seconds = at.since(start).as_secs();
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds}s"),
        (0, minutes, seconds) => format!("{minutes}m{seconds:02}s"),
        (hours, minutes, _) => format!("{hours}h{minutes:02}m"),
    }
}

fn tell(event: &Event, start: Timestamp) -> String {
    match event {
        Event::RunStarted { workflow, .. } => format!("run of {} started", workflow.name),
        Event::TriggerFailed { message } => format!("nothing performed: `when`: {message}"),
        Event::StepStarted { step, attempt, inputs, target, .. } => {
            let target = target.as_ref().map(|target| format!(" on {target}")).unwrap_or_default();
            format!("{step} sent, attempt {attempt}{target}: {inputs}")
        }
        Event::StepSucceeded { step, output } => format!("{step} ok: {output}"),
        Event::StepFailed { step, failure, retry_at } => {
            let again = retry_at.map(|at| format!(", again at {}", clock(at, start)));
            format!("{step} failed: {failure} ({}){}", failure.class, again.unwrap_or_default())
        }
        Event::StepSkipped { step, reason } => skipped(step, reason),
        Event::StepInDoubt { step, failure } => format!("{step} in doubt: {failure} ({})", failure.class),
        Event::EachStarted { step, items } => {
            format!("{step} is performed for {} items", items.as_array().map_or(0, Vec::len))
        }
        Event::EachEnded { step, status, output, failure } => {
            let why = failure.as_ref().map_or_else(|| output.to_string(), ToString::to_string);
            format!("{step} {}: {why}", status.as_str())
        }
        Event::ChildStarted { step, workflow, inputs, .. } => format!("{step} calls {workflow}: {inputs}"),
        Event::DelayStarted { step, until } => format!("{step} waits until {}", clock(*until, start)),
        Event::ApprovalRequested { step, request } => {
            let whom = request.from.role.as_deref().unwrap_or("anybody");
            format!("{step} asks {whom}: {}", request.ask)
        }
        Event::ApprovalDecided { step, decision, by, reason, .. } => {
            decided(step, *decision, &by.name, reason.as_deref())
        }
        Event::ApprovalExpired { step } => format!("{step} expired: nobody answered in time"),
        Event::Resolved { step, resolution, by, reason } => {
            let resolution = match resolution {
                model::Resolution::Ok => "it happened",
                model::Resolution::Failed => "it did not happen",
                model::Resolution::SendAgain => "send it again",
            };
            format!("{step} resolved by {}, {resolution}: {reason}", by.name)
        }
        Event::StepPrepared { .. }
        | Event::StepJoined { .. }
        | Event::VerifyStarted { .. }
        | Event::LookedInVain { .. }
        | Event::LookStarted { .. }
        | Event::StepUnknown { .. }
        | Event::UndoDue { .. }
        | Event::AlarmRaised { .. }
        | Event::LetGo { .. }
        | Event::AlertJoined { .. } => tell_after(event, start),
        Event::RunHeld { by, then: Held::Queued } => format!("run waits for its turn behind {by}"),
        Event::RunHeld { by, then: Held::Dropped } => format!("run dropped: {by} holds its key"),
        Event::RunAdmitted => "the turn of the run has come".to_owned(),
        Event::RunTimedOut => "the run has taken longer than it may".to_owned(),
        Event::RunCancelled { by, reason } => format!("run cancelled by {}: {reason}", by.name),
        Event::RunFinished { status, outputs, errors } => {
            let outputs = outputs.iter().map(|(name, value)| format!(" {name}={value}"));
            let errors = errors.iter().map(|(name, error)| format!(" {name}: {error}"));
            format!("run {}{}", status.as_str(), outputs.chain(errors).collect::<String>())
        }
    }
}

/// What follows a call: somebody looks, and what it holds is undone.
#[expect(clippy::wildcard_enum_match_arm, reason = "`tell` tells the other facts")]
fn tell_after(event: &Event, start: Timestamp) -> String {
    match event {
        Event::StepPrepared { step, .. } => format!("{step} is to be done"),
        Event::StepJoined { step, by, target, .. } => {
            format!("{step} ok: {target} is contained by {by} already")
        }
        Event::VerifyStarted { step, failure: Some(failure), .. } => {
            format!("{step} unknown: {failure} ({}); somebody looks", failure.class)
        }
        Event::VerifyStarted { step, .. } => format!("{step} taken; somebody looks whether it happened"),
        Event::LookedInVain { step, look, failure, again_at } => {
            let why = failure.as_ref().map_or_else(String::new, |failure| format!(": {failure}"));
            format!("{step} not seen by look {look}{why}, again at {}", clock(*again_at, start))
        }
        Event::LookStarted { step, look } => format!("{step} looked at again, look {look}"),
        Event::StepUnknown { step, failure, again_at } => {
            let again = clock(*again_at, start);
            format!("{step} unknown: {failure} ({}), again with the same key at {again}", failure.class)
        }
        Event::UndoDue { step, why } => format!("{step} is due: {}", undo_reason(why)),
        Event::AlarmRaised { step, message } => format!("{step} alarm: {message}"),
        Event::LetGo { step, how } => format!("{step} needed no more: {}", let_go(how)),
        Event::AlertJoined { .. } => "the same alert came again".to_owned(),
        _ => String::new(),
    }
}

fn undo_reason(why: &UndoReason) -> String {
    match why {
        UndoReason::Time => "its time is over".to_owned(),
        UndoReason::RunFailed => "the run has failed".to_owned(),
        UndoReason::RunCancelled => "the run was cancelled".to_owned(),
        UndoReason::Person { by, reason } => format!("{} wants it: {reason}", by.name),
    }
}

fn let_go(how: &LetGo) -> String {
    match how {
        LetGo::Ended => "it has ended by itself".to_owned(),
        LetGo::DidNotHappen => "it did not happen".to_owned(),
        LetGo::HandedOver { to } => format!("{to} holds it too"),
        LetGo::ByHand { by, reason } => format!("{} undid it by hand: {reason}", by.name),
    }
}

fn decided(step: &StepKey, decision: model::Decision, by: &str, reason: Option<&str>) -> String {
    let decision = match decision {
        model::Decision::Approve => "approved",
        model::Decision::Reject => "rejected",
    };
    let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
    format!("{step} {decision} by {by}{reason}")
}

fn skipped(step: &StepKey, reason: &SkipReason) -> String {
    match reason {
        SkipReason::Condition => format!("{step} skipped by its own `if`"),
        SkipReason::StoppedBy(need) => format!("{step} skipped, stopped by {need}"),
        SkipReason::Shadow { inputs, target } => {
            let target = target.as_ref().map(|target| format!(" on {target}")).unwrap_or_default();
            format!("{step} held back (shadow){target}: {inputs}")
        }
    }
}
