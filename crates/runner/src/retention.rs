//! Which finished runs are kept, and what is forgotten by and by.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use model::Timestamp;
use serde_json::json;
use store::{Note, Store};
use tracing::{info, warn};

use crate::error::Error;
use crate::runner::Shared;

/// How often it is looked whether something can be forgotten.
const PAUSE: Duration = Duration::from_secs(600);
/// The name of the note that outlives the process.
const NOTE: &str = "forgotten_before";

/// Which finished runs are kept; what is too old or too much is forgotten. Runs that have not finished always stay.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retention {
    /// How long; none: for ever.
    pub age: Option<Duration>,
    /// How many; none: all. Those that finished first are forgotten first.
    pub runs: Option<u64>,
}

/// The point in time before which runs may have been forgotten.
#[derive(Debug)]
pub(crate) struct Forgotten {
    retention: Retention,
    before_ms: AtomicI64,
}

impl Forgotten {
    /// As the process before left it.
    pub(crate) async fn read(store: &dyn Store, retention: Retention) -> Result<Forgotten, Error> {
        let noted = store.note(NOTE).await?.and_then(|value| value.as_i64());
        Ok(Forgotten { retention, before_ms: AtomicI64::new(noted.unwrap_or(i64::MIN)) })
    }

    /// Whether a run that was made at this time and is not there may have been there.
    pub(crate) fn may_include(&self, made_at: Timestamp, now: Timestamp) -> bool {
        let is_old = self.retention.age.is_some_and(|age| made_at < now.before(age));
        is_old || made_at.as_millis() < self.before_ms.load(Ordering::Relaxed)
    }
}

/// Forgets what finished long ago, and what is too much; once at the start, and then again and again.
pub(crate) async fn forget(shared: Arc<Shared>) {
    let mut pauses = tokio::time::interval(PAUSE);
    loop {
        pauses.tick().await;
        if shared.is_stopped() {
            return;
        }
        match forget_once(&shared).await {
            Ok(0) => {}
            Ok(runs) => info!(runs, "finished runs were forgotten"),
            Err(error) => warn!(%error, "finished runs could not be forgotten"),
        }
    }
}

async fn forget_once(shared: &Shared) -> Result<u64, store::Error> {
    let Retention { age, runs } = shared.forgotten.retention;
    let too_old = age.map(|age| shared.clock.now().before(age));
    let too_many = match runs {
        Some(runs) => shared.store.finished_since(runs).await?,
        None => None,
    };
    let Some(before) = too_old.max(too_many) else { return Ok(0) };
    let before_ms = before.as_millis();
    if before_ms > shared.forgotten.before_ms.load(Ordering::Relaxed) && too_many == Some(before) {
        // On disk before anything goes: a run that is gone must not be taken for one that never was.
        shared.store.put_note(Note { key: NOTE.to_owned(), value: json!(before_ms) }).await?;
        shared.forgotten.before_ms.store(before_ms, Ordering::Relaxed);
    }
    shared.store.prune(before).await
}
