//! The data that expressions read: a tree of JSON with named roots.

use std::fmt;

use handlebars::Context;
use serde_json::{Map, Value};

/// The data that expressions read.
///
/// It lives as long as a run is in memory and is changed in place, so that evaluating an expression copies nothing.
#[derive(Clone)]
pub struct Scope(Context);

impl Scope {
    /// A scope with these roots; anything but an object is an empty scope.
    pub fn new(roots: Value) -> Scope {
        let mut context = Context::null();
        *context.data_mut() = if roots.is_object() { roots } else { Value::Object(Map::new()) };
        Scope(context)
    }

    /// Sets the value at this path, making the objects on the way.
    pub fn set(&mut self, path: &[&str], value: Value) {
        let mut place = self.0.data_mut();
        for segment in path {
            if !place.is_object() {
                *place = Value::Object(Map::new());
            }
            let object = place.as_object_mut().expect("made an object above");
            place = object.entry(*segment).or_insert(Value::Null);
        }
        *place = value;
    }

    /// Takes a root away.
    pub fn remove(&mut self, root: &str) {
        if let Some(roots) = self.0.data_mut().as_object_mut() {
            roots.remove(root);
        }
    }

    /// The value at this path.
    pub fn get(&self, path: &[&str]) -> Option<&Value> {
        lookup(self.0.data(), path)
    }

    pub(crate) fn context(&self) -> &Context {
        &self.0
    }

    pub(crate) fn data(&self) -> &Value {
        self.0.data()
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.data().fmt(f)
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
