//! `PUT /active-response`: sends a command to agents, and knows no more than that it was sent.
//!
//! Of what reaches an agent it is kept that it arrived and whether it was done. What was done raises an alert in the
//! indexer, as a script does that writes its log when it has succeeded; what it does, timeouts and undo are not simulated.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::{Value, json};

use crate::clock::now_ms;
use crate::http::{Answer, Request};
use crate::indexer::Indexer;
use crate::settings::Settings;

use super::State;
use super::agents::{Agent, AgentStatus, Enrolled, Execd};
use super::parameters::{Parameters, json_body, repr};
use super::permissions::targets;
use super::reply::{
    BAD_COMMAND, Known, Messages, NO_COMPONENT, NOT_ACTIVE, Problem, RESPONSE_DISABLED, SOCKET, envelope,
};

/// A command that an agent received.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ActiveResponse {
    /// The id of the agent.
    pub agent: String,
    pub command: String,
    pub arguments: Vec<String>,
    pub alert: Value,
    /// Whether the agent has done it, and not only taken it.
    pub is_done: bool,
    /// Milliseconds since the epoch.
    pub at: u64,
}

impl ActiveResponse {
    /// What evidence of it is found by: `portcullis` in the alert.
    pub fn key(&self) -> Option<&str> {
        self.alert.get("portcullis")?.as_str()
    }

    /// What one of the scripts in `examples/wazuh` acts on, in the words of the nodes' targets, and whether it holds from
    /// then on.
    fn change(&self) -> Option<(String, bool)> {
        let (script, agent) = (self.command.strip_prefix("!portcullis-")?, &self.agent);
        let address = || Some(format!("agent/{agent}/ip/{}", self.alert.pointer("/data/srcip")?.as_str()?));
        match script {
            "isolate" => Some((format!("agent/{agent}/network"), true)),
            "release" => Some((format!("agent/{agent}/network"), false)),
            "block" => Some((address()?, true)),
            "unblock" => Some((address()?, false)),
            _ => None,
        }
    }
}

/// What is in force after all this: isolated and not released since, blocked and not unblocked.
pub(super) fn in_force(responses: &[ActiveResponse]) -> BTreeSet<String> {
    let mut holds = BTreeSet::new();
    for response in responses.iter().filter(|response| response.is_done) {
        match response.change() {
            Some((target, true)) => drop(holds.insert(target)),
            Some((target, false)) => drop(holds.remove(&target)),
            None => {}
        }
    }
    holds
}

const MESSAGES: Messages = Messages {
    all: "AR command was sent to all agents",
    some: "AR command was not sent to some agents",
    none: "AR command was not sent to any agent",
};

/// The limit of a query of the agent database, which the endpoint does not lift.
const MOST_AGENTS: usize = 500;

/// What the socket to remoted takes.
const MOST_SENT: usize = 208 * 1024;

/// What remoted reads of it. The rest is cut off, and an agent cannot use a broken message.
const MOST_READ: usize = 65_535;

/// A lab that runs for days forgets the oldest.
const MOST_KEPT: usize = 10_000;

pub(super) fn run(
    settings: &Settings,
    indexer: &Indexer,
    state: &mut State,
    request: &Request,
    parameters: &Parameters,
) -> Result<Answer, Problem> {
    let agents_list = parameters.agents_list()?;
    let order = Order::read(&json_body(request)?)?;
    let targets = targets(state, "active-response:command", agents_list)?;
    let mut failures = targets.failures;
    let mut sent = Vec::new();
    let size = order.size();
    // The manager itself is left out without a word, so asking only for it succeeds and does nothing.
    for id in targets.ids.iter().filter(|id| *id != "000").take(MOST_AGENTS) {
        let Some(enrolled) = state.agents.get(id) else {
            continue;
        };
        match obstacle(settings, enrolled, &order.command, size) {
            Some(known) => failures.add(id, known, ""),
            None => sent.push(id.clone()),
        }
    }
    sent.sort_by_key(|id| id.parse::<u64>().unwrap_or(u64::MAX));
    if size <= MOST_READ {
        let program = order.program(settings);
        for enrolled in sent.iter().filter_map(|id| state.agents.get(id)) {
            let response = order.received_by(&enrolled.agent);
            if response.is_done {
                indexer.add_evidence(&response, program, &enrolled.agent);
            }
            state.active_responses.push(response);
        }
        let kept = &mut state.active_responses;
        kept.drain(..kept.len().saturating_sub(MOST_KEPT));
    }
    let items: Vec<_> = sent.into_iter().map(Value::String).collect();
    Ok(envelope(&items, items.len(), failures, &MESSAGES))
}

