//! The work that everyone does, and the alert that starts it.

use std::sync::Arc;

use anyhow::Context as _;
use lab::load::Body;
use serde::{Deserialize, Serialize};
use serde_json::Value;

const SAMPLE: &str = include_str!("../../../examples/alerts/sshd_bruteforce.json");
/// Stands where the number of the alert goes.
const MARK: &str = "NUMBER";
const BYTES: usize = 2048;
const HASH: &str = "275a021bbfb6489e54d471899f7db9d1663fc695ec2fe2a2c4538aabf651fd0f";
/// How many ask at once.
pub(crate) const CONCURRENCY: [usize; 3] = [1, 16, 64];

/// What is done for an alert. The answer comes when it is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Work {
    A,
    B,
    Pure,
    Http,
    C,
}

impl Work {
    /// The name that it has in flows, paths and files.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Work::A => "a",
            Work::B => "b",
            Work::Pure => "pure",
            Work::Http => "http",
            Work::C => "c",
        }
    }

    /// What it is, for people.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Work::A => "(a) webhook, one step",
            Work::B => "(b) webhook, condition, step",
            Work::Pure => "(b) with six pure steps",
            Work::Http => "six HTTP steps",
            Work::C => "(c) the loop of a SOC",
        }
    }

    /// What stands in the answer of a run that was done.
    pub(crate) fn answer(self) -> &'static str {
        match self {
            Work::A | Work::B => "rule 5763 on web-01",
            Work::Pure => r#""n":16"#,
            Work::Http => r#""n":6"#,
            Work::C => r#""status":"InProgress""#,
        }
    }

    /// The last call that it makes, and how often.
    pub(crate) fn last_call(self) -> Option<(&'static str, u64)> {
        match self {
            Work::A | Work::B | Work::Pure => None,
            Work::Http => Some(("/echo", 6)),
            Work::C => Some(("/update", 1)),
        }
    }
}

/// An alert of Wazuh of 2 KB, with a number of its own each time.
#[derive(Clone)]
pub(crate) struct Alert {
    before: Arc<str>,
    after: Arc<str>,
}

impl Alert {
    pub(crate) fn new() -> anyhow::Result<Alert> {
        let mut alert: Value = serde_json::from_str(SAMPLE).context("the sample is JSON")?;
        *alert.get_mut("id").context("the sample has an id")? = MARK.into();
        let data = alert.get_mut("data").and_then(Value::as_object_mut);
        data.context("the sample has data")?.insert("hash".to_owned(), HASH.into());
        let missing = BYTES.saturating_sub(alert.to_string().len());
        let log = alert.get_mut("full_log").context("the sample has a log")?;
        *log = format!("{}{}", log.as_str().unwrap_or_default(), " x".repeat(missing / 2)).into();
        let text = alert.to_string();
        let (before, after) = text.split_once(MARK).context("the mark is in the sample")?;
        Ok(Alert { before: before.into(), after: after.into() })
    }

    /// Writes the alert with a number.
    pub(crate) fn body(&self) -> Arc<Body> {
        let (before, after) = (Arc::clone(&self.before), Arc::clone(&self.after));
        Arc::new(move |number, body: &mut Vec<u8>| {
            body.extend_from_slice(before.as_bytes());
            body.extend_from_slice(number.to_string().as_bytes());
            body.extend_from_slice(after.as_bytes());
        })
    }

    /// The alert with this number.
    pub(crate) fn text(&self, number: u64) -> String {
        format!("{}{number}{}", self.before, self.after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_alert_has_2_kb_its_number_and_what_the_work_reads() {
        let alert = Alert::new().unwrap();
        let text = alert.text(77);
        assert!((BYTES - 20..=BYTES).contains(&text.len()), "{}", text.len());
        let mut body = Vec::new();
        alert.body()(77, &mut body);
        assert_eq!(body, text.as_bytes());
        let alert: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&alert["id"], &alert["rule"]["level"]), (&"77".into(), &10.into()));
        assert_eq!((&alert["data"]["hash"], &alert["data"]["dstuser"]), (&HASH.into(), &"deploy".into()));
    }
}
