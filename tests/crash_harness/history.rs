//! Everything that was said to the server and by it over one session, and when it died.

use std::collections::{BTreeMap, BTreeSet};

use model::Timestamp;
use serde_json::Value;

/// What the outside world knows at the end.
#[derive(Default)]
pub(crate) struct History {
    pub(crate) alerts: Vec<Alert>,
    pub(crate) words: Vec<Word>,
    pub(crate) deaths: Vec<Timestamp>,
    /// How often it died, by the point or by what killed it.
    pub(crate) killed_by: BTreeMap<String, u32>,
    /// How many calls of a disruption the simulated systems were told to treat badly.
    pub(crate) faults: u32,
    /// How often it died before it listened.
    pub(crate) deaths_at_start: usize,
    /// What was contained at the end, as the API said.
    pub(crate) contained: BTreeSet<String>,
    /// From when on clocks were moved so that what they end is ended.
    pub(crate) peace: Option<Timestamp>,
    /// Whether the server's clock jumped, so that its times say nothing about what came first.
    pub(crate) has_jumped: bool,
    pub(crate) log: String,
}

/// An alert that its sender sends until it is answered.
pub(crate) struct Alert {
    pub(crate) source: String,
    pub(crate) body: Value,
    /// The runs that were named in answers.
    pub(crate) answers: Vec<String>,
}

/// What a person said about a step.
pub(crate) struct Word {
    pub(crate) run: String,
    /// The reason that was given; no two are the same.
    pub(crate) reason: String,
    pub(crate) is_answered: bool,
}

pub(crate) fn now() -> Timestamp {
    runner::Clock::System.now()
}
