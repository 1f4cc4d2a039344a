//! Decisions and computed values in CEL.
//!
//! Only what an expression reads is converted from JSON. The crate has no cost limit of its own, so length, size and
//! nesting of comprehensions are bounded when an expression is compiled.

#![expect(clippy::wildcard_enum_match_arm, reason = "the enums are those of cel, which may grow")]

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, LazyLock};

use cel::common::ast::{EntryExpr, Expr};
use cel::{Context, Env, ExecutionError, IdedExpr, Program};
use serde_json::Value;

use crate::error::{CompileError, EvalError, deepest_nesting};
use crate::reference::Reference;
use crate::scope::{self, Scope};

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
    references: Vec<Reference>,
    reads: Reads,
    nests_comprehensions: bool,
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
        let nests_comprehensions = walk.nests_comprehensions;
        Ok(Condition {
            source: source.to_owned(),
            program: Arc::new(program),
            references: walk.references,
            reads,
            nests_comprehensions,
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

    /// Evaluates to yes or no; anything else is an error.
    pub fn holds(&self, scope: &Scope) -> Result<bool, EvalError> {
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
        let value = self.run(scope)?;
        to_json(&value).ok_or_else(|| EvalError::new(format!("`{}` gives no JSON value", self.source)))
    }

    fn run(&self, scope: &Scope) -> Result<cel::Value, EvalError> {
        let mut context = Context::with_env(STANDARD.clone());
        for (name, reads) in &self.reads.names {
            if let Some(value) = scope.data().get(name) {
                if self.nests_comprehensions && elements(value, reads) > MOST_NESTED_ELEMENTS {
                    let message = format!("`{}` goes through lists inside each other", self.source);
                    return Err(EvalError::new(format!(
                        "{message}, which takes lists of {MOST_NESTED_ELEMENTS} at most"
                    )));
                }
                context.add_variable_from_value(name.clone(), to_cel(value, reads));
            }
        }
        self.program.execute(&context).map_err(|error| self.failed(scope, &error))
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
}

fn syntax_error(source: &str, errors: &cel::ParseErrors) -> CompileError {
    let Some(first) = errors.errors.first() else {
        return CompileError::new("this is not a CEL expression");
    };
    let line = usize::try_from(first.pos.0).unwrap_or(1).saturating_sub(1);
    let column = usize::try_from(first.pos.1).unwrap_or(1).saturating_sub(1);
    let line_start: usize = source.split_inclusive('\n').take(line).map(str::len).sum();
    let start = (line_start + column).min(source.len());
    let start = (0..=start).rev().find(|at| source.is_char_boundary(*at)).unwrap_or(0);
    let end =
        source.get(start..).and_then(|rest| rest.chars().next()).map_or(start, |c| start + c.len_utf8());
    let detail: String = first.msg.lines().next().unwrap_or_default().chars().take(160).collect();
    let mut error = CompileError::new(format!("this is not a CEL expression: {detail}"));
    error.at = Some(start..end);
    if source.contains("{{") {
        error = error.help("decisions are CEL: write `alert.rule.level >= 10`, without braces");
    }
    error
}

#[derive(Default)]
struct Walk {
    references: Vec<Reference>,
    bound: Vec<String>,
    nodes: usize,
    nests_comprehensions: bool,
}

impl Walk {
    fn visit(&mut self, node: &IdedExpr, comprehensions: usize) -> Result<(), CompileError> {
        self.nodes += 1;
        if self.nodes > MOST_NODES {
            return Err(CompileError::new("the expression has more than 400 parts"));
        }
        match &node.expr {
            Expr::Unspecified | Expr::Literal(_) => {}
            Expr::Ident(_) | Expr::Select(_) => return self.path(node, comprehensions),
            Expr::Call(call) => {
                let is_named = call.func_name.starts_with(|c: char| c.is_ascii_alphabetic());
                if is_named && !FUNCTIONS.contains(&call.func_name.as_str()) {
                    let message = format!("there is no function `{}`", call.func_name);
                    let known = FUNCTIONS.join(", ");
                    return Err(CompileError::new(message)
                        .help(format!("there are {known}, all, exists, exists_one, filter, has, map")));
                }
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
                self.nests_comprehensions |= comprehensions > 0;
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
                        self.references.push(Reference { path: segments, is_optional });
                    }
                    return Ok(());
                }
                _ => return self.visit(place, comprehensions),
            }
        }
    }
}

/// How many elements the lists have that are read.
fn elements(value: &Value, reads: &Reads) -> usize {
    match value {
        Value::Object(object) if !reads.whole && !reads.names.is_empty() => {
            reads.names.iter().filter_map(|(name, reads)| Some(elements(object.get(name)?, reads))).sum()
        }
        Value::Object(object) => object.values().map(|value| elements(value, reads)).sum(),
        Value::Array(list) => list.len() + list.iter().map(|value| elements(value, reads)).sum::<usize>(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

fn to_cel(value: &Value, reads: &Reads) -> cel::Value {
    match value {
        Value::Object(object) if !reads.whole && !reads.names.is_empty() => {
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

fn to_json(value: &cel::Value) -> Option<Value> {
    Some(match value {
        cel::Value::List(list) => Value::Array(list.iter().map(to_json).collect::<Option<_>>()?),
        cel::Value::Map(map) => {
            let entries = map.map.iter().map(|(key, value)| Some((key.to_string(), to_json(value)?)));
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
