//! TheHive 5 under `/api/v1`: cases, observables, tasks, logs, comments, timeline, queries.
//!
//! Entities are kept as the JSON that is shown. Not simulated: alerts, attachments, case templates, sharing
//! between organisations, Cortex, notifications, and the delay of the index behind queries.

mod cases;
mod entities;
mod fields;
mod filter;
mod observables;
mod query;
mod reply;
mod tasks;
mod timeline;

use std::sync::{Mutex, MutexGuard, PoisonError};

use hyper::{Method, StatusCode};
use serde_json::{Value, json};

use crate::http::{Answer, Endpoint, Refusal, Request};
use crate::settings::Settings;

use entities::{Entities, Kind};
use reply::{Rejection, not_found};

pub(crate) struct TheHive {
    settings: Settings,
    entities: Mutex<Entities>,
}

const VERSION: &str = "5.5.13-1";
const ORGANISATION: &str = "lab";

impl TheHive {
    pub(crate) fn new(settings: Settings) -> TheHive {
        TheHive { settings, entities: Mutex::new(Entities::default()) }
    }

    /// Every case with its `observables`, `tasks` (with their `logs`) and `comments`.
    pub(crate) fn cases(&self) -> Vec<Value> {
        let entities = self.lock();
        entities.all(Kind::Case).map(|id| cases::with_contents(&entities, id)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Entities> {
        self.entities.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn handle(&self, request: &Request) -> Result<Answer, Rejection> {
        let Some(path) = request.path.strip_prefix("/api/v1/") else {
            return Err(reply::no_route());
        };
        let path = path.replace("%7E", "~").replace("%7e", "~");
        let segments: Vec<&str> = path.split('/').collect();
        if segments == ["status", "public"] && request.method == Method::GET {
            return Ok(public_status());
        }
        let login = self.login(request)?;
        let mut entities = self.lock();
        if request.method == Method::GET {
            return self.read(&entities, &segments, login);
        }
        let body = || reply::json_body(request);
        let custom_fields = &self.settings.custom_fields;
        match (request.method.as_str(), segments.as_slice()) {
            ("POST", ["query"]) => query::run(&entities, &body()?),
            ("POST", ["case"]) => cases::create(&mut entities, &body()?, login, custom_fields),
            ("PATCH", ["case", case]) => cases::update(&mut entities, case, &body()?, login, custom_fields),
            ("POST", ["case", case, "observable"]) => {
                observables::create(&mut entities, case, &body()?, login)
            }
            ("POST", ["case", case, "task"]) => tasks::create(&mut entities, case, &body()?, login),
            ("POST", ["case", case, "comment"]) => cases::comment(&mut entities, case, &body()?, login),
            ("PATCH", ["task", task]) => tasks::update(&mut entities, task, &body()?, login),
            ("POST", ["task", task, "log"]) => tasks::log(&mut entities, task, &body()?, login),
            (_, _) => Err(reply::no_route()),
        }
    }

    fn read(&self, entities: &Entities, segments: &[&str], login: &str) -> Result<Answer, Rejection> {
        let found = |id| Answer::json(StatusCode::OK, &entities.shown(id));
        match segments {
            ["user", "current"] => Ok(current_user(login)),
            ["case", case] => entities.case(case).map(found),
            ["case", case, "timeline"] => timeline::of(entities, case),
            ["task", task] => entities.find(Kind::Task, task).map(found),
            ["observable", observable] => entities.find(Kind::Observable, observable).map(found),
            ["observable", "type", name] if observables::TYPES.contains(name) => {
                Ok(Answer::json(StatusCode::OK, &observables::type_named(name)))
            }
            ["observable", "type", name] => Err(not_found("ObservableType", name)),
            _ => Err(reply::no_route()),
        }
    }

    fn login(&self, request: &Request) -> Result<&str, Rejection> {
        let settings = &self.settings;
        let key = request.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
        match key.map(str::trim) {
            Some(key) if key == settings.thehive_key => Ok(&settings.thehive_login),
            Some(key) if key == settings.analyst_key => Ok(&settings.analyst_login),
            Some(_) | None => Err(reply::unauthenticated()),
        }
    }
}

impl Endpoint for TheHive {
    fn answer(&self, request: &Request) -> Answer {
        self.handle(request).unwrap_or_else(|Rejection(answer)| answer)
    }

    fn refuse(&self, refusal: Refusal) -> Answer {
        match refusal {
            Refusal::TooLarge { .. } => {
                reply::error(StatusCode::PAYLOAD_TOO_LARGE, "BadRequest", "Request Entity Too Large").0
            }
            Refusal::ExpectationFailed { .. } => Answer::empty(StatusCode::EXPECTATION_FAILED),
            Refusal::TokenExpired => reply::unauthenticated().0,
            // It is the proxy in front that loses patience, and it does not speak JSON.
            Refusal::TimedOut => {
                let page = "<html><body><h1>504 Gateway Time-out</h1></body></html>".to_owned();
                Answer { content_type: "text/html", ..Answer::text(StatusCode::GATEWAY_TIMEOUT, page) }
            }
        }
    }
}

fn public_status() -> Answer {
    let status = json!({ "version": VERSION, "sso": false, "ssoProviders": [], "imports": {} });
    Answer::json(StatusCode::OK, &status)
}

fn current_user(login: &str) -> Answer {
    let user = json!({
        "_id": "~8392",
        "_createdBy": "system@thehive.local",
        "_createdAt": 1_767_225_600_000_u64,
        "login": login,
        "name": login.split('@').next(),
        "hasKey": true,
        "hasPassword": false,
        "hasMFA": false,
        "locked": false,
        "profile": "analyst",
        "permissions": ["manageCase/create", "manageCase/update", "manageComment", "manageObservable", "manageTask"],
        "organisation": ORGANISATION,
        "defaultOrganisation": ORGANISATION,
        "organisations": [{
            "organisationId": "~4104", "organisation": ORGANISATION, "profile": "analyst", "links": [],
        }],
        "type": "Service",
        "extraData": {},
    });
    Answer::json(StatusCode::OK, &user)
}

#[cfg(test)]
mod tests;
