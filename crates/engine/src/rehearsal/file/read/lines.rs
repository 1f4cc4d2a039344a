//! On which line of the file each part of a test stands.

use std::collections::BTreeMap;

use serde_json::Value;
use workflow::yaml::Node;

use crate::rehearsal::file::Lines;

/// Where the lines of a text end.
pub(super) fn newlines(text: &str) -> Vec<usize> {
    text.match_indices('\n').map(|(at, _)| at).collect()
}

pub(super) fn of(test: &Node<'_>, newlines: &[usize]) -> Lines {
    let mut lines = BTreeMap::new();
    let line = |node: &Node<'_>| newlines.partition_point(|newline| *newline < node.key_at().start) + 1;
    let mut open = vec![(String::new(), test.clone())];
    while let Some((path, node)) = open.pop() {
        lines.insert(path.clone(), line(&node));
        match node.value() {
            // Nothing is ever wrong with a part of the alert.
            Value::Object(_) if path != "/alert" => {
                let entries = node.entries().into_iter();
                open.extend(entries.map(|(key, node)| (format!("{path}/{key}"), node)));
            }
            Value::Array(_) => {
                let items = node.list().unwrap_or_default().into_iter().enumerate();
                open.extend(items.map(|(index, node)| (format!("{path}/{index}"), node)));
            }
            Value::Object(_) | Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    Lines(lines)
}
