//! How deep JSON may stand that comes from outside.
//!
//! What is journaled stands some levels deeper than it came, and a reader of JSON stops at 128.

use serde_json::Value;

/// The most levels of an alert or of an answer.
pub const DEEPEST_FROM_OUTSIDE: usize = 64;

/// Whether lists and objects stand inside each other more than so many levels deep.
pub fn is_deeper_than(value: &Value, levels: usize) -> bool {
    let Some(below) = levels.checked_sub(1) else {
        return value.is_array() || value.is_object();
    };
    match value {
        Value::Array(list) => list.iter().any(|item| is_deeper_than(item, below)),
        Value::Object(object) => object.values().any(|item| is_deeper_than(item, below)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn depth_counts_lists_and_objects() {
        assert!(!is_deeper_than(&json!(1), 0));
        assert!(!is_deeper_than(&json!([{ "a": 1 }]), 2));
        assert!(is_deeper_than(&json!([{ "a": [] }]), 2));
    }
}
