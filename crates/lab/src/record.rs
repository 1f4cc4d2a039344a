//! The list of requests that the simulated products received.
//!
//! Headers are never recorded, and the body of a login neither, so a recording holds no credentials.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use serde_json::Value;

use crate::clock::now_ms;
use crate::faults::System;
use crate::http::Request;

/// A request that a simulated product received.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Recorded {
    /// Counts from 1, over all products.
    pub seq: u64,
    /// Who received it.
    pub system: System,
    pub method: String,
    pub path: String,
    /// The query as sent, without `?`.
    pub query: String,
    /// The body as JSON, or as text where it is none; absent when it was empty or a login.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
    /// `None` until it is answered, and for ever when the connection was dropped.
    pub status: Option<u16>,
    /// Milliseconds since the epoch.
    pub at: u64,
}

/// A lab that runs for days forgets the oldest requests.
const MOST: usize = 10_000;

#[derive(Default)]
pub(crate) struct Recorder {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    last_seq: u64,
    requests: VecDeque<Recorded>,
}

impl Recorder {
    /// Notes a request before anything is done about it and returns its number.
    pub(crate) fn arrived(&self, system: System, request: &Request) -> u64 {
        let mut state = self.lock();
        state.last_seq += 1;
        let recorded = Recorded {
            seq: state.last_seq,
            system,
            method: request.method.as_str().to_owned(),
            path: request.path.clone(),
            query: request.query.clone(),
            body: body(request),
            status: None,
            at: now_ms(),
        };
        if state.requests.len() == MOST {
            state.requests.pop_front();
        }
        state.requests.push_back(recorded);
        state.last_seq
    }

    pub(crate) fn answered(&self, seq: u64, status: u16) {
        let mut state = self.lock();
        if let Some(recorded) = state.requests.iter_mut().rev().find(|recorded| recorded.seq == seq) {
            recorded.status = Some(status);
        }
    }

    pub(crate) fn list(&self) -> Vec<Recorded> {
        self.lock().requests.iter().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn body(request: &Request) -> Option<Value> {
    if request.body.is_empty() || request.path.starts_with("/security/user/authenticate") {
        return None;
    }
    let parsed = serde_json::from_slice(&request.body);
    Some(parsed.unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&request.body).into_owned())))
}
