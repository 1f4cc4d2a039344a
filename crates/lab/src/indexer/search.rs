//! A search: which documents, in which order, from where on and how many, and which fields of them.

use std::cmp::Ordering;

use hyper::StatusCode;
use serde_json::{Map, Value, json};

use crate::http::Answer;

use super::Document;
use super::query::{Query, moment, one_or_many, values};
use super::reply::{Problem, is_like};

/// OpenSearch's `index.max_result_window`.
const WINDOW: usize = 10_000;

pub(super) struct Search {
    query: Query,
    size: usize,
    sort: Vec<(String, bool)>,
    after: Option<Vec<Key>>,
    source: Source,
}

enum Source {
    Whole,
    Absent,
    Fields(Vec<String>),
}

/// What documents are ordered by; what is missing comes last.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Number(i64),
    Text(String),
    Missing,
}

impl Search {
    pub(super) fn read(body: &[u8], now: u64) -> Result<Search, Problem> {
        let mut search =
            Search { query: Query::All, size: 10, sort: Vec::new(), after: None, source: Source::Whole };
        if body.is_empty() {
            return Ok(search);
        }
        let body: Value = serde_json::from_slice(body).map_err(|error| {
            let error = json!({ "type": "json_parse_exception", "reason": error.to_string() });
            Problem::new(StatusCode::BAD_REQUEST, error)
        })?;
        let Value::Object(body) = body else {
            return Err(Problem::parsing("Expected [START_OBJECT] but found [VALUE]"));
        };
        for (key, value) in &body {
            match key.as_str() {
                "query" => search.query = Query::read(value, now)?,
                "size" => search.size = read_size(value)?,
                "sort" => search.sort = read_sort(value)?,
                "search_after" => {
                    search.after = value.as_array().map(|keys| keys.iter().map(Key::of).collect())
                }
                "_source" => search.source = Source::read(value),
                "track_total_hits" => {}
                other => return Err(Problem::parsing(format!("Unknown key for a value in [{other}]."))),
            }
        }
        match &search.after {
            Some(after) if after.len() != search.sort.len() => {
                let (given, wanted) = (after.len(), search.sort.len());
                let reason = format!("search_after has {given} value(s) but sort has {wanted}.");
                Err(Problem::shards("illegal_argument_exception", reason))
            }
            Some(_) | None => Ok(search),
        }
    }

    pub(super) fn run(&self, documents: Vec<&Document>) -> Answer {
        let mut found: Vec<(Vec<Key>, &Document)> = documents
            .into_iter()
            .filter(|document| self.query.matches(document))
            .map(|document| (self.keys(document), document))
            .collect();
        found.sort_by(|(a, _), (b, _)| self.order(a, b));
        let total = found.len();
        let after = |keys: &[Key]| self.after.as_ref().is_none_or(|after| self.order(keys, after).is_gt());
        let hits = found.iter().filter(|(keys, _)| after(keys)).take(self.size);
        let hits: Vec<Value> = hits.map(|(keys, document)| self.hit(keys, document)).collect();
        let body = json!({
            "took": 1,
            "timed_out": false,
            "_shards": { "total": 3, "successful": 3, "skipped": 0, "failed": 0 },
            "hits": { "total": { "value": total, "relation": "eq" }, "max_score": null, "hits": hits },
        });
        Answer::json(StatusCode::OK, &body)
    }

    fn keys(&self, document: &Document) -> Vec<Key> {
        self.sort.iter().map(|(field, _)| Key::at(document, field)).collect()
    }

    fn order(&self, a: &[Key], b: &[Key]) -> Ordering {
        let pairs = self.sort.iter().zip(a.iter().zip(b));
        pairs.fold(Ordering::Equal, |order, ((_, descends), (a, b))| {
            let own = match (a, b) {
                (Key::Missing, _) | (_, Key::Missing) => a.cmp(b),
                (a, b) if *descends => b.cmp(a),
                (a, b) => a.cmp(b),
            };
            order.then(own)
        })
    }

    fn hit(&self, keys: &[Key], document: &Document) -> Value {
        let mut hit = json!({ "_index": document.index, "_id": document.id, "_score": null });
        match &self.source {
            Source::Whole => hit["_source"] = document.source.clone(),
            Source::Absent => {}
            Source::Fields(fields) => {
                hit["_source"] = part("", &document.source, fields).unwrap_or(json!({}))
            }
        }
        if !keys.is_empty() {
            hit["sort"] = keys.iter().map(Key::to_json).collect();
        }
        hit
    }
}

impl Source {
    fn read(value: &Value) -> Source {
        let fields =
            |list: &[Value]| list.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect();
        match value {
            Value::Bool(false) => Source::Absent,
            Value::String(field) => Source::Fields(vec![field.clone()]),
            Value::Array(list) => Source::Fields(fields(list)),
            Value::Null | Value::Bool(true) | Value::Number(_) | Value::Object(_) => Source::Whole,
        }
    }
}

impl Key {
    fn of(value: &Value) -> Key {
        match value {
            Value::Number(number) => number.as_i64().map_or(Key::Missing, Key::Number),
            Value::String(text) => Key::Text(text.clone()),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => Key::Missing,
        }
    }

    fn at(document: &Document, field: &str) -> Key {
        if field == "_id" {
            return Key::Text(document.id.clone());
        }
        let keys = values(&document.source, field).into_iter().map(|value| match field {
            "timestamp" | "@timestamp" => moment(value, 0).map_or(Key::Missing, Key::Number),
            _ => Key::of(value),
        });
        keys.min().unwrap_or(Key::Missing)
    }

    fn to_json(&self) -> Value {
        match self {
            Key::Number(number) => json!(number),
            Key::Text(text) => json!(text),
            Key::Missing => Value::Null,
        }
    }
}

fn read_size(value: &Value) -> Result<usize, Problem> {
    let Some(size) = value.as_i64() else {
        return Err(Problem::parsing(format!("Failed to parse int parameter [size] with value [{value}]")));
    };
    match usize::try_from(size) {
        Ok(size) if size <= WINDOW => Ok(size),
        Ok(size) => {
            let reason = format!(
                "Result window is too large, from + size must be less than or equal to: [{WINDOW}] but was [{size}]."
            );
            Err(Problem::shards("illegal_argument_exception", reason))
        }
        Err(_) => Err(Problem::parsing(format!("[size] parameter cannot be negative, found [{size}]"))),
    }
}

/// A field, `{ field: "desc" }`, `{ field: { order: "desc" } }`, or a list of them.
fn read_sort(value: &Value) -> Result<Vec<(String, bool)>, Problem> {
    let mut sort = Vec::new();
    for item in one_or_many(value) {
        match item {
            Value::String(field) => sort.push((field.clone(), false)),
            Value::Object(fields) => sort.extend(fields.iter().map(|(field, order)| {
                let order = order.get("order").unwrap_or(order);
                (field.clone(), order.as_str() == Some("desc"))
            })),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => {
                return Err(Problem::parsing(format!("malformed sort format: {item}")));
            }
        }
    }
    Ok(sort)
}

/// The fields that the patterns name, and all that is below them.
fn part(path: &str, value: &Value, fields: &[String]) -> Option<Value> {
    if fields.iter().any(|field| is_like(field, path)) {
        return Some(value.clone());
    }
    let Value::Object(object) = value else {
        return None;
    };
    let kept: Map<String, Value> = object
        .iter()
        .filter_map(|(key, value)| {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            Some((key.clone(), part(&path, value, fields)?))
        })
        .collect();
    (!kept.is_empty()).then_some(Value::Object(kept))
}
