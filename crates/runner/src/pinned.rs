//! The exact workflows that runs are pinned to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::Digest;
use store::{Source, Store};
use workflow::{Bundle, Workflow};

use crate::error::Error;

/// The exact workflows that runs are pinned to, loaded when a run needs one.
#[derive(Debug, Default)]
pub(crate) struct Pinned {
    by_digest: Mutex<BTreeMap<Digest, Arc<Workflow>>>,
    /// Those that were put into the store by this process.
    kept: Mutex<BTreeSet<Digest>>,
}

impl Pinned {
    /// Keeps a workflow, in memory and in the store.
    pub(crate) async fn keep(&self, workflow: &Arc<Workflow>, store: &dyn Store) -> Result<(), store::Error> {
        // What was only read may be gone from the store together with the last run that needed it.
        if self.kept().contains(&workflow.digest) {
            return Ok(());
        }
        let text = serde_json::to_string(&workflow.bundle()).expect("texts by name have a JSON form");
        store.put_source(Source { digest: workflow.digest.clone(), text }).await?;
        self.kept().insert(workflow.digest.clone());
        self.insert(workflow.clone());
        Ok(())
    }

    /// The workflow with this digest.
    pub(crate) async fn get(&self, digest: &Digest, store: &dyn Store) -> Result<Arc<Workflow>, Error> {
        if let Some(workflow) = self.known(digest) {
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

    fn kept(&self) -> MutexGuard<'_, BTreeSet<Digest>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self, digest: &Digest) -> Option<Arc<Workflow>> {
        self.by_digest.lock().unwrap_or_else(PoisonError::into_inner).get(digest).cloned()
    }

    fn insert(&self, workflow: Arc<Workflow>) {
        let mut by_digest = self.by_digest.lock().unwrap_or_else(PoisonError::into_inner);
        by_digest.insert(workflow.digest.clone(), workflow);
    }
}
