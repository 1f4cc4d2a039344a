//! Evaluates the common forms of an expression over the JSON itself.
//!
//! CEL's own evaluation first converts what an expression reads, and compiles a pattern each time that it is used; with many
//! playbooks on one hook that is most of what an alert costs. What is evaluated here gives what CEL gives. Where a form
//! is not known, a path leads nowhere or kinds do not fit together, nothing is given, and CEL decides what follows.

mod shared;

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, OnceLock};

use cel::IdedExpr;
use cel::common::ast::operators as named;
use cel::common::ast::{CallExpr, ComprehensionExpr, Expr, LiteralValue};
use regex::{Regex, RegexBuilder};
use serde_json::Value;

use crate::bounds::{LONGEST_VALUE, bytes};
use crate::scope;
use crate::scope::{Scope, Tree};

pub(super) use shared::{Known, share};

/// A compiled pattern takes so much memory at most, or CEL compiles it when it is used.
const LARGEST_PATTERN: usize = 256 * 1024;

/// An expression of a common form.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Direct {
    Literal(Value),
    /// A path below a root of the scope.
    Path(Vec<String>),
    /// A path below the element that so many loops further out is gone through.
    Element(usize, Vec<String>),
    Has(Box<Direct>, String),
    Not(Box<Direct>),
    If(Box<[Direct; 3]>),
    Binary(Binary, Box<[Direct; 2]>),
    OneOf(Box<Direct>, Vec<Direct>),
    Matches(Box<Direct>, Pattern),
    Size(Box<Direct>),
    ToText(Box<Direct>),
    /// Whether all elements of a list fulfil something, or one of them.
    Each {
        list: Box<Direct>,
        fulfils: Box<Direct>,
        is_all: bool,
    },
    /// What stands in other expressions as well, with its number: it is evaluated once for all of them.
    Shared(usize, Arc<Direct>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Binary {
    And,
    Or,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    Add,
    Subtract,
    Multiply,
    StartsWith,
    EndsWith,
    Contains,
}

/// A pattern, compiled when it is used first.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    source: String,
    compiled: OnceLock<Option<Regex>>,
}

/// What an expression gives.
#[derive(Debug, Clone)]
pub(super) enum Found<'a> {
    In(&'a Value),
    /// An object of the scope that is no value as it is.
    Inner(&'a BTreeMap<String, Tree>),
    Bool(bool),
    Integer(i64),
    Text(Cow<'a, str>),
}

/// A value that is neither a list nor an object, nor a number that is not whole.
#[derive(PartialEq)]
enum Scalar<'a> {
    Null,
    Bool(bool),
    Integer(i64),
    Text(&'a str),
}

/// Where something is evaluated.
struct Place<'a, 'b> {
    scope: &'a Scope,
    known: &'b Known<'a>,
    at: Option<Loop<'a, 'b>>,
}

/// The element that a loop is at, and where the loop stands.
struct Loop<'a, 'b> {
    element: &'a Value,
    outside: &'b Place<'a, 'b>,
}

impl Direct {
    /// The expression, where it is of a common form.
    pub(super) fn compile(node: &IdedExpr) -> Option<Direct> {
        compile(node, &mut Vec::new())
    }

    /// What the expression gives, where CEL would give the same.
    pub(super) fn eval<'a>(&'a self, scope: &'a Scope, known: &Known<'a>) -> Option<Found<'a>> {
        self.eval_in(&Place { scope, known, at: None })
    }

    fn eval_in<'a>(&'a self, place: &Place<'a, '_>) -> Option<Found<'a>> {
        let eval = |part: &'a Direct| part.eval_in(place);
        Some(match self {
            Direct::Literal(value) => Found::In(value),
            Direct::Path(names) => match place.scope.tree().walk(names)? {
                (scope::Place::Value(value), rest) => Found::In(below(value, rest)?),
                (scope::Place::Inner(parts), _) => Found::Inner(parts),
            },
            Direct::Element(outer, names) => {
                let at = (0..*outer).try_fold(place.at.as_ref()?, |at, _| at.outside.at.as_ref())?;
                Found::In(below(at.element, names)?)
            }
            Direct::Has(value, name) => Found::Bool(eval(value)?.has(name)?),
            Direct::Not(value) => Found::Bool(!eval(value)?.bool()?),
            Direct::If(parts) => {
                let [condition, then, otherwise] = parts.as_ref();
                return if eval(condition)?.bool()? { eval(then) } else { eval(otherwise) };
            }
            Direct::Binary(binary, sides) => return binary.eval(&sides[0], &sides[1], eval),
            Direct::OneOf(value, list) => {
                let (value, mut is_in) = (eval(value)?, false);
                for element in list {
                    is_in |= eval(element)?.scalar()? == value.scalar()?;
                }
                Found::Bool(is_in)
            }
            Direct::Matches(text, pattern) => Found::Bool(pattern.compiled()?.is_match(eval(text)?.text()?)),
            Direct::Size(list) => {
                let Found::In(Value::Array(list)) = eval(list)? else { return None };
                Found::Integer(list.len().try_into().ok()?)
            }
            Direct::ToText(value) => match eval(value)?.scalar()? {
                Scalar::Integer(number) => Found::Text(number.to_string().into()),
                Scalar::Text(text) => Found::Text(text.to_owned().into()),
                Scalar::Null | Scalar::Bool(_) => return None,
            },
            Direct::Each { list, fulfils, is_all } => {
                let Found::In(Value::Array(list)) = eval(list)? else { return None };
                for element in list {
                    let at = Some(Loop { element, outside: place });
                    let place = Place { at, ..*place };
                    if fulfils.eval_in(&place)?.bool()? != *is_all {
                        return Some(Found::Bool(!is_all));
                    }
                }
                Found::Bool(*is_all)
            }
            Direct::Shared(number, shared) => return place.known.get_or(*number, || eval(shared)),
        })
    }
}

