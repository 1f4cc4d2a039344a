//! Decisions and computed values in CEL.
//!
//! The common forms are evaluated over the JSON itself (`direct`); for the rest, what an expression reads is converted.
//! The crate has no cost limit of its own, so length, size and
//! nesting of comprehensions are bounded when an expression is compiled.

#![expect(clippy::wildcard_enum_match_arm, reason = "the enums are those of cel, which may grow")]

mod direct;
mod syntax;
mod together;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, LazyLock};

use cel::common::ast::operators::{ADD, EQUALS, IN, NOT_EQUALS};
use cel::common::ast::{CallExpr, EntryExpr, Expr, LiteralValue};
use cel::{Context, Env, ExecutionError, IdedExpr, Program};
use serde_json::Value;

use crate::bounds::{LONGEST_VALUE, MOST_STEPS, MOST_TEXT, Size};
use crate::condition::direct::{Direct, Found, Known};
use crate::condition::syntax::syntax_error;
use crate::error::{CompileError, EvalError, deepest_nesting};
use crate::reference::Reference;
use crate::scope::{self, Place, Scope};

pub use together::Conditions;

const LONGEST_SOURCE: usize = 2 * 1024;
const DEEPEST_NESTING: usize = 16;
const MOST_NODES: usize = 400;
const DEEPEST_COMPREHENSION: usize = 2;
/// The functions that an expression may call; what loops is spelled out by the parser and stands in no call.
const FUNCTIONS: [&str; 12] = [
    "bool",
    "bytes",
    "contains",
    "double",
    "endsWith",
    "int",
    "matches",
    "size",
    "startsWith",
    "string",
    "type",
    "uint",
];
/// The most elements of all lists together that an expression with comprehensions inside each other may read.
const MOST_NESTED_ELEMENTS: usize = 1000;

static STANDARD: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));

/// A compiled CEL expression.
#[derive(Clone)]
pub struct Condition {
    source: String,
    program: Arc<Program>,
    /// The same without CEL, where it is of a common form.
    direct: Option<Arc<Direct>>,
    references: Vec<Reference>,
    compared: Vec<Comparison>,
    reads: Reads,
    work: Work,
}

/// A path that an expression compares with something that stands in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// The path.
    pub path: Vec<String>,
    /// What it is compared with.
    pub with: Constant,
}

/// Something that stands in an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Constant {
    /// A number.
    Number,
    /// This text.
    Text(String),
}

/// What an expression does that grows with the data.
#[derive(Debug, Clone, Copy, Default)]
struct Work {
    nests_comprehensions: bool,
    /// The parts that are evaluated for each element.
    loop_parts: usize,
    /// The functions on text among them.
    loop_texts: usize,
    /// How often texts or lists are put together.
    additions: usize,
}

/// Which parts of the data are read: all below a name, or some names of it.
#[derive(Debug, Clone, Default)]
struct Reads {
    whole: bool,
    names: BTreeMap<String, Reads>,
}

impl std::fmt::Debug for Condition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Condition").field(&self.source).finish()
    }
}

impl Condition {
    /// Compiles an expression; at most 2 KiB, 400 nodes and two comprehensions inside each other.
    pub fn compile(source: &str) -> Result<Condition, CompileError> {
        if source.len() > LONGEST_SOURCE {
            return Err(CompileError::new(format!(
                "the expression has {} bytes, more than 2 KiB",
                source.len()
            )));
        }
        if deepest_nesting(source) > DEEPEST_NESTING {
            return Err(CompileError::new("more than 16 brackets stand inside each other"));
        }
        let program = STANDARD.compile(source).map_err(|errors| syntax_error(source, &errors))?;
        let mut walk = Walk::default();
        walk.visit(program.expression(), 0).map_err(|error| {
            let word = error.message.rsplit('`').nth(1).unwrap_or_default().to_owned();
            if word.is_empty() { error } else { error.at_word(source, &word) }
        })?;
        let mut reads = Reads::default();
        for reference in &walk.references {
            reads.add(&reference.path);
        }
        Ok(Condition {
            source: source.to_owned(),
            direct: Direct::compile(program.expression()).map(Arc::new),
            program: Arc::new(program),
            references: walk.references,
            compared: walk.compared,
            reads,
            work: walk.work,
        })
    }

