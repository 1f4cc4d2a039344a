//! YAML with places: every value knows which bytes of the file it came from.
//!
//! serde_yaml reads the values, a second pass over the parser's events finds the places. Readers report what is wrong
//! and go on, so that one look shows every mistake. The forms that make YAML dangerous are refused: anchors, tags,
//! merge keys, equal keys, several documents, deep nesting.

mod document;
mod example;
mod node;
mod trap;

pub use document::Document;
pub use node::{Node, Object, suggest};
