//! When a schedule fires: a cron expression in a time zone. Pure: the time is an argument.
//!
//! The five fields mean what a crontab means by them; the `cron` crate, which finds the times, counts weekdays from
//! Sunday as 1 and wants seconds, so both are translated. It is asked in the zone's own local time, without a zone: what
//! a clock change means is decided here. A time that the clocks leave out fires at the first moment after it, once. A
//! time that they show twice fires at the first of the two, unless the schedule fires every hour: then time goes on.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, NaiveDateTime, TimeDelta, TimeZone as _, Utc};
use chrono_tz::{GapInfo, Tz};
use model::Timestamp;

/// Clocks are set back by less than this.
const LONGEST_OVERLAP: TimeDelta = TimeDelta::hours(4);

/// When a workflow starts on its own.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    cron: Cron,
    zone: Tz,
    /// What becomes of the times at which nobody was there to start it.
    pub missed: Missed,
}

/// What becomes of the times of a schedule at which nobody was there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missed {
    /// One run for all of them, as soon as somebody is there.
    RunOnce,
    /// Nothing.
    Skip,
}

/// A cron expression of five fields.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Cron {
    text: String,
    schedule: cron::Schedule,
    is_every_hour: bool,
}

impl Schedule {
    pub(crate) fn new(cron: Cron, zone: Tz, missed: Missed) -> Schedule {
        Schedule { cron, zone, missed }
    }

    /// The expression.
    pub fn cron(&self) -> &str {
        &self.cron.text
    }

    /// The name of the zone.
    pub fn timezone(&self) -> &'static str {
        self.zone.name()
    }

    /// The first time after this one; none: it does not fire any more in this century.
    pub fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        let after = DateTime::from_timestamp_millis(after.as_millis())?;
        let local = after.with_timezone(&self.zone).naive_local();
        let from = if self.cron.is_every_hour { local - LONGEST_OVERLAP } else { local };
        let mut next: Option<DateTime<Utc>> = None;
        for candidate in self.cron.after(from) {
            let Some((first, again)) = self.moments(candidate) else { continue };
            // Whatever comes behind it is no earlier.
            if next.is_some_and(|next| next <= first) {
                break;
            }
            let moments = [Some(first), again].into_iter().flatten();
            next = moments.filter(|moment| *moment > after).chain(next).min();
        }
        next.map(|next| Timestamp::from_millis(next.timestamp_millis()))
    }

    /// The last time in this span, its beginning left out.
    pub fn last_within(&self, after: Timestamp, until: Timestamp) -> Option<Timestamp> {
        const HOUR: Duration = Duration::from_secs(3600);
        for hours in [1, 24, 24 * 32, 24 * 366] {
            let from = until.before(HOUR * hours).max(after);
            if let Some(last) = self.times(from).take_while(|time| *time <= until).last() {
                return Some(last);
            }
            if from == after {
                return None;
            }
        }
        self.times(after).take_while(|time| *time <= until).last()
    }

    fn times(&self, after: Timestamp) -> impl Iterator<Item = Timestamp> {
        std::iter::successors(self.next_after(after), |time| self.next_after(*time))
    }

    /// When the clocks of the zone show this time; twice where a schedule of every hour goes on.
    fn moments(&self, local: NaiveDateTime) -> Option<(DateTime<Utc>, Option<DateTime<Utc>>)> {
        use chrono::offset::LocalResult;
        let utc = |moment: DateTime<Tz>| moment.with_timezone(&Utc);
        match self.zone.from_local_datetime(&local) {
            LocalResult::Single(moment) => Some((utc(moment), None)),
            LocalResult::Ambiguous(first, again) => {
                Some((utc(first), Some(utc(again)).filter(|_| self.cron.is_every_hour)))
            }
            LocalResult::None => Some((utc(GapInfo::new(&local, &self.zone)?.end?), None)),
        }
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.cron(), self.timezone())
    }
}

/// The fields, and what may stand in them.
const FIELDS: [(&str, &str); 5] = [
    ("minute", "0 to 59"),
    ("hour", "0 to 23"),
    ("day of the month", "1 to 31"),
    ("month", "1 to 12 or JAN to DEC"),
    ("weekday", "0 to 7 or SUN to SAT, where 0 and 7 are Sunday"),
];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

