//! `POST /query`: a list or one entity, then steps to what belongs to it, filters, sorting, pages, a count.

use hyper::StatusCode;
use serde_json::{Value, json};

use crate::http::Answer;

use super::entities::{Entities, Kind};
use super::filter::Filter;
use super::reply::{Rejection, bad_request};

/// A query with more operations is refused.
const MOST: usize = 32;

pub(super) fn run(entities: &Entities, body: &Value) -> Result<Answer, Rejection> {
    let operations = body.get("query").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let Some((first, rest)) = operations.split_first() else {
        return Err(bad_request("Invalid query: no operation"));
    };
    if operations.len() > MOST {
        return Err(bad_request("Invalid query: too many operations"));
    }
    let (mut kind, mut ids) = start(entities, first)?;
    for (index, operation) in rest.iter().enumerate() {
        match name(operation) {
            "count" if index + 1 == rest.len() => return Ok(Answer::json(StatusCode::OK, &json!(ids.len()))),
            "filter" => {
                let filter = Filter::read(operation)?;
                ids.retain(|id| filter.matches(entities.fields(*id)));
            }
            "sort" => sort(entities, operation, &mut ids),
            "page" => ids = page(operation, &ids),
            step => {
                let next = child(kind, step).ok_or_else(|| bad_request(&format!("Invalid query: {step}")))?;
                ids = match next {
                    Kind::Case => ids.iter().filter_map(|id| entities.parent(*id)).collect(),
                    Kind::Task | Kind::Log | Kind::Observable | Kind::Comment => {
                        ids.iter().flat_map(|id| entities.children(*id, next)).collect()
                    }
                };
                kind = next;
            }
        }
    }
    let excluded: Vec<_> = body
        .get("excludeFields")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let shown = ids.into_iter().map(|id| {
        let mut fields = entities.fields(id).clone();
        fields.retain(|name, _| !excluded.contains(&name.as_str()));
        Value::Object(fields)
    });
    Ok(Answer::json(StatusCode::OK, &shown.collect::<Vec<_>>()))
}

fn name(operation: &Value) -> &str {
    operation.get("_name").and_then(Value::as_str).unwrap_or_default()
}

fn start(entities: &Entities, operation: &Value) -> Result<(Kind, Vec<u64>), Rejection> {
    let name = name(operation);
    for kind in Kind::ALL {
        if name.strip_prefix("list") == Some(kind.name()) {
            return Ok((kind, entities.all(kind).collect()));
        }
        if name.strip_prefix("get") == Some(kind.name()) {
            let id =
                operation.get("idOrName").map(|id| id.as_str().map_or_else(|| id.to_string(), str::to_owned));
            let id = id.ok_or_else(|| bad_request("Invalid query: idOrName is missing"))?;
            let found = match kind {
                Kind::Case => entities.case(&id)?,
                Kind::Task | Kind::Log | Kind::Observable | Kind::Comment => entities.find(kind, &id)?,
            };
            return Ok((kind, vec![found]));
        }
    }
    Err(bad_request(&format!("Invalid query: {name}")))
}

fn child(kind: Kind, step: &str) -> Option<Kind> {
    match (kind, step) {
        (Kind::Case, "tasks") => Some(Kind::Task),
        (Kind::Case, "observables") => Some(Kind::Observable),
        (Kind::Case, "comments") => Some(Kind::Comment),
        (Kind::Task, "logs") => Some(Kind::Log),
        (Kind::Task | Kind::Observable | Kind::Comment, "case") => Some(Kind::Case),
        (_, _) => None,
    }
}

fn sort(entities: &Entities, operation: &Value, ids: &mut [u64]) {
    let keys = operation.get("_fields").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    for key in keys.iter().rev() {
        let Some((name, direction)) = key.as_object().and_then(|key| key.iter().next()) else {
            continue;
        };
        let value = |id: &u64| {
            let value = entities.fields(*id).get(name);
            (value.and_then(Value::as_i64), value.and_then(Value::as_str))
        };
        ids.sort_by(|left, right| {
            let ordering = value(left).cmp(&value(right));
            if direction == "desc" { ordering.reverse() } else { ordering }
        });
    }
}

fn page(operation: &Value, ids: &[u64]) -> Vec<u64> {
    let bound = |name: &str| {
        let given = operation.get(name).and_then(Value::as_u64);
        given.and_then(|bound| usize::try_from(bound).ok()).map(|bound| bound.min(ids.len()))
    };
    let (from, to) = (bound("from").unwrap_or(0), bound("to").unwrap_or(ids.len()));
    ids.get(from..to).unwrap_or_default().to_vec()
}
