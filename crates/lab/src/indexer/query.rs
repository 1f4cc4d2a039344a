//! The part of OpenSearch's query language that the lab understands: `bool term terms wildcard range exists ids match_all`.

use std::cmp::Ordering;

use chrono::{DateTime, NaiveDate};
use serde_json::{Map, Value};

use super::Document;
use super::reply::{Problem, is_like};

/// What the mapping calls a date; all other text is a keyword.
const DATES: [&str; 2] = ["timestamp", "@timestamp"];

pub(super) enum Query {
    All,
    Bool { must: Vec<Query>, should: Vec<Query>, must_not: Vec<Query>, least: usize },
    Terms { field: String, wanted: Vec<Value> },
    Range { field: String, bounds: Vec<(Bound, Value)> },
    Wildcard { field: String, pattern: String },
    Exists { field: String },
    Ids(Vec<Value>),
}

#[derive(Clone, Copy)]
pub(super) enum Bound {
    Gt,
    Gte,
    Lt,
    Lte,
}

impl Query {
    pub(super) fn read(value: &Value, now: u64) -> Result<Query, Problem> {
        let (kind, body) = only(value, "query")?;
        let list = |body: &Value| one_or_many(body).iter().map(|item| Query::read(item, now)).collect();
        match kind.as_str() {
            "match_all" => Ok(Query::All),
            "bool" => read_bool(object(body, "bool")?, list),
            "term" => {
                let (field, value) = only(body, "term")?;
                Ok(Query::Terms { field: field.clone(), wanted: vec![shorthand(value).clone()] })
            }
            "terms" => match only(body, "terms")? {
                (field, Value::Array(values)) => {
                    Ok(Query::Terms { field: field.clone(), wanted: values.clone() })
                }
                _ => Err(Problem::parsing("[terms] query requires an array of terms")),
            },
            "wildcard" => match only(body, "wildcard")? {
                (field, pattern) if shorthand(pattern).is_string() => {
                    let pattern = shorthand(pattern).as_str().unwrap_or_default().to_owned();
                    Ok(Query::Wildcard { field: field.clone(), pattern })
                }
                _ => Err(Problem::parsing("[wildcard] query malformed, no pattern")),
            },
            "range" => read_range(body, now),
            "exists" => match body.get("field").and_then(Value::as_str) {
                Some(field) => Ok(Query::Exists { field: field.to_owned() }),
                None => Err(Problem::parsing("[exists] must be provided with a [field]")),
            },
            "ids" => match body.get("values").and_then(Value::as_array) {
                Some(values) => Ok(Query::Ids(values.clone())),
                None => Err(Problem::parsing("[ids] requires providing an array of ids")),
            },
            other => Err(Problem::parsing(format!("unknown query [{other}]"))),
        }
    }

    pub(super) fn matches(&self, document: &Document) -> bool {
        match self {
            Query::All => true,
            Query::Bool { must, should, must_not, least } => {
                must.iter().all(|query| query.matches(document))
                    && !must_not.iter().any(|query| query.matches(document))
                    && should.iter().filter(|query| query.matches(document)).count() >= *least
            }
            Query::Terms { field, wanted } => {
                let is_wanted = |found: &&Value| wanted.iter().any(|value| is_same(found, value));
                values(&document.source, field).iter().any(is_wanted)
            }
            Query::Range { field, bounds } => values(&document.source, field)
                .iter()
                .any(|found| bounds.iter().all(|(bound, limit)| bound.holds(compare(field, found, limit)))),
            Query::Wildcard { field, pattern } => {
                let is_found = |found: &&Value| found.as_str().is_some_and(|found| is_like(pattern, found));
                values(&document.source, field).iter().any(is_found)
            }
            Query::Exists { field } => values(&document.source, field).iter().any(|found| !found.is_null()),
            Query::Ids(ids) => ids.iter().any(|id| id.as_str() == Some(&document.id)),
        }
    }
}

impl Bound {
    fn holds(self, ordering: Option<Ordering>) -> bool {
        ordering.is_some_and(|ordering| match self {
            Bound::Gt => ordering.is_gt(),
            Bound::Gte => ordering.is_ge(),
            Bound::Lt => ordering.is_lt(),
            Bound::Lte => ordering.is_le(),
        })
    }
}

fn read_bool(
    body: &Map<String, Value>,
    list: impl Fn(&Value) -> Result<Vec<Query>, Problem>,
) -> Result<Query, Problem> {
    let (mut must, mut should, mut must_not, mut least) = (Vec::new(), Vec::new(), Vec::new(), None);
    for (key, value) in body {
        match key.as_str() {
            "must" | "filter" => must.extend(list(value)?),
            "should" => should.extend(list(value)?),
            "must_not" => must_not.extend(list(value)?),
            "minimum_should_match" => least = value.as_u64().and_then(|least| usize::try_from(least).ok()),
            other => return Err(Problem::parsing(format!("[bool] query does not support [{other}]"))),
        }
    }
    let least = least.unwrap_or(usize::from(must.is_empty() && !should.is_empty()));
    Ok(Query::Bool { must, should, must_not, least })
}