impl Binary {
    fn eval<'a>(
        self,
        left: &'a Direct,
        right: &'a Direct,
        eval: impl Fn(&'a Direct) -> Option<Found<'a>>,
    ) -> Option<Found<'a>> {
        let first = eval(left)?;
        if let Binary::And | Binary::Or = self {
            let decides = matches!(self, Binary::Or);
            let is_decided = first.bool()? == decides;
            return Some(Found::Bool(if is_decided { decides } else { eval(right)?.bool()? }));
        }
        let second = eval(right)?;
        let order = || Some(first.integer()?.cmp(&second.integer()?));
        let texts = || Some((first.text()?, second.text()?));
        let integer =
            |give: fn(i64, i64) -> Option<i64>| give(first.integer()?, second.integer()?).map(Found::Integer);
        Some(Found::Bool(match self {
            Binary::And | Binary::Or => return None,
            Binary::Equal => first.scalar()? == second.scalar()?,
            Binary::NotEqual => first.scalar()? != second.scalar()?,
            Binary::Less => order()? == Ordering::Less,
            Binary::LessOrEqual => order()? != Ordering::Greater,
            Binary::Greater => order()? == Ordering::Greater,
            Binary::GreaterOrEqual => order()? != Ordering::Less,
            Binary::In => first.is_in(&second)?,
            Binary::StartsWith => texts().map(|(text, part)| text.starts_with(part))?,
            Binary::EndsWith => texts().map(|(text, part)| text.ends_with(part))?,
            Binary::Contains => texts().map(|(text, part)| text.contains(part))?,
            Binary::Subtract => return integer(i64::checked_sub),
            Binary::Multiply => return integer(i64::checked_mul),
            Binary::Add => match texts() {
                Some((text, rest)) => return Some(Found::Text(format!("{text}{rest}").into())),
                None => return integer(i64::checked_add),
            },
        }))
    }

    /// The operator, or the function with a target, of this name.
    fn named(name: &str, has_target: bool) -> Option<Binary> {
        Some(match (name, has_target) {
            (named::LOGICAL_AND, false) => Binary::And,
            (named::LOGICAL_OR, false) => Binary::Or,
            (named::EQUALS, false) => Binary::Equal,
            (named::NOT_EQUALS, false) => Binary::NotEqual,
            (named::LESS, false) => Binary::Less,
            (named::LESS_EQUALS, false) => Binary::LessOrEqual,
            (named::GREATER, false) => Binary::Greater,
            (named::GREATER_EQUALS, false) => Binary::GreaterOrEqual,
            (named::IN, false) => Binary::In,
            (named::ADD, false) => Binary::Add,
            (named::SUBSTRACT, false) => Binary::Subtract,
            (named::MULTIPLY, false) => Binary::Multiply,
            ("startsWith", true) => Binary::StartsWith,
            ("endsWith", true) => Binary::EndsWith,
            ("contains", true) => Binary::Contains,
            _ => return None,
        })
    }
}

