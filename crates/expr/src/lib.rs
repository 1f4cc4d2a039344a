//! The two small languages of a playbook: decisions are CEL, text is Handlebars.
//!
//! Both are compiled once, when a workflow is loaded, and evaluated against a [`Scope`], a tree of JSON. Values keep
//! their JSON type, and a path that leads nowhere is an error. Pure: no clock, no IO, bounded work.

#![warn(missing_docs)]

mod bounds;
mod condition;
pub mod duration;
mod error;
mod helpers;
mod reference;
mod scope;
mod template;
mod value;

#[cfg(test)]
mod hostile;

pub use condition::{Comparison, Condition, Conditions, Constant};
pub use error::{CompileError, EvalError};
pub use helpers::names as helper_names;
pub use reference::Reference;
pub use scope::Scope;
pub use template::Template;
pub use value::{Language, Leaf, ValueTemplate};
