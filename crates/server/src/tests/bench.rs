//! A router over a runner, a store in memory that can be held up, and calls that a script answers.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use engine::Command;
use model::{Digest, Failure, FailureClass, Outcome, Record, RunId, RunStatus, RunSummary, Timestamp};
use runner::{Clock, Executor, Found, Runner, Workflows};
use serde_json::{Value, json};
use store::{Append, Appended, Fence, Health, MemoryStore, Note, Page, Position, Query, Source, Store};
use tokio::sync::{Notify, Semaphore};
use tower::ServiceExt as _;
use workflow::Catalog;

use crate::{Hook, Settings, Token};

pub(crate) const HOOK_SECRET: &str = "the-secret-of-the-hook";
pub(crate) const ANA: &str = "token-of-ana-5e1f";
pub(crate) const BO: &str = "token-of-bo-77c2";
pub(crate) const BOT: &str = "token-of-the-bot-90ab";

const NODES: [&str; 4] = [
    include_str!("../../../../nodes/core/webhook.yaml"),
    "node: manual\nsummary: x\ntrigger: manual\ninputs:\n  roles: { type: list, summary: x }\n",
    "node: look\nsummary: x\neffect: read\non_doubt: retry\nrequest: { method: GET, path: / }\n",
    "node: act\nsummary: x\neffect: disrupt\non_doubt: ask\nrequest: { method: GET, path: / }\ntarget: \"host/{{ inputs.on }}\"\ninputs:\n  on: { type: string, required: true, summary: x }\n",
];

pub(crate) const CONTAIN: &str = r#"
workflow: contain
title: Contain a host
owner: soc
triggers:
  - uses: webhook
    with: { path: wazuh }
    when: alert.rule.level >= 10
  - uses: manual
    with: { roles: [soc] }
dedupe: { key: "{{ alert.id }}", window: 1h }
steps:
  - { id: look, uses: look }
  - id: block
    uses: act
    with: { on: web-01 }
    approval: { ask: "Block {{ alert.agent.name }}?", show: [alert.rule.id], from: { role: soc }, expires: 30m }
"#;

/// Takes every object, and does nothing with it.
pub(crate) const NOTE: &str = r#"
workflow: note
triggers: [{ uses: webhook, with: { path: any } }, { uses: webhook, with: { path: open } }]
steps:
  - { id: look, uses: look }
"#;

/// These playbooks, after those that are live already.
pub(crate) fn reread(before: &Workflows, texts: &[&str]) -> Workflows {
    let mut catalog = Catalog::default();
    for node in NODES {
        catalog.add("node.yaml", node).unwrap();
    }
    let found = texts
        .iter()
        .enumerate()
        .map(|(number, text)| Found { file: format!("workflows/{number}.yaml"), text: Ok((*text).into()) });
    before.reread(found, &catalog, clock().now())
}

/// Calls succeed, but `act` may stay in doubt.
#[derive(Default)]
struct Scripted {
    doubts: AtomicBool,
    /// How long a call takes.
    seconds: AtomicU64,
}

#[async_trait]
impl Executor for Scripted {
    async fn perform(&self, command: &Command) -> Outcome {
        tokio::time::sleep(Duration::from_secs(self.seconds.load(Ordering::SeqCst))).await;
        if command.node.name == "act" && self.doubts.load(Ordering::SeqCst) {
            let failure = Failure::new(FailureClass::Timeout, "no answer within 30 s");
            return Outcome::Unknown(failure.help("look at the firewall"));
        }
        Outcome::Succeeded(json!({ "by": command.node.name }).into())
    }
}

/// A store in memory that can be held up and broken.
pub(crate) struct Held {
    inner: MemoryStore,
    /// Who appends needs it; a test that holds it holds up every append.
    pub(crate) gate: Semaphore,
    /// Somebody has come to append.
    pub(crate) reached: Notify,
    pub(crate) is_broken: AtomicBool,
    /// Journals are lost.
    pub(crate) is_damaged: AtomicBool,
}

#[async_trait]
impl Store for Held {
    async fn append(&self, appends: Vec<Append>) -> store::Result<Vec<Appended>> {
        self.reached.notify_one();
        let _open = self.gate.acquire().await.unwrap();
        if self.is_broken.load(Ordering::SeqCst) {
            return Err(store::Error::Broken("no space left on the device".to_owned()));
        }
        self.inner.append(appends).await
    }

    async fn durable(&self, position: Position) -> store::Result<()> {
        self.inner.durable(position).await
    }

    async fn journal(&self, run: RunId) -> store::Result<Vec<Record>> {
        if self.is_damaged.load(Ordering::SeqCst) {
            return Err(store::Error::Damaged { run, message: "record 3 is lost".to_owned() });
        }
        self.inner.journal(run).await
    }

