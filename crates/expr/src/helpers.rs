//! The helpers that templates may call: pure functions over JSON.

use std::ops::RangeInclusive;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD as BASE64, URL_SAFE_NO_PAD as BASE64_URL};
use chrono::{DateTime, FixedOffset, SecondsFormat};
use handlebars::{
    Context, Handlebars, Helper, HelperDef, HelperResult, Output, RenderContext, RenderError,
    RenderErrorReason, ScopedJson, no_escape,
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::bounds::{self, LONGEST_VALUE};
use crate::duration;
use crate::scope;

/// Stands before every path in an argument, so that a missing value is an error there too.
pub(crate) const PRESENT: &str = "__present";
/// Looks up the path that its argument names, and gives null where it leads nowhere.
pub(crate) const OPTIONAL: &str = "__optional";
/// Writes one value into text.
pub(crate) const TEXT: &str = "__text";
/// The one helper with named arguments. The compiler writes them behind its object: a name, its value, a name, its value.
pub(crate) const MERGE: &str = "merge";
/// Helpers that make a list or an object out of several, and could make much of a little in each turn of an `each`.
pub(crate) const BUILDERS: [&str; 2] = ["concat", MERGE];

const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The most that a list comes to: an answer of another system is not longer either.
const LONGEST_LIST: usize = 8 * 1024 * 1024;

type Function = fn(&[&Value]) -> Result<Value, String>;

/// A helper that makes a value of others, and looks at nothing else.
#[derive(Debug, Clone)]
pub(crate) struct Pure {
    name: &'static str,
    arguments: RangeInclusive<usize>,
    function: Function,
}

const HELPERS: [Pure; 27] = [
    pure("and", 1..=8, |values| Ok(values.iter().all(|value| is_true(value)).into())),
    pure("base64", 1..=1, |values| Ok(BASE64.encode(text(values)?).into())),
    pure("base64url", 1..=1, |values| Ok(BASE64_URL.encode(text(values)?).into())),
    pure("concat", 1..=8, concat),
    pure("date_add", 2..=2, date_add),
    pure("default", 2..=2, |values| match values {
        [Value::Null, fallback] => Ok((*fallback).clone()),
        [value, ..] => Ok((*value).clone()),
        [] => Ok(Value::Null),
    }),
    pure("eq", 2..=2, |values| Ok((values.first() == values.get(1)).into())),
    pure("gt", 2..=2, |values| compare(values, std::cmp::Ordering::is_gt)),
    pure("gte", 2..=2, |values| compare(values, std::cmp::Ordering::is_ge)),
    pure("join", 1..=2, join),
    pure("json", 1..=1, |values| match values {
        [value, ..] => Ok(value.to_string().into()),
        [] => Ok(Value::Null),
    }),
    pure("last", 1..=1, last),
    pure("len", 1..=1, len),
    pure("lower", 1..=1, |values| Ok(text(values)?.to_lowercase().into())),
    pure("lt", 2..=2, |values| compare(values, std::cmp::Ordering::is_lt)),
    pure("lte", 2..=2, |values| compare(values, std::cmp::Ordering::is_le)),
    pure("map", 2..=17, map),
    pure(MERGE, 1..=1, merge),
    pure("ne", 2..=2, |values| Ok((values.first() != values.get(1)).into())),
    pure("not", 1..=1, |values| Ok((!values.iter().all(|value| is_true(value))).into())),
    pure("or", 1..=8, |values| Ok(values.iter().any(|value| is_true(value)).into())),
    pure("seconds", 1..=1, seconds),
    pure("sha256", 1..=1, |values| Ok(format!("{:x}", Sha256::digest(text(values)?)).into())),
    pure("shell", 1..=1, |values| Ok(format!("'{}'", text(values)?.replace('\'', r"'\''")).into())),
    pure("slack", 1..=1, |values| Ok(slack(&text(values)?).into())),
    pure("trim", 1..=1, |values| Ok(text(values)?.trim().into())),
    pure("upper", 1..=1, |values| Ok(text(values)?.to_uppercase().into())),
];
const URLENCODE: Pure =
    pure("urlencode", 1..=1, |values| Ok(utf8_percent_encode(&text(values)?, UNRESERVED).to_string().into()));

/// The blocks that templates may open.
const BLOCKS: [&str; 3] = ["each", "if", "unless"];

pub(crate) static REGISTRY: LazyLock<Handlebars<'static>> = LazyLock::new(|| {
    let mut registry = Handlebars::new();
    registry.register_escape_fn(no_escape);
    registry.set_prevent_indent(true);
    registry.register_helper(PRESENT, Box::new(Present));
    registry.register_helper(OPTIONAL, Box::new(Optional));
    registry.register_helper(TEXT, Box::new(Text));
    for helper in all() {
        registry.register_helper(helper.name, Box::new(helper));
    }
    registry
});

