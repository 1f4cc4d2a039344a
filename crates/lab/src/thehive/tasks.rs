//! Tasks and their logs, with the rules that tie status, logs and the case together.

use hyper::StatusCode;
use serde_json::{Map, Value, json};

use crate::clock::now_ms;
use crate::http::Answer;

use super::cases::object;
use super::entities::{Entities, Kind};
use super::fields::{LOG, Mode, TASK, check, merge};
use super::reply::{Rejection, bad_request};

pub(super) fn create(
    entities: &mut Entities,
    case: &str,
    body: &Value,
    login: &str,
) -> Result<Answer, Rejection> {
    let case = entities.case(case)?;
    let task = draft(body, entities.children(case, Kind::Task).len(), login)?;
    let id = entities.add(Kind::Task, Some(case), login, task);
    Ok(Answer::json(StatusCode::CREATED, &entities.shown(id)))
}

/// A task as it will be stored.
pub(super) fn draft(body: &Value, order: usize, login: &str) -> Result<Map<String, Value>, Rejection> {
    let values = check(body, TASK, Mode::Create)?;
    let mut task = object(json!({
        "group": "default", "status": "Waiting", "flag": false, "mandatory": false, "order": order,
    }));
    merge(&mut task, values);
    if is_true(&task, "mandatory") && task["status"] == "Completed" {
        return Err(needs_log());
    }
    date_status(&mut task, login);
    Ok(task)
}

pub(super) fn update(
    entities: &mut Entities,
    task: &str,
    body: &Value,
    login: &str,
) -> Result<Answer, Rejection> {
    let id = entities.find(Kind::Task, task)?;
    let mut changed = entities.fields(id).clone();
    let status_before = changed["status"].clone();
    merge(&mut changed, check(body, TASK, Mode::Update)?);
    let is_completed = changed["status"] == "Completed" && status_before != "Completed";
    if is_completed && is_true(&changed, "mandatory") && entities.children(id, Kind::Log).is_empty() {
        return Err(needs_log());
    }
    if changed["status"] != status_before {
        date_status(&mut changed, login);
    }
    entities.change(id, login, |task| *task = changed);
    Ok(Answer::empty(StatusCode::NO_CONTENT))
}

/// The first log of a waiting task sets it in progress.
pub(super) fn log(
    entities: &mut Entities,
    task: &str,
    body: &Value,
    login: &str,
) -> Result<Answer, Rejection> {
    let task = entities.find(Kind::Task, task)?;
    let mut log = check(body, LOG, Mode::Create)?;
    let date = log.remove("startDate").unwrap_or_else(|| json!(now_ms()));
    log.insert("date".into(), date);
    log.insert("owner".into(), json!(login));
    let id = entities.add(Kind::Log, Some(task), login, log);
    if entities.fields(task)["status"] == "Waiting" {
        entities.change(task, login, |task| {
            task.insert("status".into(), json!("InProgress"));
            date_status(task, login);
        });
    }
    Ok(Answer::json(StatusCode::CREATED, &entities.shown(id)))
}

/// What closing a case does to its tasks: refused while a mandatory one is open, else none stays open.
pub(super) fn close_all(entities: &mut Entities, case: u64, login: &str) -> Result<(), Rejection> {
    let is_open =
        |id: &u64| matches!(entities.fields(*id)["status"].as_str(), Some("Waiting" | "InProgress"));
    let open: Vec<u64> = entities.children(case, Kind::Task).into_iter().filter(is_open).collect();
    if open.iter().any(|id| is_true(entities.fields(*id), "mandatory")) {
        return Err(bad_request("The case cannot be closed because some mandatory tasks are not completed"));
    }
    for id in open {
        entities.change(id, login, |task| {
            let status = if task["status"] == "InProgress" { "Completed" } else { "Cancel" };
            task.insert("status".into(), json!(status));
            date_status(task, login);
        });
    }
    Ok(())
}

fn date_status(task: &mut Map<String, Value>, login: &str) {
    let now = json!(now_ms());
    match task["status"].as_str() {
        Some("InProgress") => {
            task.entry("startDate").or_insert(now);
            task.entry("assignee").or_insert_with(|| json!(login));
            task.remove("endDate");
        }
        Some("Completed" | "Cancel") => {
            task.entry("endDate").or_insert(now);
        }
        Some(_) | None => {
            task.remove("endDate");
        }
    }
}

fn is_true(task: &Map<String, Value>, name: &str) -> bool {
    task.get(name).and_then(Value::as_bool).unwrap_or(false)
}

fn needs_log() -> Rejection {
    bad_request("A mandatory task cannot be completed without a task log")
}
