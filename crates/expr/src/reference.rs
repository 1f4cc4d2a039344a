//! The paths that an expression reads, for the checker and for evaluating no more than is needed.

/// A path that an expression reads: `steps.host.name` is `["steps", "host", "name"]`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    /// The segments, root first.
    pub path: Vec<String>,
    /// Whether the expression copes with a path that leads nowhere: `has(...)`, or the first argument of `default`.
    pub is_optional: bool,
    /// The helpers and blocks that it stands in, the outermost first: `["upper"]` in `{{ upper alert.host }}`.
    pub within: Vec<String>,
}

impl Reference {
    /// A path that may lead nowhere.
    pub fn optional(path: Vec<String>) -> Reference {
        Reference { path, is_optional: true, within: Vec::new() }
    }

    /// The path as text.
    pub fn text(&self) -> String {
        self.path.join(".")
    }

    /// The first segment.
    pub fn root(&self) -> &str {
        self.path.first().map_or("", String::as_str)
    }
}
