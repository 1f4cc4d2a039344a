//! A run and a case, told as they happened.

use std::collections::BTreeMap;

use model::{
    Decision, Event, Failure, Held, LetGo, Record, Resolution, RunStatus, SkipReason, Timestamp, UndoReason,
};
use serde_json::Value;

use crate::show;

/// A run as lines: when, how long after the start, which step, and what happened.
pub(crate) fn run(journal: &[Record]) -> String {
    let start = journal.first().map_or(Timestamp::default(), |record| record.at);
    journal.iter().map(|record| format!("{}\n", record_line(record, start))).collect()
}

/// One fact as a line.
pub(crate) fn record_line(record: &Record, start: Timestamp) -> String {
    let time = record.at.to_string();
    let clock = time.get(11..23).unwrap_or(&time);
    let after = record.at.since(start);
    let step = record.event.step().map_or_else(|| "run".to_owned(), ToString::to_string);
    let line = format!(
        "{clock}  +{:>8.3}s  {:<12}  {}",
        after.as_secs_f64(),
        show::cut(&step, 24),
        tell(&record.event)
    );
    line.trim_end().to_owned()
}

fn tell(event: &Event) -> String {
    match event {
        Event::RunStarted { workflow, trigger, .. } => {
            let by = trigger.by.as_ref().map_or_else(String::new, |by| format!(" by {}", person(by)));
            let by = trigger
                .parent
                .as_ref()
                .map_or(by, |parent| format!(", step {} of run {}", parent.step, parent.run));
            let late = if trigger.reconciled { ", found in the indexer" } else { "" };
            format!("started: {} ({}{by}{late})", workflow.name, trigger.kind.as_str())
        }
        Event::TriggerFailed { message } => {
            format!("not performed: the trigger's condition cannot be evaluated: {}", show::line(message))
        }
        Event::StepStarted { attempt, target, .. } => {
            let again = if *attempt > 1 { format!(", attempt {attempt}") } else { String::new() };
            format!("started{}{again}", on(target.as_deref()))
        }
        Event::StepSucceeded { output, .. } => format!("ok  {}", brief(output)),
        Event::StepFailed { failure, retry_at, .. } => {
            let retry = if retry_at.is_some() { ", to be tried again" } else { "" };
            format!("failed ({}{retry}): {}", failure.class, explain(failure))
        }
        Event::StepSkipped { reason, .. } => skipped(reason),
        Event::StepInDoubt { failure, .. } => format!("in doubt: {}", explain(failure)),
        Event::EachStarted { items, .. } => {
            format!("performed for each of {} items", items.as_array().map_or(0, Vec::len))
        }
        Event::EachEnded { status, output, failure, .. } => {
            let why = failure.as_ref().map_or_else(String::new, |failure| format!(": {}", explain(failure)));
            format!("{}{}{why}", status.as_str(), items(output))
        }
        Event::ChildStarted { run, workflow, .. } => format!("calls {workflow}: run {run}"),
        Event::DelayStarted { until, .. } => format!("waits until {until}"),
        Event::ApprovalRequested { request, .. } => format!("asks: {}", show::line(&request.ask)),
        Event::ApprovalDecided { decision, by, reason, .. } => decided(*decision, by, reason.as_deref()),
        Event::ApprovalExpired { .. } => "expired: nobody answered in time".to_owned(),
        Event::Resolved { resolution, by, reason, .. } => {
            format!("resolved by {}: {} ({})", person(by), what_happened(*resolution), show::line(reason))
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
        | Event::AlertJoined { .. } => tell_after(event),
        Event::RunHeld { by, then: Held::Queued } => format!("waits for its turn behind run {by}"),
        Event::RunHeld { by, then: Held::Dropped } => format!("dropped: run {by} holds the same key"),
        Event::RunAdmitted => "its turn has come".to_owned(),
        Event::RunTimedOut => "timed out: the run took longer than it may".to_owned(),
        Event::RunCancelled { by, reason } => format!("cancelled by {}: {}", person(by), show::line(reason)),
        Event::RunFinished { status, outputs, errors } => finished(*status, outputs, errors),
    }
}

/// What follows a call: somebody looks, and what it holds is undone.
#[expect(clippy::wildcard_enum_match_arm, reason = "`tell` tells the other facts")]
fn tell_after(event: &Event) -> String {
    match event {
        Event::StepPrepared { target, .. } => format!("to be done{}", on(target.as_deref())),
        Event::StepJoined { by, target, .. } => {
            format!("ok  {} is contained already, by run {by}", show::cut(target, 80))
        }
        Event::VerifyStarted { failure: None, .. } => "taken: somebody looks whether it was done".to_owned(),
        Event::VerifyStarted { failure: Some(failure), .. } => {
            format!("nobody knows whether it was done, so somebody looks: {}", explain(failure))
        }
        Event::LookedInVain { look, failure, again_at, .. } => {
            let why = failure.as_ref().map_or_else(String::new, |failure| format!(": {}", explain(failure)));
            format!("not seen yet by look {look}, again at {}{why}", clock(again_at.as_millis()))
        }
        Event::LookStarted { look, .. } => format!("look {look}"),
        Event::StepUnknown { failure, again_at, .. } => {
            let again = clock(again_at.as_millis());
            format!("unknown, sent again with the same key at {again}: {}", explain(failure))
        }
        Event::UndoDue { why, .. } => format!("due: {}", undo_reason(why)),
        Event::AlarmRaised { message, .. } => format!("ALARM: {}", show::line(message)),
        Event::LetGo { how, .. } => let_go(how),
        Event::AlertJoined { alert, reconciled, .. } => {
            let late = if *reconciled { ", found in the indexer" } else { "" };
            let kept = if alert.is_some() { "" } else { ", and is not kept" };
            format!("another alert of this incident came{late}{kept}")
        }
        _ => String::new(),
    }
}

fn decided(decision: Decision, by: &model::Person, reason: Option<&str>) -> String {
    let word = match decision {
        Decision::Approve => "approved",
        Decision::Reject => "rejected",
    };
    let why = reason.map_or_else(String::new, |reason| format!(": {}", show::line(reason)));
    format!("{word} by {}{why}", person(by))
}

fn finished(
    status: RunStatus,
    outputs: &BTreeMap<String, Value>,
    errors: &BTreeMap<String, String>,
) -> String {
    let errors: String =
        errors.iter().map(|(name, why)| format!("  output {name}: {}", show::line(why))).collect();
    format!("{}  {}{errors}", status.as_str(), brief(&serde_json::json!(outputs)))
}

fn undo_reason(why: &UndoReason) -> String {
    match why {
        UndoReason::Time => "its time is over".to_owned(),
        UndoReason::RunFailed => "the run has failed".to_owned(),
        UndoReason::RunCancelled => "the run was cancelled".to_owned(),
        UndoReason::Person { by, reason } => format!("{} wants it: {}", person(by), show::line(reason)),
    }
}

fn let_go(how: &LetGo) -> String {
    match how {
        LetGo::Ended => "ended by itself: its time is over".to_owned(),
        LetGo::DidNotHappen => "there is nothing to undo: it did not happen".to_owned(),
        LetGo::HandedOver { to } => format!("handed over: run {to} holds it too"),
        LetGo::ByHand { by, reason } => format!("undone by hand by {}: {}", person(by), show::line(reason)),
    }
}

fn what_happened(resolution: Resolution) -> &'static str {
    match resolution {
        Resolution::Ok => "it happened",
        Resolution::Failed => "it did not happen",
        Resolution::SendAgain => "it did not happen: send it again",
    }
}

