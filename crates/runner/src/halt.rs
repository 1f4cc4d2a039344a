//! The switch that stops all disruption at once. It holds over restarts, and for whatever guard there is.

use engine::Rejected;
use model::{Failure, FailureClass, Person, Timestamp};
use serde::{Deserialize, Serialize};
use store::{Note, Store};
use tokio::sync::{Mutex, watch};
use tracing::{error, info, warn};

use crate::error::Error;
use crate::runner::Runner;
use crate::start::see_through;

/// The name of the note that keeps it.
const NOTE: &str = "halt";
/// The longest reason, so that the note has room for it.
pub(crate) const LONGEST_REASON: usize = 500;

/// All disruption is halted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Halted {
    /// Who did it.
    pub by: Person,
    /// When.
    pub since: Timestamp,
    /// Why.
    pub reason: String,
}

/// Whether disruption is halted.
pub(crate) struct Halt {
    now: watch::Sender<Option<Halted>>,
    /// One switches at a time, so that what is on disk is what is in memory.
    switch: Mutex<()>,
}

impl Halt {
    /// As the store has it.
    pub(crate) async fn read(store: &dyn Store) -> Result<Halt, store::Error> {
        let halted = store.note(NOTE).await?.map(|note| {
            serde_json::from_value(note).unwrap_or_else(|error| {
                error!(%error, "the note of the halt cannot be read: disruption stays halted");
                let by = Person { name: "somebody".to_owned(), via: None, roles: Vec::new() };
                Halted { by, since: Timestamp::default(), reason: "the note of it cannot be read".to_owned() }
            })
        });
        if let Some(Halted { by, since, .. }) = &halted {
            warn!(by = by.name, %since, "disruption is halted");
        }
        Ok(Halt { now: watch::Sender::new(halted), switch: Mutex::default() })
    }

    pub(crate) fn halted(&self) -> Option<Halted> {
        self.now.borrow().clone()
    }

    /// Why nothing that disrupts may be done.
    pub(crate) fn refuses(&self) -> Option<Failure> {
        let Halted { by, since, reason } = self.halted()?;
        let message = format!("disruption is halted by {} since {since}: {reason}", by.name);
        let help = "nothing was sent; `portcullis resume` ends the halt";
        Some(Failure::new(FailureClass::Guardrail, message).help(help))
    }
}

impl Runner {
    /// Why all disruption is halted; none while it is not.
    pub fn halted(&self) -> Option<Halted> {
        self.shared.halt.halted()
    }

    /// Stops all disruption at once; undos go on. It counts before it is on disk, and is there when this returns. Who
    /// halts what is halted changes nothing, and is told so: `true`. It is done to its end also when whoever asked for it
    /// has gone.
    pub async fn halt(&self, by: Person, reason: String) -> Result<(Halted, bool), Error> {
        check_reason(&reason)?;
        let shared = self.shared.clone();
        see_through(async move {
            let _turn = shared.halt.switch.lock().await;
            let now = Halted { by, since: shared.clock.now(), reason };
            let is_halted_already = shared.halt.halted().is_some();
            if is_halted_already {
                info!(by = now.by.name, reason = now.reason, "disruption is halted already");
            } else {
                warn!(by = now.by.name, reason = now.reason, "all disruption is halted");
                shared.halt.now.send_replace(Some(now.clone()));
            }
            let halted = shared.halt.halted().unwrap_or(now);
            // Also where it was halted already: an earlier attempt may not have reached the disk.
            let value = serde_json::to_value(&halted).map_err(|error| Error::Refused(error.to_string()))?;
            shared.store.put_note(Note { key: NOTE.to_owned(), value }).await?;
            Ok((halted, is_halted_already))
        })
        .await
    }

