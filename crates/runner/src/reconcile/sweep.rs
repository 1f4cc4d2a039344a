//! From when to when alerts are asked for, page by page, and what that says of the next time.

use std::time::Duration;

use model::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// An alert that is younger is on its way by itself, perhaps.
const ON_ITS_WAY: Duration = Duration::from_secs(60);

/// How far all alerts have been asked for; kept in the store.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cursor {
    /// Where it began: what is older was there before anybody wanted it.
    pub(crate) from: Timestamp,
    /// Up to then all are admitted.
    pub(crate) until: Timestamp,
}

/// Asking for the alerts of a time. It goes on where it was when a page cannot be had, or not be admitted.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sweep {
    pub(crate) since: Timestamp,
    /// Up to and without.
    pub(crate) until: Timestamp,
    /// Behind which alert the next page begins.
    pub(crate) after: Option<Value>,
}

impl Cursor {
    /// One that begins with the present.
    pub(crate) fn new(now: Timestamp) -> Cursor {
        Cursor { from: now, until: now }
    }

    /// What to ask for: from a while before the last one on, since alerts are found late. None where there is no time
    /// between. What came before `horizon` is not known any more, so it is not asked for.
    pub(crate) fn sweep(
        &self,
        now: Timestamp,
        every: Duration,
        look_back: Duration,
        horizon: Timestamp,
    ) -> Option<Sweep> {
        // A clock that was ahead must not keep it quiet until then.
        let until = self.until.min(now);
        let since = until.before(look_back).max(self.from.min(now)).max(horizon);
        let until = now.before(every.min(ON_ITS_WAY));
        (since < until).then_some(Sweep { since, until, after: None })
    }

    /// The cursor after a page that ends with an alert of this time. It never goes back.
    pub(crate) fn past(self, last: Timestamp, sweep: &Sweep) -> Cursor {
        Cursor { until: self.until.max(last.min(sweep.until)), ..self }
    }
}

impl Sweep {
    /// Goes on behind this page; none: it was the last one. A page that leads nowhere is the last one too.
    pub(crate) fn next(self, next: Value) -> Option<Sweep> {
        let leads =
            next.as_array().is_some_and(|after| !after.is_empty()) && self.after.as_ref() != Some(&next);
        leads.then_some(Sweep { after: Some(next), ..self })
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use serde_json::json;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_millis((1_000_000 + minutes) * 60_000)
    }

    fn minutes(time: Timestamp) -> i64 {
        time.as_millis() / 60_000 - 1_000_000
    }

    /// What is asked for at this minute, every five minutes, ten minutes back.
    fn asked(cursor: Cursor, now: i64) -> String {
        let horizon = at(now).before(1440 * MINUTE);
        cursor.sweep(at(now), 5 * MINUTE, 10 * MINUTE, horizon).map_or("nothing".to_owned(), |sweep| {
            format!("{} to {}", minutes(sweep.since), minutes(sweep.until))
        })
    }

    #[test]
    fn it_begins_with_the_present_and_reads_the_last_minutes_again() {
        let cursor = Cursor::new(at(0));
        let late = |until| Cursor { until: at(until), ..cursor };
        let told = [
            ("at once", asked(cursor, 0)),
            ("a minute on", asked(cursor, 1)),
            ("the first time", asked(cursor, 5)),
            ("the next", asked(late(4), 10)),
            ("in an hour", asked(late(59), 65)),
            ("after a night", asked(late(60), 600)),
            ("after a week", asked(late(60), 7 * 1440)),
            ("the clock was set back", asked(late(600), 300)),
        ];
        let lines: Vec<String> = told.iter().map(|(when, what)| format!("{when}: {what}")).collect();
        assert_snapshot!(lines.join("\n"), @"
        at once: nothing
        a minute on: nothing
        the first time: 0 to 4
        the next: 0 to 9
        in an hour: 49 to 64
        after a night: 50 to 599
        after a week: 8640 to 10079
        the clock was set back: 290 to 299
        ");
    }

    #[test]
    fn the_cursor_follows_what_was_admitted_and_never_goes_back() {
        let cursor = Cursor { from: at(0), until: at(20) };
        let sweep = cursor.sweep(at(30), MINUTE, 10 * MINUTE, at(0)).unwrap();
        assert_eq!(minutes(cursor.past(at(15), &sweep).until), 20, "what was read again is not new");
        assert_eq!(minutes(cursor.past(at(25), &sweep).until), 25);
        assert_eq!(minutes(cursor.past(at(9999), &sweep).until), 29, "a manager whose clock is ahead");
    }

    #[test]
    fn a_page_that_leads_nowhere_is_the_last_one() {
        let sweep = Sweep { since: at(0), until: at(1), after: None };
        let second = sweep.next(json!([1, "a"])).unwrap();
        assert_eq!(second.after, Some(json!([1, "a"])));
        assert_eq!(second.clone().next(json!([1, "a"])), None);
        assert_eq!(second.clone().next(Value::Null), None);
        assert_eq!(second.next(json!([])), None);
    }
}
