//! All that playbooks may use: nodes, and each other.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::load::Signature;
use crate::manifest::Manifest;
use crate::rule::Rule;
use crate::yaml::suggest;

/// All that playbooks may use, by name: nodes, and each other.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    nodes: BTreeMap<String, Arc<Manifest>>,
    workflows: BTreeMap<String, Signature>,
}

impl Catalog {
    /// Adds the node that this YAML describes; a name that is taken is refused.
    pub fn add(&mut self, file: &str, text: &str) -> Result<(), Diagnostics> {
        let manifest = Manifest::parse(file, text)?;
        if self.nodes.contains_key(&manifest.name) {
            let mut findings = Diagnostics::new(file, text);
            let at = text.find(&manifest.name).map_or(0..0, |start| start..start + manifest.name.len());
            let message = format!("there is a node `{}` already", manifest.name);
            findings.push(Diagnostic::new(Rule::DUPLICATE_NODE, at, message));
            return Err(findings);
        }
        self.nodes.insert(manifest.name.clone(), Arc::new(manifest));
        Ok(())
    }

    /// Makes a playbook known to those that call it; of two with one name the first counts.
    pub fn add_workflow(&mut self, signature: Signature) {
        self.workflows.entry(signature.name.clone()).or_insert(signature);
    }

    /// The playbooks that are known, by name.
    pub fn workflows(&self) -> &BTreeMap<String, Signature> {
        &self.workflows
    }

    /// The node with this name.
    pub fn get(&self, name: &str) -> Option<&Arc<Manifest>> {
        self.nodes.get(name)
    }

    /// All nodes, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Manifest>> {
        self.nodes.values()
    }

    pub(crate) fn suggest(&self, name: &str) -> String {
        suggest(name, self.nodes.keys().map(String::as_str))
    }
}
