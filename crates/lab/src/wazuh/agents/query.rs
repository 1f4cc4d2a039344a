//! Filters, `q`, `search`, `sort`, `select` and pages of `GET /agents`.

use std::cmp::Ordering;

use serde_json::{Map, Value};

use crate::clock::format_ms;

use super::super::parameters::Parameters;
use super::super::reply::{BAD_QUERY, BAD_SELECT, BAD_SORT, Problem};
use super::DATE;

pub(in crate::wazuh) const PARAMETERS: &[&str] = &[
    "agents_list",
    "distinct",
    "group",
    "group_config_status",
    "ip",
    "limit",
    "manager",
    "name",
    "node_name",
    "offset",
    "older_than",
    "os.name",
    "os.platform",
    "os.version",
    "pretty",
    "q",
    "registerIP",
    "search",
    "select",
    "sort",
    "status",
    "version",
    "wait_for_complete",
];

/// The parameters that ask for one exact value of the field with the same name.
const FILTERS: &[&str] = &[
    "group",
    "group_config_status",
    "ip",
    "manager",
    "name",
    "node_name",
    "os.name",
    "os.platform",
    "os.version",
    "registerIP",
    "version",
];

const FIELDS: &[&str] = &[
    "configSum",
    "dateAdd",
    "disconnection_time",
    "group",
    "group_config_status",
    "id",
    "ip",
    "lastKeepAlive",
    "manager",
    "mergedSum",
    "name",
    "node_name",
    "os.arch",
    "os.build",
    "os.codename",
    "os.major",
    "os.minor",
    "os.name",
    "os.platform",
    "os.uname",
    "os.version",
    "registerIP",
    "status",
    "status_code",
    "version",
];

/// The page that the parameters ask for, and how many rows matched.
pub(super) fn select(
    mut rows: Vec<Value>,
    parameters: &Parameters,
    now_ms: u64,
) -> Result<(Vec<Value>, usize), Problem> {
    let offset = parameters.integer("offset", 0, 0, i64::MAX)?;
    let limit = parameters.integer("limit", 500, 1, 100_000)?;
    if let Some(statuses) =
        parameters.one_of_each("status", &["active", "pending", "never_connected", "disconnected"])?
    {
        rows.retain(|row| statuses.iter().any(|status| row["status"] == *status));
    }
    for name in FILTERS {
        if let Some(wanted) = parameters.get(name) {
            rows.retain(|row| field(row, name).is_some_and(|value| holds(value, '=', wanted)));
        }
    }
    if let Some(timeframe) = parameters.get("older_than") {
        let before = format_ms(now_ms.saturating_sub(timeframe_ms(timeframe)?), DATE);
        rows.retain(|row| {
            let seen = row.get("lastKeepAlive").unwrap_or(&row["dateAdd"]);
            seen.as_str().is_some_and(|seen| seen < before.as_str())
        });
    }
    if let Some(query) = parameters.get("q") {
        let condition = Condition::parse(query)?;
        rows.retain(|row| condition.matches(row));
    }
    if let Some(text) = parameters.get("search") {
        let (text, wanted) = text.strip_prefix('-').map_or((text, true), |rest| (rest, false));
        rows.retain(|row| contains(row, &text.to_lowercase()) == wanted);
    }
    sort(&mut rows, parameters.list("sort").as_deref())?;
    if let Some(fields) = parameters.list("select") {
        let is_distinct = parameters.is_true("distinct");
        rows = project(&rows, &fields, is_distinct)?;
        if is_distinct {
            rows = distinct(rows);
        }
    }
    let total = rows.len();
    Ok((rows.into_iter().skip(offset).take(limit).collect(), total))
}

fn field<'a>(row: &'a Value, name: &str) -> Option<&'a Value> {
    name.split('.').try_fold(row, |value, part| value.get(part))
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn holds(value: &Value, operator: char, wanted: &str) -> bool {
    if let Value::Array(items) = value {
        return items.iter().any(|item| holds(item, operator, wanted));
    }
    let value = text(value);
    match operator {
        '=' => value.eq_ignore_ascii_case(wanted),
        '!' => !value.eq_ignore_ascii_case(wanted),
        '~' => value.to_lowercase().contains(&wanted.to_lowercase()),
        '<' => compare(&value, wanted) == Ordering::Less,
        '>' => compare(&value, wanted) == Ordering::Greater,
        _ => false,
    }
}

fn compare(left: &str, right: &str) -> Ordering {
    match (left.parse::<i64>(), right.parse::<i64>()) {
        (Ok(left), Ok(right)) => left.cmp(&right),
        (_, _) => left.cmp(right),
    }
}

fn contains(value: &Value, text: &str) -> bool {
    match value {
        Value::Object(fields) => fields.values().any(|value| contains(value, text)),
        Value::Array(items) => items.iter().any(|value| contains(value, text)),
        Value::String(value) => value.to_lowercase().contains(text),
        Value::Number(_) | Value::Bool(_) | Value::Null => false,
    }
}

