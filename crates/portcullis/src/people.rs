//! What people do from a terminal with the runs of a server: list, show, answer, stop.

use std::collections::BTreeMap;

use anyhow::Context as _;
use model::{Asked, Record, RunId, RunStatus, RunSummary, StepId, StepKey, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::cli::{Answer, Resolution, Status};
use crate::client::Client;
use crate::halt;
use crate::show;
use crate::timeline;

pub(crate) async fn runs(
    client: &Client,
    status: Option<Status>,
    workflow: Option<StepId>,
    limit: usize,
) -> anyhow::Result<()> {
    let mut path = format!("/api/v1/runs?limit={limit}");
    if let Some(status) = status {
        path.push_str(&format!("&status={}", status_of(status).as_str()));
    }
    if let Some(workflow) = workflow {
        path.push_str(&format!("&workflow={workflow}"));
    }
    let answer = client.get(&path).await?;
    halt::banner(&answer);
    let runs: Vec<RunSummary> = parse(answer.get("runs").cloned())?;
    let rows: Vec<Vec<String>> = runs
        .iter()
        .map(|run| {
            let waits: Vec<String> = run.waiting.iter().map(|waiting| waiting.step.to_string()).collect();
            let note = match &run.error {
                Some(error) => error.clone(),
                None if waits.is_empty() => String::new(),
                None => format!("waits at {}", waits.join(", ")),
            };
            vec![
                run.run.to_string(),
                run.started_at.to_string(),
                show::line(&run.workflow),
                run.status.as_str().to_owned(),
                show::cut(&run.about, 60),
                show::cut(&note, 60),
            ]
        })
        .collect();
    show::put(format_args!("{}", show::table(&["run", "started", "workflow", "status", "about", ""], &rows)));
    Ok(())
}

pub(crate) async fn show_run(client: &Client, run: RunId, is_json: bool) -> anyhow::Result<()> {
    let journal = journal(client, run).await?;
    if is_json {
        for record in &journal {
            show::say(format_args!("{}", serde_json::to_string(record)?));
        }
        return Ok(());
    }
    show::put(format_args!("{}", timeline::run(&journal)));
    for held in summary(client, run).await?.containments {
        if let Some(why) = &held.waits {
            show::say(format_args!("\n{} is to be undone, and waits: {}", held.step, show::line(why)));
        }
    }
    Ok(())
}

/// The journal of a run.
pub(crate) async fn journal(client: &Client, run: RunId) -> anyhow::Result<Vec<Record>> {
    let answer = client.get(&format!("/api/v1/runs/{run}/journal")).await?;
    parse(answer.get("records").cloned())
}

/// The row of a run.
pub(crate) async fn summary(client: &Client, run: RunId) -> anyhow::Result<RunSummary> {
    parse(Some(client.get(&format!("/api/v1/runs/{run}")).await?))
}

/// One thing that waits for people, as the API shows it.
#[derive(Deserialize)]
struct Item {
    run: RunId,
    workflow: String,
    about: String,
    step: StepKey,
    kind: String,
    ask: Option<String>,
    message: Option<String>,
    target: Option<String>,
    from: Option<Asked>,
    #[serde(default)]
    approved_by: Vec<String>,
    digest: Option<String>,
    inputs: Option<Value>,
    #[serde(default)]
    show: BTreeMap<String, Value>,
    expires_at: Option<Timestamp>,
}

pub(crate) async fn approvals(client: &Client) -> anyhow::Result<()> {
    let answer = client.get("/api/v1/approvals?limit=1000").await?;
    halt::banner(&answer);
    let items: Vec<Item> = parse(answer.get("approvals").cloned())?;
    if items.is_empty() {
        show::say(format_args!("nothing waits for a person"));
    }
    for listed in &items {
        let path = format!("/api/v1/approvals/{}/{}", listed.run, listed.step);
        // It may have been answered since it was listed.
        let Ok(detail) = client.get(&path).await else { continue };
        let item: &Item = &parse(Some(detail))?;
        let run = item.run;
        let step = show::argument(&item.step.to_string());
        show::put(format_args!("{}", question(item)));
        if item.kind == "approval" {
            show::say(format_args!("    portcullis approve {run} {step} --why \"...\""));
            show::say(format_args!("    portcullis reject {run} {step} --why \"...\"\n"));
        } else {
            show::say(format_args!(
                "    portcullis resolve {run} {step} ok|failed|send-again --why \"...\"\n"
            ));
        }
    }
    Ok(())
}

/// What is asked, by whom, and about what.
fn question(item: &Item) -> String {
    let asked = item.ask.as_deref().or(item.message.as_deref()).unwrap_or_default();
    let doubt = if item.kind == "approval" { "" } else { "in doubt: " };
    let mut text = format!("{doubt}{}\n", show::line(asked));
    text.push_str(&format!("    step     {} of {}\n", item.step, show::line(&item.workflow)));
    text.push_str(&format!("    about    {}\n", show::line(&item.about)));
    if let Some(target) = &item.target {
        text.push_str(&format!("    acts on  {}\n", show::line(target)));
    }
    if let Some(inputs) = &item.inputs {
        text.push_str(&format!("    sends    {}\n", show::cut(&inputs.to_string(), 400)));
    }
    for (path, value) in &item.show {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        text.push_str(&format!("    shown    {}: {}\n", show::line(path), show::cut(&value, 400)));
    }
    if let Some(from) = &item.from {
        let role = from.role.as_ref().map_or_else(|| "anybody".to_owned(), |role| format!("role {role}"));
        let count = if from.count > 1 { format!(", {} people", from.count) } else { String::new() };
        let so_far = if item.approved_by.is_empty() {
            String::new()
        } else {
            format!(", so far {}", item.approved_by.join(", "))
        };
        text.push_str(&format!("    from     {}{count}{}\n", show::line(&role), show::line(&so_far)));
    }
    if let Some(expires_at) = item.expires_at {
        text.push_str(&format!("    expires  {expires_at}\n"));
    }
    text
}

/// Answers an approval, bound to what stands there at this moment and is printed.
pub(crate) async fn decide(client: &Client, answer: &Answer, decision: &str) -> anyhow::Result<()> {
    let path = format!("/api/v1/approvals/{}/{}", answer.run, answer.step);
    let item: Item = parse(Some(client.get(&path).await?))?;
    halt::banner(&client.get("/api/v1/halt").await?);
    show::put(format_args!("{}", question(&item)));
    let mut body = json!({ "decision": decision });
    set(&mut body, "reason", answer.why.as_deref());
    set(&mut body, "by", answer.by.as_deref());
    set(&mut body, "digest", item.digest.as_deref());
    let summary = client.post(&path, &body).await?;
    show::say(format_args!("{decision}: recorded"));
    print_status(&summary);
    Ok(())
}

pub(crate) async fn resolve(
    client: &Client,
    run: RunId,
    step: &StepKey,
    resolution: Resolution,
    why: &str,
    by: Option<&str>,
) -> anyhow::Result<()> {
    let resolution = match resolution {
        Resolution::Ok => model::Resolution::Ok,
        Resolution::Failed => model::Resolution::Failed,
        Resolution::SendAgain => model::Resolution::SendAgain,
    };
    let mut body = json!({ "resolution": resolution, "reason": why });
    set(&mut body, "by", by);
    let summary = client.post(&format!("/api/v1/runs/{run}/steps/{step}/resolve"), &body).await?;
    show::say(format_args!("{step} of run {run}: resolved, recorded"));
    print_status(&summary);
    Ok(())
}

pub(crate) async fn cancel(client: &Client, run: RunId, why: &str) -> anyhow::Result<()> {
    let summary = client.post(&format!("/api/v1/runs/{run}/cancel"), &json!({ "reason": why })).await?;
    show::say(format_args!("run {run}: cancelled, recorded"));
    print_status(&summary);
    Ok(())
}

pub(crate) async fn abandon(client: &Client, run: RunId, why: &str) -> anyhow::Result<()> {
    let summary = client.post(&format!("/api/v1/runs/{run}/abandon"), &json!({ "reason": why })).await?;
    show::say(format_args!("run {run}: given up, recorded"));
    print_status(&summary);
    Ok(())
}

/// Follows a run: prints its facts as they come, until it has finished or waits for a person.
pub(crate) async fn follow(
    client: &Client,
    run: RunId,
    seen: &mut usize,
    start: &mut Option<Timestamp>,
) -> anyhow::Result<RunSummary> {
    loop {
        let summary = summary(client, run).await?;
        if summary.next_seq as usize > *seen {
            let journal = journal(client, run).await?;
            let begun = *start.get_or_insert(journal.first().map_or(summary.started_at, |record| record.at));
            for record in journal.iter().skip(*seen) {
                show::say(format_args!("{}", timeline::record_line(record, begun)));
            }
            *seen = journal.len();
            continue;
        }
        if summary.status.is_finished()
            || (summary.status == RunStatus::Waiting && !summary.waiting.is_empty())
        {
            return Ok(summary);
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

fn set(body: &mut Value, key: &str, value: Option<&str>) {
    if let (Some(value), Some(object)) = (value, body.as_object_mut()) {
        object.insert(key.to_owned(), value.into());
    }
}

fn print_status(summary: &Value) {
    if let Some(status) = summary.get("status").and_then(Value::as_str) {
        let verb = if matches!(status, "succeeded" | "failed") { "has" } else { "is" };
        show::say(format_args!("the run {verb} {}", show::line(status)));
    }
}

fn status_of(status: Status) -> RunStatus {
    match status {
        Status::Running => RunStatus::Running,
        Status::Waiting => RunStatus::Waiting,
        Status::Succeeded => RunStatus::Succeeded,
        Status::Failed => RunStatus::Failed,
        Status::Cancelled => RunStatus::Cancelled,
    }
}

fn parse<T: serde::de::DeserializeOwned>(value: Option<Value>) -> anyhow::Result<T> {
    serde_json::from_value(value.unwrap_or_default())
        .context("the server's answer cannot be read: is it of another version?")
}
