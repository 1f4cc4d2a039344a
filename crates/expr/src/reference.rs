//! The paths that an expression reads, for the checker and for evaluating no more than is needed.

/// A path that an expression reads: `steps.host.name` is `["steps", "host", "name"]`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    /// The segments, root first.
    pub path: Vec<String>,
    /// Whether the expression copes with a path that leads nowhere: `has(...)`, or the first argument of `default`.
    pub is_optional: bool,
}

impl Reference {
    /// The path as text.
    pub fn text(&self) -> String {
        self.path.join(".")
    }

    /// The first segment.
    pub fn root(&self) -> &str {
        self.path.first().map_or("", String::as_str)
    }
}