/// How many items a list had, and how many of them gave nothing.
fn items(output: &Value) -> String {
    let length = |key: &str| output.get(key).and_then(Value::as_array).map_or(0, Vec::len);
    match (length("items"), length("failed")) {
        (items, 0) => format!(", {items} items"),
        (items, failed) => format!(", {failed} of {items} items not done"),
    }
}

fn person(person: &model::Person) -> String {
    match &person.via {
        Some(via) => format!("{} (through {})", show::line(&person.name), show::line(via)),
        None => show::line(&person.name),
    }
}

fn explain(failure: &Failure) -> String {
    let help = failure.help.as_ref();
    let help = help.map_or_else(String::new, |help| format!("\n{:41}help: {}", "", show::line(help)));
    format!("{}{help}", show::line(&failure.message))
}

fn on(target: Option<&str>) -> String {
    target.map_or_else(String::new, |target| format!(" on {}", show::cut(target, 80)))
}

fn skipped(reason: &SkipReason) -> String {
    match reason {
        SkipReason::Condition => "skipped: its own `if` says no".to_owned(),
        SkipReason::StoppedBy(need) => format!("skipped: stopped by {need}"),
        SkipReason::Shadow { target, .. } => {
            format!("held back (shadow mode): it would have acted{}", on(target.as_deref()))
        }
    }
}

fn brief(value: &Value) -> String {
    let is_empty = value.as_object().is_some_and(serde_json::Map::is_empty);
    if is_empty { String::new() } else { show::cut(&value.to_string(), 72) }
}

/// A TheHive case as lines: what stands in it, in the order in which it was written.
pub(crate) fn case(case: &Value) -> String {
    let text =
        |value: &Value, key: &str| show::line(value.get(key).and_then(Value::as_str).unwrap_or_default());
    let number = case.get("number").and_then(Value::as_i64).unwrap_or_default();
    let mut lines: Vec<(i64, String)> = Vec::new();
    let mut add = |entry: &Value, what: String| {
        let at =
            ["_createdAt", "createdAt", "date"].iter().find_map(|key| entry.get(key).and_then(Value::as_i64));
        lines.push((at.unwrap_or_default(), what));
    };
    add(case, format!("case #{number} opened: {}", text(case, "title")));
    for entry in list(case, "observables") {
        add(entry, format!("observable {}: {}", text(entry, "dataType"), text(entry, "data")));
    }
    for task in list(case, "tasks") {
        add(task, format!("task \"{}\", now {}", text(task, "title"), text(task, "status")));
        for log in list(task, "logs") {
            add(log, format!("task log: {}", show::cut(&text(log, "message"), 400)));
        }
    }
    for comment in list(case, "comments") {
        add(comment, format!("comment: {}", show::cut(&text(comment, "message"), 400)));
    }
    lines.sort_by_key(|(at, _)| *at);
    let mut told: String = lines.iter().map(|(at, what)| format!("{}  {what}\n", clock(*at))).collect();
    let summary = text(case, "summary");
    let summary = if summary.is_empty() { String::new() } else { format!(": {summary}") };
    told.push_str(&format!(
        "              now {} ({}){summary}\n",
        text(case, "status"),
        text(case, "stage")
    ));
    told
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn clock(millis: i64) -> String {
    let time = Timestamp::from_millis(millis).to_string();
    time.get(11..23).unwrap_or(&time).to_owned()
}
