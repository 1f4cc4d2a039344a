//! The agents: who they are, `GET /agents` and its summary.

mod query;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::clock::{format_ms, now_ms};
use crate::http::Answer;

use super::State;
use super::manager::{HOST, VERSION};
use super::parameters::Parameters;
use super::permissions::targets;
use super::reply::{Messages, NODE, Problem, data, envelope};

pub(super) use query::PARAMETERS;

/// The connection status of an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AgentStatus {
    Active,
    Pending,
    Disconnected,
    NeverConnected,
}

/// How the agent's execd meets a request for its configuration, which precedes each active response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Execd {
    /// Active response is enabled.
    Enabled,
    /// Active response is disabled in the agent (error 1750).
    Disabled,
    /// There is no answer (error 1117).
    Silent,
    /// Active response is enabled, and nothing comes of it: there is no such script on the agent.
    Ignoring,
}

/// The operating system of an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Os {
    pub name: String,
    pub platform: String,
    pub version: String,
    pub arch: String,
}

/// A Wazuh agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agent {
    /// Three digits or more; `000` is the manager.
    pub id: String,
    pub name: String,
    pub ip: String,
    pub groups: Vec<String>,
    pub os: Os,
    /// As in `Wazuh v4.14.7`.
    pub version: String,
    pub status: AgentStatus,
    pub execd: Execd,
}

/// An agent and since when it is as it is.
pub(super) struct Enrolled {
    pub(super) agent: Agent,
    pub(super) since_ms: u64,
}

const MESSAGES: Messages = Messages {
    all: "All selected agents information was returned",
    some: "Some agents information was not returned",
    none: "No agent information was returned",
};

const DATE: &str = "%Y-%m-%dT%H:%M:%S+00:00";
const NEVER_ENDING: &str = "9999-12-31T23:59:59+00:00";
const NOTIFY_MS: u64 = 4_000;

impl AgentStatus {
    const ALL: [AgentStatus; 4] =
        [AgentStatus::Active, AgentStatus::Disconnected, AgentStatus::NeverConnected, AgentStatus::Pending];

    fn name(self) -> &'static str {
        match self {
            AgentStatus::Active => "active",
            AgentStatus::Pending => "pending",
            AgentStatus::Disconnected => "disconnected",
            AgentStatus::NeverConnected => "never_connected",
        }
    }
}

/// A manager, three servers, a laptop that is away and an agent that never came.
pub(crate) fn default_agents() -> Vec<Agent> {
    let ubuntu = ("Ubuntu", "ubuntu", "24.04.1 LTS");
    let debian = ("Debian GNU/Linux", "debian", "12");
    let server = ("Microsoft Windows Server 2022 Standard", "windows", "10.0.20348.2402");
    let client = ("Microsoft Windows 11 Pro", "windows", "10.0.22631.3447");
    vec![
        agent("000", HOST, "127.0.0.1", &[], ubuntu, AgentStatus::Active),
        agent("001", "web-01", "192.0.2.11", &["default", "web"], ubuntu, AgentStatus::Active),
        agent("002", "db-01", "192.0.2.12", &["default", "databases"], debian, AgentStatus::Active),
        agent("003", "dc-01", "192.0.2.13", &["default", "domain-controllers"], server, AgentStatus::Active),
        agent("004", "laptop-17", "192.0.2.117", &["default"], client, AgentStatus::Disconnected),
        agent("005", "kiosk-01", "192.0.2.201", &["default"], client, AgentStatus::NeverConnected),
    ]
}

fn agent(
    id: &str,
    name: &str,
    ip: &str,
    groups: &[&str],
    (os, platform, version): (&str, &str, &str),
    status: AgentStatus,
) -> Agent {
    Agent {
        id: id.into(),
        name: name.into(),
        ip: ip.into(),
        groups: groups.iter().map(|group| (*group).to_owned()).collect(),
        os: Os { name: os.into(), platform: platform.into(), version: version.into(), arch: "x86_64".into() },
        version: format!("Wazuh {VERSION}"),
        status,
        execd: Execd::Enabled,
    }
}

