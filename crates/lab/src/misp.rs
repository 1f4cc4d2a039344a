//! MISP 2.5, as far as playbooks ask it: the search for attributes by value, and sightings.
//!
//! Its events are fixed, and a search looks at `value` and `type` only. As in the product, numbers are text.

use std::sync::{Mutex, MutexGuard, PoisonError};

use hyper::{Method, StatusCode};
use serde_json::{Value, json};

use crate::clock::now_ms;
use crate::http::{Answer, Endpoint, Refusal, Request};
use crate::settings::Settings;

/// What the lab's MISP knows: type and value of each attribute, all of one event.
const ATTRIBUTES: [(&str, &str); 4] = [
    ("sha256", "02428ab822b67a6a664fe5a50448082a2c836d0a99ef49b519b0228b9a2f8006"),
    ("md5", "09f7c8ab144398156675aebf24e687db"),
    ("domain", "login.portal.example"),
    ("ip-src", "203.0.113.66"),
];

pub(crate) struct Misp {
    key: String,
    sightings: Mutex<Vec<Value>>,
}

impl Misp {
    pub(crate) fn new(settings: &Settings) -> Misp {
        Misp { key: settings.misp_key.clone(), sightings: Mutex::default() }
    }

    /// What was sighted, as it was told.
    pub(crate) fn sightings(&self) -> Vec<Value> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Value>> {
        self.sightings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add_sighting(&self, body: Value) -> Answer {
        let Some((index, _)) = matching(body.get("values"), None).next() else {
            let message =
                "Could not add the Sighting. Reason: No valid attributes found that match the criteria.";
            return Answer::json(StatusCode::OK, &json!({ "message": message }));
        };
        let mut sightings = self.lock();
        sightings.push(body.clone());
        let text =
            |name: &str, otherwise: String| body.get(name).cloned().unwrap_or(Value::String(otherwise));
        let sighting = json!({
            "id": sightings.len().to_string(),
            "attribute_id": attribute_id(index),
            "event_id": "42",
            "org_id": "1",
            "date_sighting": text("timestamp", (now_ms() / 1000).to_string()),
            "source": text("source", String::new()),
            "type": text("type", "0".to_owned()),
        });
        Answer::json(StatusCode::OK, &json!({ "Sighting": sighting }))
    }
}

impl Endpoint for Misp {
    fn answer(&self, request: &Request) -> Answer {
        if request.header("authorization") != Some(&self.key) {
            return forbidden(&request.path);
        }
        let Ok(body) = serde_json::from_slice::<Value>(&request.body) else {
            return error(StatusCode::BAD_REQUEST, "Invalid JSON input.", &request.path);
        };
        match (&request.method, request.path.as_str()) {
            (&Method::POST, "/attributes/restSearch") => {
                let found: Vec<Value> = matching(body.get("value"), body.get("type")).map(shown).collect();
                Answer::json(StatusCode::OK, &json!({ "response": { "Attribute": found } }))
            }
            (&Method::POST, "/sightings/add") => self.add_sighting(body),
            (_, path) => error(StatusCode::NOT_FOUND, "Not Found", path),
        }
    }

    fn refuse(&self, refusal: Refusal) -> Answer {
        match refusal {
            Refusal::TooLarge { .. } => Answer::empty(StatusCode::PAYLOAD_TOO_LARGE),
            Refusal::ExpectationFailed { .. } => Answer::empty(StatusCode::EXPECTATION_FAILED),
            Refusal::TokenExpired => forbidden("/"),
            Refusal::TimedOut => Answer::empty(StatusCode::GATEWAY_TIMEOUT),
        }
    }
}

/// The attributes with one of these values, and of one of these types where any is named.
fn matching(
    values: Option<&Value>,
    types: Option<&Value>,
) -> impl Iterator<Item = (usize, (&'static str, &'static str))> {
    let (values, types) = (words(values), words(types));
    ATTRIBUTES.into_iter().enumerate().filter(move |(_, (kind, value))| {
        values.iter().any(|wanted| wanted == value)
            && (types.is_empty() || types.iter().any(|wanted| wanted == kind))
    })
}

/// A text, or the texts of a list.
fn words(value: Option<&Value>) -> Vec<String> {
    let items = value.map(|value| value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice));
    items.into_iter().flatten().filter_map(|item| item.as_str().map(str::to_owned)).collect()
}

fn attribute_id(index: usize) -> String {
    (811 + index).to_string()
}

fn shown((index, (kind, value)): (usize, (&str, &str))) -> Value {
    json!({
        "id": attribute_id(index),
        "event_id": "42",
        "type": kind,
        "category": "Payload delivery",
        "value": value,
        "to_ids": true,
        "timestamp": "1795050000",
        "distribution": "3",
        "Event": { "id": "42", "info": "Fake viewers and their portal", "org_id": "1", "orgc_id": "3" },
        "Tag": [{ "name": "tlp:green" }],
    })
}

fn forbidden(path: &str) -> Answer {
    error(StatusCode::FORBIDDEN, "Authentication failed.", path)
}

fn error(status: StatusCode, message: &str, path: &str) -> Answer {
    Answer::json(status, &json!({ "name": message, "message": message, "url": path }))
}
