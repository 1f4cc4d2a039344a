//! What a run store promises, a store in memory, and the suite that every store passes.
//!
//! A store appends, reads and claims. It never interprets an event: whoever appends facts hands in the row that follows
//! from them.

#![warn(missing_docs)]

pub mod conformance;
mod memory;
mod store;

pub use memory::MemoryStore;
pub use store::{
    Append, Appended, Dedupe, Error, Fence, Health, Note, Page, Position, Query, Result, Source, Store,
};
