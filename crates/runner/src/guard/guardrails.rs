//! The guardrails of the operator: what is never touched, how much may be disrupted, and what a restored store may do.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use model::{Failure, Timestamp};
use serde::Deserialize;
use serde_json::Value;
use tokio::time::{Instant, timeout};

use super::budget::{Disruption, Spent};
use super::rules::{AgentFacts, Rules, refuse};
use super::touched::Touched;
use crate::guard::{Guard, Intent, Verdict};

/// How long what Wazuh said about an agent holds.
const FRESH: Duration = Duration::from_secs(60);
/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(30);
/// The product whose agents are asked about.
const WAZUH: &str = "wazuh";

/// Knows the agents of Wazuh.
#[async_trait]
pub trait Directory: Send + Sync {
    /// What is known about an agent; where it cannot be asked, why.
    async fn agent(&self, id: &str, connection: Option<&str>) -> Result<AgentFacts, String>;
}

/// Judges disruptions by the operator's rules.
pub struct Guardrails {
    rules: Rules,
    directory: Arc<dyn Directory>,
    spent: Mutex<Spent>,
    restored: Option<Restored>,
    known: Mutex<HashMap<(u32, Option<String>), Known>>,
}

/// What Wazuh said about an agent.
#[derive(Clone)]
struct Known {
    since: Instant,
    facts: AgentFacts,
}

/// The store is a copy: what happened after it was made is not in it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Restored {
    /// When it was put in place.
    at: Timestamp,
    /// When the copy was made.
    from: String,
}

impl Guardrails {
    /// Guardrails with these rules; `recent` are the disruptions of the last hour, from before this process, and
    /// `restored` is the note [`store::Note::RESTORED`].
    pub fn new(
        rules: Rules,
        directory: Arc<dyn Directory>,
        recent: impl IntoIterator<Item = Disruption>,
        restored: Option<Value>,
    ) -> Guardrails {
        // A note that cannot be read says nevertheless that the store is a copy.
        let unread = || Restored { at: Timestamp::MAX, from: "nobody knows when".to_owned() };
        Guardrails {
            rules,
            directory,
            spent: Mutex::new(Spent::new(recent)),
            restored: restored.map(|note| serde_json::from_value(note).unwrap_or_else(|_| unread())),
            known: Mutex::default(),
        }
    }

    /// Why the agents that a step names are not touched.
    async fn refuses_agents(&self, intent: &Intent<'_>, touched: &Touched) -> Option<Failure> {
        if !self.rules.never_touch.needs_facts() {
            return None;
        }
        let is_wazuh = intent.node.connection.as_deref() == Some(WAZUH);
        let ids = touched.agent_ids();
        if is_wazuh && ids.is_empty() {
            let message =
                "the step names no agent by its id: nobody knows whether what it acts on is protected";
            return Some(refuse(message.to_owned()));
        }
        let connection = intent.connection.filter(|_| is_wazuh);
        for id in ids {
            let refused = match self.facts(id, connection).await {
                Ok(facts) => self.rules.never_touch.refuses_agent(id, &facts),
                Err(why) => {
                    let message = format!("nobody knows whether agent {id:03} is protected: {why}");
                    let help = "where groups, hosts or addresses are never to be touched, Wazuh is asked about the agent first";
                    Some(refuse(message).help(help))
                }
            };
            if refused.is_some() {
                return refused;
            }
        }
        None
    }

    async fn facts(&self, id: u32, connection: Option<&str>) -> Result<AgentFacts, String> {
        let key = (id, connection.map(str::to_owned));
        let known = locked(&self.known).get(&key).filter(|known| known.since.elapsed() < FRESH).cloned();
        if let Some(known) = known {
            return Ok(known.facts);
        }
        let asked = timeout(PATIENCE, self.directory.agent(&format!("{id:03}"), connection)).await;
        let facts = asked.unwrap_or_else(|_| Err(format!("no answer within {} s", PATIENCE.as_secs())))?;
        let mut known = locked(&self.known);
        known.retain(|_, known| known.since.elapsed() < FRESH);
        known.insert(key, Known { since: Instant::now(), facts: facts.clone() });
        Ok(facts)
    }

    /// Why a person is asked although nothing forbids it.
    fn asks(&self, intent: &Intent<'_>) -> Option<String> {
        let restored = self.restored.as_ref().filter(|restored| intent.started_at < restored.at)?;
        let from: String = restored.from.chars().filter(|c| !c.is_control()).take(200).collect();
        Some(format!(
            "the store was restored from the copy of {from} after this run had started: this may have been done already"
        ))
    }
}

#[async_trait]
impl Guard for Guardrails {
    async fn judge(&self, intent: &Intent<'_>, now: Timestamp) -> Verdict {
        let touched = Touched::of(intent);
        if let Some(failure) = self.rules.refuses(intent.target, &touched) {
            return Verdict::Refuse(failure);
        }
        if let Some(failure) = self.refuses_agents(intent, &touched).await {
            return Verdict::Refuse(failure);
        }
        if let Some(why) = self.asks(intent).filter(|why| !intent.answered.contains(why)) {
            return Verdict::Ask(why);
        }
        let spent = locked(&self.spent).spend(self.rules.budget, intent.workflow, intent.answered, now);
        spent.map_or_else(Verdict::Ask, |()| Verdict::Go)
    }
}

impl fmt::Debug for Guardrails {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guardrails").field("rules", &self.rules).finish_non_exhaustive()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
