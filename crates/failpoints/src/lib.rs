//! Places where a test can have the process die, the disk be full, or the clock jump.
//!
//! Without the feature `armed` every function is empty, and a normal binary holds nothing of all this. With it, the
//! binary is told by [`arm`] what shall happen: `send.answered:2` kills the process with SIGKILL when it gets to this point for the
//! second time, so nothing is flushed, dropped or said good-bye to. `*:7` is the seventh point of any name.
//! `POINT:N=full` has the disk say there that it is full, `POINT:N=later:20` kills 20 ms afterwards, from beside.
//! Several, with commas between them, come one after the other: `drive.outcome:1,flush.write:1=full`.

#[cfg(feature = "armed")]
mod armed;

#[cfg(feature = "armed")]
pub use armed::{arm, follow_clock};

use std::io;
use std::time::SystemTime;

/// Every point there is, in the way of an alert.
pub const POINTS: [&str; 29] = [
    "receive.arrived",
    "receive.appended",
    "receive.durable",
    "append.before",
    "append.after",
    "segment.renamed",
    "flush.write",
    "flush.written",
    "flush.done",
    "index.before",
    "index.after",
    "drive.told",
    "drive.appended",
    "drive.durable",
    "drive.perform",
    "drive.outcome",
    "drive.rest",
    "clear.before",
    "clear.recorded",
    "undo.before",
    "alarm.raised",
    "ledger.wake",
    "child.before",
    "child.made",
    "send.connect",
    "send.body",
    "send.sent",
    "send.answered",
    "decide.arrived",
];

/// A point is reached.
#[inline]
pub fn reach(point: &'static str) {
    #[cfg(feature = "armed")]
    armed::reach(point);
    #[cfg(not(feature = "armed"))]
    let _ = point;
}

/// A point is reached at which the disk may say no.
///
/// # Errors
///
/// That it is full, where that was ordered.
#[inline]
pub fn reach_disk(point: &'static str) -> io::Result<()> {
    #[cfg(feature = "armed")]
    return armed::reach_disk(point);
    #[cfg(not(feature = "armed"))]
    {
        let _ = point;
        Ok(())
    }
}

/// What the system's clock says, moved as far as was ordered.
#[inline]
pub fn now() -> SystemTime {
    let now = SystemTime::now();
    #[cfg(feature = "armed")]
    return armed::moved(now);
    #[cfg(not(feature = "armed"))]
    now
}
