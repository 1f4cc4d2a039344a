//! A client that puts load on an HTTP server of this machine and notes what became of each request.
//!
//! It shares its cores with what it measures, so it does as little as it can for each: connections are kept alive, the head
//! of the request is made once, and an answer is read up to its end and thrown away. One thread does all of it.

mod connection;

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use connection::Connection;

/// How long a request may take before it counts as one that nobody answered.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long somebody waits who could not connect.
const PAUSE: Duration = Duration::from_millis(20);

/// Requests that are to be made.
#[derive(Clone)]
pub struct Load {
    /// Where they go.
    pub target: Target,
    /// Over so many connections.
    pub concurrency: usize,
    /// How fast, and when it is over.
    pub pace: Pace,
    /// The number of the first request; the others count on from it.
    pub first: u64,
    /// Makes the body of a request out of its number.
    pub body: Arc<Body>,
}

/// Writes the body of the request with this number.
pub type Body = dyn Fn(u64, &mut Vec<u8>) + Send + Sync;

/// Where requests go: always a POST, with a body of JSON.
#[derive(Debug, Clone)]
pub struct Target {
    /// The server.
    pub address: SocketAddr,
    /// The path, with its query.
    pub path: String,
    /// Headers besides those that each request has.
    pub headers: Vec<(String, String)>,
}

/// How fast requests are made, and when it is over.
#[derive(Debug, Clone, Copy)]
pub enum Pace {
    /// So many in all: on each connection the next one follows the answer.
    Requests(u64),
    /// For so long: on each connection the next one follows the answer.
    Time(Duration),
    /// At a fixed rate, whatever becomes of those before, for so long. Where all connections wait for an answer, what is due
    /// waits for one of them.
    Rate {
        /// Requests in a second.
        per_second: f64,
        /// For how long.
        time: Duration,
    },
}

/// What became of a request.
#[derive(Debug, Clone, Copy)]
pub struct Answer {
    /// The number of the request.
    pub number: u64,
    /// The status of the answer; none where there was none.
    pub status: Option<u16>,
    /// From the first byte that was sent to the last one that came.
    pub took: Duration,
    /// How long after its time it was sent. Nothing, where requests follow answers.
    pub late: Duration,
    /// When the answer was there, from the beginning of the load.
    pub at: Duration,
}

/// What became of all requests.
#[derive(Debug, Default)]
pub struct Report {
    /// One for each request.
    pub answers: Vec<Answer>,
    /// From the first request to the last answer.
    pub elapsed: Duration,
}

/// Durations in their order.
#[derive(Debug, Clone, Default)]
pub struct Times(Vec<Duration>);

impl Load {
    /// Makes the requests; gives what became of each.
    ///
    /// # Errors
    ///
    /// If there is no thread to do it. A server that does not answer is no error: its requests have no status.
    pub async fn run(self) -> io::Result<Report> {
        // A runtime with one thread wakes nobody up, and leaves the other cores to what is measured.
        let work = tokio::task::spawn_blocking(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            Ok(runtime.block_on(self.make()))
        });
        work.await.unwrap_or_else(|error| Err(io::Error::other(error)))
    }

    async fn make(self) -> Report {
        let began = Instant::now();
        let next = Arc::new(AtomicU64::new(0));
        let load = Arc::new(self);
        let mut workers = JoinSet::new();
        for _ in 0..load.concurrency {
            workers.spawn(work(Arc::clone(&load), Arc::clone(&next), began));
        }
        let mut answers = Vec::new();
        while let Some(done) = workers.join_next().await {
            answers.extend(done.unwrap_or_default());
        }
        Report { answers, elapsed: began.elapsed() }
    }

    /// When the request with this number is due, if it is to be made at all.
    fn due(&self, number: u64, began: Instant) -> Option<Instant> {
        match self.pace {
            Pace::Requests(requests) => (number < requests).then_some(began),
            Pace::Time(time) => (began.elapsed() < time).then_some(began),
            Pace::Rate { per_second, time } => {
                let after = Duration::from_secs_f64(number as f64 / per_second);
                (after < time && began.elapsed() < time).then_some(began + after)
            }
        }
    }
}

