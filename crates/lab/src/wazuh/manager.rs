//! What the manager says about itself.

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::clock::{format_ms, now_ms};
use crate::http::Answer;

use super::State;
use super::permissions::check;
use super::reply::{Failures, Messages, Problem, data, envelope};

pub(super) const HOST: &str = "wazuh-manager";
pub(super) const VERSION: &str = "v4.14.7";

const STATUS: Messages = Messages {
    all: "Processes status was successfully read in specified node",
    some: "Could not read processes status in some nodes",
    none: "Could not read basic information in some nodes",
};

const INFO: Messages = Messages {
    all: "Basic information was successfully read in specified node",
    some: "Could not read basic information in some nodes",
    none: "Could not read basic information in specified node",
};

const DAEMONS: &[(&str, bool)] = &[
    ("agentlessd", false),
    ("analysisd", true),
    ("apid", true),
    ("authd", true),
    ("clusterd", false),
    ("csyslogd", false),
    ("db", true),
    ("dbd", false),
    ("execd", true),
    ("integratord", true),
    ("logcollector", true),
    ("maild", false),
    ("modulesd", true),
    ("monitord", true),
    ("remoted", true),
    ("reportd", false),
    ("syscheckd", true),
];

/// `GET /`.
pub(super) fn api_info() -> Answer {
    #[derive(Serialize)]
    struct Info {
        title: &'static str,
        api_version: &'static str,
        revision: &'static str,
        license_name: &'static str,
        license_url: String,
        hostname: &'static str,
        timestamp: String,
    }
    data(&Info {
        title: "Wazuh API REST",
        api_version: VERSION.trim_start_matches('v'),
        revision: "1",
        license_name: "GPL 2.0",
        license_url: format!("https://github.com/wazuh/wazuh/blob/{VERSION}/LICENSE"),
        hostname: HOST,
        timestamp: format_ms(now_ms(), "%Y-%m-%dT%H:%M:%SZ"),
    })
}

pub(super) fn status(state: &State) -> Result<Answer, Problem> {
    check(state, "manager:read")?;
    let daemons: Map<String, Value> = DAEMONS
        .iter()
        .map(|(name, running)| (format!("wazuh-{name}"), if *running { "running" } else { "stopped" }.into()))
        .collect();
    Ok(envelope(&[Value::Object(daemons)], 1, Failures::default(), &STATUS))
}

pub(super) fn info(state: &State) -> Result<Answer, Problem> {
    check(state, "manager:read")?;
    let info = json!({
        "path": "/var/ossec",
        "version": VERSION,
        "type": "server",
        "max_agents": "unlimited",
        "openssl_support": "yes",
        "tz_offset": "+0000",
        "tz_name": "UTC",
        "uuid": "0d5f6a2e-58f8-4d3a-9f0e-2d7a4c1b6e90",
    });
    Ok(envelope(&[info], 1, Failures::default(), &INFO))
}
