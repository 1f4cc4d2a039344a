//! The filters of a query: comparisons of one field, and `_and`, `_or`, `_not` over them.

use std::cmp::Ordering;

use serde_json::{Map, Value};

use super::reply::{Rejection, bad_request};

pub(super) enum Filter {
    Any,
    And(Vec<Filter>),
    Or(Vec<Filter>),
    Not(Box<Filter>),
    Has(String),
    Field { name: String, test: Test },
}

pub(super) enum Test {
    Equal(Value),
    Unequal(Value),
    Less(Value),
    LessOrEqual(Value),
    Greater(Value),
    GreaterOrEqual(Value),
    StartsWith(String),
    EndsWith(String),
    Like(String),
    In(Vec<Value>),
    Between(Value, Value),
}

const DEEPEST: usize = 16;

impl Filter {
    /// Reads the one operator that an operation or a nested filter holds beside `_name`.
    pub(super) fn read(operation: &Value) -> Result<Filter, Rejection> {
        Filter::nested(operation, 0)
    }

    fn nested(value: &Value, depth: usize) -> Result<Filter, Rejection> {
        let mut operators = value.as_object().into_iter().flatten().filter(|(name, _)| *name != "_name");
        let (Some((operator, operand)), None) = (operators.next(), operators.next()) else {
            return Err(bad_request("Invalid filter: exactly one operator is expected"));
        };
        if depth > DEEPEST {
            return Err(bad_request("Invalid filter: too deep"));
        }
        let list = || match operand.as_array() {
            Some(items) => items.iter().map(|item| Filter::nested(item, depth + 1)).collect(),
            None => Err(bad_request("Invalid filter: a list is expected")),
        };
        match operator.as_str() {
            "_any" => Ok(Filter::Any),
            "_and" => list().map(Filter::And),
            "_or" => list().map(Filter::Or),
            "_not" => Filter::nested(operand, depth + 1).map(|inner| Filter::Not(Box::new(inner))),
            "_has" => Ok(Filter::Has(text(operand))),
            "_id" => Ok(Filter::Field { name: "_id".into(), test: Test::Equal(operand.clone()) }),
            operator => Filter::field(operator, operand),
        }
    }

    fn field(operator: &str, operand: &Value) -> Result<Filter, Rejection> {
        let part = |name: &str| operand.get(name).cloned().unwrap_or_default();
        let value = part("_value");
        let test = match operator {
            "_eq" | "_is" => Test::Equal(value),
            "_ne" => Test::Unequal(value),
            "_lt" => Test::Less(value),
            "_lte" => Test::LessOrEqual(value),
            "_gt" => Test::Greater(value),
            "_gte" => Test::GreaterOrEqual(value),
            "_startsWith" => Test::StartsWith(text(&value)),
            "_endsWith" => Test::EndsWith(text(&value)),
            "_like" | "_match" => Test::Like(text(&value)),
            "_in" => Test::In(part("_values").as_array().cloned().unwrap_or_default()),
            "_between" => Test::Between(part("_from"), part("_to")),
            unknown => return Err(bad_request(&format!("Invalid filter: {unknown}"))),
        };
        match operand.get("_field").and_then(Value::as_str) {
            Some(name) => Ok(Filter::Field { name: name.to_owned(), test }),
            None => Err(bad_request("Invalid filter: _field is missing")),
        }
    }

    pub(super) fn matches(&self, entity: &Map<String, Value>) -> bool {
        match self {
            Filter::Any => true,
            Filter::And(filters) => filters.iter().all(|filter| filter.matches(entity)),
            Filter::Or(filters) => filters.iter().any(|filter| filter.matches(entity)),
            Filter::Not(filter) => !filter.matches(entity),
            Filter::Has(name) => !values(entity, name).is_empty(),
            Filter::Field { name, test: Test::Unequal(value) } => !values(entity, name).contains(&value),
            Filter::Field { name, test } => values(entity, name).into_iter().any(|value| test.holds(value)),
        }
    }
}

impl Test {
    fn holds(&self, value: &Value) -> bool {
        let lower = || text(value).to_lowercase();
        match self {
            Test::Equal(wanted) => value == wanted,
            Test::Unequal(wanted) => value != wanted,
            Test::Less(bound) => compare(value, bound) == Some(Ordering::Less),
            Test::LessOrEqual(bound) => compare(value, bound).is_some_and(Ordering::is_le),
            Test::Greater(bound) => compare(value, bound) == Some(Ordering::Greater),
            Test::GreaterOrEqual(bound) => compare(value, bound).is_some_and(Ordering::is_ge),
            Test::StartsWith(wanted) => text(value).starts_with(wanted),
            Test::EndsWith(wanted) => text(value).ends_with(wanted),
            Test::Like(wanted) => lower().contains(&wanted.trim_matches('*').to_lowercase()),
            Test::In(wanted) => wanted.contains(value),
            Test::Between(from, to) => {
                compare(value, from).is_some_and(Ordering::is_ge)
                    && compare(value, to) == Some(Ordering::Less)
            }
        }
    }
}

/// The values of a field: each item of a list, and the value of `customFields.NAME`.
fn values<'a>(entity: &'a Map<String, Value>, name: &str) -> Vec<&'a Value> {
    if let Some(custom) = name.strip_prefix("customFields.") {
        let fields = entity.get("customFields").and_then(Value::as_array).into_iter().flatten();
        return fields
            .filter(|field| field["name"] == custom)
            .filter_map(|field| field.get("value"))
            .collect();
    }
    match entity.get(name) {
        None => Vec::new(),
        Some(Value::Array(items)) => items.iter().collect(),
        Some(value) => vec![value],
    }
}

fn compare(left: &Value, right: &Value) -> Option<Ordering> {
    match (left.as_i64(), right.as_i64()) {
        (Some(left), Some(right)) => Some(left.cmp(&right)),
        (_, _) => Some(left.as_str()?.cmp(right.as_str()?)),
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
