//! The common form of a template: text, and values between it.
//!
//! Handlebars copies what it looks up, and makes a helper of each expression; what calls no helper is looked up here. Where
//! something does not go as it should, nothing is given, and Handlebars says why.

use std::cell::OnceCell;

use handlebars::template::{Parameter, TemplateElement};
use handlebars::{Path, PathSeg, RenderContext, Template};
use serde_json::Value;

use super::LONGEST_OUTPUT;
use crate::helpers::{PRESENT, REGISTRY};
use crate::reference::Reference;
use crate::scope::{Excerpt, Scope};

/// A part of a template.
#[derive(Debug, Clone)]
pub(super) enum Part {
    Text(String),
    /// What stands at this path.
    Path(Vec<String>),
    /// What Handlebars makes of this.
    Other(Parameter),
}

/// What the parts of a template read.
pub(super) struct Data<'a> {
    scope: &'a Scope,
    references: &'a [Reference],
    /// Of this no more than Handlebars has to see.
    excerpt: OnceCell<Excerpt<'a>>,
}

impl Part {
    /// What stands in one expression.
    pub(super) fn new(value: &Parameter) -> Part {
        path(value).map_or_else(|| Part::Other(value.clone()), Part::Path)
    }

    /// The parts of a template, after the compiler; none where it has blocks.
    pub(super) fn all_of(template: &Template) -> Option<Vec<Part>> {
        let mut parts = Vec::with_capacity(template.elements.len());
        for element in &template.elements {
            match element {
                TemplateElement::RawString(text) => parts.push(Part::Text(text.clone())),
                TemplateElement::Expression(written) | TemplateElement::HtmlExpression(written) => {
                    parts.push(Part::new(written.params.first()?));
                }
                TemplateElement::Comment(_) => {}
                _ => return None,
            }
        }
        Some(parts)
    }

    /// The value, where it is there.
    pub(super) fn value(&self, data: &Data<'_>) -> Option<Value> {
        match self {
            Part::Text(text) => Some(Value::String(text.clone())),
            Part::Path(path) => data.look_up(path).cloned(),
            Part::Other(value) => {
                let mut context = RenderContext::new(None);
                let value = value.expand(&REGISTRY, data.excerpt().context(), &mut context).ok()?;
                Some(value.value().clone())
            }
        }
    }

    /// The parts as one text.
    pub(super) fn write_all(parts: &[Part], data: &Data<'_>) -> Option<String> {
        let mut out = String::new();
        for part in parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Path(path) => write(data.look_up(path)?, &mut out)?,
                Part::Other(_) => write(&part.value(data)?, &mut out)?,
            }
            if out.len() > LONGEST_OUTPUT {
                return None;
            }
        }
        Some(out)
    }
}

impl<'a> Data<'a> {
    /// What a template reads by these paths.
    pub(super) fn new(scope: &'a Scope, references: &'a [Reference]) -> Data<'a> {
        Data { scope, references, excerpt: OnceCell::new() }
    }

    fn look_up(&self, path: &[String]) -> Option<&'a Value> {
        self.scope.look_up(path).filter(|value| !value.is_null())
    }

    fn excerpt(&self) -> &Excerpt<'a> {
        self.excerpt.get_or_init(|| self.scope.excerpt(self.references))
    }
}

/// The path that an expression is, where it is nothing else.
fn path(value: &Parameter) -> Option<Vec<String>> {
    let Parameter::Subexpression(call) = value else { return None };
    let [Parameter::Path(Path::Relative((segments, _)))] = call.params()?.as_slice() else { return None };
    let name = |segment: &PathSeg| if let PathSeg::Named(name) = segment { Some(name.clone()) } else { None };
    segments.iter().map(name).collect::<Option<Vec<String>>>().filter(|_| call.name() == PRESENT)
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