/// Makes requests over one connection, until there is none left.
async fn work(load: Arc<Load>, next: Arc<AtomicU64>, began: Instant) -> Vec<Answer> {
    let head = load.target.head();
    let is_paced = matches!(load.pace, Pace::Rate { .. });
    let mut connection = None;
    let (mut request, mut body) = (Vec::new(), Vec::new());
    let mut answers = Vec::new();
    loop {
        let count = next.fetch_add(1, Ordering::Relaxed);
        let Some(due) = load.due(count, began) else { return answers };
        if is_paced {
            sleep_until(due).await;
        }
        let number = load.first + count;
        body.clear();
        (load.body)(number, &mut body);
        write_request(&head, &body, &mut request);
        let sent = Instant::now();
        let exchange = exchange(&mut connection, load.target.address, &request);
        let status = timeout(PATIENCE, exchange).await.unwrap_or(Err(io::ErrorKind::TimedOut.into())).ok();
        let late = if is_paced { sent.duration_since(due) } else { Duration::ZERO };
        answers.push(Answer { number, status, took: sent.elapsed(), late, at: began.elapsed() });
        if status.is_none() {
            connection = None;
            tokio::time::sleep(PAUSE).await;
        }
    }
}

async fn exchange(
    connection: &mut Option<Connection>,
    address: SocketAddr,
    request: &[u8],
) -> io::Result<u16> {
    let open = match connection.take() {
        Some(open) => open,
        None => Connection::open(address).await?,
    };
    let (answer, open) = open.exchange(request).await?;
    *connection = open;
    Ok(answer)
}

fn write_request(head: &str, body: &[u8], request: &mut Vec<u8>) {
    request.clear();
    request.extend_from_slice(head.as_bytes());
    let _ = write!(request, "content-length: {}\r\n\r\n", body.len());
    request.extend_from_slice(body);
}

impl Target {
    /// A path of a server.
    pub fn new(address: SocketAddr, path: &str) -> Target {
        Target { address, path: path.to_owned(), headers: Vec::new() }
    }

    /// With this header too.
    pub fn header(mut self, name: &str, value: &str) -> Target {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    fn head(&self) -> String {
        let Target { address, path, headers } = self;
        let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        format!("POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n{headers}")
    }
}

impl Report {
    /// How many answers had this status.
    pub fn count(&self, status: u16) -> usize {
        self.with(status).count()
    }

    /// How many requests ended in which way.
    pub fn statuses(&self) -> BTreeMap<Option<u16>, usize> {
        let mut statuses = BTreeMap::new();
        for answer in &self.answers {
            *statuses.entry(answer.status).or_default() += 1;
        }
        statuses
    }

    /// The answers with this status.
    pub fn with(&self, status: u16) -> impl Iterator<Item = &Answer> {
        self.answers.iter().filter(move |answer| answer.status == Some(status))
    }

    /// Answers with this status in a second.
    pub fn per_second(&self, status: u16) -> f64 {
        self.count(status) as f64 / self.elapsed.as_secs_f64()
    }

    /// How long those took that were answered with this status.
    pub fn times(&self, status: u16) -> Times {
        self.with(status).map(|answer| answer.took).collect()
    }
}

impl FromIterator<Duration> for Times {
    fn from_iter<T: IntoIterator<Item = Duration>>(times: T) -> Times {
        let mut times: Vec<Duration> = times.into_iter().collect();
        times.sort_unstable();
        Times(times)
    }
}

impl Times {
    /// What this part of them did not exceed: 0.5 for the median, 1.0 for the longest.
    pub fn at(&self, part: f64) -> Duration {
        let last = self.0.len().saturating_sub(1);
        let index = (last as f64 * part.clamp(0.0, 1.0)).round() as usize;
        self.0.get(index).copied().unwrap_or_default()
    }
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |part: f64| self.at(part).as_secs_f64() * 1000.0;
        write!(
            f,
            "p50 {:.2} ms, p95 {:.2} ms, p99 {:.2} ms, max {:.2} ms",
            ms(0.5),
            ms(0.95),
            ms(0.99),
            ms(1.0)
        )
    }
}

#[cfg(test)]
mod tests;