fn all() -> impl Iterator<Item = Pure> {
    HELPERS.into_iter().chain([URLENCODE])
}

/// The names of all helpers and blocks, sorted.
pub fn names() -> Vec<&'static str> {
    let mut names: Vec<&str> = all().map(|helper| helper.name).chain(BLOCKS).collect();
    names.sort_unstable();
    names
}

/// The helper with this name.
pub(crate) fn named(name: &str) -> Option<Pure> {
    all().find(|helper| helper.name == name)
}

/// How many arguments a helper takes; none if there is no such helper.
pub(crate) fn arguments(name: &str) -> Option<RangeInclusive<usize>> {
    named(name).map(|helper| helper.arguments)
}

pub(crate) fn is_block(name: &str) -> bool {
    BLOCKS.contains(&name)
}

const fn pure(name: &'static str, arguments: RangeInclusive<usize>, function: Function) -> Pure {
    Pure { name, arguments, function }
}

impl Pure {
    pub(crate) fn call(&self, values: &[&Value]) -> Result<Value, String> {
        let value = (self.function)(values)?;
        // Helpers nest, and each can make more of what the one inside it has made.
        let is_too_long = match &value {
            Value::String(text) => text.len() > LONGEST_VALUE,
            Value::Array(_) | Value::Object(_) if BUILDERS.contains(&self.name) => {
                bounds::bytes(&value, LONGEST_VALUE) > LONGEST_VALUE
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => false,
        };
        if is_too_long { Err("gives more than 1 MiB".to_owned()) } else { Ok(value) }
    }
}

impl HelperDef for Pure {
    fn call_inner<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        _: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
    ) -> Result<ScopedJson<'rc>, RenderError> {
        let values: Vec<&Value> = helper.params().iter().map(|param| param.value()).collect();
        let result = self.call(&values);
        result.map(ScopedJson::Derived).map_err(|message| failed(format!("`{}`: {message}", self.name)))
    }
}

struct Present;

impl HelperDef for Present {
    fn call_inner<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        context: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
    ) -> Result<ScopedJson<'rc>, RenderError> {
        let param = helper.param(0).expect("the compiler gives it one argument");
        let raw = param.relative_path().map_or("", String::as_str);
        if param.is_value_missing() {
            let path: Vec<&str> = raw.split('.').collect();
            return Err(failed(scope::missing(context.data(), &path)));
        }
        if param.value().is_null() {
            return Err(failed(format!("`{raw}` is null")));
        }
        Ok(ScopedJson::Derived(param.value().clone()))
    }
}

struct Optional;

impl HelperDef for Optional {
    fn call_inner<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        context: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
    ) -> Result<ScopedJson<'rc>, RenderError> {
        let path = helper.param(0).and_then(|param| param.value().as_str()).unwrap_or_default();
        let path: Vec<&str> = path.split('.').collect();
        Ok(ScopedJson::Derived(scope::lookup(context.data(), &path).cloned().unwrap_or(Value::Null)))
    }
}

struct Text;

impl HelperDef for Text {
    fn call<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        _: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
        out: &mut dyn Output,
    ) -> HelperResult {
        let value = helper.param(0).expect("the compiler gives it one argument").value();
        match value {
            Value::String(text) => out.write(text)?,
            Value::Number(_) | Value::Bool(_) => out.write(&value.to_string())?,
            Value::Array(_) | Value::Object(_) | Value::Null => {
                let what = describe(value);
                return Err(failed(format!(
                    "{what} stands inside text: write `{{{{json ...}}}}` to put it there as JSON"
                )));
            }
        }
        Ok(())
    }
}

fn failed(message: String) -> RenderError {
    RenderErrorReason::Other(message).into()
}

fn describe(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(value) => *value,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::Object(object) => !object.is_empty(),
    }
}

fn text(values: &[&Value]) -> Result<String, String> {
    match values.first() {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(value @ (Value::Number(_) | Value::Bool(_))) => Ok(value.to_string()),
        Some(value) => Err(format!("needs text, not {}", describe(value))),
        None => Err("needs text".to_owned()),
    }
}