    /// The text that was compiled.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The paths that the expression reads.
    pub fn references(&self) -> &[Reference] {
        &self.references
    }

    /// The paths that the expression compares with a number or a text that stands in it, by `==`, `!=` or `in`.
    pub fn compared(&self) -> &[Comparison] {
        &self.compared
    }

    /// Evaluates to yes or no; anything else is an error.
    pub fn holds(&self, scope: &Scope) -> Result<bool, EvalError> {
        self.check_work(scope)?;
        match self.direct(scope).and_then(|found| found.bool()) {
            Some(holds) => Ok(holds),
            None => self.holds_by_cel(scope),
        }
    }

    fn holds_by_cel(&self, scope: &Scope) -> Result<bool, EvalError> {
        match self.run(scope)? {
            cel::Value::Bool(holds) => Ok(holds),
            other => {
                let kind = other.type_of();
                Err(EvalError::new(format!("`{}` has to be true or false, not {kind}", self.source)))
            }
        }
    }

    /// Evaluates to a JSON value.
    pub fn eval(&self, scope: &Scope) -> Result<Value, EvalError> {
        self.check_work(scope)?;
        match self.direct(scope).and_then(Found::into_json) {
            Some(value) => Ok(value),
            None => self.eval_by_cel(scope),
        }
    }

    /// What it gives, where CEL is not needed for that.
    fn direct<'a>(&'a self, scope: &'a Scope) -> Option<Found<'a>> {
        self.direct.as_ref()?.eval(scope, &Known::default())
    }

    fn eval_by_cel(&self, scope: &Scope) -> Result<Value, EvalError> {
        let value = self.run(scope)?;
        let mut left = LONGEST_VALUE;
        to_json(&value, &mut left).ok_or_else(|| {
            let what = if left == 0 { "more than 1 MiB" } else { "no JSON value" };
            EvalError::new(format!("`{}` gives {what}", self.source))
        })
    }

    fn run(&self, scope: &Scope) -> Result<cel::Value, EvalError> {
        let mut context = Context::with_env(STANDARD.clone());
        for (name, reads) in &self.reads.names {
            if let Some((part, [])) = scope.tree().walk(std::slice::from_ref(name)) {
                context.add_variable_from_value(name.clone(), part_to_cel(part, reads));
            }
        }
        self.program.execute(&context).map_err(|error| self.failed(scope, &error))
    }

    fn check_work(&self, scope: &Scope) -> Result<(), EvalError> {
        if !self.work.grows() {
            return Ok(());
        }
        let read = (self.reads.names.iter())
            .filter_map(|(name, reads)| Some((scope.tree().walk(std::slice::from_ref(name))?.0, reads)))
            .map(|(part, reads)| part_size(part, reads))
            .fold(Size::default(), Size::and);
        match self.excess(read) {
            None => Ok(()),
            Some(why) => Err(EvalError::new(format!("`{}` {why}", self.source))),
        }
    }

    /// Why reading so much would be too much work, where it would.
    fn excess(&self, read: Size) -> Option<String> {
        let Work { nests_comprehensions, loop_parts, loop_texts, additions } = self.work;
        if nests_comprehensions && read.elements > MOST_NESTED_ELEMENTS {
            let why = "goes through lists inside each other, which takes lists of";
            return Some(format!("{why} {MOST_NESTED_ELEMENTS} at most"));
        }
        let steps = read.elements.saturating_mul(additions + 1);
        let steps = if nests_comprehensions { steps.saturating_mul(read.elements) } else { steps };
        if steps.saturating_mul(loop_parts) > MOST_STEPS {
            return Some("goes through lists that are too long for it".to_owned());
        }
        let texts = additions.saturating_mul(additions).saturating_add(steps.saturating_mul(loop_texts));
        let longest = read.longest.max(self.source.len());
        (texts.saturating_mul(longest) > MOST_TEXT).then(|| "has to do with too much text".to_owned())
    }

