//! A run and a case, told as they happened.

use model::{Event, Record, Resolution, SkipReason, Timestamp};
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
    let (step, what) = tell(&record.event);
    format!("{clock}  +{:>8.3}s  {:<12}  {what}", after.as_secs_f64(), show::cut(&step, 24))
        .trim_end()
        .to_owned()
}

fn tell(event: &Event) -> (String, String) {
    let run = || "run".to_owned();
    match event {
        Event::RunStarted { workflow, trigger, .. } => {
            let by = trigger.by.as_ref().map_or_else(String::new, |person| format!(" by {}", person.name));
            let kind = serde_json::to_value(trigger.kind).ok();
            let kind = kind.as_ref().and_then(Value::as_str).unwrap_or("alert").to_owned();
            (run(), format!("started: {} ({kind}{by})", workflow.name))
        }
        Event::StepStarted { step, attempt, target, .. } => {
            let again = if *attempt > 1 { format!(", attempt {attempt}") } else { String::new() };
            let target =
                target.as_ref().map_or_else(String::new, |target| format!(" on {}", show::cut(target, 80)));
            (step.to_string(), format!("started{target}{again}"))
        }
        Event::StepSucceeded { step, output } => (step.to_string(), format!("ok  {}", brief(output))),
        Event::StepFailed { step, failure, retry_at } => {
            let retry = if retry_at.is_some() { ", to be tried again" } else { "" };
            (
                step.to_string(),
                format!(
                    "failed ({}{retry}): {}{}",
                    failure.class,
                    show::line(&failure.message),
                    help(failure.help.as_deref())
                ),
            )
        }
        Event::StepSkipped { step, reason } => (step.to_string(), skipped(reason)),
        Event::StepInDoubt { step, failure } => {
            let message = show::line(&failure.message);
            (step.to_string(), format!("in doubt: {message}{}", help(failure.help.as_deref())))
        }
        Event::DelayStarted { step, until } => (step.to_string(), format!("waits until {until}")),
        Event::ApprovalRequested { step, request } => {
            (step.to_string(), format!("asks: {}", show::line(&request.ask)))
        }
        Event::ApprovalDecided { step, decision, by, reason, .. } => {
            let word = match decision {
                model::Decision::Approve => "approved",
                model::Decision::Reject => "rejected",
            };
            let why = reason.as_ref().map_or_else(String::new, |reason| format!(": {}", show::line(reason)));
            (step.to_string(), format!("{word} by {}{why}", person(by)))
        }
        Event::ApprovalExpired { step } => (step.to_string(), "expired: nobody answered in time".to_owned()),
        Event::Resolved { step, resolution, by, reason } => {
            let word = match resolution {
                Resolution::Ok => "it happened",
                Resolution::Failed => "it did not happen",
                Resolution::SendAgain => "it did not happen: send it again",
            };
            (step.to_string(), format!("resolved by {}: {word} ({})", person(by), show::line(reason)))
        }
        Event::RunCancelled { by, reason } => {
            (run(), format!("cancelled by {}: {}", person(by), show::line(reason)))
        }
        Event::RunFinished { status, outputs, errors } => {
            let outputs = if outputs.is_empty() {
                String::new()
            } else {
                format!("  {}", brief(&serde_json::json!(outputs)))
            };
            let errors: String =
                errors.iter().map(|(name, why)| format!("  output {name}: {}", show::line(why))).collect();
            (run(), format!("{}{outputs}{errors}", status.as_str()))
        }
    }
}

fn person(person: &model::Person) -> String {
    match &person.via {
        Some(via) => format!("{} (through {})", show::line(&person.name), show::line(via)),
        None => show::line(&person.name),
    }
}

fn help(help: Option<&str>) -> String {
    help.map_or_else(String::new, |help| format!("\n{:38}help: {}", "", show::line(help)))
}

fn skipped(reason: &SkipReason) -> String {
    match reason {
        SkipReason::Condition => "skipped: its own `if` says no".to_owned(),
        SkipReason::StoppedBy(need) => format!("skipped: stopped by {need}"),
        SkipReason::Shadow { target, .. } => {
            let target =
                target.as_ref().map_or_else(String::new, |target| format!(" on {}", show::cut(target, 80)));
            format!("held back (shadow mode): it would have acted{target}")
        }
    }
}

fn brief(value: &Value) -> String {
    match value {
        Value::Object(object) if object.is_empty() => String::new(),
        value => show::cut(&value.to_string(), 110),
    }
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
        add(task, format!("task \"{}\" ({})", text(task, "title"), text(task, "status")));
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
