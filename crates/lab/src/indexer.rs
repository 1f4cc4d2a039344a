//! The Wazuh indexer, an OpenSearch 2, as far as one searches `wazuh-alerts-4.x-*` in it.
//!
//! It has what active responses leave behind and what it is given. Fields are mapped as Wazuh's template maps them,
//! text to `keyword`, so a `term` compares whole values. Documents are not analysed, scored or written over HTTP.

mod evidence;
mod query;
mod reply;
mod search;

use std::sync::{Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hyper::{Method, StatusCode};
use serde_json::{Value, json};

use crate::clock::{format_ms, now_ms};
use crate::http::{Answer, Endpoint, Refusal, Request};
use crate::settings::Settings;
use crate::wazuh::{ActiveResponse, Agent};

use query::moment;
use reply::Problem;
use search::Search;

/// How Wazuh writes a time, which is not RFC 3339.
const TIME: &str = "%Y-%m-%dT%H:%M:%S%.3f+0000";

/// A lab that runs for days forgets the oldest.
const MOST_KEPT: usize = 10_000;

pub(crate) struct Indexer {
    credentials: String,
    state: Mutex<State>,
}

struct State {
    delay_ms: u64,
    /// How many alerts there were.
    count: u64,
    documents: Vec<Document>,
}

/// An alert as it was indexed.
pub(crate) struct Document {
    id: String,
    index: String,
    source: Value,
    /// Milliseconds since the epoch; no search finds it before.
    visible_at: u64,
}

impl Indexer {
    pub(crate) fn new(settings: &Settings) -> Indexer {
        let credentials = BASE64.encode(format!("{}:{}", settings.indexer_user, settings.indexer_password));
        let state = State { delay_ms: settings.evidence_delay_ms, count: 0, documents: Vec::new() };
        Indexer { credentials, state: Mutex::new(state) }
    }

    pub(crate) fn delay_ms(&self) -> u64 {
        self.lock().delay_ms
    }

    pub(crate) fn set_delay_ms(&self, delay_ms: u64) {
        self.lock().delay_ms = delay_ms;
    }

    /// The alert that an agent's script raises when it has done what it was told.
    pub(crate) fn add_evidence(&self, response: &ActiveResponse, program: &str, agent: &Agent) {
        let mut state = self.lock();
        let visible_at = response.at.saturating_add(state.delay_ms);
        let number = state.count;
        state.add(evidence::alert(response, program, agent, number), response.at, visible_at);
    }

    /// Puts an alert into the index as it is; one without a usable `timestamp` gets this moment. Gives its `_id`.
    pub(crate) fn add_alert(&self, mut alert: Value) -> String {
        let now = now_ms();
        if !alert.is_object() {
            alert = json!({ "full_log": alert });
        }
        let at = alert.get("timestamp").and_then(|value| moment(value, now));
        let at = at.and_then(|at| u64::try_from(at).ok()).unwrap_or_else(|| {
            alert["timestamp"] = json!(format_ms(now, TIME));
            now
        });
        self.lock().add(alert, at, 0)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn handle(&self, request: &Request) -> Result<Answer, Problem> {
        let given = request.header("authorization").and_then(|value| value.strip_prefix("Basic "));
        if given != Some(&self.credentials) {
            return Err(Problem::Unauthorized);
        }
        let path = request.path.trim_matches('/');
        let target = match (&request.method, path.rsplit_once('/')) {
            (&Method::GET | &Method::POST, Some((target, "_search"))) => target,
            (&Method::GET, None) if path.is_empty() => return Ok(reply::banner()),
            (method, _) => return Err(Problem::no_handler(method, &request.path)),
        };
        reply::check_parameters(request)?;
        let now = now_ms();
        let search = Search::read(&request.body, now)?;
        let state = self.lock();
        let targets: Vec<&str> = target.split(',').collect();
        for wanted in targets.iter().filter(|target| !target.contains('*')) {
            if !state.documents.iter().any(|document| document.index == *wanted) {
                return Err(Problem::no_index(wanted));
            }
        }
        let found = state.documents.iter().filter(|document| {
            document.visible_at <= now && targets.iter().any(|target| reply::is_like(target, &document.index))
        });
        Ok(search.run(found.collect()))
    }
}

impl State {
    fn add(&mut self, mut source: Value, at: u64, visible_at: u64) -> String {
        self.count += 1;
        source["@timestamp"] = json!(format_ms(at, "%Y-%m-%dT%H:%M:%S%.3fZ"));
        // As OpenSearch makes them: text without an order that one could rely on.
        let id = format!("{:016x}AZ", self.count.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let index = format_ms(at, "wazuh-alerts-4.x-%Y.%m.%d");
        self.documents.push(Document { id: id.clone(), index, source, visible_at });
        if self.documents.len() > MOST_KEPT {
            self.documents.remove(0);
        }
        id
    }
}

impl Endpoint for Indexer {
    fn answer(&self, request: &Request) -> Answer {
        self.handle(request).unwrap_or_else(Problem::into_answer)
    }

    fn refuse(&self, refusal: Refusal) -> Answer {
        match refusal {
            Refusal::TooLarge { .. } => Answer::empty(StatusCode::PAYLOAD_TOO_LARGE),
            Refusal::ExpectationFailed { .. } => Answer::empty(StatusCode::EXPECTATION_FAILED),
            Refusal::TokenExpired => Problem::Unauthorized.into_answer(),
            Refusal::TimedOut => Problem::timeout().into_answer(),
        }
    }
}

#[cfg(test)]
mod tests;
