//! The Web API of Slack, as far as an app posts messages: `chat.postMessage`.
//!
//! Like the product it answers 200 to nearly everything and says in `ok` what came of it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use hyper::{Method, StatusCode};
use serde_json::{Value, json};

use crate::clock::now_ms;
use crate::http::{Answer, Endpoint, Refusal, Request};
use crate::settings::Settings;

/// Channels with their ids, and whether the app has a seat there.
const CHANNELS: [(&str, &str, bool); 3] =
    [("soc", "C0LAB000001", true), ("ir", "C0LAB000002", true), ("board", "C0LAB000003", false)];
const LONGEST: usize = 40_000;

pub(crate) struct Slack {
    token: String,
    messages: Mutex<Vec<Value>>,
}

impl Slack {
    pub(crate) fn new(settings: &Settings) -> Slack {
        Slack { token: settings.slack_token.clone(), messages: Mutex::default() }
    }

    /// The messages as they were posted, each with the `ts` that it got.
    pub(crate) fn messages(&self) -> Vec<Value> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Value>> {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn post(&self, request: &Request) -> Result<Answer, &'static str> {
        let token = request.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
        if token.ok_or("not_authed")? != self.token {
            return Err("invalid_auth");
        }
        let Ok(mut message) = serde_json::from_slice::<Value>(&request.body) else {
            return Err("invalid_json");
        };
        let text = |name: &str| message.get(name).and_then(Value::as_str).unwrap_or_default();
        let called = text("channel").trim_start_matches('#');
        let channel = CHANNELS.iter().find(|(name, id, _)| [*name, *id].contains(&called));
        let (_, channel, has_seat) = channel.ok_or("channel_not_found")?;
        if !has_seat {
            return Err("not_in_channel");
        }
        if text("text").is_empty() && message.get("blocks").is_none() {
            return Err("no_text");
        }
        if text("text").len() > LONGEST {
            return Err("msg_too_long");
        }
        let mut messages = self.lock();
        let ts = format!("{}.{:06}", now_ms() / 1000, messages.len() + 1);
        message["channel"] = json!(channel);
        message["ts"] = json!(ts);
        let shown = json!({ "type": "message", "text": message.get("text"), "ts": ts });
        messages.push(message);
        let answer = json!({ "ok": true, "channel": channel, "ts": ts, "message": shown });
        Ok(Answer::json(StatusCode::OK, &answer))
    }
}

impl Endpoint for Slack {
    fn answer(&self, request: &Request) -> Answer {
        if request.method != Method::POST || request.path != "/api/chat.postMessage" {
            return refused("unknown_method");
        }
        self.post(request).unwrap_or_else(refused)
    }

    fn refuse(&self, refusal: Refusal) -> Answer {
        match refusal {
            Refusal::TooLarge { .. } => Answer::empty(StatusCode::PAYLOAD_TOO_LARGE),
            Refusal::ExpectationFailed { .. } => Answer::empty(StatusCode::EXPECTATION_FAILED),
            Refusal::TokenExpired => refused("token_expired"),
            Refusal::TimedOut => refused("internal_error"),
        }
    }
}

fn refused(error: &str) -> Answer {
    Answer::json(StatusCode::OK, &json!({ "ok": false, "error": error }))
}
