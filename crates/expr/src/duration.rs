//! Durations as playbooks write them: `500ms`, `30s`, `10m`, `4h`, `7d`.

use std::time::Duration;

const UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// The longest duration that is taken: ten years.
pub const LONGEST: Duration = Duration::from_secs(10 * 365 * 86_400);

/// Reads a duration: a whole number with one unit, at most [`LONGEST`].
pub fn parse(text: &str) -> Result<Duration, String> {
    let refused =
        || format!("`{text}` is not a duration: write a whole number with ms, s, m, h or d, as in `30s`");
    let split = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(refused)?;
    let (digits, unit) = text.split_at(split);
    let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(refused)?;
    let count: u64 = digits.parse().map_err(|_| refused())?;
    let millis = count.checked_mul(*factor).filter(|millis| u128::from(*millis) <= LONGEST.as_millis());
    millis.map(Duration::from_millis).ok_or_else(|| format!("`{text}` is longer than ten years"))
}

/// Writes a duration in the largest unit that holds it exactly.
pub fn display(duration: Duration) -> String {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if millis == 0 {
        return "0s".to_owned();
    }
    let (unit, factor) =
        UNITS.iter().rev().find(|(_, factor)| millis % factor == 0).expect("1 divides every number");
    format!("{}{unit}", millis / factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_reads_what_it_writes() {
        for text in ["250ms", "30s", "10m", "4h", "7d"] {
            assert_eq!(display(parse(text).unwrap()), text);
        }
        assert_eq!(display(parse("90s").unwrap()), "90s");
        assert_eq!(display(parse("120s").unwrap()), "2m");
    }

    #[test]
    fn what_is_not_a_duration_is_refused() {
        for text in ["", "30", "s", "1.5h", "-3s", "30 s", "4w", "99999999999999999999d", "4000d"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
