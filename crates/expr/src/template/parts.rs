//! The common form of a template: text, and values between it.
//!
//! Handlebars takes all data as one value, and copies what it looks up. What opens no block is evaluated here: paths are
//! looked up where they are, and helpers get what they find. Where something does not go as it should, nothing is given,
//! and Handlebars says why.

use std::borrow::Cow;

use handlebars::template::{Parameter, Subexpression, TemplateElement};
use handlebars::{Path, PathSeg, Template};
use serde_json::Value;

use super::LONGEST_OUTPUT;
use crate::helpers::{self, OPTIONAL, PRESENT, Pure};
use crate::scope::Scope;

/// A part of a template.
#[derive(Debug, Clone)]
pub(super) enum Part {
    Literal(Value),
    /// What stands at this path, and is not null.
    Path(Vec<String>),
    /// What stands at this path; null where nothing does.
    Optional(Vec<String>),
    /// What a helper makes of these.
    Call(Pure, Vec<Part>),
}

impl Part {
    /// What stands in one expression, after the compiler; none where only Handlebars knows.
    pub(super) fn new(value: &Parameter) -> Option<Part> {
        match value {
            Parameter::Literal(value) => Some(Part::Literal(value.clone())),
            Parameter::Subexpression(call) => Part::of_call(call),
            _ => None,
        }
    }

    fn of_call(call: &Subexpression) -> Option<Part> {
        let given = call.params()?.as_slice();
        match (call.name(), given) {
            (PRESENT, [Parameter::Path(Path::Relative((segments, _)))]) => names(segments).map(Part::Path),
            (OPTIONAL, [Parameter::Literal(Value::String(path))]) => {
                Some(Part::Optional(path.split('.').map(str::to_owned).collect()))
            }
            (name, given) => {
                let given = given.iter().map(Part::new).collect::<Option<_>>()?;
                Some(Part::Call(helpers::named(name)?, given))
            }
        }
    }

    /// The parts of a template, after the compiler; none where it has blocks.
    pub(super) fn all_of(template: &Template) -> Option<Vec<Part>> {
        let mut parts = Vec::with_capacity(template.elements.len());
        for element in &template.elements {
            match element {
                TemplateElement::RawString(text) => parts.push(Part::Literal(text.as_str().into())),
                TemplateElement::Expression(written) | TemplateElement::HtmlExpression(written) => {
                    parts.push(Part::new(written.params.first()?)?);
                }
                TemplateElement::Comment(_) => {}
                _ => return None,
            }
        }
        Some(parts)
    }

    /// The value, where it is there.
    pub(super) fn value<'a>(&'a self, scope: &'a Scope) -> Option<Cow<'a, Value>> {
        match self {
            Part::Literal(value) => Some(Cow::Borrowed(value)),
            Part::Path(path) => scope.look_up(path).filter(|value| !value.is_null()).map(Cow::Borrowed),
            Part::Optional(path) => Some(Cow::Borrowed(scope.look_up(path).unwrap_or(&Value::Null))),
            Part::Call(helper, given) => {
                let given = given.iter().map(|part| part.value(scope)).collect::<Option<Vec<_>>>()?;
                let given: Vec<&Value> = given.iter().map(Cow::as_ref).collect();
                helper.call(&given).ok().map(Cow::Owned)
            }
        }
    }

    /// The parts as one text.
    pub(super) fn write_all(parts: &[Part], scope: &Scope) -> Option<String> {
        let mut out = String::new();
        for part in parts {
            write(&*part.value(scope)?, &mut out)?;
            if out.len() > LONGEST_OUTPUT {
                return None;
            }
        }
        Some(out)
    }
}

/// The names that a path is made of, where it is nothing else.
fn names(segments: &[PathSeg]) -> Option<Vec<String>> {
    let name = |segment: &PathSeg| if let PathSeg::Named(name) = segment { Some(name.clone()) } else { None };
    segments.iter().map(name).collect()
}

fn write(value: &Value, out: &mut String) -> Option<()> {
    match value {
        Value::String(text) => out.push_str(text),
        Value::Number(number) => out.push_str(&number.to_string()),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Null | Value::Array(_) | Value::Object(_) => return None,
    }
    Some(())
}
