//! The data that expressions read: a tree of JSON with named roots.

mod tree;

use std::fmt;
use std::sync::{Arc, OnceLock};

use handlebars::Context;
use serde_json::Value;

pub(crate) use tree::{Place, Tree};

/// The data that expressions read.
///
/// It lives as long as a run is in memory and is changed in place. What is put into it is shared and looked up where it
/// is, so that evaluating an expression of a common form copies nothing.
#[derive(Default)]
pub struct Scope {
    tree: Tree,
    /// The same as one value, for what needs it so.
    whole: OnceLock<Context>,
}

impl Scope {
    /// A scope with these roots; anything but an object is an empty scope.
    pub fn new(roots: Value) -> Scope {
        Scope::of(Tree::object(roots))
    }

    fn of(tree: Tree) -> Scope {
        Scope { tree, whole: OnceLock::new() }
    }

    /// Sets the value at this path, making the objects on the way.
    pub fn set(&mut self, path: &[&str], value: Value) {
        self.put(path, Tree::Value(value));
    }

    /// Sets what stands at this path, without a copy, making the objects on the way.
    pub fn share(&mut self, path: &[&str], value: Arc<Value>) {
        self.put(path, Tree::Shared(value));
    }

    fn put(&mut self, path: &[&str], value: Tree) {
        self.whole = OnceLock::new();
        self.tree.put(path, value);
    }

    /// Takes a root away.
    pub fn remove(&mut self, root: &str) {
        self.whole = OnceLock::new();
        self.tree.remove(root);
    }

    /// The value at this path.
    pub fn get(&self, path: &[&str]) -> Option<&Value> {
        self.look_up(path)
    }

    pub(crate) fn look_up(&self, path: &[impl AsRef<str>]) -> Option<&Value> {
        match self.tree.walk(path)? {
            (Place::Value(value), rest) => lookup(value, rest),
            (Place::Inner(_), _) => lookup(self.data(), path),
        }
    }

    pub(crate) fn tree(&self) -> &Tree {
        &self.tree
    }

    pub(crate) fn context(&self) -> &Context {
        self.whole.get_or_init(|| {
            let mut context = Context::null();
            *context.data_mut() = self.tree.value();
            context
        })
    }

    pub(crate) fn data(&self) -> &Value {
        self.context().data()
    }
}

impl Clone for Scope {
    fn clone(&self) -> Scope {
        Scope::of(self.tree.clone())
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.tree.value().fmt(f)
    }
}

pub(crate) fn lookup<'a>(data: &'a Value, path: &[impl AsRef<str>]) -> Option<&'a Value> {
    path.iter().try_fold(data, |value, segment| match value {
        Value::Object(object) => object.get(segment.as_ref()),
        Value::Array(list) => list.get(segment.as_ref().parse::<usize>().ok()?),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    })
}

/// Says that a path leads nowhere, and what stands where it stops.
pub(crate) fn missing(data: &Value, path: &[&str]) -> String {
    let text = path.join(".");
    let reached = (0..path.len()).rev().find_map(|end| Some((end, lookup(data, path.get(..end)?)?)));
    let Some((end, Value::Object(object))) = reached else {
        return format!("`{text}` is missing");
    };
    let place = path.iter().take(end).copied().collect::<Vec<_>>().join(".");
    let mut keys: Vec<&str> = object.keys().take(12).map(String::as_str).collect();
    if object.len() > keys.len() {
        keys.push("...");
    }
    let what = if place.is_empty() { "there is".to_owned() } else { format!("`{place}` has") };
    let keys = if keys.is_empty() { "nothing".to_owned() } else { keys.join(", ") };
    format!("`{text}` is missing: {what} {keys}")
}
