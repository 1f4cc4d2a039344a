//! One step: its keys, what it needs, and what it does to the world.

use std::collections::BTreeMap;
use std::ops::Range;

use expr::ValueTemplate;
use model::StepId;

use crate::catalog::Catalog;
use crate::diagnostic::Diagnostic;
use crate::keys::{self, names};
use crate::load::after::{After, read_after};
use crate::load::details::{read_approval, read_each, read_retry};
use crate::load::inputs::read_inputs;
use crate::load::{read_id, read_uses, text_of};
use crate::manifest::{Action, EFFECTS, Effect, EngineNode, Manifest};
use crate::rule::Rule;
use crate::workflow::{Approval, Needs, OnError, Step};
use crate::yaml::{Node, Object, suggest};

pub(super) fn read_ids(steps: &[Node<'_>]) -> BTreeMap<StepId, usize> {
    let mut ids: BTreeMap<StepId, usize> = BTreeMap::new();
    for (index, node) in steps.iter().enumerate() {
        let Some(id_node) = node.any_object().and_then(|object| object.require("id")) else {
            continue;
        };
        let Some(id) = read_id(&id_node) else { continue };
        if let Some(first) = ids.get(&id).and_then(|first| steps.get(*first)) {
            let finding =
                Diagnostic::new(Rule::DUPLICATE_ID, id_node.at(), format!("there are two steps `{id}`"));
            node.report(finding.note(first.below("/id").at(), "the other one"));
            continue;
        }
        ids.insert(id, index);
    }
    ids
}

pub(super) fn read_step(
    node: &Node<'_>,
    index: usize,
    part: Range<usize>,
    ids: &BTreeMap<StepId, usize>,
    catalog: &Catalog,
) -> Option<Step> {
    let object = node.object(&names(keys::STEP))?;
    let id = object.get("id").and_then(|node| node.string()?.parse().ok());
    let needs = read_needs(&object, index, part, ids);
    let condition = object.get("if").and_then(|node| node.condition());
    let until = object.get("until").and_then(|node| node.condition());
    let retry = object.get("retry").and_then(|node| read_retry(&node, until.is_some()));
    let timeout = object.get("timeout").and_then(|node| node.time_limit());
    let choices = [("fail", OnError::Fail), ("continue", OnError::Continue)];
    let on_error = object.get("on_error").and_then(|node| node.one_of(&choices)).unwrap_or(OnError::Fail);
    let (uses, manifest) = read_uses(&object, catalog)?;
    if matches!(manifest.action, Action::Trigger(_)) {
        let message = format!("`{}` starts workflows and is no step", manifest.name);
        node.report(Diagnostic::new(Rule::WRONG_NODE, uses.at(), message).help("put it under `triggers:`"));
        return None;
    }
    let effect = read_effect(&object, &manifest);
    let with = object.get("with");
    if manifest.effect.is_none() && effect == Effect::Read {
        check_declared_read(&object, with.as_ref());
    }
    let (approval, inputs) = read_gate(node, &object, with.as_ref(), &manifest);
    let each = read_each(&object);
    check_until(&object, effect, &manifest);
    check_engine_step(&object, &manifest);
    let After { on_doubt, verify, inverse, undo } =
        read_after(&object, id.as_ref(), &manifest, effect, catalog);
    Some(Step {
        id: id?,
        title: object.get("title").and_then(|node| node.template()),
        connection: text_of(&object, "connection"),
        effect,
        on_doubt,
        needs,
        condition,
        each,
        inputs,
        timeout: timeout.unwrap_or(manifest.timeout),
        retry,
        until,
        on_error,
        approval,
        verify,
        inverse,
        undo,
        node: manifest,
    })
}

/// What people are asked, and what goes into the node; an approval that is a step of its own takes its question as inputs.
fn read_gate(
    node: &Node<'_>,
    object: &Object<'_>,
    with: Option<&Node<'_>>,
    manifest: &Manifest,
) -> (Option<Approval>, BTreeMap<String, ValueTemplate>) {
    let is_approval = manifest.engine_node() == Some(EngineNode::Approval);
    match (is_approval, object.get("approval")) {
        (true, gate) => {
            if let Some(on_error) = object.get("on_error") {
                let message = "an approval that fails lets nothing through";
                on_error.report(
                    Diagnostic::new(Rule::WRONG_KEY, on_error.key_at(), message).help("remove this key"),
                );
            }
            if let Some(gate) = gate {
                let message = "an approval needs no approval of its own";
                gate.report(Diagnostic::new(Rule::WRONG_KEY, gate.key_at(), message));
            }
            (with.or(Some(node)).and_then(|with| read_approval(with, false)), BTreeMap::new())
        }
        (false, gate) => {
            let approval = gate.and_then(|gate| read_approval(&gate, true));
            (approval, read_inputs(node, with, manifest))
        }
    }
}

pub(super) fn read_needs(
    object: &Object<'_>,
    index: usize,
    part: Range<usize>,
    ids: &BTreeMap<StepId, usize>,
) -> Needs {
    let Some(node) = object.get("needs") else {
        return index.checked_sub(1).filter(|previous| part.contains(previous)).into_iter().collect();
    };
    let mut needs = Needs::new();
    // One name without brackets is wrong, and yet it is clear what was meant: what follows from it is checked.
    let named = node.list().unwrap_or_else(|| vec![node.clone()]);
    for need in named.into_iter().filter(|need| need.value().is_string() || node.value().is_array()) {
        let Some(name) = need.string() else { continue };
        match name.parse::<StepId>().ok().and_then(|id| ids.get(&id)) {
            Some(step) if !part.contains(step) => {
                let message = format!("`{name}` stands in the other part of the playbook");
                let help = "`on_failure` begins when all steps have ended: its steps need only each other";
                need.report(Diagnostic::new(Rule::UNKNOWN_STEP, need.at(), message).help(help));
            }
            Some(step) if !needs.contains(step) => needs.push(*step),
            Some(_) => {}
            None => {
                let finding =
                    Diagnostic::new(Rule::UNKNOWN_STEP, need.at(), format!("there is no step `{name}`"));
                need.report(finding.help(suggest(name, ids.keys().map(StepId::as_str))));
            }
        }
    }
    needs
}

pub(super) fn read_effect(object: &Object<'_>, manifest: &Manifest) -> Effect {
    let stated = object.get("effect");
    match (manifest.effect, stated) {
        (Some(effect), None) => effect,
        (Some(effect), Some(node)) => {
            let message = format!("the node `{}` says itself what it does", manifest.name);
            node.report(Diagnostic::new(Rule::WRONG_KEY, node.key_at(), message).help("remove this key"));
            effect
        }
        (None, Some(node)) => node.one_of(&EFFECTS).unwrap_or(Effect::Disrupt),
        (None, None) => {
            let message =
                format!("the key `effect` is missing: `{}` cannot know what the call does", manifest.name);
            let help = "say `read` (it looks), `write` (it changes what disturbs nobody) or `disrupt`";
            object.node().report(Diagnostic::new(Rule::MISSING_KEY, object.node().at(), message).help(help));
            // Not known, and reported: whether it needs a gate is not the question yet.
            Effect::Write
        }
    }
}

fn check_until(object: &Object<'_>, effect: Effect, manifest: &Manifest) {
    let Some(until) = object.get("until") else { return };
    let finding = if effect != Effect::Read || manifest.engine_node().is_some() {
        let message = "only a step that looks is performed until something holds";
        Diagnostic::new(Rule::WRONG_KEY, until.key_at(), message).help("remove `until`")
    } else if object.get("retry").is_none() {
        let message = "`until` needs a `retry` that says how often and how long";
        Diagnostic::new(Rule::MISSING_KEY, until.key_at(), message)
            .help("add `retry: { max: 20, wait: 15s, backoff: 1 }`")
    } else {
        return;
    };
    until.report(finding);
}

/// What the engine performs itself makes no call, so nothing can be said about that call.
fn check_engine_step(object: &Object<'_>, manifest: &Manifest) {
    let Some(engine_node) = manifest.engine_node() else { return };
    for node in ["retry", "connection", "timeout", "on_doubt", "verify", "undo"]
        .into_iter()
        .filter_map(|key| object.get(key))
    {
        let message = format!(
            "`{}` is performed by the engine and makes no call: this means nothing here",
            manifest.name
        );
        node.report(Diagnostic::new(Rule::WRONG_KEY, node.key_at(), message).help("remove this key"));
    }
    if let Some(foreach) = object.get("foreach").filter(|_| engine_node == EngineNode::Approval) {
        let message = "an approval of its own is asked once, not for each item";
        let help = "give the step that acts on the items an `approval:`: then each item is asked for";
        foreach.report(Diagnostic::new(Rule::WRONG_KEY, foreach.key_at(), message).help(help));
    }
    if let Some(approval) = object.get("approval").filter(|_| engine_node == EngineNode::Workflow) {
        let message = "a playbook that is called has gates of its own";
        let help = "put the gate before what disrupts there, or an `approval` step before this one";
        approval.report(Diagnostic::new(Rule::WRONG_KEY, approval.key_at(), message).help(help));
    }
    if engine_node == EngineNode::Workflow {
        let callee = object.get("with").and_then(|with| with.any_object()?.get("workflow"));
        if let Some(callee) =
            callee.filter(|callee| callee.value().as_str().is_some_and(|name| name.contains("{{")))
        {
            let message = "which playbook is called has to stand in the file";
            callee.report(
                Diagnostic::new(Rule::WRONG_VALUE, callee.at(), message)
                    .help("write its name, as in `enrich_hash`"),
            );
        }
    }
}

/// A step that says it only looks is run again, needs no gate, and is performed in shadow mode too: its method has to
/// bear that out.
pub(super) fn check_declared_read(object: &Object<'_>, with: Option<&Node<'_>>) {
    let method = with.and_then(|with| with.any_object()?.get("method"));
    let text = method.as_ref().and_then(|method| method.value().as_str()).unwrap_or("GET");
    let at = method.as_ref().map_or_else(|| object.node().at(), |method| method.at());
    let finding = match text {
        "GET" | "HEAD" => return,
        "POST" => {
            let message = "this step says that it only looks, and sends POST";
            Diagnostic::milder(Rule::DECLARED_READ, at, message)
                .help("that is right for a search, and for little else")
        }
        _ => {
            let message = format!("a step that sends {text} does not only look");
            Diagnostic::new(Rule::DECLARED_READ, at, message).help("say `effect: write` or `effect: disrupt`")
        }
    };
    object.node().report(finding);
}
