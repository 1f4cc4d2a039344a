//! Those on the other side of the API: a sender that sends until it is answered, and a person who answers questions.
//!
//! Both meet a server that may die at any moment, and take no answer for no answer.

use std::cell::RefCell;
use std::time::Duration;

use fastrand::Rng;
use futures::future::join_all;
use serde_json::{Value, json};

use crate::history::{History, Word};
use crate::world::{World, token};

/// How long it takes to look whether a containment has arrived.
const LOOKING: Duration = Duration::from_millis(30);

/// Of so many looks at what is to be answered, one is followed by something that nobody asked for.
const MOODS: u8 = 12;

pub(crate) struct Outside<'a> {
    pub(crate) world: &'a World,
    pub(crate) client: &'a reqwest::Client,
    pub(crate) history: &'a RefCell<History>,
    pub(crate) chance: RefCell<Rng>,
    /// Whether people do what nobody asked them for: undo, cancel, halt.
    pub(crate) is_restless: bool,
}

impl Outside<'_> {
    /// Sends every alert that was not answered, all at once, some of them twice.
    pub(crate) async fn send_alerts(&self) {
        let unanswered: Vec<usize> = {
            let history = self.history.borrow();
            let open = history.alerts.iter().enumerate().filter(|(_, alert)| alert.answers.is_empty());
            open.map(|(at, _)| at).collect()
        };
        let twice = unanswered.iter().filter(|_| self.chance.borrow_mut().u8(..5) == 0);
        let sent = unanswered.iter().chain(twice).map(|at| self.send_alert(*at));
        join_all(sent).await;
    }

    async fn send_alert(&self, at: usize) {
        let body = self.history.borrow().alerts[at].body.clone();
        let Some((status, body)) = self.ask(self.world.hook(self.client, &body)).await else { return };
        assert!(status == 202 || status == 503, "{status}: {body}");
        let run = body.pointer("/runs/0/run").and_then(Value::as_str);
        if status == 202 {
            let run = run.unwrap_or_else(|| panic!("an alert without a run: {body}"));
            self.history.borrow_mut().alerts[at].answers.push(run.to_owned());
        }
    }

    /// Answers whatever waits for people, until the server is gone or nothing waits any more and the time is over.
    pub(crate) async fn answer_questions(&self) {
        loop {
            let list = self.client.get(format!("{}/api/v1/approvals?limit=50", self.world.url()));
            let Some((_, page)) = self.ask(list.bearer_auth(token("ana"))).await else { return };
            let items = page["approvals"].as_array().cloned().unwrap_or_default();
            join_all(items.iter().map(|item| self.answer(item))).await;
            if self.is_restless && self.chance.borrow_mut().u8(..MOODS) == 0 {
                self.meddle().await;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn answer(&self, item: &Value) {
        let text = |key: &str| item[key].as_str().unwrap_or_default().to_owned();
        let (run, step) = (text("run"), text("step"));
        if text("kind") == "resolution" {
            return self.resolve(&run, &step).await;
        }
        let decision = if self.chance.borrow_mut().u8(..6) == 0 { "reject" } else { "approve" };
        let decide = || self.say(&run, &step, json!({ "decision": decision, "digest": item["digest"] }));
        if self.chance.borrow_mut().u8(..4) == 0 {
            // Two people in the same moment.
            join_all([decide(), decide()]).await;
        } else {
            decide().await;
        }
    }

    /// Somebody undoes what is held, stops a run, or stops all disruption.
    async fn meddle(&self) {
        let mood = self.chance.borrow_mut().u8(..6);
        let path = match mood {
            0 => Some("halt".to_owned()),
            1 | 2 => Some("resume".to_owned()),
            3 => self.any_held("runs/{run}/cancel").await,
            _ => self.any_held("runs/{run}/steps/{step}/undo").await,
        };
        if let Some(path) = path {
            self.post(&path, json!({ "reason": "a mood" })).await;
        }
    }

    /// Lets disruption go on, whoever has halted it.
    pub(crate) async fn resume(&self) {
        self.post("resume", json!({ "reason": "peace" })).await;
    }

    /// The path of something that is held.
    async fn any_held(&self, path: &str) -> Option<String> {
        let list = self.client.get(format!("{}/api/v1/containments", self.world.url()));
        let (_, page) = self.ask(list.bearer_auth(token("ana"))).await?;
        let rows = page["containments"].as_array()?.iter();
        let holders: Vec<&Value> = rows.filter_map(|row| row["holders"].as_array()).flatten().collect();
        let one = self.chance.borrow_mut().choice(holders)?;
        Some(path.replace("{run}", one["run"].as_str()?).replace("{step}", one["step"].as_str()?))
    }

    async fn post(&self, path: &str, body: Value) {
        let url = format!("{}/api/v1/{path}", self.world.url());
        let answer = self.ask(self.client.post(url).bearer_auth(token("ana")).json(&body)).await;
        let Some((status, body)) = answer else { return };
        assert!([200, 404, 409, 503].contains(&status), "{path}: {status}: {body}");
    }

    /// Looks at the host, as a person would, and says what is there.
    async fn resolve(&self, run: &str, step: &str) {
        tokio::time::sleep(LOOKING).await;
        let url = format!("{}/api/v1/approvals/{run}/{step}", self.world.url());
        let Some((status, detail)) = self.ask(self.client.get(url).bearer_auth(token("ana"))).await else {
            return;
        };
        let Some(agent) = detail.pointer("/inputs/agent").and_then(Value::as_str) else {
            assert_ne!(status, 200, "{run} {step}: a person cannot see what to look at: {detail}");
            return;
        };
        let is_there = match step.ends_with(".undo") {
            true => !self.world.lab.in_force().contains(detail["target"].as_str().unwrap_or_default()),
            false => effects(self.world, run, step, agent).iter().any(counts),
        };
        let resolution = match is_there {
            true => "ok",
            false if self.chance.borrow_mut().bool() => "send_again",
            false => "failed",
        };
        self.say(run, step, json!({ "resolution": resolution })).await;
    }

    async fn say(&self, run: &str, step: &str, mut body: Value) {
        let at = self.history.borrow().words.len();
        let reason = format!("word {at}.");
        body["reason"] = json!(reason);
        self.history.borrow_mut().words.push(Word { run: run.to_owned(), reason, is_answered: false });
        let path = match body.get("resolution") {
            Some(_) => format!("runs/{run}/steps/{step}/resolve"),
            None => format!("approvals/{run}/{step}"),
        };
        let url = format!("{}/api/v1/{path}", self.world.url());
        let answer = self.ask(self.client.post(url).bearer_auth(token("ana")).json(&body)).await;
        let Some((status, body)) = answer else { return };
        assert!([200, 404, 409, 503].contains(&status), "{path}: {status}: {body}");
        self.history.borrow_mut().words[at].is_answered = status == 200;
    }

    /// The whole answer; none where the server died before it was through.
    async fn ask(&self, request: reqwest::RequestBuilder) -> Option<(u16, Value)> {
        let response = request.send().await.ok()?;
        let status = response.status().as_u16();
        Some((status, response.json().await.ok()?))
    }
}

/// What an agent was told to contain for a step of a run.
pub(crate) fn effects(world: &World, run: &str, step: &str, agent: &str) -> Vec<lab::ActiveResponse> {
    let key = key(run, step);
    let is_meant = |response: &lab::ActiveResponse| {
        let is_of_run = response.alert.pointer("/data/portcullis_run") == Some(&json!(run));
        response.agent == agent && (is_of_run || response.key() == Some(&key))
    };
    world.lab.active_responses().into_iter().filter(is_meant).collect()
}

/// Whether it happened, as far as anybody could know: where nobody looks for a key, what was taken counts as done.
pub(crate) fn counts(response: &lab::ActiveResponse) -> bool {
    response.is_done || response.key().is_none()
}

/// By what a call of a step is known.
pub(crate) fn key(run: &str, step: &str) -> String {
    use sha2::{Digest as _, Sha256};

    let run: model::RunId = run.parse().unwrap();
    let hash = Sha256::new().chain_update(run.as_bytes()).chain_update(step).finalize();
    hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}
