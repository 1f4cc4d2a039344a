//! What starts a workflow.

use std::sync::Arc;

use model::TriggerKind;

use crate::catalog::Catalog;
use crate::diagnostic::Diagnostic;
use crate::keys::{self, names};
use crate::load::inputs::read_inputs;
use crate::load::read_uses;
use crate::manifest::{Action, Manifest};
use crate::workflow::Trigger;
use crate::yaml::Node;

pub(super) fn read_trigger(node: &Node<'_>, catalog: &Catalog) -> Option<(Trigger, Arc<Manifest>)> {
    let object = node.object(&names(keys::TRIGGER))?;
    let (uses, manifest) = read_uses(&object, catalog)?;
    let Action::Trigger(kind) = manifest.action else {
        let message = format!("`{}` does not start a workflow", manifest.name);
        node.report(Diagnostic::error("wrong-node", uses.at(), message).help("use webhook or manual here"));
        return None;
    };
    let with = object.get("with");
    read_inputs(node, with.as_ref(), &manifest);
    let with = with.and_then(|with| with.any_object());
    let path = with.as_ref().and_then(|with| with.get("path")).filter(|_| kind == TriggerKind::Webhook);
    let path = path.and_then(|path| read_path(&path));
    let roles = with.as_ref().and_then(|with| with.get("roles")).and_then(|roles| roles.strings());
    let roles = roles.unwrap_or_default();
    let when = object.get("when").and_then(|node| node.condition());
    Some((Trigger { kind, path, roles, when }, manifest))
}

pub(super) fn read_path(node: &Node<'_>) -> Option<String> {
    let path = node.string()?;
    let is_path = !path.is_empty()
        && path.len() <= 64
        && path.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_');
    if !is_path {
        return node.not("a path: write lower-case letters, digits, `-` and `_`, as in `wazuh`");
    }
    Some(path.to_owned())
}
