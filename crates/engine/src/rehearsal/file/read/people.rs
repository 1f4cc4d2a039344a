//! What people say in a test: to approvals, and about steps that are in doubt.

use std::collections::BTreeMap;

use model::{Decision, Resolution, StepId, StepKey};
use workflow::yaml::Node;
use workflow::{Diagnostic, OnDoubt, Rule};

use super::{Reader, key};
use crate::rehearsal::file::{Answer, Answers, Cancel, Resolved, Undone};

impl Reader<'_> {
    pub(super) fn answers(&self, node: &Node<'_>) -> BTreeMap<StepKey, Answers> {
        let entries = node.entries().into_iter();
        entries
            .filter_map(|(name, node)| {
                let step = self.step_or_undo(name, &node, node.key_at())?;
                let Some(approval) = &step.approval else {
                    let message = format!("nobody is asked before `{name}`");
                    node.report(Diagnostic::new(Rule::WRONG_STEP, node.key_at(), message));
                    return None;
                };
                let answers = answers(&node)?;
                if approval.expires.is_none() && matches!(answers, Answers::Expire) {
                    let message = format!("the question of `{name}` never lapses: it has no `expires`");
                    node.report(Diagnostic::new(Rule::WRONG_VALUE, node.at(), message));
                }
                Some((key(name, step), answers))
            })
            .collect()
    }

    pub(super) fn resolutions(&self, node: &Node<'_>) -> BTreeMap<StepKey, Vec<Resolved>> {
        let entries = node.entries().into_iter();
        entries
            .filter_map(|(name, node)| {
                let step = self.called_step(name, &node, node.key_at())?;
                if step.on_doubt == OnDoubt::Retry {
                    let message =
                        format!("the step `{name}` is never in doubt: `{}` is run again", step.node.name);
                    node.report(Diagnostic::new(Rule::WRONG_STEP, node.key_at(), message));
                }
                Some((key(name, step), one_or_more(&node, resolved)?))
            })
            .collect()
    }

    pub(super) fn undos(&self, node: &Node<'_>) -> BTreeMap<StepId, Undone> {
        let entries = node.entries().into_iter();
        entries
            .filter_map(|(name, node)| {
                let step = self.step(name, &node, node.key_at())?;
                if step.inverse.is_none() {
                    let message = format!("nothing undoes the step `{name}`");
                    node.report(Diagnostic::new(Rule::WRONG_STEP, node.key_at(), message));
                }
                Some((step.id.clone(), undone(&node)?))
            })
            .collect()
    }
}

fn answers(node: &Node<'_>) -> Option<Answers> {
    if node.value().get("expire").is_none() {
        return one_or_more(node, answer).map(Answers::Given);
    }
    let expire = node.object(&["expire"])?.require("expire")?;
    if !expire.bool()? {
        let message = "`expire` is true or does not stand here";
        expire.report(Diagnostic::new(Rule::WRONG_VALUE, expire.at(), message));
        return None;
    }
    Some(Answers::Expire)
}

fn answer(node: &Node<'_>) -> Option<Answer> {
    let object = node.object(&["decision", "by", "roles", "reason", "after", "refused"])?;
    let decisions = [("approve", Decision::Approve), ("reject", Decision::Reject)];
    let decision = object.require("decision").and_then(|node| node.one_of(&decisions));
    let by = object.require("by").and_then(|node| node.string());
    Some(Answer {
        decision: decision?,
        by: by?.to_owned(),
        roles: object.get("roles").and_then(|node| node.strings()),
        reason: object.get("reason").and_then(|node| node.string()).map(str::to_owned),
        after: object.get("after").and_then(|node| node.duration()),
        is_refused: object.get("refused").and_then(|node| node.bool()).unwrap_or(false),
    })
}

fn resolved(node: &Node<'_>) -> Option<Resolved> {
    let object = node.object(&["resolution", "by", "reason", "after"])?;
    let resolutions =
        [("ok", Resolution::Ok), ("failed", Resolution::Failed), ("send_again", Resolution::SendAgain)];
    let resolution = object.require("resolution").and_then(|node| node.one_of(&resolutions));
    let by = object.require("by").and_then(|node| node.string());
    let reason = object.require("reason").and_then(|node| node.string());
    let after = object.get("after").and_then(|node| node.duration()).unwrap_or_default();
    Some(Resolved { resolution: resolution?, by: by?.to_owned(), reason: reason?.to_owned(), after })
}

fn undone(node: &Node<'_>) -> Option<Undone> {
    let object = node.object(&["by", "reason", "after", "done"])?;
    let by = object.require("by").and_then(|node| node.string());
    let reason = object.require("reason").and_then(|node| node.string());
    let after = object.get("after").and_then(|node| node.duration()).unwrap_or_default();
    let is_done = object.get("done").and_then(|node| node.bool()).unwrap_or(false);
    Some(Undone { by: by?.to_owned(), reason: reason?.to_owned(), after, is_done })
}

pub(super) fn cancel(node: &Node<'_>) -> Option<Cancel> {
    let object = node.object(&["by", "reason", "after"])?;
    let by = object.require("by").and_then(|node| node.string());
    let reason = object.require("reason").and_then(|node| node.string());
    let after = object.get("after").and_then(|node| node.duration()).unwrap_or_default();
    Some(Cancel { by: by?.to_owned(), reason: reason?.to_owned(), after })
}

/// One thing, or a list of them.
fn one_or_more<T>(node: &Node<'_>, read: fn(&Node<'_>) -> Option<T>) -> Option<Vec<T>> {
    if !node.value().is_array() {
        return read(node).map(|one| vec![one]);
    }
    let all: Vec<Option<T>> = node.list()?.iter().map(read).collect();
    all.into_iter().collect()
}
