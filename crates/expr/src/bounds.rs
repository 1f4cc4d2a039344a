//! How much work an expression may be over the data that it reads.
//!
//! Neither language has a limit of its own, and both can go through lists inside each other over an alert of 1 MiB. What
//! an expression does is counted when it is compiled, what it reads is counted before it is evaluated, and a product of
//! the two that is too large is an error and not a server that stands still.

use serde_json::Value;

/// The most that one value, or one text, may come to.
pub(crate) const LONGEST_VALUE: usize = 1024 * 1024;
/// The most steps of loops.
pub(crate) const MOST_STEPS: usize = 20_000_000;
/// The most bytes that text functions look at or build.
pub(crate) const MOST_TEXT: usize = 512 * 1024 * 1024;

/// What there is of lists and of text in some data.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Size {
    /// How many elements the lists have, all together.
    pub(crate) elements: usize,
    /// How long the longest text or list is, in bytes or so.
    pub(crate) longest: usize,
}

impl Size {
    const ELEMENT: usize = 16;

    /// That of an object with so many entries, without what is in them.
    pub(crate) fn of_object(entries: usize) -> Size {
        Size { elements: 0, longest: entries * Size::ELEMENT }
    }

    pub(crate) fn and(self, other: Size) -> Size {
        Size { elements: self.elements + other.elements, longest: self.longest.max(other.longest) }
    }

    pub(crate) fn of(value: &Value) -> Size {
        match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => Size::default(),
            Value::String(text) => Size { elements: 0, longest: text.len() },
            Value::Array(list) => {
                let own = Size { elements: list.len(), longest: list.len() * Size::ELEMENT };
                list.iter().map(Size::of).fold(own, Size::and)
            }
            Value::Object(object) => {
                object.values().map(Size::of).fold(Size::of_object(object.len()), Size::and)
            }
        }
    }
}

/// How many bytes a value has as JSON, or so; it stops counting at the limit.
pub(crate) fn bytes(value: &Value, limit: usize) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 8,
        Value::String(text) => text.len() + 2,
        Value::Array(list) => total(list.iter().map(|value| (1, value)), limit),
        Value::Object(object) => total(object.iter().map(|(key, value)| (key.len() + 4, value)), limit),
    }
}

fn total<'a>(parts: impl Iterator<Item = (usize, &'a Value)>, limit: usize) -> usize {
    let mut total = 2;
    for (own, value) in parts {
        if total > limit {
            break;
        }
        total += own + bytes(value, limit - total);
    }
    total
}
