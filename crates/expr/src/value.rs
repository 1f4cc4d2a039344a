//! JSON with expressions at its leaves: the `with:` of a step, the body of a request, the output of a node.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::bounds;
use crate::condition::Condition;
use crate::error::{CompileError, EvalError};
use crate::reference::Reference;
use crate::scope::Scope;
use crate::template::Template;

/// The most that all leaves together may come to.
const LONGEST: usize = 8 * 1024 * 1024;

/// JSON with expressions at its leaves, compiled.
#[derive(Debug, Clone)]
pub enum ValueTemplate {
    /// A value without expressions.
    Literal(Value),
    /// Text in Handlebars.
    Text(Template),
    /// An expression in CEL.
    Expression(Condition),
    /// A list of such values.
    List(Vec<ValueTemplate>),
    /// An object of such values; an entry whose key was written as `key?` is left out when its value is missing.
    Object(BTreeMap<String, Entry>),
}

/// One entry of an object.
#[derive(Debug, Clone)]
pub struct Entry {
    is_optional: bool,
    value: ValueTemplate,
}

/// One expression of a value.
#[derive(Debug, Clone, Copy)]
pub enum Leaf<'a> {
    /// Text in Handlebars.
    Text(&'a Template),
    /// An expression in CEL.
    Expression(&'a Condition),
}

/// Which language the text at the leaves is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// Handlebars.
    Text,
    /// CEL.
    Expression,
}

impl ValueTemplate {
    /// Compiles a value; every leaf that is wrong is reported with its place, in the form `/list/0/key`.
    pub fn compile(value: &Value, language: Language) -> Result<ValueTemplate, Vec<(String, CompileError)>> {
        let mut errors = Vec::new();
        let compiled = compile(value, language, &mut String::new(), &mut errors);
        if errors.is_empty() { Ok(compiled) } else { Err(errors) }
    }

    /// Evaluates every leaf; all together may come to 8 MiB.
    pub fn eval(&self, scope: &Scope) -> Result<Value, EvalError> {
        self.eval_within(scope, &mut { LONGEST })
    }

    fn eval_within(&self, scope: &Scope, left: &mut usize) -> Result<Value, EvalError> {
        let value = match self {
            ValueTemplate::Literal(value) => value.clone(),
            ValueTemplate::Text(template) => template.eval(scope)?,
            ValueTemplate::Expression(condition) => condition.eval(scope)?,
            ValueTemplate::List(items) => {
                let items = items.iter().map(|item| item.eval_within(scope, left));
                return items.collect::<Result<_, _>>().map(Value::Array);
            }
            ValueTemplate::Object(entries) => {
                let mut object = Map::new();
                for (key, entry) in entries {
                    if entry.is_optional && entry.value.reads_nothing(scope) {
                        continue;
                    }
                    object.insert(key.clone(), entry.value.eval_within(scope, left)?);
                }
                return Ok(Value::Object(object));
            }
        };
        *left = left.saturating_sub(bounds::bytes(&value, LONGEST));
        if *left == 0 {
            return Err(EvalError::new("the values come to more than 8 MiB"));
        }
        Ok(value)
    }

    /// The paths that the leaves read.
    pub fn references(&self) -> Vec<&Reference> {
        match self {
            ValueTemplate::Literal(_) => Vec::new(),
            ValueTemplate::Text(template) => template.references().iter().collect(),
            ValueTemplate::Expression(condition) => condition.references().iter().collect(),
            ValueTemplate::List(items) => items.iter().flat_map(ValueTemplate::references).collect(),
            ValueTemplate::Object(entries) => {
                entries.values().flat_map(|entry| entry.value.references()).collect()
            }
        }
    }

