//! Objects made of values that others have too.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

/// A value, in parts of which some belong to others as well.
#[derive(Debug, Clone)]
pub(crate) enum Tree {
    Value(Value),
    Shared(Arc<Value>),
    Inner(BTreeMap<String, Tree>),
}

/// Where a path leads in a tree.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Place<'a> {
    /// A value, into which the rest of the path leads.
    Value(&'a Value),
    /// An object that is no value as it is.
    Inner(&'a BTreeMap<String, Tree>),
}

impl Default for Tree {
    fn default() -> Tree {
        Tree::Inner(BTreeMap::new())
    }
}

impl Tree {
    /// The parts of an object; of anything else, none.
    pub(super) fn object(value: Value) -> Tree {
        match value {
            Value::Object(object) => {
                Tree::Inner(object.into_iter().map(|(name, value)| (name, Tree::Value(value))).collect())
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                Tree::default()
            }
        }
    }

    pub(crate) fn place(&self) -> Place<'_> {
        match self {
            Tree::Value(value) => Place::Value(value),
            Tree::Shared(value) => Place::Value(value),
            Tree::Inner(parts) => Place::Inner(parts),
        }
    }

    /// Where a path leads as far as it stays in the tree, and the rest of it.
    pub(crate) fn walk<'p, S: AsRef<str>>(&self, path: &'p [S]) -> Option<(Place<'_>, &'p [S])> {
        match (self, path) {
            (Tree::Inner(parts), [first, rest @ ..]) => parts.get(first.as_ref())?.walk(rest),
            _ => Some((self.place(), path)),
        }
    }

    /// Puts this at the path, and objects on the way where none are.
    pub(super) fn put(&mut self, path: &[&str], value: Tree) {
        let [first, rest @ ..] = path else {
            *self = value;
            return;
        };
        let parts = self.parts();
        match parts.get_mut(*first) {
            Some(part) => part.put(rest, value),
            None => {
                let mut part = Tree::default();
                part.put(rest, value);
                parts.insert((*first).to_owned(), part);
            }
        }
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.parts().remove(name);
    }

    /// The parts of the object that it is, or is from here on.
    fn parts(&mut self) -> &mut BTreeMap<String, Tree> {
        match self {
            Tree::Inner(_) => {}
            Tree::Value(value) => *self = Tree::object(std::mem::take(value)),
            Tree::Shared(value) => *self = Tree::object(value.as_ref().clone()),
        }
        let Tree::Inner(parts) = self else { unreachable!("it was made one above") };
        parts
    }

    /// All of it as one value.
    pub(super) fn value(&self) -> Value {
        match self {
            Tree::Value(value) => value.clone(),
            Tree::Shared(value) => value.as_ref().clone(),
            Tree::Inner(parts) => {
                let parts = parts.iter().map(|(name, part)| (name.clone(), part.value()));
                Value::Object(parts.collect::<Map<String, Value>>())
            }
        }
    }
}
