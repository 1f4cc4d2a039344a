//! Cases: creation, changes, the rules for closing, custom fields, comments.

use hyper::StatusCode;
use serde_json::{Map, Value, json};

use crate::clock::now_ms;
use crate::http::Answer;

use super::entities::{Entities, Kind};
use super::fields::{CASE, COMMENT, Mode, check, merge};
use super::reply::{Rejection, bad_request, not_found};
use super::tasks;

const CLOSED: &[&str] = &["TruePositive", "FalsePositive", "Indeterminate", "Duplicated", "Other"];
const SEVERITIES: &[&str] = &["", "LOW", "MEDIUM", "HIGH", "CRITICAL"];
const TLPS: &[&str] = &["CLEAR", "GREEN", "AMBER", "AMBER+STRICT", "RED"];
const PAPS: &[&str] = &["CLEAR", "GREEN", "AMBER", "RED"];

pub(super) fn create(
    entities: &mut Entities,
    body: &Value,
    login: &str,
    known_custom_fields: &[String],
) -> Result<Answer, Rejection> {
    let values = check(body, CASE, Mode::Create)?;
    if let Some(template) = body.get("caseTemplate").and_then(Value::as_str) {
        return Err(not_found("CaseTemplate", template));
    }
    let custom_fields = custom_fields(&json!([]), body.get("customFields"), known_custom_fields)?;
    let task_bodies = body.get("tasks").and_then(Value::as_array).into_iter().flatten();
    let drafts = task_bodies.enumerate().map(|(order, task)| tasks::draft(task, order, login));
    let drafts: Vec<_> = drafts.collect::<Result<_, _>>()?;
    let now = now_ms();
    let mut case = object(json!({
        "severity": 2, "tlp": 2, "pap": 2, "flag": false, "tags": [], "status": "New", "assignee": login,
        "startDate": now, "newDate": now, "access": { "_kind": "OrganisationAccessKind" },
    }));
    merge(&mut case, values);
    let started = case["startDate"].as_u64().unwrap_or(now);
    case.insert("timeToDetect".into(), json!(now.saturating_sub(started)));
    case.insert("customFields".into(), custom_fields.unwrap_or_else(|| json!([])));
    let stage = stage(&case)?;
    enter_stage(&mut case, stage);
    label(&mut case);
    case.insert("number".into(), json!(entities.next_case_number()));
    let id = entities.add(Kind::Case, None, login, case);
    for task in drafts {
        entities.add(Kind::Task, Some(id), login, task);
    }
    Ok(Answer::json(StatusCode::CREATED, &entities.shown(id)))
}

pub(super) fn update(
    entities: &mut Entities,
    case: &str,
    body: &Value,
    login: &str,
    known_custom_fields: &[String],
) -> Result<Answer, Rejection> {
    let id = entities.case(case)?;
    let mut values = check(body, CASE, Mode::Update)?;
    let custom_fields =
        custom_fields(&entities.fields(id)["customFields"], body.get("customFields"), known_custom_fields)?;
    let (added, removed) = (values.remove("addTags"), values.remove("removeTags"));
    let mut changed = entities.fields(id).clone();
    let stage_before = changed["stage"].clone();
    merge(&mut changed, values);
    change_tags(&mut changed, added.as_ref(), removed.as_ref());
    if let Some(custom_fields) = custom_fields {
        changed.insert("customFields".into(), custom_fields);
    }
    let stage = stage(&changed)?;
    let is_closing = stage == "Closed" && stage_before != "Closed";
    if is_closing {
        tasks::close_all(entities, id, login)?;
    }
    if stage_before != stage {
        enter_stage(&mut changed, stage);
    }
    label(&mut changed);
    entities.change(id, login, |case| *case = changed);
    Ok(Answer::empty(StatusCode::NO_CONTENT))
}

pub(super) fn comment(
    entities: &mut Entities,
    case: &str,
    body: &Value,
    login: &str,
) -> Result<Answer, Rejection> {
    let case = entities.case(case)?;
    let mut comment = object(json!({ "external": false, "isEdited": false }));
    merge(&mut comment, check(body, COMMENT, Mode::Create)?);
    let id = entities.add(Kind::Comment, Some(case), login, comment);
    Ok(Answer::json(StatusCode::CREATED, &entities.shown(id)))
}