    fn failed(&self, scope: &Scope, error: &ExecutionError) -> EvalError {
        let message = match error {
            ExecutionError::NoSuchKey(key) => self.missing(scope, key),
            ExecutionError::UndeclaredReference(name) => format!("there is no root or function `{name}`"),
            ExecutionError::UnsupportedBinaryOperator(operator, left, right) => {
                format!("`{operator}` does not work on {} and {}", left.type_of(), right.type_of())
            }
            ExecutionError::ValuesNotComparable(left, right) => {
                format!("{} cannot be compared with {}", left.type_of(), right.type_of())
            }
            other => other.to_string(),
        };
        EvalError::new(format!("{message}, in `{}`", self.source))
    }

    fn missing(&self, scope: &Scope, key: &str) -> String {
        let ends_there = |reference: &&Reference| {
            let path: Vec<&str> = reference.path.iter().map(String::as_str).collect();
            path.contains(&key) && scope.get(&path).is_none()
        };
        match self.references.iter().find(ends_there) {
            Some(reference) => {
                let path: Vec<&str> = reference.path.iter().map(String::as_str).collect();
                scope::missing(scope.data(), &path)
            }
            None => format!("there is no key `{key}`"),
        }
    }
}

impl Reads {
    fn add(&mut self, path: &[String]) {
        match path {
            [] => self.whole = true,
            [first, rest @ ..] => self.names.entry(first.clone()).or_default().add(rest),
        }
    }

    fn is_whole(&self) -> bool {
        self.whole || self.names.is_empty()
    }

    /// What is read below this name, where anything is.
    fn below(&self, name: &str) -> Option<&Reads> {
        if self.is_whole() { Some(self) } else { self.names.get(name) }
    }
}

#[derive(Default)]
struct Walk {
    references: Vec<Reference>,
    compared: Vec<Comparison>,
    bound: Vec<String>,
    nodes: usize,
    work: Work,
}

impl Walk {
    fn visit(&mut self, node: &IdedExpr, comprehensions: usize) -> Result<(), CompileError> {
        self.nodes += 1;
        if self.nodes > MOST_NODES {
            return Err(CompileError::new("the expression has more than 400 parts"));
        }
        self.work.loop_parts += usize::from(comprehensions > 0);
        match &node.expr {
            Expr::Unspecified | Expr::Literal(_) => {}
            Expr::Ident(_) | Expr::Select(_) => return self.path(node, comprehensions),
            Expr::Call(call) => {
                let is_named = call.func_name.starts_with(|c: char| c.is_ascii_alphabetic());
                if is_named && !FUNCTIONS.contains(&call.func_name.as_str()) {
                    let message = format!("there is no function `{}`", call.func_name);
                    return Err(CompileError::new(message).help(known_functions(&call.func_name)));
                }
                self.comparison(call);
                self.work.add(&call.func_name, comprehensions > 0);
                for part in call.target.iter().map(Box::as_ref).chain(&call.args) {
                    self.visit(part, comprehensions)?;
                }
            }
            Expr::List(list) => {
                for element in &list.elements {
                    self.visit(element, comprehensions)?;
                }
            }
            Expr::Map(map) => self.entries(&map.entries, comprehensions)?,
            Expr::Struct(_) => return Err(CompileError::new("there are no types to construct here")),
            Expr::Comprehension(each) => {
                if comprehensions == DEEPEST_COMPREHENSION {
                    let message = "more than two of all, exists, filter and map stand inside each other";
                    return Err(CompileError::new(message));
                }
                self.work.nests_comprehensions |= comprehensions > 0;
                self.visit(&each.iter_range, comprehensions)?;
                self.visit(&each.accu_init, comprehensions)?;
                let outer = self.bound.len();
                self.bound.extend([each.iter_var.clone(), each.accu_var.clone()]);
                self.bound.extend(each.iter_var2.clone());
                for part in [&each.loop_cond, &each.loop_step, &each.result] {
                    self.visit(part, comprehensions + 1)?;
                }
                self.bound.truncate(outer);
            }
        }
        Ok(())
    }

