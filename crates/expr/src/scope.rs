//! The data that expressions read: a tree of JSON with named roots.

mod tree;

use std::fmt;
use std::sync::{Arc, OnceLock};

use handlebars::Context;
use serde_json::Value;

use crate::reference::Reference;

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
        self.whole.get_or_init(|| context(self.tree.value()))
    }

    /// No more of the data than these paths lead to; all of it, where it is at hand.
    pub(crate) fn excerpt(&self, references: &[Reference]) -> Excerpt<'_> {
        // What looks up a path by its text takes the brackets of `a.[b c]` for a part of it.
        let is_plain = |name: &String| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if self.whole.get().is_some() || !references.iter().flat_map(|it| &it.path).all(is_plain) {
            return Excerpt::Whole(self.context());
        }
        let mut excerpt = Tree::default();
        for reference in references {
            let path: Vec<&str> = reference.path.iter().map(String::as_str).collect();
            let is_there = match excerpt.walk(&path) {
                Some((Place::Value(value), rest)) => lookup(value, rest).is_some(),
                Some((Place::Inner(_), _)) | None => false,
            };
            if let Some(value) = self.look_up(&path).filter(|_| !is_there) {
                excerpt.put(&path, Tree::Value(value.clone()));
            }
        }
        Excerpt::Part(context(excerpt.into_value()))
    }

    pub(crate) fn data(&self) -> &Value {
        self.context().data()
    }
}

/// Data for Handlebars.
pub(crate) enum Excerpt<'a> {
    Whole(&'a Context),
    Part(Context),
}

impl Excerpt<'_> {
    pub(crate) fn context(&self) -> &Context {
        match self {
            Excerpt::Whole(context) => context,
            Excerpt::Part(context) => context,
        }
    }
}

fn context(data: Value) -> Context {
    let mut context = Context::null();
    *context.data_mut() = data;
    context
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
