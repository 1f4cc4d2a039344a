//! What follows a step: how one finds out whether it happened, and what undoes it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use expr::ValueTemplate;
use model::StepId;

use crate::catalog::Catalog;
use crate::diagnostic::Diagnostic;
use crate::keys::{self, names};
use crate::load::details::read_question;
use crate::load::text_of;
use crate::manifest::{Effect, Manifest, OnDoubt, Otherwise, Verify};
use crate::rule::Rule;
use crate::workflow::{Approval, Look, OnError, Retry, Step, Undo};
use crate::yaml::{Node, Object};

/// What follows a step, as far as its node and its own keys say.
pub(super) struct After {
    pub(super) on_doubt: OnDoubt,
    pub(super) verify: Option<Box<Look>>,
    pub(super) inverse: Option<Box<Step>>,
    pub(super) undo: Option<Undo>,
}

/// How long the first attempt to undo something that failed is waited after; each further wait is longer.
const UNDO_WAIT: Duration = Duration::from_secs(15);

pub(super) fn read_after(
    object: &Object<'_>,
    id: Option<&StepId>,
    manifest: &Manifest,
    effect: Effect,
    catalog: &Catalog,
) -> After {
    let verify = read_verify(object, manifest, catalog);
    let (undo, approval) = read_undo(object, manifest);
    let connection = text_of(object, "connection");
    let inverse = id.and_then(|id| inverse(object, id, manifest, connection, approval, catalog));
    let stated = read_on_doubt(object, manifest, effect);
    let on_doubt = match (effect, stated.unwrap_or(manifest.on_doubt)) {
        (Effect::Read, _) => OnDoubt::Retry,
        (_, OnDoubt::Verify) if verify.is_none() => OnDoubt::Ask,
        (_, on_doubt) => on_doubt,
    };
    After { on_doubt, verify, inverse: inverse.map(Box::new), undo }
}

/// What a step says of an unknown outcome, where its node leaves that to it.
fn read_on_doubt(object: &Object<'_>, manifest: &Manifest, effect: Effect) -> Option<OnDoubt> {
    let node = object.get("on_doubt")?;
    if manifest.effect.is_some() {
        let message = format!("the node `{}` says itself what an unknown outcome means", manifest.name);
        node.report(Diagnostic::new(Rule::WRONG_KEY, node.key_at(), message).help("remove this key"));
        return None;
    }
    let choices = [("retry", OnDoubt::Retry), ("same_key", OnDoubt::SameKey), ("ask", OnDoubt::Ask)];
    let on_doubt = node.one_of(&choices)?;
    if on_doubt == OnDoubt::Retry && effect == Effect::Disrupt {
        let message = "what disrupts is never sent again because nobody knows whether it arrived";
        let help = "write `ask`; or `same_key`, where the other side knows a call by a key in it";
        node.report(Diagnostic::new(Rule::WRONG_VALUE, node.at(), message).help(help));
    }
    let reads_run = |node: Node<'_>| node.value().to_string().contains("run.id");
    if on_doubt == OnDoubt::SameKey && !object.get("with").is_some_and(reads_run) {
        let message = "`same_key` needs a key in the call: the same for each attempt, and for no other call";
        let help = "give it one, as in `headers: { Idempotency-Key: \"{{ run.id }}/ticket\" }`";
        node.report(Diagnostic::new(Rule::WRONG_VALUE, node.at(), message).help(help));
    }
    Some(on_doubt)
}

fn read_verify(object: &Object<'_>, manifest: &Manifest, catalog: &Catalog) -> Option<Box<Look>> {
    let stated = object.get("verify");
    let Some(verify) = &manifest.after.verify else {
        if let Some(node) = stated {
            let message = format!("`{}` says of no node that looks whether it happened", manifest.name);
            node.report(Diagnostic::new(Rule::WRONG_KEY, node.key_at(), message).help("remove this key"));
        }
        return None;
    };
    if looks_nowhere(object) {
        return None;
    }
    let times =
        stated.as_ref().and_then(|node| object_or_false(node, keys::VERIFY, "verify: { within: 2m }"));
    let time = |key: &str| times.as_ref().and_then(|object| object.get(key)?.time_limit());
    let every = time("every").unwrap_or(verify.every);
    let within = time("within").unwrap_or(verify.within);
    if let Some(node) = stated.filter(|_| every > within) {
        let [every, within] = [every, within].map(expr::duration::display);
        let message =
            format!("nobody would look a second time: `every` is {every}, and `within` is {within}");
        let help = "evidence takes its time: let several looks fit into `within`";
        node.report(Diagnostic::new(Rule::WRONG_VALUE, node.at(), message).help(help));
    }
    let (node, with) = resolve(object, manifest, &verify.uses, &verify.with, catalog)?;
    Some(Box::new(Look { node, verify: Verify { with, every, within, ..verify.clone() } }))
}

/// Whether the step says that nobody looks whether it happened.
fn looks_nowhere(object: &Object<'_>) -> bool {
    object.get("verify").is_some_and(|node| node.value().as_bool() == Some(false))
}