/// Agents that are not connected at the start have been so for a day.
pub(super) fn enroll(agents: &[Agent], now_ms: u64) -> BTreeMap<String, Enrolled> {
    let since_ms = now_ms.saturating_sub(86_400_000);
    agents.iter().map(|agent| (agent.id.clone(), Enrolled { agent: agent.clone(), since_ms })).collect()
}

/// `GET /agents`.
pub(super) fn list(state: &State, parameters: &Parameters) -> Result<Answer, Problem> {
    let targets = targets(state, "agent:read", parameters.agents_list()?)?;
    let now = now_ms();
    let rows = targets.ids.iter().filter_map(|id| state.agents.get(id)).map(|enrolled| enrolled.row(now));
    let (page, total) = query::select(rows.collect(), parameters, now)?;
    Ok(envelope(&page, total, targets.failures, &MESSAGES))
}

/// `GET /agents/summary/status`. The manager itself does not count.
pub(super) fn summary(state: &State) -> Result<Answer, Problem> {
    let targets = targets(state, "agent:read", None)?;
    let agents: Vec<_> =
        targets.ids.iter().filter(|id| *id != "000").filter_map(|id| state.agents.get(id)).collect();
    let mut connection: BTreeMap<&str, usize> = AgentStatus::ALL
        .iter()
        .map(|status| {
            (status.name(), agents.iter().filter(|enrolled| enrolled.agent.status == *status).count())
        })
        .collect();
    let synced = agents.iter().filter(|enrolled| enrolled.has_connected()).count();
    connection.insert("total", agents.len());
    let configuration =
        json!({ "synced": synced, "not_synced": agents.len() - synced, "total": agents.len() });
    Ok(data(&json!({ "connection": connection, "configuration": configuration })))
}

impl Enrolled {
    fn has_connected(&self) -> bool {
        self.agent.status != AgentStatus::NeverConnected
    }

    /// The agent as the API shows it: what is null in the database is absent.
    fn row(&self, now_ms: u64) -> Value {
        let agent = &self.agent;
        let is_manager = agent.id == "000";
        let mut row = Map::new();
        let mut put = |key: &str, value: Value| row.insert(key.to_owned(), value);
        put("id", json!(agent.id));
        put("name", json!(agent.name));
        put("status", json!(agent.status.name()));
        put("status_code", json!(if agent.status == AgentStatus::Disconnected { 4 } else { 0 }));
        put("dateAdd", json!(format_ms(self.since_ms.saturating_sub(86_400_000), DATE)));
        put("registerIP", json!(if is_manager { "127.0.0.1" } else { "any" }));
        put("ip", json!(if self.has_connected() { agent.ip.as_str() } else { "any" }));
        put("node_name", json!(if self.has_connected() { NODE } else { "unknown" }));
        put("group_config_status", json!(if self.has_connected() { "synced" } else { "not synced" }));
        if !self.has_connected() {
            return Value::Object(row);
        }
        put("version", json!(agent.version));
        put("manager", json!(HOST));
        put("os", os(&agent.os));
        put("lastKeepAlive", json!(self.last_keep_alive(now_ms)));
        if agent.status == AgentStatus::Disconnected {
            put("disconnection_time", json!(format_ms(self.since_ms, DATE)));
        }
        if !is_manager {
            put("group", json!(agent.groups));
            put("configSum", json!("ab73af41699f13fdd81903b5f23d8d00"));
            put("mergedSum", json!("4a8724b20dee0124ff9656783c490c4e"));
        }
        Value::Object(row)
    }

    fn last_keep_alive(&self, now_ms: u64) -> String {
        match (self.agent.id.as_str(), self.agent.status) {
            ("000", _) => NEVER_ENDING.to_owned(),
            (_, AgentStatus::Active | AgentStatus::Pending) => {
                format_ms(now_ms.saturating_sub(NOTIFY_MS), DATE)
            }
            (_, AgentStatus::Disconnected | AgentStatus::NeverConnected) => format_ms(self.since_ms, DATE),
        }
    }
}

fn os(os: &Os) -> Value {
    let mut parts = os.version.split(['.', ' ']);
    let major = parts.next().unwrap_or_default();
    let mut fields = json!({
        "arch": os.arch,
        "major": major,
        "name": os.name,
        "platform": os.platform,
        "version": os.version,
    });
    if let Some(minor) = parts.next() {
        fields["minor"] = json!(minor);
    }
    fields
}
