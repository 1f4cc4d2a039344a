//! The alert that an active response leaves behind: rules 651 to 657, from the line in the agent's log.

use serde_json::{Map, Value, json};

use crate::clock::format_ms;
use crate::wazuh::{ActiveResponse, Agent};

use super::TIME;

/// What the program of an active response raises when it has done what it was told.
pub(super) fn alert(response: &ActiveResponse, program: &str, agent: &Agent, number: u64) -> Value {
    let path = format!("active-response/bin/{program}");
    let (rule, description) = rule(program, &path);
    let line = json!({
        "version": 1,
        "origin": { "name": "node01", "module": "wazuh-execd" },
        "command": "add",
        "parameters": { "extra_args": response.arguments, "alert": response.alert, "program": path },
    });
    let mut data = decoded(&line);
    if let Some(address) = response.alert.pointer("/data/srcip").filter(|address| address.is_string()) {
        data["srcip"] = address.clone();
    }
    let stamp = format_ms(response.at, "%Y/%m/%d %H:%M:%S");
    json!({
        "timestamp": format_ms(response.at, TIME),
        "rule": {
            "level": 3,
            "description": description,
            "id": rule,
            "firedtimes": 1,
            "mail": false,
            "groups": ["ossec", "active_response"],
        },
        "agent": { "id": agent.id, "name": agent.name, "ip": agent.ip },
        "manager": { "name": "wazuh-manager" },
        "id": format!("{}.{}", response.at / 1000, 400_000 + number * 512),
        "full_log": format!("{stamp} {path}: {line}"),
        "decoder": { "name": "ar_log_json" },
        "data": data,
        "location": "/var/ossec/logs/active-responses.log",
        "input": { "type": "log" },
    })
}

fn rule(program: &str, path: &str) -> (&'static str, String) {
    let blocked = |by: &str| format!("Host Blocked by {by} Active Response");
    match program {
        "firewall-drop" => ("651", blocked("firewall-drop")),
        "host-deny" => ("653", blocked("host-deny")),
        "route-null" => ("655", blocked(path)),
        _ => ("657", format!("Active response: {path} - add")),
    }
}

/// Wazuh's JSON decoder makes text of everything but lists and objects.
fn decoded(value: &Value) -> Value {
    match value {
        Value::Null => json!("null"),
        Value::Bool(value) => json!(value.to_string()),
        Value::Number(number) => json!(number.to_string()),
        Value::String(text) => json!(text),
        Value::Array(items) => items.iter().map(decoded).collect(),
        Value::Object(fields) => Value::Object(
            fields.iter().map(|(key, value)| (key.clone(), decoded(value))).collect::<Map<_, _>>(),
        ),
    }
}
