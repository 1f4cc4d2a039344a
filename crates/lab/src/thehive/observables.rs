//! Observables: one or many at a time; what the case already has is refused item by item.

use hyper::StatusCode;
use serde_json::{Map, Value, json};

use crate::clock::now_ms;
use crate::http::Answer;

use super::cases::{label, object};
use super::entities::{Entities, Kind};
use super::fields::{Mode, OBSERVABLE, check, invalid, merge, missing};
use super::reply::{Rejection, bad_attributes, bad_request, not_found};

pub(super) const TYPES: &[&str] = &[
    "ip",
    "domain",
    "fqdn",
    "url",
    "hash",
    "file",
    "mail",
    "hostname",
    "filename",
    "other",
    "user-agent",
    "registry",
    "uri_path",
    "regexp",
    "mail-subject",
    "autonomous-system",
];

const LONGEST: usize = 4096;

pub(super) fn type_named(name: &str) -> Value {
    json!({
        "_id": format!("~{name}"),
        "_type": "ObservableType",
        "_createdBy": "system@thehive.local",
        "_createdAt": 1_767_225_600_000_u64,
        "name": name,
        "isAttachment": name == "file",
        "extraData": {},
    })
}

/// Answers with an array, or with 207 and `{"success": [], "failure": []}` as soon as one of them fails.
pub(super) fn create(
    entities: &mut Entities,
    case: &str,
    body: &Value,
    login: &str,
) -> Result<Answer, Rejection> {
    let case = entities.case(case)?;
    let values = check(body, OBSERVABLE, Mode::Create)?;
    let data_type = values["dataType"].as_str().unwrap_or_default();
    if !TYPES.contains(&data_type) {
        return Err(not_found("ObservableType", data_type));
    }
    if data_type == "file" {
        return Err(bad_request("Observable of type file requires an attachment"));
    }
    let mut success = Vec::new();
    let mut failure = Vec::new();
    for data in data(body)? {
        if exists(entities, case, data_type, &data) {
            failure.push(json!({
                "type": "CreateError",
                "message": "Observable already exists",
                "object": { "dataType": data_type, "data": data },
            }));
            continue;
        }
        let id = entities.add(Kind::Observable, Some(case), login, observable(values.clone(), data));
        success.push(entities.shown(id));
    }
    if failure.is_empty() {
        return Ok(Answer::json(StatusCode::CREATED, &success));
    }
    Ok(Answer::json(StatusCode::MULTI_STATUS, &json!({ "success": success, "failure": failure })))
}

fn observable(values: Map<String, Value>, data: String) -> Map<String, Value> {
    let mut observable = object(json!({
        "tlp": 2, "pap": 2, "tags": [], "ioc": false, "sighted": false, "ignoreSimilarity": false,
        "external": false, "reports": {}, "startDate": now_ms(), "data": data,
    }));
    merge(&mut observable, values);
    label(&mut observable);
    observable
}

fn exists(entities: &Entities, case: u64, data_type: &str, data: &str) -> bool {
    entities.children(case, Kind::Observable).into_iter().any(|id| {
        let fields = entities.fields(id);
        fields["dataType"] == data_type && fields["data"] == data
    })
}

fn data(body: &Value) -> Result<Vec<String>, Rejection> {
    let given = match body.get("data") {
        None | Some(Value::Null) => return Err(bad_attributes(&[missing("data")])),
        Some(Value::Array(items)) => items.clone(),
        Some(other) => vec![other.clone()],
    };
    let texts = given.iter().map(|item| match item.as_str() {
        Some(text) if (1..=LONGEST).contains(&text.chars().count()) => Ok(text.to_owned()),
        Some(_) | None => Err(bad_attributes(&[invalid("data", "string(1..4096)", item)])),
    });
    texts.collect()
}
