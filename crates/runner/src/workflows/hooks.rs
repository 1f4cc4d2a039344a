//! Who listens on which path: made when playbooks are read, so that an alert is put to all of them at once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use expr::{Condition, Conditions, EvalError, Scope};
use model::TriggerKind;
use workflow::{Trigger, Workflow};

/// What listens on one path below `/hooks/`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Hook {
    /// In the order of their names.
    listeners: Vec<Listener>,
    conditions: Conditions,
}

/// A workflow that listens on a path.
#[derive(Debug, Clone)]
pub(crate) struct Listener {
    pub(crate) workflow: Arc<Workflow>,
    /// How long whoever sends an alert would like to wait for what the run gives.
    pub(crate) respond_within: Option<Duration>,
    /// The conditions of its triggers on this path, by their place among those of the hook; none: it takes every alert.
    when: Vec<Option<usize>>,
}

/// The hooks of these workflows.
pub(super) fn of<'a>(workflows: impl Iterator<Item = &'a Arc<Workflow>>) -> BTreeMap<String, Hook> {
    let mut hooks: BTreeMap<String, (Vec<Listener>, Vec<Condition>)> = BTreeMap::new();
    for workflow in workflows {
        for trigger in workflow.triggers.iter().filter(|trigger| trigger.kind == TriggerKind::Webhook) {
            let Some(path) = &trigger.path else { continue };
            let (listeners, conditions) = hooks.entry(path.clone()).or_default();
            let is_new = listeners.last().is_none_or(|last| !Arc::ptr_eq(&last.workflow, workflow));
            if is_new {
                let (when, respond_within) = (Vec::new(), None);
                listeners.push(Listener { workflow: workflow.clone(), respond_within, when });
            }
            if let Some(listener) = listeners.last_mut() {
                listener.add(trigger, conditions);
            }
        }
    }
    let hook =
        |(path, (listeners, conditions))| (path, Hook { listeners, conditions: Conditions::new(conditions) });
    hooks.into_iter().map(hook).collect()
}

impl Hook {
    /// A workflow that listens here. What listens on one path reads the alert under the same root.
    pub(crate) fn first(&self) -> Option<&Arc<Workflow>> {
        self.listeners.first().map(|listener| &listener.workflow)
    }

    /// All that listens here, each with whether it takes an alert.
    pub(crate) fn ask(&self, scope: &Scope) -> Vec<(&Listener, Result<bool, EvalError>)> {
        let verdicts = self.conditions.hold(scope);
        let verdict =
            |when: &Option<usize>| when.and_then(|index| verdicts.get(index)).cloned().unwrap_or(Ok(true));
        let listeners = self.listeners.iter();
        listeners.map(|listener| (listener, any_holds(listener.when.iter().map(verdict)))).collect()
    }
}

impl Listener {
    fn add(&mut self, trigger: &Trigger, conditions: &mut Vec<Condition>) {
        self.respond_within = self.respond_within.max(trigger.respond_within);
        self.when.push(trigger.when.as_ref().map(|_| conditions.len()));
        conditions.extend(trigger.when.clone());
    }
}

/// Whether one of a workflow's triggers takes what has come. It starts one run, however many of them do.
pub(crate) fn any_holds(triggers: impl Iterator<Item = Result<bool, EvalError>>) -> Result<bool, EvalError> {
    let mut failed = None;
    for holds in triggers {
        match holds {
            Ok(true) => return Ok(true),
            Ok(false) => {}
            Err(error) => failed = Some(error),
        }
    }
    failed.map_or(Ok(false), Err)
}
