//! Who an agent of Wazuh is, asked over the connections: the guardrails want to know before it is acted on.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use model::Outcome;
use nodes::{Call, Nodes};
use runner::guard::{AgentFacts, Directory};
use serde_json::{Value, json};
use workflow::Manifest;

const PATIENCE: Duration = Duration::from_secs(10);

/// Asks Wazuh with the node `wazuh.get_agent`.
pub(crate) struct Agents {
    pub(crate) nodes: Arc<Nodes>,
    /// The node; none where the catalogue lacks it.
    pub(crate) get_agent: Option<Arc<Manifest>>,
}

impl Agents {
    /// The node that is asked.
    pub(crate) const NODE: &str = "wazuh.get_agent";
}

#[async_trait]
impl Directory for Agents {
    async fn agent(&self, id: &str, connection: Option<&str>) -> Result<AgentFacts, String> {
        let Some(manifest) = &self.get_agent else {
            return Err(format!("there is no node `{}`", Agents::NODE));
        };
        let inputs = json!({ "agent": id });
        let call = Call { manifest, connection, inputs: &inputs, call: &Arc::default(), timeout: PATIENCE };
        match self.nodes.perform(call).await {
            Outcome::Succeeded(agent) => Ok(facts(&agent)),
            Outcome::Failed(failure) | Outcome::Unknown(failure) => Err(failure.message),
        }
    }
}

fn facts(agent: &Value) -> AgentFacts {
    let text = |key: &str| agent.get(key).and_then(Value::as_str).map(str::to_owned);
    let groups = agent.get("groups").and_then(Value::as_array).into_iter().flatten();
    AgentFacts {
        name: text("name").unwrap_or_default(),
        address: text("ip"),
        groups: groups.filter_map(|group| group.as_str().map(str::to_owned)).collect(),
    }
}
