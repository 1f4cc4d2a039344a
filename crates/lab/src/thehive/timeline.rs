//! `GET /case/{id}/timeline`: the dated events of a case, in order.

use hyper::StatusCode;
use serde_json::{Value, json};

use crate::http::Answer;

use super::entities::{Entities, Kind};
use super::reply::Rejection;

pub(super) fn of(entities: &Entities, case: &str) -> Result<Answer, Rejection> {
    let case = entities.case(case)?;
    let mut events = Vec::new();
    for name in ["startDate", "newDate", "inProgressDate", "closedDate"] {
        events.extend(event(entities, case, Kind::Case, name));
    }
    for task in entities.children(case, Kind::Task) {
        for name in ["startDate", "endDate"] {
            events.extend(event(entities, task, Kind::Task, name));
        }
        for log in entities.children(task, Kind::Log) {
            events.extend(event(entities, log, Kind::Log, "includeInTimeline"));
        }
    }
    for observable in entities.children(case, Kind::Observable) {
        events.extend(event(entities, observable, Kind::Observable, "sightedAt"));
    }
    events.sort_by_key(|event| event["date"].as_u64());
    Ok(Answer::json(StatusCode::OK, &json!({ "events": events })))
}

fn event(entities: &Entities, id: u64, kind: Kind, name: &str) -> Option<Value> {
    let fields = entities.fields(id);
    let date = fields.get(name)?;
    let details = ["title", "message", "status", "dataType", "data"]
        .into_iter()
        .filter_map(|name| Some((name, fields.get(name)?)))
        .collect::<std::collections::BTreeMap<_, _>>();
    Some(json!({
        "date": date, "kind": name, "entity": kind.name(), "entityId": fields["_id"], "details": details,
    }))
}
