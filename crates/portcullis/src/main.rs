//! The binary: command line, configuration, wiring. It holds no rules of the product.

#![expect(clippy::print_stderr, reason = "a command line says on standard error what went wrong")]

mod app;
mod backup;
mod bench;
mod catalogue;
mod check;
mod cli;
mod client;
mod contained;
mod demo;
mod directory;
mod drivers;
mod eval;
mod explain;
mod gaps;
mod graph;
mod halt;
mod lab;
mod missed;
mod new;
mod people;
mod playbooks;
mod rehearse;
mod run;
mod serve;
mod settings;
mod show;
mod timeline;
mod workflows;

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;
use tracing_subscriber::EnvFilter;

use crate::cli::{Cli, Command, RunsCommand};
use crate::client::Client;

/// Calls and facts are many small pieces; and what a burst of alerts took is given back. `.cargo/config.toml` sets it.
#[cfg(unix)]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    // The program starts itself once more for every jq filter and script. Nothing that a server needs is wanted there.
    if std::env::args_os().nth(1).is_some_and(|argument| argument == nodes::CHILD) {
        nodes::run_child()
    }
    command()
}

#[tokio::main]
async fn command() -> ExitCode {
    #[cfg(feature = "failpoints")]
    arm();
    let cli = Cli::parse();
    log(matches!(cli.command, Command::Serve | Command::BenchChild { .. }));
    // The first to install a provider wins; that is always this one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match run(cli).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let text = format!("{error:#}");
            // Findings say themselves what they are.
            let label = if text.starts_with("error[") { "" } else { "error: " };
            eprintln!("{label}{text}");
            ExitCode::from(2)
        }
    }
}

/// What a test wants to go wrong in this process. A normal binary does not have it.
#[cfg(feature = "failpoints")]
fn arm() {
    if let Ok(orders) = std::env::var("PORTCULLIS_FAIL") {
        failpoints::arm(&orders).expect("orders that can be read");
    }
    if let Some(file) = std::env::var_os("PORTCULLIS_CLOCK") {
        failpoints::follow_clock(file.into());
    }
}

/// Runs a command; gives whether what it looked at is good.
async fn run(cli: Cli) -> anyhow::Result<bool> {
    let config = cli.config.as_path();
    let url = cli.url.as_deref();
    match cli.command {
        Command::Demo(options) => return demo::demo(&options).await,
        Command::Serve => serve::serve(config).await?,
        Command::New(options) => new::new(config, &options)?,
        Command::Check { paths, format } => return check::check(config, paths, format),
        Command::Explain { markdown: true, .. } => explain::page(),
        Command::Explain { rule, markdown: false } => explain::rule(rule.as_deref())?,
        Command::Eval(options) => return eval::eval(config, &options),
        Command::Test(options) => return rehearse::rehearse(config, &options),
        Command::Run { workflow, alert } => return run::run(config, url, &workflow, &alert).await,
        Command::Runs { command: Some(RunsCommand::Show { run, json }), .. } => {
            people::show_run(&client(config, url)?, run, json).await?;
        }
        Command::Runs { command: None, status, workflow, limit } => {
            people::runs(&client(config, url)?, status, workflow, limit).await?;
        }
        Command::Approvals => people::approvals(&client(config, url)?).await?,
        Command::Approve(answer) => people::decide(&client(config, url)?, &answer, "approve").await?,
        Command::Reject(answer) => people::decide(&client(config, url)?, &answer, "reject").await?,
        Command::Resolve { run, step, resolution, why, by } => {
            people::resolve(&client(config, url)?, run, &step, resolution, &why, by.as_deref()).await?;
        }
        Command::Contained => return contained::contained(&client(config, url)?).await,
        Command::Undo { run, step, why, done, by } => {
            contained::undo(&client(config, url)?, run, &step, done, &why, by.as_deref()).await?;
        }
        Command::Gaps => gaps::gaps(&client(config, url)?).await?,
        Command::Workflows => return workflows::workflows(&client(config, url)?).await,
        Command::Cancel { run, why } => people::cancel(&client(config, url)?, run, &why).await?,
        Command::Halt { why, by } => halt::halt(&client(config, url)?, &why, by.as_deref()).await?,
        Command::Resume { why, by } => halt::resume(&client(config, url)?, &why, by.as_deref()).await?,
        Command::Abandon { run, why } => people::abandon(&client(config, url)?, run, &why).await?,
        Command::Backup { to } => backup::backup(&client(config, url)?, &to).await?,
        Command::Restore { from } => backup::restore(config, &from)?,
        Command::Nodes { markdown: true, .. } => catalogue::markdown(config)?,
        Command::Nodes { node, markdown: false } => catalogue::nodes(config, node.as_deref())?,
        Command::Graph { file, format } => return graph::graph(config, &file, format),
        Command::Schema { markdown: true } => show::put(workflow::language()),
        Command::Schema { markdown: false } => catalogue::schema(config)?,
        Command::Lab { port } => lab::lab(port).await?,
        Command::Bench(options) => return bench::bench(&options).await,
        Command::BenchChild { child } => bench::child::run(config, child).await?,
    }
    Ok(true)
}

/// The server of the configuration, unless another is named, and the token of whoever sits at this terminal.
fn client(config: &Path, url: Option<&str>) -> anyhow::Result<Client> {
    let token = std::env::var("PORTCULLIS_TOKEN").ok().filter(|token| !token.trim().is_empty());
    let token = token.context("set PORTCULLIS_TOKEN to your API token: it says who you are")?;
    let url = match url {
        Some(url) => url.to_owned(),
        None => format!("http://{}", settings::listen_of(config)?),
    };
    Client::new(&url, &token)
}

/// Logs go to standard error: as text to a terminal, as JSON to anything else.
fn log(is_server: bool) {
    let default = if is_server { "info" } else { "warn" };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if std::io::IsTerminal::is_terminal(&std::io::stderr()) {
        builder.init();
    } else {
        builder.json().init();
    }
}