    fn comparison(&mut self, call: &CallExpr) {
        let [left, right] = call.args.as_slice() else { return };
        let (path, with) = match call.func_name.as_str() {
            EQUALS | NOT_EQUALS => match (path_of(left), path_of(right)) {
                (Some(path), None) => (path, std::slice::from_ref(right)),
                (None, Some(path)) => (path, std::slice::from_ref(left)),
                _ => return,
            },
            IN => match (path_of(left), &right.expr) {
                (Some(path), Expr::List(list)) => (path, list.elements.as_slice()),
                _ => return,
            },
            _ => return,
        };
        let with = with.iter().filter_map(constant);
        self.compared.extend(with.map(|with| Comparison { path: path.clone(), with }));
    }

    fn entries(
        &mut self,
        entries: &[cel::common::ast::IdedEntryExpr],
        depth: usize,
    ) -> Result<(), CompileError> {
        for entry in entries {
            match &entry.expr {
                EntryExpr::MapEntry(entry) => {
                    self.visit(&entry.key, depth)?;
                    self.visit(&entry.value, depth)?;
                }
                EntryExpr::StructField(field) => self.visit(&field.value, depth)?,
            }
        }
        Ok(())
    }

    fn path(&mut self, node: &IdedExpr, comprehensions: usize) -> Result<(), CompileError> {
        let mut segments = Vec::new();
        let mut is_optional = false;
        let mut place = node;
        loop {
            match &place.expr {
                Expr::Select(select) => {
                    is_optional |= select.test;
                    segments.push(select.field.clone());
                    place = &select.operand;
                }
                Expr::Ident(name) => {
                    if !self.bound.contains(name) {
                        segments.push(name.clone());
                        segments.reverse();
                        let within = Vec::new();
                        self.references.push(Reference { path: segments, is_optional, within });
                    }
                    return Ok(());
                }
                _ => return self.visit(place, comprehensions),
            }
        }
    }
}

/// The function that was meant, or all of them.
fn known_functions(name: &str) -> String {
    let is_size = ["count", "len", "length"].contains(&name.to_ascii_lowercase().as_str());
    let close = FUNCTIONS.iter().find(|known| known.eq_ignore_ascii_case(&name.replace('_', "")));
    match close.copied().or(is_size.then_some("size")) {
        Some(function) => format!("did you mean `{function}`?"),
        None => format!("there are {}, all, exists, exists_one, filter, has, map", FUNCTIONS.join(", ")),
    }
}

/// The path that an expression is, where it is nothing else.
fn path_of(node: &IdedExpr) -> Option<Vec<String>> {
    match &node.expr {
        Expr::Ident(name) => Some(vec![name.clone()]),
        Expr::Select(select) => {
            let mut path = path_of(&select.operand)?;
            path.push(select.field.clone());
            Some(path)
        }
        _ => None,
    }
}

fn constant(node: &IdedExpr) -> Option<Constant> {
    let Expr::Literal(value) = &node.expr else { return None };
    match value {
        LiteralValue::Int(_) | LiteralValue::UInt(_) | LiteralValue::Double(_) => Some(Constant::Number),
        LiteralValue::String(text) => Some(Constant::Text(text.inner().to_owned())),
        LiteralValue::Boolean(_) | LiteralValue::Bytes(_) | LiteralValue::Null => None,
    }
}

impl Work {
    fn grows(&self) -> bool {
        self.loop_parts > 0 || self.additions > 0
    }

