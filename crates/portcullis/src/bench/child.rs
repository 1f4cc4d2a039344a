//! What `portcullis bench` starts beside the server, as processes of their own. Nobody else needs them.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ::lab::load::Target;
use ::lab::outside::Outside;
use anyhow::{Context as _, bail};
use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::routing::post;
use clap::Subcommand;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinSet;

use super::process;
use crate::{serve, show};

#[derive(Debug, Subcommand)]
pub(crate) enum BenchChild {
    /// The server, on a disk that takes longer for each flush.
    Serve { delay_us: u64 },
    /// A handler that parses alerts, and does nothing else.
    Bare,
    /// So many times the calls of a playbook, so many at once.
    Calls { playbook: Calls, url: String, times: u64, concurrency: usize },
}

/// The calls of which playbook.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(crate) enum Calls {
    SixReads,
    Soc,
}

pub(crate) async fn run(config: &Path, child: BenchChild) -> anyhow::Result<()> {
    match child {
        BenchChild::Serve { delay_us } => {
            serve::serve_with_flush_delay(config, Duration::from_micros(delay_us)).await
        }
        BenchChild::Bare => bare().await,
        BenchChild::Calls { playbook, url, times, concurrency } => {
            calls(playbook, &url, times, concurrency).await
        }
    }
}

async fn bare() -> anyhow::Result<()> {
    async fn take(body: Bytes) -> StatusCode {
        match serde_json::from_slice::<Value>(&body) {
            Ok(alert) => {
                std::hint::black_box(alert);
                StatusCode::ACCEPTED
            }
            Err(_) => StatusCode::BAD_REQUEST,
        }
    }
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    show::say(listener.local_addr()?);
    use axum::serve::ListenerExt as _;
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    Ok(axum::serve(listener, Router::new().route("/hooks/bare", post(take))).await?)
}

/// A process with the bare handler; it goes when this is dropped.
pub(super) struct Bare {
    child: Child,
    pub(super) target: Target,
}

impl Bare {
    pub(super) async fn start() -> anyhow::Result<Bare> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["bench-child", "bare"]).stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().context("cannot start the bare handler")?;
        let out = child.stdout.take().context("it has an output")?;
        let line = BufReader::new(out).lines().next_line().await?;
        let address: SocketAddr = line.context("the bare handler ended at once")?.parse()?;
        Ok(Bare { child, target: Target::new(address, "/hooks/bare") })
    }

    /// What it has used of the processors.
    pub(super) fn cpu(&self) -> anyhow::Result<Duration> {
        process::cpu(&self.child.id().unwrap_or_default().to_string())
    }
}

/// What the bare loop took.
pub(super) struct Took {
    pub(super) elapsed: Duration,
    pub(super) cpu: Duration,
}

impl Calls {
    /// Makes the calls so many times, in a process of its own, and checks that the world outside has seen all of them.
    pub(super) async fn make(
        self,
        outside: &Outside,
        times: u64,
        concurrency: usize,
    ) -> anyhow::Result<Took> {
        let (name, calls) = match self {
            Calls::SixReads => ("six-reads", 6),
            Calls::Soc => ("soc", 8),
        };
        let made = || outside.counts().into_values().sum::<u64>();
        let (url, before) = (outside.url(), made());
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["bench-child", "calls", name, &url, &times.to_string(), &concurrency.to_string()]);
        let output =
            command.stdin(Stdio::null()).stderr(Stdio::inherit()).kill_on_drop(true).output().await?;
        let text = String::from_utf8_lossy(&output.stdout);
        let mut numbers = text.split_whitespace().map_while(|number| number.parse().ok());
        let (made, expected) = (made() - before, (times + warm_up(concurrency)) * calls);
        if made != expected {
            bail!("the bare loop made {made} calls and not {expected}");
        }
        let Some((elapsed, cpu)) = numbers.next().zip(numbers.next()) else {
            bail!("the bare loop ended ({})", output.status)
        };
        Ok(Took { elapsed: Duration::from_micros(elapsed), cpu: Duration::from_micros(cpu) })
    }

    async fn once(self, http: &reqwest::Client, url: &str, run: u64) -> anyhow::Result<()> {
        let get = |path: &str| http.get(format!("{url}{path}?run={run}"));
        match self {
            Calls::SixReads => {
                for path in ["/agent", "/ip", "/hash", "/user", "/agent", "/ip"] {
                    json_of(get(path)).await?;
                }
            }
            Calls::Soc => {
                let post = |path: &str, body: &Value| http.post(format!("{url}{path}?run={run}")).json(body);
                let login = json_of(post("/token", &json!({ "user": "portcullis" }))).await?;
                let token = login.get("token").and_then(Value::as_str).unwrap_or_default();
                let agent = json_of(get("/agent").bearer_auth(token)).await?;
                let lookups = ["/ip", "/hash", "/user"].map(|path| json_of(get(path).bearer_auth(token)));
                let [ip, hash, user] = lookups;
                let (ip, _, _) = tokio::try_join!(ip, hash, user)?;
                if ip.get("malicious").and_then(Value::as_u64).unwrap_or_default() < 5 {
                    return Ok(());
                }
                let title = json!({ "title": agent.get("name"), "severity": 3 });
                let case = json_of(post("/case", &title).bearer_auth(token)).await?;
                let block = json!({ "agent": "001", "source": "203.0.113.9" });
                json_of(post("/block", &block).bearer_auth(token)).await?;
                let update = json!({ "case": case.get("id"), "status": "InProgress" });
                json_of(post("/update", &update).bearer_auth(token)).await?;
            }
        }
        Ok(())
    }
}

async fn json_of(request: reqwest::RequestBuilder) -> anyhow::Result<Value> {
    Ok(serde_json::from_slice(&request.send().await?.error_for_status()?.bytes().await?)?)
}

/// Says how many microseconds it took, and how many of the processors.
async fn calls(calls: Calls, url: &str, times: u64, concurrency: usize) -> anyhow::Result<()> {
    let http = reqwest::Client::builder().no_proxy().tcp_nodelay(true).build()?;
    make(calls, &http, url, warm_up(concurrency), concurrency).await?;
    let (began, cpu) = (Instant::now(), process::cpu("self")?);
    make(calls, &http, url, times, concurrency).await?;
    let (elapsed, cpu) = (began.elapsed(), process::cpu("self")?.saturating_sub(cpu));
    show::say(format_args!("{} {}", elapsed.as_micros(), cpu.as_micros()));
    Ok(())
}

/// Calls that open the connections and do not count.
fn warm_up(concurrency: usize) -> u64 {
    2 * concurrency as u64
}

async fn make(
    calls: Calls,
    http: &reqwest::Client,
    url: &str,
    times: u64,
    concurrency: usize,
) -> anyhow::Result<()> {
    let next = Arc::new(AtomicU64::new(0));
    let mut workers = JoinSet::new();
    for _ in 0..concurrency {
        let (http, url, next) = (http.clone(), url.to_owned(), Arc::clone(&next));
        workers.spawn(async move {
            loop {
                let run = next.fetch_add(1, Ordering::Relaxed);
                if run >= times {
                    return anyhow::Ok(());
                }
                calls.once(&http, &url, run).await?;
            }
        });
    }
    while let Some(done) = workers.join_next().await {
        done??;
    }
    Ok(())
}