    async fn summary(&self, run: RunId) -> store::Result<Option<RunSummary>> {
        self.inner.summary(run).await
    }

    async fn runs(&self, query: Query) -> store::Result<Page> {
        self.inner.runs(query).await
    }

    async fn claim(&self, worker: &str) -> store::Result<Fence> {
        self.inner.claim(worker).await
    }

    async fn release(&self, fence: Fence) -> store::Result<()> {
        self.inner.release(fence).await
    }

    async fn put_source(&self, source: Source) -> store::Result<()> {
        self.inner.put_source(source).await
    }

    async fn source(&self, digest: &Digest) -> store::Result<Option<Source>> {
        self.inner.source(digest).await
    }

    async fn put_note(&self, note: Note) -> store::Result<()> {
        self.inner.put_note(note).await
    }

    async fn note(&self, key: &str) -> store::Result<Option<Value>> {
        self.inner.note(key).await
    }

    async fn prune(&self, finished_before: Timestamp) -> store::Result<u64> {
        self.inner.prune(finished_before).await
    }

    async fn finished_since(&self, runs: u64) -> store::Result<Option<Timestamp>> {
        self.inner.finished_since(runs).await
    }

    async fn abandon(&self, row: RunSummary) -> store::Result<()> {
        self.inner.abandon(row).await
    }

    async fn backup(&self, _now: Timestamp, mut to: Box<dyn Write + Send>) -> store::Result<u64> {
        to.write_all(b"everything").map_err(|error| store::Error::Refused(error.to_string()))?;
        Ok(10)
    }

    async fn health(&self) -> Health {
        let is_writable = !self.is_broken.load(Ordering::SeqCst);
        Health { is_writable, ..self.inner.health().await }
    }
}

pub(crate) struct Bench {
    pub(crate) router: Router,
    pub(crate) runner: Runner,
    pub(crate) store: Arc<Held>,
    executor: Arc<Scripted>,
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Bench {
    pub(crate) async fn new() -> Bench {
        Bench::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Settings)) -> Bench {
        Bench::over(runner::Settings::default(), change).await
    }

    /// Over a runner that takes so many runs at once.
    pub(crate) async fn within(most_active_runs: usize) -> Bench {
        Bench::over(runner::Settings { most_active_runs, ..runner::Settings::default() }, |_| {}).await
    }

    async fn over(of_runner: runner::Settings, change: impl FnOnce(&mut Settings)) -> Bench {
        let store = Arc::new(Held {
            inner: MemoryStore::new(),
            gate: Semaphore::new(1),
            reached: Notify::new(),
            is_broken: AtomicBool::new(false),
            is_damaged: AtomicBool::new(false),
        });
        let executor = Arc::new(Scripted::default());
        let runner = open(store.clone(), executor.clone(), &[CONTAIN, NOTE], of_runner).await;
        let mut settings = settings();
        change(&mut settings);
        let router = crate::router(runner.clone(), settings);
        Bench { router, runner, store, executor }
    }

    /// The same store behind a process with other workflows.
    pub(crate) async fn restart(self, texts: &[&str]) -> Bench {
        let runner =
            open(self.store.clone(), self.executor.clone(), texts, runner::Settings::default()).await;
        Bench { router: crate::router(runner.clone(), settings()), runner, ..self }
    }

    /// From now on calls take so long.
    pub(crate) fn slow_down(&self, seconds: u64) {
        self.executor.seconds.store(seconds, Ordering::SeqCst);
    }

    pub(crate) fn leave_in_doubt(&self) {
        self.executor.doubts.store(true, Ordering::SeqCst);
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        Answer::read(self.router.clone().oneshot(request).await.unwrap()).await
    }

    /// An alert, as Wazuh's script sends it.
    pub(crate) async fn alert(&self, path: &str, body: impl Into<Body>) -> Answer {
        self.send(alert(path, body)).await
    }

    pub(crate) async fn get(&self, token: &str, path: &str) -> Answer {
        self.send(call("GET", token, path, Body::empty())).await
    }

    /// What a monitor reads, without the lines of help.
    pub(crate) async fn metrics(&self) -> String {
        let response = self.router.clone().oneshot(call("GET", BO, "/metrics", Body::empty())).await.unwrap();
        assert_eq!(response.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
        let text = to_bytes(response.into_body(), usize::MAX).await.unwrap().to_vec();
        let text = String::from_utf8(text).unwrap();
        text.lines().filter(|line| !line.starts_with('#')).map(|line| format!("{line}\n")).collect()
    }

    pub(crate) async fn post(&self, token: &str, path: &str, body: Value) -> Answer {
        self.send(call("POST", token, path, body.to_string())).await
    }

    /// A run of `contain` that waits for its approval.
    pub(crate) async fn waiting_run(&self, id: &str) -> RunId {
        let alert = json!({ "id": id, "rule": { "level": 12, "id": "5763" }, "agent": { "name": "web-01" } });
        let answer = self.alert("wazuh", alert.to_string()).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.body);
        let run = answer.json()["runs"][0]["run"].as_str().unwrap().parse().unwrap();
        self.until(run, RunStatus::Waiting).await;
        run
    }