impl Cron {
    /// Reads an expression; says what is wrong with it, and what to write.
    pub(crate) fn parse(text: &str) -> Result<Cron, (String, String)> {
        let fields: Vec<&str> = text.split_whitespace().collect();
        let Ok([minute, hour, day, month, weekday]) = <[&str; 5]>::try_from(fields.as_slice()) else {
            let message = format!("a schedule has five fields, not {}", fields.len());
            let help = "write minute, hour, day of the month, month and weekday: `0 8 * * 1-5` is 08:00 from Monday to Friday";
            return Err((message, help.to_owned()));
        };
        if day != "*" && weekday != "*" {
            let message = "both a day of the month and a weekday are given".to_owned();
            let help = "whether both or one of them has to fit differs between crons: write `*` for one, or two triggers";
            return Err((message, help.to_owned()));
        }
        let named = named_weekdays(weekday);
        let good = [minute, hour, day, month, named.as_deref().unwrap_or("")];
        for (index, (name, range)) in FIELDS.iter().enumerate() {
            let mut alone = ["*"; 5];
            alone[index] = good[index];
            if expression(alone).is_none() {
                let message = format!("`{}` is no {name}", fields[index]);
                return Err((
                    message,
                    format!("the {name} is {range}, as in `*`, `*/5`, `1`, `1-5` or `1,3`"),
                ));
            }
        }
        let never = || ("this never fires".to_owned(), "there is no such day in any year".to_owned());
        let schedule = expression(good).ok_or_else(never)?;
        use cron::TimeUnitSpec as _;
        let is_every_hour = schedule.hours().is_all();
        let cron = Cron { text: fields.join(" "), schedule, is_every_hour };
        let epoch = DateTime::<Utc>::default().naive_utc();
        if cron.after(epoch).next().is_none() { Err(never()) } else { Ok(cron) }
    }

    /// The times of the expression behind this one, as clocks show them.
    fn after(&self, local: NaiveDateTime) -> impl Iterator<Item = NaiveDateTime> {
        self.schedule.after(&local.and_utc()).map(|time| time.naive_utc())
    }
}

/// The zone where none is named.
pub(crate) const UTC: Tz = Tz::UTC;

/// The time zone with this name.
pub(crate) fn zone(name: &str) -> Option<Tz> {
    name.parse().ok()
}

/// The names of all time zones.
pub(crate) fn zones() -> impl Iterator<Item = &'static str> {
    chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name())
}

/// What these fields mean to the crate, which has more forms than a crontab.
fn expression(fields: [&str; 5]) -> Option<cron::Schedule> {
    let is_plain = |field: &&str| {
        field.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'*' | b',' | b'-' | b'/'))
    };
    let has_steps = |field: &&str| !field.split(',').any(|item| item.ends_with("/0"));
    if !fields.iter().all(is_plain) || !fields.iter().all(has_steps) {
        return None;
    }
    format!("0 {}", fields.join(" ")).parse().ok()
}

/// The field of weekdays with the days by name, for numbers mean other days to the crate.
fn named_weekdays(field: &str) -> Option<String> {
    if field == "*" {
        return Some(field.to_owned());
    }
    let mut days = [false; 7];
    for item in field.split(',') {
        let (range, step) = match item.split_once('/') {
            Some((range, step)) => (range, step.parse().ok().filter(|step| (1..=7).contains(step))?),
            None => (item, 1),
        };
        let (first, last) = match range.split_once('-') {
            _ if range == "*" => (0, 6),
            Some((first, last)) => (weekday(first)?, weekday(last)?),
            None if item.contains('/') => (weekday(range)?, 6),
            None => (weekday(range)?, weekday(range)?),
        };
        // `FRI-MON` goes over the end of the week.
        let last = if last < first { last + 7 } else { last };
        for day in (first..=last).step_by(step) {
            days[day % 7] = true;
        }
    }
    let named = WEEKDAYS.iter().zip(days).filter(|(_, is_named)| *is_named).map(|(name, _)| *name);
    Some(named.collect::<Vec<_>>().join(","))
}

fn weekday(text: &str) -> Option<usize> {
    let by_name = WEEKDAYS.iter().position(|name| name.eq_ignore_ascii_case(text));
    by_name.or_else(|| text.parse().ok().filter(|day| *day <= 7))
}

#[cfg(test)]
mod tests;
