//! The row that lists show, derived from a run.

use model::{RunSummary, Waiting, WaitingFor};
use serde_json::Value;

use crate::place::Place;
use crate::run::Run;
use crate::state::State;

const LONGEST_LINE: usize = 200;

pub(crate) fn of(run: &Run) -> RunSummary {
    RunSummary {
        run: run.id,
        workflow: run.workflow.name.clone(),
        source: run.workflow.digest.clone(),
        about: run.about.clone(),
        alert: run.alert_id.clone(),
        reconciled: run.reconciled,
        status: run.status(),
        started_at: run.started_at,
        updated_at: run.updated_at,
        next_seq: run.next_seq,
        wake_at: run.wake_at(),
        waiting: waiting(run),
        calls: run.children().into_iter().map(|child| child.run).collect(),
        concurrency: run.concurrency.clone(),
        is_queued: run.is_queued,
        error: run.error.clone().or_else(|| run.still_contained()),
        alerts_again: run.alerts_again,
        containments: run.containments(),
        disrupted_at: run.disrupted_at.clone(),
        is_unsettled: run.is_unsettled(),
    }
}

fn waiting(run: &Run) -> Vec<Waiting> {
    let waiting = run.places().filter_map(|place| {
        let state = run.state_at(place);
        let reason = if let State::Asking(asking) = &state.state {
            WaitingFor::Approval {
                ask: line(&asking.request.ask),
                target: asking.request.target.as_deref().map(line),
                from: asking.request.from.clone(),
                approved_by: asking.approved_by.iter().map(|person| person.name.clone()).collect(),
                digest: asking.request.digest.clone(),
                expires_at: asking.request.expires_at,
            }
        } else if let State::InDoubt(_, failure) = &state.state {
            WaitingFor::Resolution {
                message: line(&format!("{}{}", undone_since(run, place), failure.message)),
            }
        } else {
            return None;
        };
        Some(Waiting { step: run.key_of(place), reason, since: state.since })
    });
    waiting.collect()
}

/// Which alert of Wazuh this is, however it came: the manager that raised it, and its id there, as in
/// `wazuh-01/1652272159.1549653`. None where it does not say.
pub fn alert_id(alert: &Value) -> Option<String> {
    let name = |object: &str, key: &str| said(field(alert, object, key));
    // Each node of a cluster counts for itself.
    let manager = name("cluster", "node").or_else(|| name("manager", "name"))?;
    let id = format!("{manager}/{}", said(alert.get("id"))?);
    (id.len() <= LONGEST_LINE && !id.contains(char::is_control)).then_some(id)
}

/// What has become of the undo of a step that is in doubt.
fn undone_since(run: &Run, place: Place) -> &'static str {
    match run.held_at(place).filter(|held| !held.is_at_rest() && !place.is_undo) {
        Some(held) if held.is_open() => "it is being undone: ",
        Some(_) => "it was undone since: ",
        None => "",
    }
}

/// What an alert is about, in a line: the rule, and the agent that saw it.
pub fn about(alert: &Value) -> String {
    let text = |object: &str, key: &str| match field(alert, object, key) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_)) | None => String::new(),
    };
    let (id, description) = (text("rule", "id"), text("rule", "description"));
    let agent = text("agent", "name");
    let rule = if id.is_empty() { String::new() } else { format!("rule {id}") };
    let what: Vec<&str> =
        [rule.as_str(), description.as_str()].into_iter().filter(|part| !part.is_empty()).collect();
    let mut about = what.join(": ");
    if !agent.is_empty() {
        about.push_str(&format!(" on {agent}"));
    }
    line(about.trim_start())
}

fn said(value: Option<&Value>) -> Option<&str> {
    value?.as_str().filter(|text| !text.is_empty())
}

fn field<'a>(alert: &'a Value, object: &str, key: &str) -> Option<&'a Value> {
    alert.get(object)?.get(key)
}

/// Text cut to one line without control characters.
pub(crate) fn line(text: &str) -> String {
    if text.len() <= LONGEST_LINE && text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return text.to_owned();
    }
    let mut line: String =
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LONGEST_LINE).collect();
    if line.len() < text.len() {
        line.push_str("...");
    }
    line
}
