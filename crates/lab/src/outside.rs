//! The world outside, as plain as it can be: one HTTP server with the calls that a response to an alert makes, for
//! measurements. It answers at once or after a fixed delay, and counts every call, also by the run that made it.
//!
//! A call says who makes it in its query: `?run=7`. So effects that were doubled or are missing can be seen.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::StatusCode;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::http::{Answer, Endpoint, Refusal, Request, Server, serve};
use crate::lab::Error;

/// The paths that it knows.
pub const PATHS: [&str; 9] =
    ["/token", "/agent", "/ip", "/hash", "/user", "/case", "/block", "/update", "/echo"];

/// Longer than any measurement.
const KEEP_ALIVE: Duration = Duration::from_secs(3600);

/// A running world outside. Dropping it stops its server.
pub struct Outside {
    address: SocketAddr,
    calls: Arc<Calls>,
    task: JoinHandle<Infallible>,
}

/// What was called, by path in the order of [`PATHS`].
#[derive(Default)]
struct Calls {
    paths: [AtomicU64; PATHS.len()],
    unknown: AtomicU64,
    runs: Mutex<HashMap<String, [u32; PATHS.len()]>>,
}

impl Outside {
    /// Binds a free port on 127.0.0.1 and serves it; each answer comes after `delay`.
    pub async fn start(delay: Duration) -> Result<Outside, Error> {
        let failed = |source| Error::Listen { port: 0, source };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let calls = Arc::new(Calls::default());
        let endpoint = Arc::clone(&calls);
        let server = Server { endpoint, observer: None, tls: None, keep_alive: KEEP_ALIVE, delay };
        Ok(Outside { address, calls, task: serve(listener, server) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How often each path was called.
    pub fn counts(&self) -> BTreeMap<&'static str, u64> {
        let counts = self.calls.paths.iter().map(|count| count.load(Ordering::SeqCst));
        PATHS.into_iter().zip(counts).collect()
    }

    /// Calls of paths that it does not know.
    pub fn unknown(&self) -> u64 {
        self.calls.unknown.load(Ordering::SeqCst)
    }

    /// How often each run called this path; runs that never called anything are not there.
    pub fn runs(&self, path: &str) -> BTreeMap<String, u32> {
        let Some(index) = PATHS.iter().position(|known| *known == path) else { return BTreeMap::new() };
        self.calls.runs().iter().map(|(run, counts)| (run.clone(), counts[index])).collect()
    }

    /// Forgets all that was called.
    pub fn forget(&self) {
        self.calls
            .paths
            .iter()
            .chain([&self.calls.unknown])
            .for_each(|count| count.store(0, Ordering::SeqCst));
        self.calls.runs().clear();
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Calls {
    fn runs(&self) -> MutexGuard<'_, HashMap<String, [u32; PATHS.len()]>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, index: usize, query: &str) {
        self.paths[index].fetch_add(1, Ordering::SeqCst);
        let run = query.split('&').find_map(|pair| pair.strip_prefix("run="));
        if let Some(run) = run {
            let mut runs = self.runs();
            match runs.get_mut(run) {
                Some(counts) => counts[index] += 1,
                None => runs.entry(run.to_owned()).or_default()[index] = 1,
            }
        }
    }
}

impl Endpoint for Calls {
    fn answer(&self, request: &Request) -> Answer {
        let Some(index) = PATHS.iter().position(|path| *path == request.path) else {
            self.unknown.fetch_add(1, Ordering::SeqCst);
            return Answer::json(StatusCode::NOT_FOUND, &json!({ "error": "no such path" }));
        };
        self.count(index, &request.query);
        if request.path == "/echo" && !request.body.is_empty() {
            let body = request.body.to_vec();
            return Answer { body, ..fixed("") };
        }
        fixed(ANSWERS[index])
    }

    fn refuse(&self, _: Refusal) -> Answer {
        Answer::json(StatusCode::PAYLOAD_TOO_LARGE, &json!({ "error": "the body is too large" }))
    }
}

fn fixed(body: &str) -> Answer {
    Answer { status: StatusCode::OK, content_type: crate::http::JSON, headers: Vec::new(), body: body.into() }
}

/// What each path answers.
const ANSWERS: [&str; PATHS.len()] = [
    r#"{"token":"eyJhbGciOiJFUzUxMiJ9.outside","expires_in":900}"#,
    r#"{"id":"001","name":"web-01","ip":"10.0.0.21","status":"active","groups":["default","web"],"os":"Ubuntu 24.04"}"#,
    r#"{"ip":"203.0.113.9","malicious":12,"suspicious":3,"harmless":48,"country":"ZZ","owner":"Documentation Network"}"#,
    r#"{"sha256":"275a021bbfb6489e54d471899f7db9d1663fc695ec2fe2a2c4538aabf651fd0f","malicious":61,"known_as":"eicar"}"#,
    r#"{"name":"jdoe","department":"finance","is_admin":false,"last_login":"2026-11-22T08:12:44Z"}"#,
    r#"{"id":"~4296","number":17,"status":"New"}"#,
    r#"{"taken":true,"agents":["001"]}"#,
    r#"{"id":"~4296","status":"InProgress"}"#,
    "{}",
];

#[cfg(test)]
mod tests;
