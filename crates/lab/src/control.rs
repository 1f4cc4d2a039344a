//! The control API: what [`crate::Lab`] offers to Rust, over plain HTTP for everybody else.

use std::sync::Arc;

use hyper::StatusCode;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::faults::Fault;
use crate::http::{Answer, Endpoint, Refusal, Request};
use crate::lab::World;
use crate::wazuh::{AgentStatus, Execd, Permissions};

pub(crate) struct Control {
    world: Arc<World>,
}

const HELP: &str = r#"The control API of a Portcullis lab

GET    /requests             the requests that the simulated systems received
GET    /state                agents, active responses, cases, quota, messages, sightings, open faults
POST   /faults               {"system": "wazuh", "method": "PUT", "path": "/active-response", "times": 1, "kind": "drop_after"}
                             kinds: "drop_before", "drop_after", "token_expired", "api_timeout", {"delay": {"ms": 500}},
                             {"status": {"status": 500, "body": null}}; a path segment * matches any, at the end any rest
DELETE /faults               withdraw all that are open
POST   /agents/{id}/status   {"status": "active"}: active, pending, disconnected, never_connected
POST   /agents/{id}/execd    {"execd": "disabled"}: enabled, disabled, silent, ignoring (sent, and nothing comes of it)
POST   /alerts               an alert, put into the indexer as it is
POST   /evidence             {"delay_ms": 500} until the alert of an active response can be found in the indexer
POST   /tokens/expire        make every Wazuh token invalid
POST   /password             {"password": "..."} of the Wazuh user
POST   /permissions          {"agent:read": ["agent:id:*"], "active-response:command": ["agent:id:001"]}
POST   /daemons              {"down": true}
POST   /quota                {"left": 0} lookups in VirusTotal, null is without end
"#;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Status {
    status: AgentStatus,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExecdBody {
    execd: Execd,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Evidence {
    delay_ms: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Password {
    password: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Daemons {
    down: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Quota {
    left: Option<u32>,
}

impl Control {
    pub(crate) fn new(world: Arc<World>) -> Control {
        Control { world }
    }

    fn handle(&self, request: &Request) -> Result<Answer, Answer> {
        let world = &self.world;
        let segments: Vec<_> = request.path.trim_matches('/').split('/').collect();
        match (request.method.as_str(), segments.as_slice()) {
            ("GET", [""]) => return Ok(Answer::text(StatusCode::OK, HELP.to_owned())),
            ("GET", ["requests"]) => {
                return Ok(Answer::json(StatusCode::OK, &json!({ "requests": world.recorder.list() })));
            }
            ("GET", ["state"]) => return Ok(Answer::json(StatusCode::OK, &self.state())),
            ("POST", ["faults"]) => world.orders.add(body::<Fault>(request)?),
            ("DELETE", ["faults"]) => world.orders.clear(),
            ("POST", ["agents", id, "status"]) => {
                let Status { status } = body(request)?;
                found(world.wazuh.change_agent(id, |agent| agent.status = status), id)?;
            }
            ("POST", ["agents", id, "execd"]) => {
                let ExecdBody { execd } = body(request)?;
                found(world.wazuh.change_agent(id, |agent| agent.execd = execd), id)?;
            }
            ("POST", ["alerts"]) => {
                let id = world.indexer.add_alert(Value::Object(body(request)?));
                return Ok(Answer::json(StatusCode::CREATED, &json!({ "_id": id })));
            }
            ("POST", ["evidence"]) => world.indexer.set_delay_ms(body::<Evidence>(request)?.delay_ms),
            ("POST", ["tokens", "expire"]) => world.wazuh.expire_tokens(),
            ("POST", ["password"]) => world.wazuh.set_password(&body::<Password>(request)?.password),
            ("POST", ["permissions"]) => world.wazuh.set_permissions(body::<Permissions>(request)?),
            ("POST", ["daemons"]) => world.wazuh.set_daemons_down(body::<Daemons>(request)?.down),
            ("POST", ["quota"]) => world.virustotal.set_quota(body::<Quota>(request)?.left),
            (_, _) => {
                return Err(error(StatusCode::NOT_FOUND, "there is no such endpoint, see GET /"));
            }
        }
        Ok(Answer::empty(StatusCode::NO_CONTENT))
    }

    fn state(&self) -> Value {
        let world = &self.world;
        json!({
            "wazuh": {
                "agents": world.wazuh.agents(),
                "active_responses": world.wazuh.active_responses(),
                "daemons_down": world.wazuh.daemons_down(),
                "permissions": world.wazuh.permissions(),
            },
            "wazuh_indexer": { "evidence_delay_ms": world.indexer.delay_ms() },
            "thehive": { "cases": world.thehive.cases() },
            "virustotal": { "quota": world.virustotal.quota() },
            "slack": { "messages": world.slack.messages() },
            "misp": { "sightings": world.misp.sightings() },
            "faults": world.orders.list(),
        })
    }
}

impl Endpoint for Control {
    fn answer(&self, request: &Request) -> Answer {
        self.handle(request).unwrap_or_else(|answer| answer)
    }

    fn refuse(&self, refusal: Refusal) -> Answer {
        match refusal {
            Refusal::TooLarge { .. } | Refusal::ExpectationFailed { .. } => {
                error(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large")
            }
            Refusal::TokenExpired => error(StatusCode::UNAUTHORIZED, "the token has expired"),
            Refusal::TimedOut => error(StatusCode::GATEWAY_TIMEOUT, "the request timed out"),
        }
    }
}

fn body<T: DeserializeOwned>(request: &Request) -> Result<T, Answer> {
    serde_json::from_slice(&request.body)
        .map_err(|reason| error(StatusCode::BAD_REQUEST, &format!("the body does not fit: {reason}")))
}

fn found(is_known: bool, id: &str) -> Result<(), Answer> {
    if is_known { Ok(()) } else { Err(error(StatusCode::NOT_FOUND, &format!("there is no agent `{id}`"))) }
}

fn error(status: StatusCode, message: &str) -> Answer {
    Answer::json(status, &json!({ "error": message }))
}