/// What Slack would take for a link, a mention or `@channel` stands between angle brackets.
fn slack(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn compare(values: &[&Value], holds: fn(std::cmp::Ordering) -> bool) -> Result<Value, String> {
    let ordering = match values {
        [Value::Number(a), Value::Number(b)] => a.as_f64().partial_cmp(&b.as_f64()),
        [Value::String(a), Value::String(b)] => Some(a.cmp(b)),
        [a, b] => return Err(format!("cannot compare {} with {}", describe(a), describe(b))),
        _ => None,
    };
    Ok(ordering.is_some_and(holds).into())
}

fn join(values: &[&Value]) -> Result<Value, String> {
    let Some(Value::Array(list)) = values.first() else {
        return Err("needs a list".to_owned());
    };
    let separator = values.get(1).map_or(Ok(", ".to_owned()), |value| text(&[value]))?;
    let items = list.iter().map(|item| text(&[item])).collect::<Result<Vec<_>, _>>()?;
    Ok(items.join(&separator).into())
}

/// One list of all items; null adds nothing.
fn concat(values: &[&Value]) -> Result<Value, String> {
    let mut all = Vec::new();
    for value in values {
        match value {
            Value::Array(items) => all.extend(items.iter().cloned()),
            Value::Null => {}
            Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
                all.push((*value).clone());
            }
        }
    }
    Ok(all.into())
}

fn merge(values: &[&Value]) -> Result<Value, String> {
    let (first, named) = values.split_first().ok_or("needs an object")?;
    let Value::Object(object) = first else {
        return Err(format!("needs an object, not {}", describe(first)));
    };
    let mut merged = object.clone();
    for pair in named.chunks(2) {
        if let [Value::String(key), value] = pair {
            merged.insert(key.clone(), (*value).clone());
        }
    }
    Ok(merged.into())
}

/// A part of a second is refused: rounded to none, many APIs would take it for ever.
fn seconds(values: &[&Value]) -> Result<Value, String> {
    let given = text(values)?;
    let duration = duration::parse(&given)?;
    if duration.subsec_nanos() > 0 {
        return Err(format!("`{given}` is not a whole number of seconds"));
    }
    Ok(duration.as_secs().into())
}

fn last(values: &[&Value]) -> Result<Value, String> {
    let Some(Value::Array(list)) = values.first() else {
        return Err("needs a list".to_owned());
    };
    Ok(list.last().cloned().unwrap_or(Value::Null))
}

/// Of each item what stands at a path, or an object of what stands at several: `map LIST KEY PATH KEY PATH ...`.
fn map(values: &[&Value]) -> Result<Value, String> {
    let [Value::Array(list), words @ ..] = values else {
        return Err("needs a list".to_owned());
    };
    let words = words.iter().map(|word| text(&[word])).collect::<Result<Vec<_>, _>>()?;
    let at = |item: &Value, path: &str| {
        scope::lookup(item, &path.split('.').collect::<Vec<_>>()).filter(|found| !found.is_null()).cloned()
    };
    let shown = |item: &Value| match words.as_slice() {
        [path] => Ok(at(item, path).unwrap_or(Value::Null)),
        pairs if pairs.len() % 2 == 0 => {
            let found = pairs.chunks(2).filter_map(|pair| Some((pair[0].clone(), at(item, &pair[1])?)));
            Ok(Value::Object(found.collect()))
        }
        _ => Err("needs a path, or pairs of a key and a path".to_owned()),
    };
    let mut size = 0;
    let mut result = Vec::with_capacity(list.len());
    for item in list {
        let item = shown(item)?;
        size += bounds::bytes(&item, LONGEST_LIST);
        if size > LONGEST_LIST {
            return Err("gives more than 8 MiB".to_owned());
        }
        result.push(item);
    }
    Ok(result.into())
}

fn len(values: &[&Value]) -> Result<Value, String> {
    match values {
        [Value::Array(list), ..] => Ok(list.len().into()),
        [Value::Object(object), ..] => Ok(object.len().into()),
        [Value::String(text), ..] => Ok(text.chars().count().into()),
        [value, ..] => Err(format!("{} has no length", describe(value))),
        [] => Err("needs a value".to_owned()),
    }
}

/// Wazuh writes the offset without a colon, which is not RFC 3339.
const WAZUH_TIME: &str = "%Y-%m-%dT%H:%M:%S%.f%z";

fn date_add(values: &[&Value]) -> Result<Value, String> {
    let time = text(values)?;
    let parsed: DateTime<FixedOffset> = DateTime::parse_from_rfc3339(&time)
        .or_else(|_| DateTime::parse_from_str(&time, WAZUH_TIME))
        .map_err(|_| format!("`{time}` is not a time"))?;
    let by = duration::parse(&text(values.get(1..).unwrap_or(&[]))?)?;
    let sum = parsed.checked_add_signed(chrono::Duration::milliseconds(by.as_millis() as i64));
    let sum = sum.ok_or_else(|| format!("`{time}` is too far away"))?;
    Ok(sum.to_utc().to_rfc3339_opts(SecondsFormat::Millis, true).into())
}
