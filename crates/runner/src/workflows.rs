//! The workflows that can be started, and the files that they come from.

mod changes;
mod hooks;
mod reread;

use std::collections::BTreeMap;
use std::sync::Arc;

use model::Timestamp;
use workflow::{Diagnostics, Workflow};

pub(crate) use hooks::{Hook, any_holds};

/// The workflows that can be started. A reload does not change them: it makes the next ones, with
/// [`Workflows::reread`].
#[derive(Debug, Clone, Default)]
pub struct Workflows {
    playbooks: Vec<Playbook>,
    by_name: BTreeMap<String, usize>,
    /// Who listens on which path below `/hooks/`.
    hooks: BTreeMap<String, Hook>,
    trouble: Option<Trouble>,
}

/// A file with a playbook, and what became of it.
#[derive(Debug, Clone)]
pub struct Playbook {
    /// The file.
    pub file: String,
    /// The workflow that it gives; none where no text of it was good.
    pub live: Option<Live>,
    /// What there is to say about the newest text.
    pub findings: Diagnostics,
    /// Since when the newest text cannot be used; none where it is the one that is live.
    pub failing_since: Option<Timestamp>,
}

/// A workflow that can be started.
#[derive(Debug, Clone)]
pub struct Live {
    /// The workflow.
    pub workflow: Arc<Workflow>,
    /// When this very version was loaded.
    pub loaded_at: Timestamp,
}

/// A file, as it was found.
#[derive(Debug, Clone)]
pub struct Found {
    /// The file.
    pub file: String,
    /// Its text, or why it cannot be read.
    pub text: Result<Arc<str>, String>,
}

/// Why what stands on disk could not be taken over as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// Since when.
    pub since: Timestamp,
    /// What is wrong.
    pub reason: String,
}

impl Workflows {
    /// The workflow with this name.
    pub fn get(&self, name: &str) -> Option<&Arc<Workflow>> {
        Some(&self.playbook(name)?.live.as_ref()?.workflow)
    }

    /// The file from which the workflow with this name comes.
    pub fn playbook(&self, name: &str) -> Option<&Playbook> {
        self.playbooks.get(*self.by_name.get(name)?)
    }

    /// All workflows, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Workflow>> {
        self.by_name.keys().filter_map(|name| self.get(name))
    }

    /// All files, in the order in which they were found.
    pub fn playbooks(&self) -> &[Playbook] {
        &self.playbooks
    }

    /// Why the last reload could not take over all that stands on disk.
    pub fn trouble(&self) -> Option<&Trouble> {
        self.trouble.as_ref()
    }

    /// The same workflows, with a word on why what stands on disk could not be taken over as a whole.
    #[must_use]
    pub fn in_trouble(self, trouble: Trouble) -> Workflows {
        Workflows { trouble: Some(trouble), ..self }
    }

    /// Whether any workflow listens on this path below `/hooks/`.
    pub fn has_hook(&self, path: &str) -> bool {
        self.hooks.contains_key(path)
    }

    /// What listens on this path, where anything does.
    pub(crate) fn hook(&self, path: &str) -> Option<&Hook> {
        self.hooks.get(path)
    }
}

#[cfg(test)]
mod tests;
