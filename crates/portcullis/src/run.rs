//! `portcullis run`: start a workflow by hand and follow it.
//!
//! Where a server of the configuration is up, it does the work. Where none is, this process opens the store and is that
//! server until the run has finished or waits for a person.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use model::{RunId, RunStatus, RunSummary, StepId};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use workflow::Workflow;

use crate::app::App;
use crate::client::Client;
use crate::people;
use crate::settings;
use crate::show;

pub(crate) async fn run(
    config: &Path,
    url: Option<&str>,
    workflow: &StepId,
    alert: &Path,
) -> anyhow::Result<bool> {
    let text = std::fs::read_to_string(alert).with_context(|| format!("cannot read {}", alert.display()))?;
    let alert: Value =
        serde_json::from_str(&text).with_context(|| format!("{} is not JSON", alert.display()))?;
    let url = match url {
        Some(url) => url.to_owned(),
        None => format!("http://{}", settings::listen_of(config)?),
    };
    if Client::new(&url, "")?.is_up("/healthz").await {
        let client = crate::client(config, Some(&url))?;
        let summary = start_and_follow(&client, workflow, &alert).await?;
        if summary.status == RunStatus::Waiting {
            show::say("the run waits for a person: see `portcullis approvals`");
        }
        return Ok(summary.status == RunStatus::Succeeded);
    }
    let app = App::read(config)?;
    let runner = app.open(app.playbooks().read()?, app.nodes()?).await?;
    let (name, token) = (user(), uuid::Uuid::new_v4().to_string());
    let mut here = server::Token::new(&name, &token);
    here.roles = roles(runner.workflows().iter().map(AsRef::as_ref));
    let settings = server::Settings { tokens: vec![here], ..app.server_settings() };
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let client = Client::new(&format!("http://{}", listener.local_addr()?), &token)?;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(server::serve(listener, server::router(runner.clone(), settings), async {
        let _ = stopped.await;
    }));
    let summary = start_and_follow(&client, workflow, &alert).await;
    let _ = stop.send(());
    runner.stop(Duration::from_secs(20)).await;
    serving.await??;
    let summary = summary?;
    if summary.status == RunStatus::Waiting {
        show::say(format_args!(
            "the run waits for a person: start `portcullis serve`, then see `portcullis approvals`"
        ));
    }
    Ok(summary.status == RunStatus::Succeeded)
}

async fn start_and_follow(client: &Client, workflow: &StepId, alert: &Value) -> anyhow::Result<RunSummary> {
    let answer =
        client.post(&format!("/api/v1/workflows/{workflow}/runs"), &json!({ "alert": alert })).await?;
    let run = answer.get("run").and_then(Value::as_str).and_then(|run| run.parse::<RunId>().ok());
    let run = run.context("the server named no run")?;
    if answer.get("duplicate") == Some(&json!(true)) {
        show::say("the alert belongs to a run that is there already");
    }
    show::say(format_args!("run {run}"));
    people::follow(client, run, &mut 0, &mut None).await
}

/// Who sits at this terminal.
pub(crate) fn user() -> String {
    std::env::var("USER").ok().filter(|user| !user.is_empty()).unwrap_or_else(|| "operator".to_owned())
}

/// Every role that some workflow asks for: whoever holds the store and the secrets of the connections has them all.
fn roles<'a>(workflows: impl Iterator<Item = &'a Workflow>) -> Vec<String> {
    let mut roles: Vec<String> = workflows
        .flat_map(|workflow| {
            let asked = workflow.steps.iter().filter_map(|step| step.approval.as_ref()?.from.role.clone());
            let triggers = workflow.triggers.iter().flat_map(|trigger| trigger.roles.clone());
            asked.chain(triggers).collect::<Vec<_>>()
        })
        .collect();
    roles.sort();
    roles.dedup();
    roles
}
