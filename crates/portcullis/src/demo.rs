//! `portcullis demo`: the whole loop on one machine, with nothing faked on our side of the wire.
//!
//! The simulated systems run in this process. The server is a process of its own, started as anybody would start it, and
//! while the run waits for a person it is killed with SIGKILL and started again.

mod server;

use std::io::{BufRead as _, IsTerminal as _};
use std::time::Instant;

use ::lab::Lab;
use anyhow::{Context as _, bail};
use model::{RunId, RunStatus, RunSummary, Timestamp, Waiting, WaitingFor};
use serde_json::{Value, json};

use crate::cli::DemoOptions;
use crate::client::Client;
use crate::contained;
use crate::people;
use crate::run::user;
use crate::show;
use crate::timeline;
use server::Server;

const ALERT: &str = include_str!("../../../examples/alerts/sshd_bruteforce.json");

pub(crate) async fn demo(options: &DemoOptions) -> anyhow::Result<bool> {
    if !options.approve && !options.reject && !std::io::stdin().is_terminal() {
        bail!("the demo asks at the terminal: say --approve or --reject where there is none");
    }
    let lab = Lab::start(::lab::Settings::default()).await?;
    let folder = server::Folder::new()?;
    let mut server = Server::start(&folder, &lab, &user()).await?;
    show::say(format_args!("Wazuh       {} (simulated)", lab.wazuh_url()));
    show::say(format_args!("TheHive     {} (simulated)", lab.thehive_url()));
    show::say(format_args!("Portcullis  {}  data in {}\n", server.url(), folder.path().display()));

    let alert: Value = serde_json::from_str(ALERT).context("the demo's alert is JSON")?;
    let run = post_alert(&server, &alert).await?;
    let client = server.client()?;
    let mut follower = Follower { run, seen: 0, start: None };
    let mut summary = follower.follow(&client).await?;
    let mut was_killed = options.no_kill;
    while let Some(waiting) = summary.waiting.first().cloned() {
        if !was_killed {
            was_killed = true;
            server = kill_and_restart(server, &folder, &lab).await?;
            continue;
        }
        answer(&server.client()?, follower.run, &waiting, options).await?;
        summary = follower.follow(&server.client()?).await?;
    }
    show::say(format_args!("\nThe run\n"));
    people::show_run(&server.client()?, follower.run, false).await?;
    for case in lab.cases() {
        show::say(format_args!("\nThe case in TheHive\n"));
        show::put(format_args!("{}", timeline::case(&case)));
    }
    show::say(format_args!("\nWhat reached the agents\n"));
    let responses = lab.active_responses();
    for response in &responses {
        show::say(format_args!(
            "agent {}: {} {}",
            response.agent,
            show::line(&response.command),
            show::cut(&response.alert.to_string(), 120)
        ));
    }
    if responses.is_empty() {
        show::say(format_args!("nothing"));
    }
    show::say(format_args!("\nWhat is contained\n"));
    contained::contained(&server.client()?).await?;
    server.stop().await?;
    Ok(summary.status == RunStatus::Succeeded)
}

struct Follower {
    run: RunId,
    seen: usize,
    start: Option<Timestamp>,
}

impl Follower {
    async fn follow(&mut self, client: &Client) -> anyhow::Result<RunSummary> {
        people::follow(client, self.run, &mut self.seen, &mut self.start).await
    }
}

async fn post_alert(server: &Server, alert: &Value) -> anyhow::Result<RunId> {
    let text = |pointer: &str| show::line(alert.pointer(pointer).and_then(Value::as_str).unwrap_or_default());
    show::say(format_args!(
        "Wazuh posts an alert: rule {}, {} (agent {})",
        text("/rule/id"),
        text("/rule/description"),
        text("/agent/name")
    ));
    let before = Instant::now();
    let answer = server.post_alert(alert).await?;
    let run = answer.pointer("/runs/0/run").and_then(Value::as_str);
    let run = run.with_context(|| format!("the alert started no run: {answer}"))?.parse()?;
    show::say(format_args!(
        "202 Accepted after {:.1} ms: run {run} is on disk\n",
        before.elapsed().as_secs_f64() * 1000.0
    ));
    Ok(run)
}

async fn kill_and_restart(server: Server, folder: &server::Folder, lab: &Lab) -> anyhow::Result<Server> {
    show::say(format_args!(
        "\nThe run waits for a person. To show what that costs, the server is killed now (SIGKILL)."
    ));
    let pid = server.kill().await?;
    let before = Instant::now();
    let server = Server::start(folder, lab, &user()).await?;
    let took = before.elapsed().as_secs_f64() * 1000.0;
    show::say(format_args!(
        "Process {pid} is gone. A new one answers after {took:.0} ms, and the run still waits.\n"
    ));
    Ok(server)
}

async fn answer(client: &Client, run: RunId, waiting: &Waiting, options: &DemoOptions) -> anyhow::Result<()> {
    let WaitingFor::Approval { ask, target, expires_at, digest, .. } = &waiting.reason else {
        bail!("step {} is in doubt: the demo does not expect that", waiting.step);
    };
    show::say(format_args!("{}", show::line(ask)));
    if let Some(target) = target {
        show::say(format_args!("    acts on  {}", show::line(target)));
    }
    if let Some(expires_at) = expires_at {
        show::say(format_args!("    expires  {expires_at}"));
    }
    let (decision, reason) = match (options.approve, options.reject) {
        (true, _) => ("approve", "approved by --approve".to_owned()),
        (_, true) => ("reject", "rejected by --reject".to_owned()),
        _ => ask_at_terminal()?,
    };
    show::say(format_args!("    {} says: {decision}\n", user()));
    let body = json!({ "decision": decision, "reason": reason, "digest": digest });
    client.post(&format!("/api/v1/approvals/{run}/{}", waiting.step), &body).await?;
    Ok(())
}

fn ask_at_terminal() -> anyhow::Result<(&'static str, String)> {
    let line = || -> anyhow::Result<String> {
        let mut line = String::new();
        if std::io::stdin().lock().read_line(&mut line)? == 0 {
            bail!("nobody answered: the run waits, and nothing was sent");
        }
        Ok(line.trim().to_owned())
    };
    let decision = loop {
        show::put(format_args!("    approve or reject? "));
        match line()?.as_str() {
            "approve" | "a" | "yes" | "y" => break "approve",
            "reject" | "r" | "no" | "n" => break "reject",
            _ => show::say(format_args!("    say `approve` or `reject`")),
        }
    };
    let reason = loop {
        show::put(format_args!("    why? "));
        let reason = line()?;
        if !reason.is_empty() {
            break reason;
        }
    };
    Ok((decision, reason))
}
