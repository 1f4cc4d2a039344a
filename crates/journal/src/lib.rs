//! Append-only segments on disk: a record is whole or reported, never guessed.
//!
//! A journal orders records, makes them durable in groups, finds each by its position, and reads all of them again
//! after whatever happened to the machine. It knows the key of a record and nothing of what a payload means.
//!
//! Synchronous: one thread writes, one prepares segments; whoever appends only orders. Two beliefs about disks: what
//! `fdatasync` confirmed stays, and a write that failed once cannot be repaired by trying again.

#![warn(missing_docs)]

mod chain;
mod committer;
mod copy;
pub mod disk;
mod error;
mod folder;
mod header;
mod journal;
mod lock;
mod open;
mod position;
#[cfg(any(test, feature = "testing"))]
pub mod power;
mod read;
mod record;
mod scan;
mod spares;
mod state;

pub use copy::Audit;
pub use error::{Damage, Error, Result};
pub use folder::segment_name;
pub use journal::{Journal, Opened, SegmentInfo, Settings, holder};
pub use position::Position;
pub use read::{Record, Scan, Scanned};
pub use record::{Draft, Key};
