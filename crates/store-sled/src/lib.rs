//! The embedded store: the journal is the truth, sled the state that can be rebuilt.
//!
//! An append is ordered in the journal and seen by readers from then on; a flush of the journal makes it durable, for
//! all who wait. Behind the flush a thread brings sled up to date. sled is therefore never ahead of what is on disk, is
//! never waited for, and needs no durability of its own: whatever becomes of its files, they are made again from the
//! journal, which holds everything that was appended. One process at a time.

#![warn(missing_docs)]

mod applier;
mod apply;
mod backup;
mod changes;
mod entry;
mod evacuate;
mod index;
mod keys;
mod known;
mod list;
mod note;
mod open;
mod place;
mod prune;
mod recent;
mod replay;
mod restore;
mod room;
mod row;
mod shared;
mod sled_store;

pub use backup::{Backup, check_backup};
pub use restore::restore;
pub use sled_store::{Settings, SledStore};
