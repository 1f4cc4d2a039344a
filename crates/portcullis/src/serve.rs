//! `portcullis serve`.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use runner::Runner;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tracing::info;

use crate::app::App;
use crate::drivers::Drivers;

/// How long calls that are under way may take to end when the server stops.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) async fn serve(config: &Path) -> anyhow::Result<()> {
    serve_with_flush_delay(config, Duration::ZERO).await
}

/// Serves on a disk that takes so much longer for each flush; for measurements.
pub(crate) async fn serve_with_flush_delay(config: &Path, flush_delay: Duration) -> anyhow::Result<()> {
    let mut app = App::read(config)?;
    let drivers = Drivers::start().context("cannot start threads")?;
    app.drivers = drivers.handle();
    app.store.flush_delay = flush_delay;
    // The port first: a second server finds out here, before it looks at anybody's runs.
    let listener = TcpListener::bind(app.settings.listen).await;
    let listener = listener.with_context(|| format!("cannot listen on {}", app.settings.listen))?;
    let nodes = app.nodes()?;
    let mut playbooks = app.playbooks();
    let runner = app.open(playbooks.read()?, nodes.clone()).await?;
    let hangup = signal(SignalKind::hangup())?;
    let workflows = runner.workflows().iter().count();
    info!(address = %listener.local_addr()?, workflows, tokens = app.settings.tokens.len(), "listening");
    let router = server::router(runner.clone(), app.server_settings());
    let (stop, stopped) = tokio::sync::oneshot::channel();
    let serving = tokio::spawn(server::serve(listener, router, async {
        let _ = stopped.await;
    }));
    let broken = tokio::select! {
        ended = wait_for_the_end(&runner) => ended?,
        watched = playbooks.watch(&runner, &nodes, hangup) => return watched,
    };
    let _ = stop.send(());
    runner.stop(PATIENCE).await;
    serving.await??;
    match broken {
        Some(reason) => bail!("{reason}"),
        None => Ok(()),
    }
}

/// Waits for a signal to stop, or for the runner to say that it cannot go on.
async fn wait_for_the_end(runner: &Runner) -> anyhow::Result<Option<String>> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        result = tokio::signal::ctrl_c() => result?,
        _ = terminate.recv() => {}
        reason = runner.stopped() => return Ok(Some(reason)),
    }
    info!("stopping");
    Ok(None)
}