/// A case with everything that hangs on it, for those who look at the lab from outside.
pub(super) fn with_contents(entities: &Entities, id: u64) -> Value {
    let shown =
        |kind| entities.children(id, kind).into_iter().map(|id| entities.shown(id)).collect::<Vec<_>>();
    let tasks = entities.children(id, Kind::Task).into_iter().map(|task| {
        let logs: Vec<_> =
            entities.children(task, Kind::Log).into_iter().map(|log| entities.shown(log)).collect();
        let mut shown = entities.shown(task);
        shown["logs"] = json!(logs);
        shown
    });
    let mut case = entities.shown(id);
    case["tasks"] = tasks.collect();
    case["observables"] = json!(shown(Kind::Observable));
    case["comments"] = json!(shown(Kind::Comment));
    case
}

/// Writes `tlpLabel`, `papLabel` and, for a case, `severityLabel`.
pub(super) fn label(entity: &mut Map<String, Value>) {
    for (name, label, labels) in
        [("severity", "severityLabel", SEVERITIES), ("tlp", "tlpLabel", TLPS), ("pap", "papLabel", PAPS)]
    {
        let index = entity.get(name).and_then(Value::as_u64).and_then(|index| usize::try_from(index).ok());
        if let Some(text) = index.and_then(|index| labels.get(index)) {
            entity.insert(label.into(), json!(text));
        }
    }
}

pub(super) fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
    }
}

fn stage(case: &Map<String, Value>) -> Result<&'static str, Rejection> {
    match case["status"].as_str().unwrap_or_default() {
        "New" => Ok("New"),
        "InProgress" => Ok("InProgress"),
        status if CLOSED.contains(&status) => Ok("Closed"),
        status => Err(not_found("CaseStatus", status)),
    }
}

fn enter_stage(case: &mut Map<String, Value>, stage: &str) {
    let now = json!(now_ms());
    case.insert("stage".into(), json!(stage));
    if stage == "Closed" {
        case.entry("endDate").or_insert_with(|| now.clone());
        case.insert("closedDate".into(), now.clone());
        let since = |name: &str| now.as_u64().unwrap_or(0).saturating_sub(case[name].as_u64().unwrap_or(0));
        let (resolved, handled) = (since("newDate"), since("startDate"));
        case.insert("timeToResolve".into(), json!(resolved));
        case.insert("handlingDuration".into(), json!(handled));
        return;
    }
    for name in ["closedDate", "endDate", "timeToResolve", "handlingDuration"] {
        case.remove(name);
    }
    if stage == "InProgress" {
        case.entry("inProgressDate").or_insert(now);
    }
}

fn change_tags(case: &mut Map<String, Value>, added: Option<&Value>, removed: Option<&Value>) {
    let list = |tags: Option<&Value>| tags.and_then(Value::as_array).cloned().unwrap_or_default();
    let mut tags = list(case.get("tags"));
    for tag in list(added) {
        if !tags.contains(&tag) {
            tags.push(tag);
        }
    }
    let removed = list(removed);
    tags.retain(|tag| !removed.contains(tag));
    case.insert("tags".into(), json!(tags));
}

/// An object is merged into the present fields, a list replaces them. `None` when the input does not speak of them.
fn custom_fields(
    present: &Value,
    input: Option<&Value>,
    known: &[String],
) -> Result<Option<Value>, Rejection> {
    let mut fields: Vec<Value> = present.as_array().cloned().unwrap_or_default();
    let values: Vec<(String, Value)> = match input {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Object(given)) => {
            given.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
        }
        Some(Value::Array(given)) => {
            fields.clear();
            let pair = |field: &Value| {
                Some((field["name"].as_str()?.to_owned(), field.get("value").cloned().unwrap_or_default()))
            };
            let pairs: Option<Vec<_>> = given.iter().map(pair).collect();
            pairs.ok_or_else(|| bad_request("Invalid custom field: a name is missing"))?
        }
        Some(_) => {
            return Err(bad_request("Invalid custom fields: expected an object or an array"));
        }
    };
    for (name, value) in values {
        if !known.contains(&name) {
            return Err(not_found("CustomField", &name));
        }
        fields.retain(|field| field["name"] != *name);
        let order = fields.len();
        let id = format!("~{}", 104 + order);
        fields.push(json!({ "_id": id, "name": name, "type": "string", "value": value, "order": order }));
    }
    Ok(Some(json!(fields)))
}
