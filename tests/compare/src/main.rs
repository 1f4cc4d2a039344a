//! Portcullis and what else one could use, measured with the same work in one run on one machine. README.md says how.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program whose output is a table")]

mod bench;
mod crash;
mod install;
mod machine;
mod options;
mod parking;
mod peer;
mod plot;
mod process;
mod results;
mod rounds;
mod table;
mod work;

use std::fmt;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;
use tokio::signal::unix::{SignalKind, signal};

use crate::bench::Bench;
use crate::machine::Machine;
use crate::options::Options;
use crate::peer::Peer;
use crate::results::{Measured, Results};

/// Says on standard error how far it is.
fn say(text: impl fmt::Display) {
    eprintln!("{text}");
}

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    // The first to install a provider wins; that is always this one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let result = tokio::select! {
        result = compare(&options) => result,
        stopped = stopped() => stopped,
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(format_args!("compare: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Ends when somebody wants this to end: what was started is dropped then, and killed.
async fn stopped() -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
    anyhow::bail!("stopped")
}

async fn compare(options: &Options) -> anyhow::Result<()> {
    let bench = Bench::new().await?;
    let peers = prepared(&bench, peer::all(&options.peers(), &bench.world.url()).await?).await;
    let machine = Machine::look(bench.folder())?;
    let mut systems: Vec<Measured> = peers.iter().map(|peer| measured(peer.as_ref())).collect();
    if !options.works().is_empty() {
        rounds::all(&bench, options, &peers, &mut systems).await?;
    }
    for (peer, measured) in peers.iter().zip(&mut systems).filter(|(peer, _)| peer.is_whole()) {
        if options.has_parking() {
            say(format_args!("runs that wait: {}", peer.name()));
            if let Err(error) = parking::measure(&bench, options, peer.as_ref(), measured).await {
                measured.trouble(error);
            }
        }
        if options.has_crash() {
            say(format_args!("kill -9 under load: {}", peer.name()));
            if let Err(error) = crash::measure(&bench, options, peer.as_ref(), measured).await {
                measured.trouble(error);
            }
        }
    }
    let results = Results { machine, rounds: options.rounds(), systems };
    println!("{}", table::terminal(&results));
    write(options, &results)
}

fn measured(peer: &dyn Peer) -> Measured {
    Measured { name: peer.name(), version: peer.version(), ..Measured::default() }
}

/// Those whose folder could be made.
async fn prepared(bench: &Bench, peers: Vec<Box<dyn Peer>>) -> Vec<Box<dyn Peer>> {
    let mut ready = Vec::new();
    for peer in peers {
        say(format_args!("preparing {} {} ...", peer.name(), peer.version()));
        match peer.prepare(&bench.template(peer.as_ref())).await {
            Ok(()) => ready.push(peer),
            Err(error) => say(format_args!("{} is not measured: {error:#}", peer.name())),
        }
    }
    ready
}

fn write(options: &Options, results: &Results) -> anyhow::Result<()> {
    let before = options.markdown.as_ref().and_then(|path| std::fs::read_to_string(path).ok());
    let files = [
        (&options.json, serde_json::to_string_pretty(results)?),
        (
            &options.markdown,
            table::into_page(before.as_deref().unwrap_or_default(), &table::markdown(results)),
        ),
        (&options.plot, plot::draw(results)),
    ];
    for (path, text) in files {
        if let Some(path) = path {
            std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
        }
    }
    Ok(())
}
