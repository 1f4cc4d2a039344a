//! The one place that decides what a call that did not succeed was: provably not done, or unknown.
//!
//! Not done: no byte of the request left us; the other side refused it with a status that no server gives after having
//! acted; it answered, and its own words say that it did not act. Everything else may have happened: bytes that the
//! kernel took may have been read, whatever became of the connection after it.

use model::{Failure, Outcome};

/// How a call ended that did not succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// No byte of the request left.
    NotSent,
    /// The request left, and no answer came.
    NoAnswer,
    /// An answer came with this status, and it is no success.
    Refused { status: u16, is_proof: bool },
    /// An answer came that is a success by its status, and its own words say that nothing was done.
    Rejected,
    /// An answer came that is a success by its status, and cannot be read.
    Unreadable,
}

/// What became of the call.
pub(crate) fn judge(end: End, failure: Failure) -> Outcome {
    let is_certain = match end {
        End::NotSent | End::Rejected => true,
        End::NoAnswer | End::Unreadable => false,
        End::Refused { status, is_proof } => is_proof || proves_nothing_done(status),
    };
    if is_certain { Outcome::Failed(failure) } else { Outcome::Unknown(failure) }
}

/// Whether a status says that the server did not act.
///
/// 408, 409, 425 and 429 may come from something in front of it, or after it, and 499 is how a gateway says that somebody
/// stopped waiting. Of the redirects, 302 and 303 are also how a server says that it is done.
fn proves_nothing_done(status: u16) -> bool {
    match status {
        408 | 409 | 425 | 429 | 499 => false,
        301 | 304 | 307 | 308 => true,
        _ => (400..500).contains(&status),
    }
}

#[cfg(test)]
mod tests {
    use model::FailureClass;

    use super::*;

    fn check(end: End) -> &'static str {
        match judge(end, Failure::new(FailureClass::Rejected, "x")) {
            Outcome::Failed(_) => "failed",
            Outcome::Unknown(_) => "unknown",
            Outcome::Succeeded(_) => "succeeded",
        }
    }

    #[test]
    fn only_what_proves_that_nothing_was_done_is_a_failure() {
        assert_eq!(check(End::NotSent), "failed");
        assert_eq!(check(End::Rejected), "failed");
        assert_eq!(check(End::NoAnswer), "unknown");
        assert_eq!(check(End::Unreadable), "unknown");
        for status in [301, 307, 308, 400, 401, 403, 404, 405, 410, 413, 422, 451] {
            assert_eq!(check(End::Refused { status, is_proof: false }), "failed", "{status}");
        }
        for status in [302, 303, 408, 409, 425, 429, 499, 500, 502, 503, 504, 599] {
            assert_eq!(check(End::Refused { status, is_proof: false }), "unknown", "{status}");
            assert_eq!(check(End::Refused { status, is_proof: true }), "failed", "{status}");
        }
    }
}