fn read_range(body: &Value, now: u64) -> Result<Query, Problem> {
    let (field, limits) = only(body, "range")?;
    let mut bounds = Vec::new();
    for (key, limit) in object(limits, "range")? {
        let bound = match key.as_str() {
            "gt" => Bound::Gt,
            "gte" => Bound::Gte,
            "lt" => Bound::Lt,
            "lte" => Bound::Lte,
            other => return Err(Problem::parsing(format!("[range] query does not support [{other}]"))),
        };
        let limit = if DATES.contains(&field.as_str()) {
            moment(limit, now).map(Value::from).ok_or_else(|| {
                let reason = format!(
                    "failed to parse date field [{}] with format [date_optional_time||epoch_millis]",
                    limit.as_str().map_or_else(|| limit.to_string(), str::to_owned)
                );
                Problem::shards("parse_exception", reason)
            })?
        } else {
            limit.clone()
        };
        bounds.push((bound, limit));
    }
    Ok(Query::Range { field: field.clone(), bounds })
}

fn object<'a>(value: &'a Value, of: &str) -> Result<&'a Map<String, Value>, Problem> {
    value
        .as_object()
        .ok_or_else(|| Problem::parsing(format!("[{of}] query malformed, no start_object after query name")))
}

/// A list, or one that stands for a list of itself.
pub(super) fn one_or_many(value: &Value) -> &[Value] {
    value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice)
}

/// The one key of an object.
fn only<'a>(value: &'a Value, of: &str) -> Result<(&'a String, &'a Value), Problem> {
    let mut entries = object(value, of)?.iter();
    match (entries.next(), entries.next()) {
        (Some(entry), None) => Ok(entry),
        _ => Err(Problem::parsing(format!("[{of}] malformed query, expected one field"))),
    }
}

/// `{ "value": x }` is the long form of x.
fn shorthand(value: &Value) -> &Value {
    value.get("value").unwrap_or(value)
}

/// The values of a field, which may stand in lists and below them.
pub(super) fn values<'a>(value: &'a Value, path: &str) -> Vec<&'a Value> {
    match value {
        Value::Array(items) => items.iter().flat_map(|item| values(item, path)).collect(),
        value if path.is_empty() => vec![value],
        Value::Object(fields) => {
            let below = fields.iter().filter_map(|(key, inner)| {
                let rest = path.strip_prefix(key.as_str())?;
                let rest = if rest.is_empty() { rest } else { rest.strip_prefix('.')? };
                Some(values(inner, rest))
            });
            below.flatten().collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    }
}

/// A keyword compares as text, whatever JSON calls it.
fn is_same(found: &Value, wanted: &Value) -> bool {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    text(found) == text(wanted)
}

fn compare(field: &str, found: &Value, limit: &Value) -> Option<Ordering> {
    if DATES.contains(&field) {
        return Some(moment(found, 0)?.cmp(&limit.as_i64()?));
    }
    match (found, limit) {
        (Value::Number(found), limit) => {
            let limit = limit.as_f64().or_else(|| limit.as_str()?.parse().ok())?;
            found.as_f64()?.partial_cmp(&limit)
        }
        (Value::String(found), Value::String(limit)) => Some(found.cmp(limit)),
        _ => None,
    }
}

/// A time in milliseconds since the epoch: ISO 8601, a number, and date mathematics as in `now-2m` and `TIME||-1d`.
pub(super) fn moment(value: &Value, now: u64) -> Option<i64> {
    let Some(text) = value.as_str() else {
        return value.as_i64();
    };
    if let Some(steps) = text.strip_prefix("now") {
        return add(i64::try_from(now).ok()?, steps);
    }
    let (anchor, steps) = text.split_once("||").unwrap_or((text, ""));
    let at = DateTime::parse_from_rfc3339(anchor)
        .or_else(|_| DateTime::parse_from_str(anchor, "%Y-%m-%dT%H:%M:%S%.f%z"))
        .map(|time| time.timestamp_millis())
        .ok()
        .or_else(|| {
            Some(anchor.parse::<NaiveDate>().ok()?.and_hms_opt(0, 0, 0)?.and_utc().timestamp_millis())
        })
        .or_else(|| anchor.parse().ok())?;
    add(at, steps)
}

fn add(at: i64, steps: &str) -> Option<i64> {
    if steps.is_empty() {
        return Some(at);
    }
    let end = steps.find(|character: char| character.is_ascii_alphabetic())?;
    let (number, rest) = (steps.get(..end)?.parse::<i64>().ok()?, steps.get(end + 1..)?);
    let unit = match steps.get(end..=end)? {
        "s" => 1_000,
        "m" => 60_000,
        "h" | "H" => 3_600_000,
        "d" => 86_400_000,
        "w" => 604_800_000,
        _ => return None,
    };
    add(at.checked_add(number.checked_mul(unit)?)?, rest)
}
