//! What is contained at this moment, and its end by a person.

use anyhow::Context as _;
use model::{Containment, ContainmentState, RunId, StepKey, Timestamp};
use serde::Deserialize;
use serde_json::json;

use crate::client::Client;
use crate::halt;
use crate::show;

/// What is held under one target, as the API shows it.
#[derive(Deserialize)]
struct Row {
    target: String,
    state: ContainmentState,
    since: Timestamp,
    until: Option<Timestamp>,
    verified_at: Option<Timestamp>,
    holders: Vec<Holder>,
}

#[derive(Deserialize)]
struct Holder {
    run: RunId,
    workflow: String,
    #[serde(flatten)]
    containment: Containment,
}

/// Lists what is contained. Gives whether nothing of it should have been undone and is not.
pub(crate) async fn contained(client: &Client) -> anyhow::Result<bool> {
    let answer = client.get("/api/v1/containments").await?;
    halt::banner(&answer);
    let rows: Vec<Row> = serde_json::from_value(answer.get("containments").cloned().unwrap_or_default())
        .context("the server's answer cannot be read: is it of another version?")?;
    if rows.is_empty() {
        show::say(format_args!("nothing is contained"));
    }
    let mut is_good = true;
    for row in &rows {
        show::put(format_args!("{}", shown(row)));
        is_good &= row
            .holders
            .iter()
            .all(|holder| holder.containment.trouble.is_none() && holder.containment.waits.is_none());
    }
    Ok(is_good)
}

fn shown(row: &Row) -> String {
    let until = row.until.map_or("until somebody undoes it".to_owned(), |until| format!("until {until}"));
    let seen = row.verified_at.map_or_else(|| ", never verified".to_owned(), |at| format!(", verified {at}"));
    let mut text = format!(
        "{}  {}\n    since {}, {until}{seen}\n",
        show::line(&row.target),
        row.state.as_str(),
        row.since
    );
    for Holder { run, workflow, containment } in &row.holders {
        let joined = containment.joined.map_or_else(String::new, |by| format!(", joined run {by}"));
        let step = &containment.step;
        text.push_str(&format!("    held by {run} {step} of {}{joined}\n", show::line(workflow)));
        if let Some(trouble) = &containment.trouble {
            text.push_str(&format!("    CANNOT BE UNDONE: {}\n", show::line(trouble)));
        }
        if let Some(why) = &containment.waits {
            text.push_str(&format!("    ITS UNDO WAITS: {}\n", show::line(why)));
        }
        let step = show::argument(&step.to_string());
        let done = if containment.can_undo { "" } else { " --done" };
        text.push_str(&format!("    portcullis undo {run} {step} --why \"...\"{done}\n"));
    }
    text
}

pub(crate) async fn undo(
    client: &Client,
    run: RunId,
    step: &StepKey,
    is_done: bool,
    why: &str,
    by: Option<&str>,
) -> anyhow::Result<()> {
    let mut body = json!({ "reason": why, "done": is_done });
    if let (Some(by), Some(object)) = (by, body.as_object_mut()) {
        object.insert("by".to_owned(), by.into());
    }
    client.post(&format!("/api/v1/runs/{run}/steps/{step}/undo"), &body).await?;
    let what = if is_done { "undone by hand, recorded" } else { "to be undone, recorded" };
    show::say(format_args!("{step} of run {run}: {what}"));
    show::say(format_args!("    portcullis runs show {run}"));
    Ok(())
}