fn obstacle(settings: &Settings, enrolled: &Enrolled, command: &str, size: usize) -> Option<&'static Known> {
    let is_known = command.starts_with('!')
        || settings.ar_conf.lines().any(|line| line.split(" - ").next() == Some(command));
    match enrolled.agent.status {
        AgentStatus::Pending | AgentStatus::Disconnected | AgentStatus::NeverConnected => {
            return Some(&NOT_ACTIVE);
        }
        AgentStatus::Active => {}
    }
    if !is_known {
        return Some(&BAD_COMMAND);
    }
    match enrolled.agent.execd {
        Execd::Disabled => Some(&RESPONSE_DISABLED),
        Execd::Silent => Some(&NO_COMPONENT),
        Execd::Enabled | Execd::Ignoring => (size > MOST_SENT).then_some(&SOCKET),
    }
}

struct Order {
    command: String,
    arguments: Vec<String>,
    alert: Value,
}

impl Order {
    /// Checks run in the order of the specification: the fields first, then what is missing, then what is too much.
    fn read(body: &Value) -> Result<Order, Problem> {
        let Some(fields) = body.as_object() else {
            return Err(wrong_type(body, "object", ""));
        };
        let mut arguments = Vec::new();
        match fields.get("arguments") {
            None => {}
            Some(Value::Array(items)) => {
                for (index, item) in items.iter().enumerate() {
                    let place = format!("arguments.{index}");
                    let Some(text) = item.as_str() else {
                        return Err(wrong_type(item, "string", &place));
                    };
                    arguments.push(text.to_owned());
                }
            }
            Some(other) => return Err(wrong_type(other, "array", "arguments")),
        }
        let command = match fields.get("command") {
            None => None,
            Some(Value::String(command)) if is_command(command) => Some(command.clone()),
            Some(Value::String(command)) => {
                let command = repr(&json!(command));
                return Err(Problem::bad_request(format!(
                    "{command} is not a 'active_response_command' - 'command'"
                )));
            }
            Some(other) => return Err(wrong_type(other, "string", "command")),
        };
        let alert = fields.get("alert").cloned().unwrap_or_else(|| json!({}));
        if !alert.is_object() {
            return Err(wrong_type(&alert, "object", "alert"));
        }
        if let Some(data) = alert.get("data").filter(|data| !data.is_object()) {
            return Err(wrong_type(data, "object", "alert.data"));
        }
        let Some(command) = command else {
            return Err(Problem::bad_request("'command' is a required property"));
        };
        let unknown: Vec<_> = fields
            .keys()
            .filter(|key| !["arguments", "command", "alert"].contains(&key.as_str()))
            .map(|key| repr(&json!(key)))
            .collect();
        if !unknown.is_empty() {
            return Err(Problem::bad_request(format!("Invalid field found {{{}}}", unknown.join(", "))));
        }
        Ok(Order { command, arguments, alert })
    }

    /// The length of the message to one agent.
    fn size(&self) -> usize {
        let message = json!({
            "version": 1,
            "origin": { "name": null, "module": "API" },
            "command": self.command,
            "parameters": { "extra_args": self.arguments, "alert": self.alert },
        });
        "(msg_to_agent) [] NNS 001 ".len() + message.to_string().len()
    }

    /// The file that the agent runs.
    fn program<'a>(&'a self, settings: &'a Settings) -> &'a str {
        if let Some(file) = self.command.strip_prefix('!') {
            return file;
        }
        let mut lines = settings.ar_conf.lines().map(|line| line.split(" - "));
        let found =
            lines.find_map(|mut words| if words.next() == Some(&self.command) { words.next() } else { None });
        found.unwrap_or(&self.command)
    }

    fn received_by(&self, agent: &Agent) -> ActiveResponse {
        ActiveResponse {
            agent: agent.id.clone(),
            command: self.command.clone(),
            arguments: self.arguments.clone(),
            alert: self.alert.clone(),
            is_done: agent.execd != Execd::Ignoring,
            at: now_ms(),
        }
    }
}

fn wrong_type(value: &Value, expected: &str, place: &str) -> Problem {
    let place = if place.is_empty() { String::new() } else { format!(" - '{place}'") };
    Problem::bad_request(format!("{} is not of type '{expected}'{place}", repr(value)))
}

/// `^!?[\w\-.\\/:]+$` without a way up.
fn is_command(command: &str) -> bool {
    let name = command.strip_prefix('!').unwrap_or(command);
    let is_path = |character: char| character.is_alphanumeric() || "_-.\\/:".contains(character);
    !name.is_empty() && name.chars().all(is_path) && !name.contains("../") && !name.contains("..\\")
}