fn read_undo(object: &Object<'_>, manifest: &Manifest) -> (Option<Undo>, Option<Approval>) {
    let Some(node) = object.get("undo") else { return (None, None) };
    if manifest.after.undo.is_none() {
        let message = format!("`{}` has no inverse: nothing here can undo it", manifest.name);
        let help = "use a node that has one (`portcullis nodes`), or undo it with a step of your own";
        node.report(Diagnostic::new(Rule::WRONG_KEY, node.key_at(), message).help(help));
        return (None, None);
    }
    if node.value().as_bool() == Some(false) {
        return (None, None);
    }
    let Some(undo) = object_or_false(&node, keys::UNDO, "undo: { after: 24h }") else { return (None, None) };
    let (after, on) = (undo.get("after"), undo.get("on"));
    let is_empty = |node: &Node<'_>| node.value().as_array().is_some_and(Vec::is_empty);
    if after.is_none() && on.as_ref().is_none_or(is_empty) {
        let message = "this says that it is undone, and not when";
        let help = "add `after: 24h`, or `on: [failed, cancelled]`; `undo: false` leaves it to people";
        node.report(Diagnostic::new(Rule::MISSING_KEY, node.key_at(), message).help(help));
    }
    let after = after.and_then(|node| {
        if node.value().is_number() {
            node.time_limit()?;
        }
        let after = node.template()?;
        match after.is_literal() {
            true => node.time_limit().map(|_| after),
            false => Some(after),
        }
    });
    let moments = [("failed", true), ("cancelled", false)];
    let on = on.and_then(|node| node.list()).unwrap_or_default();
    let on: Vec<bool> = on.iter().filter_map(|node| node.one_of(&moments)).collect();
    let approval = undo.get("approval").and_then(|node| read_question(&node, keys::UNDO_GATE));
    (Some(Undo { after, on_failed: on.contains(&true), on_cancelled: on.contains(&false) }), approval)
}

/// The keys of a map where only `false` may stand beside it.
fn object_or_false<'a>(node: &Node<'a>, known: &[keys::Key], example: &str) -> Option<Object<'a>> {
    if node.value().is_object() {
        return node.object(&names(known));
    }
    let finding = Diagnostic::new(Rule::WRONG_TYPE, node.at(), "this has to be a map, or `false`");
    node.report(finding.help(format!("write `{example}`")));
    None
}

/// The step that undoes another: tried again until it succeeds, for what stays contained is an outage.
fn inverse(
    object: &Object<'_>,
    id: &StepId,
    manifest: &Manifest,
    connection: Option<String>,
    approval: Option<Approval>,
    catalog: &Catalog,
) -> Option<Step> {
    let inverse = manifest.after.undo.as_ref()?;
    let (node, inputs) = resolve(object, manifest, &inverse.uses, &inverse.with, catalog)?;
    // Where nobody can look whether a step happened, nobody can look whether it was undone.
    let verify = match &node.after.verify {
        Some(verify) if !looks_nowhere(object) => {
            let (look, with) = resolve(object, &node, &verify.uses, &verify.with, catalog)?;
            Some(Box::new(Look { node: look, verify: Verify { with, ..verify.clone() } }))
        }
        Some(_) | None => None,
    };
    let is_harmless = node.after.verify.as_ref().is_some_and(|verify| verify.otherwise == Otherwise::Retry);
    let on_doubt = match node.on_doubt {
        OnDoubt::Verify if verify.is_some() => OnDoubt::Verify,
        OnDoubt::Verify if is_harmless => OnDoubt::Retry,
        OnDoubt::Verify => OnDoubt::Ask,
        on_doubt @ (OnDoubt::Retry | OnDoubt::SameKey | OnDoubt::Ask) => on_doubt,
    };
    Some(Step {
        id: id.clone(),
        title: None,
        connection,
        effect: node.effect.unwrap_or(Effect::Write),
        on_doubt,
        needs: Vec::new(),
        condition: None,
        each: None,
        inputs,
        timeout: node.timeout,
        retry: Some(Retry { max: u32::MAX, wait: UNDO_WAIT, backoff: 2.0, on: Vec::new() }),
        until: None,
        on_error: OnError::Continue,
        approval,
        verify,
        inverse: None,
        undo: None,
        node,
    })
}

/// A node that another one names, and what it is performed with.
fn resolve(
    object: &Object<'_>,
    manifest: &Manifest,
    name: &str,
    with: &BTreeMap<String, ValueTemplate>,
    catalog: &Catalog,
) -> Option<(Arc<Manifest>, BTreeMap<String, ValueTemplate>)> {
    let problem = |message: String| {
        let at = object.node().below("/uses").at();
        object.node().report(Diagnostic::new(Rule::UNKNOWN_NODE, at, message));
    };
    let Some(node) = catalog.get(name) else {
        problem(format!("`{}` needs the node `{name}`, which is not there", manifest.name));
        return None;
    };
    if let Some(unknown) = with.keys().find(|key| !node.inputs.contains_key(*key)) {
        problem(format!("`{}` gives `{name}` an input `{unknown}` that it does not have", manifest.name));
    }
    let mut inputs = with.clone();
    for (key, input) in node.inputs.iter().filter(|(key, _)| !with.contains_key(*key)) {
        match &input.default {
            Some(default) => drop(inputs.insert(key.clone(), ValueTemplate::Literal(default.clone()))),
            None if input.is_required => {
                problem(format!("`{}` gives `{name}` no input `{key}`", manifest.name));
            }
            None => {}
        }
    }
    Some((node.clone(), inputs))
}