    /// Waits until the run stands there.
    pub(crate) async fn until(&self, run: RunId, status: RunStatus) -> RunSummary {
        let mut updates = self.runner.updates();
        loop {
            let summary = self.store.summary(run).await.unwrap().unwrap();
            if summary.status == status {
                return summary;
            }
            updates.recv().await.unwrap();
        }
    }
}

/// What this gives, which must not take long: a test that waits for ever says nothing.
pub(crate) async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), work).await.expect("it happens within 20 s")
}

async fn open(
    store: Arc<Held>,
    executor: Arc<Scripted>,
    texts: &[&str],
    settings: runner::Settings,
) -> Runner {
    let workflows = reread(&Workflows::default(), texts);
    assert_eq!(workflows.iter().count(), texts.len());
    let settings = runner::Settings { clock: clock(), resume_role: "soc".to_owned(), ..settings };
    Runner::open(store, executor, workflows, settings).await.unwrap()
}

fn clock() -> Clock {
    Clock::tokio(Timestamp::from_millis(1_000_000))
}

fn settings() -> Settings {
    let with = |name: &str, secret: &str, roles: &[&str]| Token {
        roles: roles.iter().map(|role| (*role).to_owned()).collect(),
        ..Token::new(name, secret)
    };
    Settings {
        hooks: ["wazuh", "any", "unheard"].map(|path| (path.to_owned(), Hook::new(HOOK_SECRET))).into(),
        open_hooks: ["open".to_owned()].into(),
        tokens: vec![
            with("ana", ANA, &["soc"]),
            with("bo", BO, &[]),
            Token { may_speak_for_others: true, ..with("bot", BOT, &["soc"]) },
        ],
        most_body_bytes: 64 * 1024,
        clock: clock(),
        ..Settings::default()
    }
}

pub(crate) fn alert(path: &str, body: impl Into<Body>) -> Request<Body> {
    let request = Request::post(format!("/hooks/{path}")).header("X-Portcullis-Secret", HOOK_SECRET);
    request.body(body.into()).unwrap()
}

pub(crate) fn call(method: &str, token: &str, path: &str, body: impl Into<Body>) -> Request<Body> {
    let request = Request::builder().method(method).uri(path);
    request.header("authorization", format!("Bearer {token}")).body(body.into()).unwrap()
}

impl Answer {
    /// Reads an answer, and checks what all answers share.
    async fn read(response: axum::response::Response) -> Answer {
        let (head, body) = response.into_parts();
        let body = String::from_utf8(to_bytes(body, usize::MAX).await.unwrap().to_vec()).unwrap();
        let answer = Answer { status: head.status, headers: head.headers, body };
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        let is_problem = !answer.status.is_success();
        let kind = if is_problem { "application/problem+json" } else { "application/json" };
        assert_eq!(answer.header("content-type"), Some(kind), "{}", answer.body);
        assert_eq!(is_problem, answer.json()["status"].as_u64() == Some(answer.status.as_u16().into()));
        let shown = format!("{:?} {}", answer.headers, answer.body);
        for secret in [HOOK_SECRET, ANA, BO, BOT] {
            assert!(!shown.contains(secret), "a secret is shown: {shown}");
        }
        answer
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// The answer as a person would see it: status, the headers that say something, body. Ids and digests are replaced.
    pub(crate) fn shown(&self) -> String {
        let mut text = format!("{}\n", self.status);
        for name in ["www-authenticate", "retry-after", "allow"] {
            if let Some(value) = self.header(name) {
                text.push_str(&format!("{name}: {value}\n"));
            }
        }
        text.push_str(&serde_json::to_string_pretty(&self.json()).unwrap());
        replace_ids(&text)
    }

    /// Status and detail in a line.
    pub(crate) fn brief(&self) -> String {
        let json = self.json();
        let detail = json["detail"].as_str().unwrap_or("-");
        replace_ids(&format!("{} {detail}", self.status.as_u16()))
    }
}

fn replace_ids(text: &str) -> String {
    let is_id = |c: char| c.is_ascii_hexdigit() || c == '-';
    let mut replaced = String::new();
    for word in text.split_inclusive(|c| !is_id(c)) {
        let id = word.trim_end_matches(|c| !is_id(c));
        let name = match id.len() {
            36 if id.parse::<RunId>().is_ok() => "RUN",
            64 => "DIGEST",
            _ => id,
        };
        replaced.push_str(name);
        replaced.push_str(word.get(id.len()..).unwrap_or_default());
    }
    replaced
}
