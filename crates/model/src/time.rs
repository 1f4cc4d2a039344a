//! Points in time, in milliseconds, as text in RFC 3339.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat};
use serde::{Deserialize, Serialize};

use crate::id::InvalidId;

/// A point in time: milliseconds since 1970-01-01T00:00:00Z. Written as `2026-11-22T09:30:00.000Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Timestamp(i64);

impl Timestamp {
    /// The last point in time that has a text form.
    pub const MAX: Timestamp = Timestamp(253_402_300_799_999);

    /// The point in time this many milliseconds after the epoch, held within the years 1970 to 9999.
    pub const fn from_millis(millis: i64) -> Timestamp {
        let floor = if millis < 0 { 0 } else { millis };
        Timestamp(if floor > Timestamp::MAX.0 { Timestamp::MAX.0 } else { floor })
    }

    /// Milliseconds since the epoch.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// This much later; stops at [`Timestamp::MAX`].
    #[must_use]
    pub fn after(self, duration: Duration) -> Timestamp {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Timestamp::from_millis(self.0.saturating_add(millis))
    }

    /// This much earlier; stops at the epoch.
    #[must_use]
    pub fn before(self, duration: Duration) -> Timestamp {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Timestamp::from_millis(self.0.saturating_sub(millis))
    }

    /// How much time has passed since `earlier`; zero if that is later.
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_millis(u64::try_from(self.0 - earlier.0).unwrap_or(0))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = DateTime::from_timestamp_millis(self.0)
            .expect("a timestamp is held within the years 1970 to 9999");
        f.write_str(&time.to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}

impl FromStr for Timestamp {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Timestamp, InvalidId> {
        let invalid =
            |_| InvalidId { expected: "a time in RFC 3339", given: text.chars().take(80).collect() };
        DateTime::parse_from_rfc3339(text)
            .map(|time| Timestamp::from_millis(time.timestamp_millis()))
            .map_err(invalid)
    }
}

impl TryFrom<String> for Timestamp {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Timestamp, InvalidId> {
        text.parse()
    }
}

impl From<Timestamp> for String {
    fn from(time: Timestamp) -> String {
        time.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_is_written_in_utc_with_milliseconds() {
        let time: Timestamp = "2026-11-22T10:30:00.25+01:00".parse().unwrap();
        assert_eq!(time.to_string(), "2026-11-22T09:30:00.250Z");
        assert_eq!(time.after(Duration::from_secs(90)).to_string(), "2026-11-22T09:31:30.250Z");
        assert_eq!(Timestamp::from_millis(i64::MAX).to_string(), "9999-12-31T23:59:59.999Z");
    }
}