    /// The expressions at the leaves. Those whose entry is left out where they lead nowhere are not among them.
    pub fn expressions(&self) -> Vec<Leaf<'_>> {
        match self {
            ValueTemplate::Literal(_) => Vec::new(),
            ValueTemplate::Text(template) => vec![Leaf::Text(template)],
            ValueTemplate::Expression(condition) => vec![Leaf::Expression(condition)],
            ValueTemplate::List(items) => items.iter().flat_map(ValueTemplate::expressions).collect(),
            ValueTemplate::Object(entries) => {
                let needed = entries.values().filter(|entry| !entry.is_optional);
                needed.flat_map(|entry| entry.value.expressions()).collect()
            }
        }
    }

    /// The keys of an object; none for anything else.
    pub fn keys(&self) -> Option<Vec<&str>> {
        match self {
            ValueTemplate::Object(entries) => Some(entries.keys().map(String::as_str).collect()),
            ValueTemplate::Literal(Value::Object(object)) => {
                Some(object.keys().map(String::as_str).collect())
            }
            ValueTemplate::Literal(_)
            | ValueTemplate::Text(_)
            | ValueTemplate::Expression(_)
            | ValueTemplate::List(_) => None,
        }
    }

    /// Whether a path that the value reads leads nowhere or to null.
    fn reads_nothing(&self, scope: &Scope) -> bool {
        self.references().iter().any(|reference| {
            let path: Vec<&str> = reference.path.iter().map(String::as_str).collect();
            scope.get(&path).is_none_or(Value::is_null)
        })
    }
}

fn compile(
    value: &Value,
    language: Language,
    path: &mut String,
    errors: &mut Vec<(String, CompileError)>,
) -> ValueTemplate {
    match value {
        Value::String(text) => {
            let compiled = match language {
                Language::Text => Template::compile(text).map(|template| match template.is_literal() {
                    true => ValueTemplate::Literal(value.clone()),
                    false => ValueTemplate::Text(template),
                }),
                Language::Expression => Condition::compile(text).map(ValueTemplate::Expression),
            };
            compiled.unwrap_or_else(|error| {
                errors.push((path.clone(), error));
                ValueTemplate::Literal(Value::Null)
            })
        }
        Value::Array(items) => {
            let mut compiled = Vec::with_capacity(items.len());
            for (index, item) in items.iter().enumerate() {
                compiled.push(within(path, &index.to_string(), |path| compile(item, language, path, errors)));
            }
            ValueTemplate::List(compiled)
        }
        Value::Object(object) => {
            let mut entries = BTreeMap::new();
            for (key, value) in object {
                let value = within(path, key, |path| compile(value, language, path, errors));
                let (key, is_optional) =
                    key.strip_suffix('?').map_or((key.as_str(), false), |key| (key, true));
                entries.insert(key.to_owned(), Entry { is_optional, value });
            }
            ValueTemplate::Object(entries)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => ValueTemplate::Literal(value.clone()),
    }
}

fn within<T>(path: &mut String, segment: &str, work: impl FnOnce(&mut String) -> T) -> T {
    let length = path.len();
    path.push('/');
    path.push_str(segment);
    let result = work(path);
    path.truncate(length);
    result
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn leaves_are_evaluated_and_optional_entries_left_out() {
        let value = json!({ "title": "{{ inputs.title }}", "tags": ["a", "{{ inputs.n }}"], "tlp?": "{{ inputs.tlp }}" });
        let template = ValueTemplate::compile(&value, Language::Text).unwrap();
        let scope = Scope::new(json!({ "inputs": { "title": "x", "n": 3 } }));
        assert_eq!(template.eval(&scope).unwrap(), json!({ "title": "x", "tags": ["a", 3] }));
    }

    #[test]
    fn every_wrong_leaf_is_reported_with_its_place() {
        let value = json!({ "a": "{{ nope x }}", "b": [1, "{{#if}}"] });
        let errors = ValueTemplate::compile(&value, Language::Text).unwrap_err();
        let places: Vec<&str> = errors.iter().map(|(place, _)| place.as_str()).collect();
        assert_eq!(places, ["/a", "/b/1"]);
    }
}
