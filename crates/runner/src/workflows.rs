//! The workflows that can be started, and those that runs are pinned to.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use model::{Digest, TriggerKind};
use store::{Source, Store};
use workflow::{Bundle, Trigger, Workflow};

use crate::error::Error;

/// The workflows that can be started, by name.
#[derive(Debug, Clone, Default)]
pub struct Workflows {
    by_name: BTreeMap<String, Arc<Workflow>>,
}

impl Workflows {
    /// These workflows; of two with one name the first counts, and the name of the other comes back.
    pub fn new(workflows: impl IntoIterator<Item = Workflow>) -> (Workflows, Vec<String>) {
        let mut by_name = BTreeMap::new();
        let mut doubled = Vec::new();
        for workflow in workflows {
            if by_name.contains_key(&workflow.name) {
                doubled.push(workflow.name);
                continue;
            }
            by_name.insert(workflow.name.clone(), Arc::new(workflow));
        }
        (Workflows { by_name }, doubled)
    }

    /// The workflow with this name.
    pub fn get(&self, name: &str) -> Option<&Arc<Workflow>> {
        self.by_name.get(name)
    }

    /// All workflows, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Workflow>> {
        self.by_name.values()
    }

    /// Whether any workflow listens on this path below `/hooks/`.
    pub fn has_hook(&self, path: &str) -> bool {
        self.listening(path).next().is_some()
    }

    /// The workflows that listen on this path, each with the triggers that do.
    pub(crate) fn listening(&self, path: &str) -> impl Iterator<Item = (&Arc<Workflow>, Vec<&Trigger>)> {
        let listens = move |trigger: &&Trigger| {
            trigger.kind == TriggerKind::Webhook && trigger.path.as_deref() == Some(path)
        };
        let pairs =
            self.iter().map(move |workflow| (workflow, workflow.triggers.iter().filter(listens).collect()));
        pairs.filter(|(_, triggers): &(_, Vec<&Trigger>)| !triggers.is_empty())
    }
}

/// The exact workflows that runs are pinned to, loaded when a run needs one.
#[derive(Debug, Default)]
pub(crate) struct Pinned {
    by_digest: Mutex<BTreeMap<Digest, Arc<Workflow>>>,
}

impl Pinned {
    /// Keeps a workflow, in memory and in the store.
    pub(crate) async fn keep(&self, workflow: &Arc<Workflow>, store: &dyn Store) -> Result<(), store::Error> {
        let text = serde_json::to_string(&workflow.bundle()).expect("texts by name have a JSON form");
        store.put_source(Source { digest: workflow.digest.clone(), text }).await?;
        self.insert(workflow.clone());
        Ok(())
    }

    /// The workflow with this digest.
    pub(crate) async fn get(&self, digest: &Digest, store: &dyn Store) -> Result<Arc<Workflow>, Error> {
        let known = self.by_digest.lock().unwrap_or_else(PoisonError::into_inner).get(digest).cloned();
        if let Some(workflow) = known {
            return Ok(workflow);
        }
        let stopped = |message: String| Error::Stopped(format!("the workflow source {digest}: {message}"));
        let source = store.source(digest).await?.ok_or_else(|| stopped("not in the store".to_owned()))?;
        let bundle: Bundle =
            serde_json::from_str(&source.text).map_err(|error| stopped(error.to_string()))?;
        let (workflow, findings) = bundle.load("pinned.yaml");
        let workflow = Arc::new(workflow.ok_or_else(|| stopped(findings.to_string()))?);
        self.insert(workflow.clone());
        Ok(workflow)
    }

    fn insert(&self, workflow: Arc<Workflow>) {
        let mut by_digest = self.by_digest.lock().unwrap_or_else(PoisonError::into_inner);
        by_digest.insert(workflow.digest.clone(), workflow);
    }
}
