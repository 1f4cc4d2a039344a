//! The switch that stops all disruption, from a terminal.

use serde_json::{Value, json};

use crate::client::Client;
use crate::show;

pub(crate) async fn halt(client: &Client, why: &str, by: Option<&str>) -> anyhow::Result<()> {
    let answer = client.post("/api/v1/halt", &body(why, by)).await?;
    let standing = answer.get("halted").and_then(sentence);
    match standing.filter(|_| answer.get("already") == Some(&Value::Bool(true))) {
        Some(sentence) => {
            show::say(format_args!("disruption was halted already, {sentence}; your reason is not kept"));
        }
        None => banner(&answer),
    }
    show::say(
        "what was sent before goes on, and so do undos; `portcullis resume --why \"...\"` ends the halt",
    );
    Ok(())
}

pub(crate) async fn resume(client: &Client, why: &str, by: Option<&str>) -> anyhow::Result<()> {
    let answer = client.post("/api/v1/resume", &body(why, by)).await?;
    match answer.get("ended").and_then(sentence) {
        Some(sentence) => show::say(format_args!("disruption goes on; it was halted {sentence}")),
        None => show::say("disruption was not halted"),
    }
    Ok(())
}

/// Says above a list that all disruption is halted, where it is.
pub(crate) fn banner(answer: &Value) {
    if let Some(sentence) = answer.get("halted").and_then(sentence) {
        show::say(format_args!("ALL DISRUPTION IS HALTED: {sentence}\n"));
    }
}

fn sentence(halted: &Value) -> Option<String> {
    let text = |pointer: &str| halted.pointer(pointer).and_then(Value::as_str).map(show::line);
    Some(format!("by {} since {}: {}", text("/by/name")?, text("/since")?, text("/reason")?))
}

fn body(why: &str, by: Option<&str>) -> Value {
    let mut body = json!({ "reason": why });
    if let (Some(by), Some(body)) = (by, body.as_object_mut()) {
        body.insert("by".to_owned(), by.into());
    }
    body
}
