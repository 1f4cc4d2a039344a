//! The alert that everything is measured with: one of Wazuh, of 2 KB.

use std::sync::Arc;

use ::lab::load::Body;
use anyhow::Context as _;
use serde_json::Value;

const SAMPLE: &str = include_str!("../../../../examples/alerts/sshd_bruteforce.json");
const BYTES: usize = 2048;
/// Stands where the number of the alert goes.
const MARK: &str = "NUMBER";

/// An alert with a number of its own each time, as its `id`.
pub(super) struct Alert {
    before: Arc<str>,
    after: Arc<str>,
}

impl Alert {
    pub(super) fn new() -> anyhow::Result<Alert> {
        let mut alert: Value = serde_json::from_str(SAMPLE).context("the sample is JSON")?;
        let missing = BYTES.saturating_sub(alert.to_string().len());
        let log = alert.get_mut("full_log").context("the sample has a log")?;
        *log = format!("{}{}", log.as_str().unwrap_or_default(), " x".repeat(missing / 2)).into();
        *alert.get_mut("id").context("the sample has an id")? = MARK.into();
        let text = alert.to_string();
        let (before, after) = text.split_once(MARK).context("the mark is in the sample")?;
        Ok(Alert { before: before.into(), after: after.into() })
    }

    /// Writes the alert with a number.
    pub(super) fn body(&self) -> Arc<Body> {
        let (before, after) = (Arc::clone(&self.before), Arc::clone(&self.after));
        Arc::new(move |number, body: &mut Vec<u8>| {
            body.extend_from_slice(before.as_bytes());
            body.extend_from_slice(number.to_string().as_bytes());
            body.extend_from_slice(after.as_bytes());
        })
    }

    /// The alert with this number.
    pub(super) fn text(&self, number: u64) -> Vec<u8> {
        let mut text = Vec::new();
        self.body()(number, &mut text);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_has_2_kb_and_its_number() {
        let text = Alert::new().unwrap().text(1_234_567);
        assert!((BYTES - 20..=BYTES).contains(&text.len()), "{}", text.len());
        let alert: Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(alert["id"], "1234567");
    }
}