fn timeframe_ms(timeframe: &str) -> Result<u64, Problem> {
    let digits = timeframe.trim_end_matches(['d', 'h', 'm', 's']);
    let unit_s = match &timeframe[digits.len()..] {
        "" | "s" => Some(1),
        "m" => Some(60),
        "h" => Some(3_600),
        "d" => Some(86_400),
        _ => None,
    };
    let seconds = unit_s.zip(digits.parse::<u64>().ok()).and_then(|(unit, count)| count.checked_mul(unit));
    let milliseconds = seconds.and_then(|seconds| seconds.checked_mul(1_000));
    milliseconds.ok_or_else(|| {
        Problem::bad_request(format!(
            "'{timeframe}' is not a 'timeframe'. Failed validating 'format' in schema: {{'format': 'timeframe', \
             'type': 'string'}}. On instance: '{timeframe}'"
        ))
    })
}

fn sort(rows: &mut [Value], keys: Option<&[&str]>) -> Result<(), Problem> {
    for key in keys.unwrap_or_default().iter().rev() {
        let name = key.trim_start_matches(['+', '-', ' ']);
        if !FIELDS.contains(&name) {
            return Err(Problem::framework(&BAD_SORT, name));
        }
        rows.sort_by(|left, right| {
            let ordering = field(left, name).map(text).cmp(&field(right, name).map(text));
            if key.starts_with('-') { ordering.reverse() } else { ordering }
        });
    }
    Ok(())
}

/// Keeps the named fields, and the id, which the product adds unless distinct values are wanted.
fn project(rows: &[Value], names: &[&str], is_distinct: bool) -> Result<Vec<Value>, Problem> {
    let unknown: Vec<_> = names.iter().copied().filter(|name| !FIELDS.contains(name)).collect();
    if !unknown.is_empty() {
        return Err(Problem::framework(&BAD_SELECT, &unknown.join(", ")));
    }
    let mut names = names.to_vec();
    if !is_distinct {
        names.push("id");
    }
    let pick = |row: &Value| {
        let mut kept = Map::new();
        for name in &names {
            let Some(value) = field(row, name) else { continue };
            match name.split_once('.') {
                None => kept.insert((*name).to_owned(), value.clone()),
                Some((outer, inner)) => {
                    let nested = kept.entry(outer).or_insert_with(|| Value::Object(Map::new()));
                    nested[inner] = value.clone();
                    None
                }
            };
        }
        Value::Object(kept)
    };
    Ok(rows.iter().map(pick).collect())
}

fn distinct(rows: Vec<Value>) -> Vec<Value> {
    let mut seen: Vec<Value> = Vec::new();
    for row in rows {
        if !seen.contains(&row) {
            seen.push(row);
        }
    }
    seen
}

/// A parsed `q`: `,` is or, `;` is and, parentheses group.
enum Condition {
    Any(Vec<Condition>),
    All(Vec<Condition>),
    Is { field: String, operator: char, value: String },
}

/// A `q` with more parentheses is refused, so that parsing cannot exhaust the stack.
const DEEPEST: usize = 16;

impl Condition {
    fn parse(query: &str) -> Result<Condition, Problem> {
        let mut rest = query;
        let condition = Condition::any(&mut rest, 0).filter(|_| rest.is_empty());
        condition.ok_or_else(|| Problem::framework(&BAD_QUERY, ""))
    }

    fn any(rest: &mut &str, depth: usize) -> Option<Condition> {
        let mut conditions = vec![Condition::all(rest, depth)?];
        while let Some(after) = rest.strip_prefix(',') {
            *rest = after;
            conditions.push(Condition::all(rest, depth)?);
        }
        Some(Condition::Any(conditions))
    }

    fn all(rest: &mut &str, depth: usize) -> Option<Condition> {
        let mut conditions = vec![Condition::one(rest, depth)?];
        while let Some(after) = rest.strip_prefix(';') {
            *rest = after;
            conditions.push(Condition::one(rest, depth)?);
        }
        Some(Condition::All(conditions))
    }

    fn one(rest: &mut &str, depth: usize) -> Option<Condition> {
        if let Some(after) = rest.strip_prefix('(') {
            *rest = after;
            let condition = (depth < DEEPEST).then(|| Condition::any(rest, depth + 1)).flatten()?;
            *rest = rest.strip_prefix(')')?;
            return Some(condition);
        }
        let name_end = rest.find(['=', '!', '<', '>', '~'])?;
        let (name, after) = rest.split_at(name_end);
        let operator = after.chars().next()?;
        let after = after.strip_prefix("!=").or_else(|| after.strip_prefix(['=', '<', '>', '~']))?;
        let value_end = after.find([',', ';', ')']).unwrap_or(after.len());
        let (value, after) = after.split_at(value_end);
        *rest = after;
        (FIELDS.contains(&name) && !value.is_empty()).then(|| Condition::Is {
            field: name.to_owned(),
            operator,
            value: value.to_owned(),
        })
    }

    fn matches(&self, row: &Value) -> bool {
        match self {
            Condition::Any(conditions) => conditions.iter().any(|condition| condition.matches(row)),
            Condition::All(conditions) => conditions.iter().all(|condition| condition.matches(row)),
            Condition::Is { field: name, operator, value } => {
                field(row, name).is_some_and(|found| holds(found, *operator, value))
            }
        }
    }
}
