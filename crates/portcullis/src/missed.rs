//! The alerts that the Wazuh indexer keeps, asked for over a connection: those that never came are admitted.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use model::{Failure, FailureClass, Outcome, Timestamp};
use nodes::{Call, Nodes};
use runner::{AlertPage, AlertSource};
use serde_json::{Value, json};
use workflow::{Catalog, Manifest};

use crate::settings::Reconcile;

const PATIENCE: Duration = Duration::from_secs(60);

/// Asks the indexer with the node `wazuh_indexer.search_alerts`.
pub(crate) struct MissedAlerts {
    nodes: Arc<Nodes>,
    search_alerts: Arc<Manifest>,
    connection: String,
    min_level: u64,
}

impl MissedAlerts {
    /// What the connection leads to.
    pub(crate) const PRODUCT: &str = "wazuh_indexer";
    /// The node that is asked.
    const NODE: &str = "wazuh_indexer.search_alerts";

    /// What the runner is told.
    pub(crate) fn settings(
        reconcile: &Reconcile,
        catalog: &Catalog,
        nodes: &Arc<Nodes>,
    ) -> anyhow::Result<runner::Reconcile> {
        let node = catalog.get(MissedAlerts::NODE).cloned();
        let source = MissedAlerts {
            nodes: nodes.clone(),
            search_alerts: node
                .ok_or_else(|| anyhow::anyhow!("`reconcile` needs the node {}", MissedAlerts::NODE))?,
            connection: reconcile.connection.clone(),
            min_level: reconcile.min_level,
        };
        Ok(runner::Reconcile {
            hook: reconcile.hook.clone(),
            every: reconcile.every,
            look_back: reconcile.look_back,
            source: Arc::new(source),
        })
    }
}

#[async_trait]
impl AlertSource for MissedAlerts {
    async fn alerts(
        &self,
        since: Timestamp,
        until: Timestamp,
        after: Option<&Value>,
        size: usize,
    ) -> Result<AlertPage, Failure> {
        let mut inputs = json!({ "since": since, "until": until, "min_level": self.min_level, "size": size });
        if let (Some(after), Some(inputs)) = (after, inputs.as_object_mut()) {
            inputs.insert("after".to_owned(), after.clone());
        }
        let call = Call {
            manifest: &self.search_alerts,
            connection: Some(&self.connection),
            inputs: &inputs,
            call: &Arc::default(),
            timeout: PATIENCE,
        };
        match self.nodes.perform(call).await {
            Outcome::Succeeded(page) => read(&page),
            Outcome::Failed(failure) | Outcome::Unknown(failure) => Err(failure),
        }
    }
}

fn read(page: &Value) -> Result<AlertPage, Failure> {
    let hits = page.get("alerts").and_then(Value::as_array);
    let Some(hits) = hits else {
        return Err(Failure::new(FailureClass::Response, "the node for the indexer gave no `alerts`"));
    };
    let alerts = hits.iter().filter_map(|hit| hit.get("alert")).cloned().collect();
    Ok(AlertPage { alerts, next: page.get("next").cloned().unwrap_or_default() })
}