impl Pattern {
    fn compiled(&self) -> Option<&Regex> {
        let compile = || {
            let mut pattern = RegexBuilder::new(&self.source);
            pattern.size_limit(LARGEST_PATTERN).dfa_size_limit(LARGEST_PATTERN).build().ok()
        };
        self.compiled.get_or_init(compile).as_ref()
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Pattern) -> bool {
        self.source == other.source
    }
}

impl Eq for Pattern {}

impl Hash for Pattern {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.source.hash(state);
    }
}

impl Found<'_> {
    pub(super) fn bool(&self) -> Option<bool> {
        if let Scalar::Bool(value) = self.scalar()? { Some(value) } else { None }
    }

    /// The value, where it is not so long that CEL would have to look at it.
    pub(super) fn into_json(self) -> Option<Value> {
        Some(match self {
            Found::In(value) if bytes(value, LONGEST_VALUE) < LONGEST_VALUE / 2 => value.clone(),
            Found::Text(text) if text.len() < LONGEST_VALUE / 2 => Value::String(text.into_owned()),
            Found::In(_) | Found::Inner(_) | Found::Text(_) => return None,
            Found::Bool(value) => value.into(),
            Found::Integer(number) => number.into(),
        })
    }

    fn scalar(&self) -> Option<Scalar<'_>> {
        match self {
            Found::In(value) => scalar(value),
            Found::Inner(_) => None,
            Found::Bool(value) => Some(Scalar::Bool(*value)),
            Found::Integer(number) => Some(Scalar::Integer(*number)),
            Found::Text(text) => Some(Scalar::Text(text)),
        }
    }

    fn integer(&self) -> Option<i64> {
        if let Scalar::Integer(number) = self.scalar()? { Some(number) } else { None }
    }

    fn text(&self) -> Option<&str> {
        if let Scalar::Text(text) = self.scalar()? { Some(text) } else { None }
    }

    /// Whether an object has this key.
    fn has(&self, key: &str) -> Option<bool> {
        match self {
            Found::In(value) => Some(value.as_object()?.contains_key(key)),
            Found::Inner(parts) => Some(parts.contains_key(key)),
            Found::Bool(_) | Found::Integer(_) | Found::Text(_) => None,
        }
    }

    fn is_in(&self, container: &Found<'_>) -> Option<bool> {
        let value = self.scalar()?;
        match container {
            Found::In(Value::Array(list)) => {
                let mut is_in = false;
                for element in list {
                    is_in |= scalar(element)? == value;
                }
                Some(is_in)
            }
            Found::In(_) | Found::Inner(_) => container.has(self.text()?),
            Found::Bool(_) | Found::Integer(_) | Found::Text(_) => None,
        }
    }
}

fn scalar(value: &Value) -> Option<Scalar<'_>> {
    match value {
        Value::Null => Some(Scalar::Null),
        Value::Bool(value) => Some(Scalar::Bool(*value)),
        Value::Number(number) => number.as_i64().map(Scalar::Integer),
        Value::String(text) => Some(Scalar::Text(text)),
        Value::Array(_) | Value::Object(_) => None,
    }
}

fn below<'a>(value: &'a Value, names: &[String]) -> Option<&'a Value> {
    names.iter().try_fold(value, |value, name| value.as_object()?.get(name))
}