    fn add(&mut self, function: &str, is_in_loop: bool) {
        // A pattern is compiled each time that it is used.
        const PATTERN: usize = 10_000;
        self.additions += usize::from(function == ADD);
        let is_text = [ADD, "contains", "endsWith", "matches", "startsWith", "string"].contains(&function);
        if is_in_loop && is_text {
            self.loop_texts += 1;
        }
        if is_in_loop && function == "matches" {
            self.loop_parts += PATTERN;
        }
    }
}

/// How much there is of what is read.
fn part_size(part: Place<'_>, reads: &Reads) -> Size {
    match part {
        Place::Value(value) => size(value, reads),
        Place::Inner(parts) => {
            let own = if reads.is_whole() { Size::of_object(parts.len()) } else { Size::default() };
            let read = parts.iter().filter_map(|(name, part)| Some((part.place(), reads.below(name)?)));
            read.map(|(part, reads)| part_size(part, reads)).fold(own, Size::and)
        }
    }
}

fn size(value: &Value, reads: &Reads) -> Size {
    match value {
        Value::Object(object) if !reads.is_whole() => {
            let read = reads.names.iter().filter_map(|(name, reads)| Some(size(object.get(name)?, reads)));
            read.fold(Size::default(), Size::and)
        }
        _ => Size::of(value),
    }
}

fn part_to_cel(part: Place<'_>, reads: &Reads) -> cel::Value {
    match part {
        Place::Value(value) => to_cel(value, reads),
        Place::Inner(parts) => {
            let read = parts.iter().filter_map(|(name, part)| Some((name, part.place(), reads.below(name)?)));
            let read = read.map(|(name, part, reads)| (name.clone(), part_to_cel(part, reads)));
            read.collect::<HashMap<String, cel::Value>>().into()
        }
    }
}

fn to_cel(value: &Value, reads: &Reads) -> cel::Value {
    match value {
        Value::Object(object) if !reads.is_whole() => {
            let read = reads
                .names
                .iter()
                .filter_map(|(name, reads)| Some((name.clone(), to_cel(object.get(name)?, reads))));
            read.collect::<HashMap<String, cel::Value>>().into()
        }
        Value::Object(object) => {
            let entries = object.iter().map(|(name, value)| (name.clone(), to_cel(value, reads)));
            entries.collect::<HashMap<String, cel::Value>>().into()
        }
        Value::Array(list) => {
            let whole = Reads { whole: true, names: BTreeMap::new() };
            list.iter().map(|value| to_cel(value, &whole)).collect::<Vec<cel::Value>>().into()
        }
        Value::String(text) => text.clone().into(),
        Value::Bool(value) => cel::Value::Bool(*value),
        Value::Null => cel::Value::Null,
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => cel::Value::Int(number),
            (None, Some(number)) => cel::Value::UInt(number),
            (None, None) => cel::Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
    }
}

/// The value as JSON; none where it has no such form, or where it is longer than what is left.
fn to_json(value: &cel::Value, left: &mut usize) -> Option<Value> {
    const SMALLEST: usize = 4;
    let bytes = if let cel::Value::String(text) = value { text.len() + SMALLEST } else { SMALLEST };
    *left = left.saturating_sub(bytes);
    if *left == 0 {
        return None;
    }
    Some(match value {
        cel::Value::List(list) => {
            Value::Array(list.iter().map(|value| to_json(value, left)).collect::<Option<_>>()?)
        }
        cel::Value::Map(map) => {
            let entries = map.map.iter().map(|(key, value)| Some((key.to_string(), to_json(value, left)?)));
            Value::Object(entries.collect::<Option<_>>()?)
        }
        cel::Value::Int(number) => (*number).into(),
        cel::Value::UInt(number) => (*number).into(),
        cel::Value::Float(number) => serde_json::Number::from_f64(*number).map(Value::Number)?,
        cel::Value::String(text) => Value::String(text.as_ref().clone()),
        cel::Value::Bool(value) => Value::Bool(*value),
        cel::Value::Null => Value::Null,
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
