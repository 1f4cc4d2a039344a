//! The task that asks.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use model::{Failure, Timestamp, Trigger, TriggerKind};
use serde_json::Value;
use tracing::{debug, info, warn};

use super::sweep::Sweep;
use super::{Reconcile, Reconciling, locked};
use crate::error::Error;
use crate::runner::Runner;
use crate::start::Delivery;

/// So many alerts are asked for at once, where none of them is large.
const PAGE: usize = 100;
/// How soon it goes on where there was no room for an alert, or the page could not be had.
const SOON: Duration = Duration::from_secs(30);
/// What the indexer adds to an alert: the same one that comes by itself does not have it.
const ADDED: [&str; 3] = ["@timestamp", "GeoLocation", "input"];
/// So many alerts that cannot be admitted are remembered, to be named once.
const MOST_REFUSED: usize = 1000;

/// Asks until the runner stops.
pub(crate) async fn keep_asking(runner: Runner, reconciling: Arc<Reconciling>) {
    let mut stopped = runner.shared.stopped();
    let mut asking =
        Asking { runner, reconciling, sweep: None, size: PAGE, trouble: None, refused: HashSet::new() };
    loop {
        tokio::select! {
            _ = stopped.wait_for(Option::is_some) => return,
            () = async {
                let pause = asking.turn().await;
                tokio::time::sleep(pause).await;
            } => {}
        }
    }
}

struct Asking {
    runner: Runner,
    reconciling: Arc<Reconciling>,
    /// What was begun and is not done.
    sweep: Option<Sweep>,
    /// How many alerts are asked for at once. Fewer where that failed: they may be too large together.
    size: usize,
    /// What kept the last turn from being done.
    trouble: Option<&'static str>,
    /// Alerts that cannot be admitted.
    refused: HashSet<String>,
}

/// What keeps a turn from being done; the next one goes on there.
enum Trouble {
    /// Nobody listens on the hook, so nothing would be admitted.
    Unheard,
    /// The alerts could not be had.
    Away(Failure),
    /// There is no room for another alert, or the store does not take it.
    Busy(Error),
}

impl Trouble {
    fn kind(&self) -> &'static str {
        match self {
            Trouble::Unheard => "unheard",
            Trouble::Away(_) => "failed",
            Trouble::Busy(_) => "busy",
        }
    }

    fn message(&self, hook: &str) -> String {
        match self {
            Trouble::Unheard => {
                format!("no workflow listens on the hook `{hook}`: has its playbook a mistake?")
            }
            Trouble::Away(failure) => failure.to_string(),
            Trouble::Busy(error) => error.to_string(),
        }
    }
}

impl Asking {
    fn now(&self) -> Timestamp {
        self.runner.shared.clock.now()
    }

    /// Asks for what is to be asked for at this time; gives how long to wait after it.
    async fn turn(&mut self) -> Duration {
        let asked = self.ask().await;
        let every = self.reconciling.settings.every;
        self.reconciling.asked.add([asked.as_ref().map_or_else(Trouble::kind, |()| "ok")]);
        let Err(trouble) = asked else {
            *locked(&self.reconciling.succeeded_at) = Some(self.now());
            if self.trouble.take().is_some() {
                info!("alerts are asked for again");
            }
            return every;
        };
        let why = trouble.message(&self.reconciling.settings.hook);
        // Once, and not every few minutes of a night.
        if self.trouble.replace(trouble.kind()) == Some(trouble.kind()) {
            debug!(why, "alerts that did not come were still not asked for to the end");
        } else {
            warn!(why, "alerts that did not come were not asked for to the end, and will be again");
        }
        every.min(SOON)
    }

    async fn ask(&mut self) -> Result<(), Trouble> {
        let reconciling = self.reconciling.clone();
        let Reconcile { hook, every, look_back, source: _ } = &reconciling.settings;
        if !self.runner.workflows().has_hook(hook) {
            return Err(Trouble::Unheard);
        }
        let horizon = reconciling.known.horizon(self.now());
        // What has waited for so long that nobody knows any more what came begins later.
        self.sweep = self.sweep.take().filter(|sweep| sweep.since >= horizon);
        self.finish().await?;
        let cursor = reconciling.cursor();
        if cursor.until < horizon {
            warn!(from = %cursor.until, until = %horizon, "alerts of this time are never asked for: it lies too far back");
        }
        self.sweep = cursor.sweep(self.now(), *every, *look_back, horizon);
        self.finish().await
    }

    /// Does what was begun.
    async fn finish(&mut self) -> Result<(), Trouble> {
        while let Some(sweep) = self.sweep.clone() {
            self.sweep = self.page(sweep).await?;
        }
        Ok(())
    }

    /// Admits the alerts of one page; gives where it goes on.
    async fn page(&mut self, sweep: Sweep) -> Result<Option<Sweep>, Trouble> {
        let source = &self.reconciling.settings.source;
        let page = source.alerts(sweep.since, sweep.until, sweep.after.as_ref(), self.size).await;
        let page = page.map_err(|failure| {
            self.size = (self.size / 2).max(1);
            Trouble::Away(failure)
        })?;
        self.size = (self.size * 2).min(PAGE);
        for alert in page.alerts {
            self.admit(alert).await?;
        }
        let cursor = self.reconciling.cursor();
        let last = page.next.get(0).and_then(Value::as_i64).map(Timestamp::from_millis);
        let until = sweep.until;
        let next = sweep.clone().next(page.next);
        let reached = if next.is_some() { last.unwrap_or_default() } else { until };
        let reached = cursor.past(reached, &sweep);
        if reached != cursor {
            let store = self.runner.shared.store.clone();
            self.reconciling.keep(store.as_ref(), reached).await.map_err(Trouble::Busy)?;
        }
        Ok(next)
    }

    async fn admit(&mut self, mut alert: Value) -> Result<(), Trouble> {
        if let Some(fields) = alert.as_object_mut() {
            ADDED.iter().for_each(|name| drop(fields.remove(*name)));
        }
        let Some(id) = engine::alert_id(&alert) else {
            self.refuse("", "it has no `id`, or names no manager");
            return Ok(());
        };
        let trigger = Trigger {
            kind: TriggerKind::Webhook,
            received_at: self.now(),
            headers: Default::default(),
            query: Default::default(),
            by: None,
            parent: None,
            reconciled: true,
        };
        let path = self.reconciling.settings.hook.clone();
        match self.runner.receive(Delivery { path, alert: alert.into(), trigger }).await {
            Ok(_) => Ok(()),
            Err(error @ (Error::Busy | Error::Full(_))) => Err(Trouble::Busy(error)),
            Err(error) if self.runner.is_stopped().is_some() => Err(Trouble::Busy(error)),
            Err(error) => {
                // One that is too large or too deep keeps no other waiting.
                self.refuse(&id, &error.to_string());
                Ok(())
            }
        }
    }

    fn refuse(&mut self, alert: &str, why: &str) {
        if self.refused.len() >= MOST_REFUSED {
            self.refused.clear();
        }
        if self.refused.insert(alert.to_owned()) {
            self.reconciling.asked.add(["refused"]);
            warn!(alert, why, "an alert that did not come was found and cannot be admitted");
        }
    }
}