fn compile<'n>(node: &'n IdedExpr, bound: &mut Vec<&'n str>) -> Option<Direct> {
    match &node.expr {
        Expr::Literal(literal) => Some(Direct::Literal(match literal {
            LiteralValue::Boolean(value) => (*value.inner()).into(),
            LiteralValue::Int(number) => (*number.inner()).into(),
            LiteralValue::String(text) => text.inner().into(),
            LiteralValue::Null => Value::Null,
            LiteralValue::Bytes(_) | LiteralValue::Double(_) | LiteralValue::UInt(_) => return None,
        })),
        Expr::Ident(_) => path(node, bound),
        Expr::Select(select) if select.test => {
            Some(Direct::Has(Box::new(path(&select.operand, bound)?), select.field.clone()))
        }
        Expr::Select(_) => path(node, bound),
        Expr::Call(call) => compile_call(call, bound),
        Expr::Comprehension(each) => compile_loop(each, bound),
        _ => None,
    }
}

/// A path below a root, or below the element of a loop.
fn path(node: &IdedExpr, bound: &[&str]) -> Option<Direct> {
    let (mut names, mut place) = (Vec::new(), node);
    let root = loop {
        match &place.expr {
            Expr::Ident(name) => break name,
            Expr::Select(select) if !select.test => {
                names.push(select.field.clone());
                place = &select.operand;
            }
            _ => return None,
        }
    };
    match bound.iter().rev().position(|name| name == root) {
        Some(outer) => {
            names.reverse();
            Some(Direct::Element(outer, names))
        }
        None => {
            names.push(root.clone());
            names.reverse();
            Some(Direct::Path(names))
        }
    }
}

fn compile_call<'n>(call: &'n CallExpr, bound: &mut Vec<&'n str>) -> Option<Direct> {
    let parts: Vec<&IdedExpr> = call.target.as_deref().into_iter().chain(&call.args).collect();
    let name = call.func_name.as_str();
    match (name, parts.as_slice()) {
        (named::LOGICAL_NOT, [value]) => Some(Direct::Not(Box::new(compile(value, bound)?))),
        ("size", [list]) => Some(Direct::Size(Box::new(compile(list, bound)?))),
        ("string", [value]) if call.target.is_none() => {
            Some(Direct::ToText(Box::new(compile(value, bound)?)))
        }
        ("matches", [text, pattern]) => {
            let Expr::Literal(LiteralValue::String(source)) = &pattern.expr else { return None };
            let pattern = Pattern { source: source.inner().to_owned(), compiled: OnceLock::new() };
            Some(Direct::Matches(Box::new(compile(text, bound)?), pattern))
        }
        (named::CONDITIONAL, [condition, then, otherwise]) => {
            let parts = [compile(condition, bound)?, compile(then, bound)?, compile(otherwise, bound)?];
            Some(Direct::If(Box::new(parts)))
        }
        (named::IN, [value, list]) if let Expr::List(list) = &list.expr => {
            let value = Box::new(compile(value, bound)?);
            let list: Option<Vec<Direct>> = list.elements.iter().map(|it| compile(it, bound)).collect();
            Some(Direct::OneOf(value, list?))
        }
        (_, [left, right]) => {
            let binary = Binary::named(name, call.target.is_some())?;
            Some(Direct::Binary(binary, Box::new([compile(left, bound)?, compile(right, bound)?])))
        }
        _ => None,
    }
}

/// What the parser makes of `exists` and `all`.
fn compile_loop<'n>(each: &'n ComprehensionExpr, bound: &mut Vec<&'n str>) -> Option<Direct> {
    let Expr::Literal(LiteralValue::Boolean(from)) = &each.accu_init.expr else { return None };
    let is_all = *from.inner();
    let Expr::Call(step) = &each.loop_step.expr else { return None };
    let joins = if is_all { named::LOGICAL_AND } else { named::LOGICAL_OR };
    let is_sum = |node: &IdedExpr| matches!(&node.expr, Expr::Ident(name) if *name == each.accu_var);
    let [sum, fulfils] = step.args.as_slice() else { return None };
    if step.func_name != joins || !is_sum(sum) || !is_sum(&each.result) || each.iter_var2.is_some() {
        return None;
    }
    let list = Box::new(compile(&each.iter_range, bound)?);
    bound.push(&each.iter_var);
    let fulfils = compile(fulfils, bound);
    bound.pop();
    Some(Direct::Each { list, fulfils: Box::new(fulfils?), is_all })
}

#[cfg(test)]
mod tests;