    /// Lets disruption go on; gives what was halted. It is off the disk before it counts.
    pub async fn resume(&self, by: Person, reason: String) -> Result<Option<Halted>, Error> {
        check_reason(&reason)?;
        let shared = self.shared.clone();
        if !by.roles.contains(&shared.resume_role) {
            let role = &shared.resume_role;
            let message = format!("`{}` may not end a halt: it takes the role `{role}`", by.name);
            return Err(Error::NotAllowed(message));
        }
        see_through(async move {
            let _turn = shared.halt.switch.lock().await;
            shared.store.put_note(Note { key: NOTE.to_owned(), value: serde_json::Value::Null }).await?;
            let halted = shared.halt.now.send_replace(None);
            if halted.is_some() {
                warn!(by = by.name, reason, "disruption goes on");
            }
            Ok(halted)
        })
        .await
    }
}

fn check_reason(reason: &str) -> Result<(), Error> {
    match reason.chars().count() {
        _ if reason.trim().is_empty() => Err(Error::Rejected(Rejected::ReasonRequired)),
        0..=LONGEST_REASON => Ok(()),
        _ => Err(Error::Refused(format!("the reason has more than {LONGEST_REASON} characters"))),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use insta::assert_snapshot;
    use store::MemoryStore;

    use super::*;
    use crate::{Executor, Settings, Workflows};

    struct Idle;

    #[async_trait::async_trait]
    impl Executor for Idle {
        async fn perform(&self, _command: &engine::Command) -> model::Outcome {
            model::Outcome::Succeeded(serde_json::Value::Null.into())
        }
    }

    async fn open(store: &Arc<MemoryStore>) -> Runner {
        let settings =
            Settings { clock: crate::Clock::tokio(Timestamp::from_millis(0)), ..Settings::default() };
        Runner::open(store.clone(), Arc::new(Idle), Workflows::default(), settings).await.unwrap()
    }

    fn person(name: &str, roles: &[&str]) -> Person {
        let roles = roles.iter().map(|role| (*role).to_owned()).collect();
        Person { name: name.to_owned(), via: None, roles }
    }

    #[tokio::test(start_paused = true)]
    async fn a_halt_outlives_the_process_and_only_the_role_ends_it() {
        let store = Arc::new(MemoryStore::new());
        let runner = open(&store).await;
        assert_eq!(runner.halted(), None);
        runner.halt(person("ana", &[]), "a wrong playbook".to_owned()).await.unwrap();
        runner.halt(person("bo", &[]), "the same".to_owned()).await.unwrap();
        runner.stop(std::time::Duration::ZERO).await;
        let runner = open(&store).await;
        let failure = runner.shared.halt.refuses().unwrap();
        assert_snapshot!(format!("{}: {failure}", failure.class), @"guardrail: disruption is halted by ana since 1970-01-01T00:00:00.000Z: a wrong playbook");
        let refused = runner.resume(person("bo", &["soc"]), "all good".to_owned()).await.unwrap_err();
        assert_snapshot!(refused, @"`bo` may not end a halt: it takes the role `admin`");
        assert!(runner.halted().is_some());
        let halted = runner.resume(person("cy", &["admin"]), "mended".to_owned()).await.unwrap();
        assert_eq!(halted.unwrap().by.name, "ana");
        runner.stop(std::time::Duration::ZERO).await;
        assert_eq!(open(&store).await.halted(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_halt_says_why_and_one_that_cannot_be_read_holds() {
        let store = Arc::new(MemoryStore::new());
        let runner = open(&store).await;
        let refused = runner.halt(person("ana", &[]), " ".to_owned()).await.unwrap_err();
        assert_snapshot!(refused, @"a reason is needed here: say why");
        assert!(runner.halt(person("ana", &[]), "x".repeat(501)).await.is_err());
        assert_eq!(runner.halted(), None);
        store.put_note(Note { key: NOTE.to_owned(), value: "x".into() }).await.unwrap();
        runner.stop(std::time::Duration::ZERO).await;
        assert!(open(&store).await.halted().is_some());
    }
}
