//! Those that are asked to come again, because too much is going on. The log tells of many with one line: a line for each
//! would take more than its answer.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How long the log says nothing more of them.
const PAUSE: Duration = Duration::from_secs(10);

/// How many were turned away since the log told of some.
#[derive(Debug, Default)]
pub(crate) struct TurnedAway(Mutex<Tally>);

#[derive(Debug, Default)]
struct Tally {
    untold: u64,
    told_at: Option<Instant>,
}

impl TurnedAway {
    /// Counts one more; gives how many there are to tell of, once it is time for that.
    pub(crate) fn count(&self, now: Instant) -> Option<u64> {
        let mut tally = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tally.untold += 1;
        if tally.told_at.is_some_and(|told_at| now.duration_since(told_at) < PAUSE) {
            return None;
        }
        tally.told_at = Some(now);
        Some(std::mem::take(&mut tally.untold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_told_of_at_once_and_those_after_it_together() {
        let (turned_away, start) = (TurnedAway::default(), Instant::now());
        assert_eq!(turned_away.count(start), Some(1));
        for second in 1..10 {
            assert_eq!(turned_away.count(start + Duration::from_secs(second)), None);
        }
        assert_eq!(turned_away.count(start + PAUSE), Some(10));
        assert_eq!(turned_away.count(start + PAUSE), None);
    }
}
