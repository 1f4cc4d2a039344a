//! Where a record stands.

use std::fmt;

/// The place of a record: its segment and the offset in bytes within it. Positions are ordered as records are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Position(u64);

impl Position {
    /// The place at this offset of this segment.
    pub const fn new(segment: u32, offset: u32) -> Position {
        Position((segment as u64) << 32 | offset as u64)
    }

    /// The position that [`Position::as_u64`] gave.
    pub const fn from_u64(raw: u64) -> Position {
        Position(raw)
    }

    /// The position as a number of the same order.
    pub const fn as_u64(self) -> u64 {
        self.0
    }

    /// The number of the segment, from 1.
    pub const fn segment(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// The offset in bytes within the segment.
    pub const fn offset(self) -> u32 {
        self.0 as u32
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "segment {} offset {}", self.segment(), self.offset())
    }
}
