//! The blocks of a step: retry, foreach and approval.

use std::time::Duration;

use model::{Asked, StepId};

use crate::diagnostic::Diagnostic;
use crate::keys::{self, Key, names};
use crate::load::text_of;
use crate::rule::Rule;
use crate::workflow::{Approval, Each, OnItemError, Retry, RetryOn};
use crate::yaml::{Node, Object, suggest};

pub(super) fn read_retry(node: &Node<'_>, is_polled: bool) -> Option<Retry> {
    let object = node.object(&names(keys::RETRY))?;
    let max = object.require("max").and_then(|node| node.integer(2..=100));
    let backoff = object.get("backoff").map_or(Some(2.0), |node| match node.value().as_f64() {
        Some(factor) if (1.0..=10.0).contains(&factor) => Some(factor),
        _ => node.expected("a number from 1 to 10"),
    });
    let on = if is_polled { object.get("on") } else { object.require("on") };
    let on = on.and_then(|node| node.list()).unwrap_or_default();
    let on = on.iter().filter_map(read_retry_on).collect();
    let wait = object.get("wait").and_then(|node| node.duration()).unwrap_or(Duration::from_secs(1));
    Some(Retry { max: u32::try_from(max?).unwrap_or(u32::MAX), wait, backoff: backoff?, on })
}

pub(super) fn read_retry_on(node: &Node<'_>) -> Option<RetryOn> {
    let text = node.string()?;
    let hundred = text.strip_prefix("http_").and_then(|rest| rest.strip_suffix("xx"));
    match (hundred, text.parse()) {
        (Some("4"), _) => Some(RetryOn::Hundred(4)),
        (Some("5"), _) => Some(RetryOn::Hundred(5)),
        (_, Ok(class)) => Some(RetryOn::Class(class)),
        (_, Err(_)) => {
            let finding =
                Diagnostic::new(Rule::WRONG_VALUE, node.at(), format!("`{text}` is not a class of failures"));
            node.report(finding.help(suggest(text, keys::CLASSES.iter().copied())));
            None
        }
    }
}

const RESERVED: [&str; 11] = [
    "alert",
    "approvals",
    "error",
    "errors",
    "inputs",
    "output",
    "run",
    "status",
    "steps",
    "trigger",
    "vars",
];

/// `foreach` and the keys that belong to it.
pub(super) fn read_each(object: &Object<'_>) -> Option<Each> {
    const BELONGING: [&str; 4] = ["as", "max_items", "max_parallel", "on_item_error"];
    let Some(list) = object.get("foreach") else {
        for node in BELONGING.into_iter().filter_map(|key| object.get(key)) {
            let message = "this belongs to `foreach`, which the step does not have";
            let help = "add `foreach:` with a list, or remove this key";
            node.report(Diagnostic::new(Rule::WRONG_KEY, node.key_at(), message).help(help));
        }
        return None;
    };
    let name = object.get("as").map_or(Some("item"), |node| {
        let name = node.string()?;
        let is_free = name.parse::<StepId>().is_ok() && !RESERVED.contains(&name);
        if is_free {
            Some(name)
        } else {
            node.not("a name for the item: write a word of your own, as in `as: file`")
        }
    });
    let number = |key: &str, most: u32| object.get(key).and_then(|node| node.integer(1..=u64::from(most)));
    let choices = [("stop", OnItemError::Stop), ("continue", OnItemError::Continue)];
    let on_item_error = object.get("on_item_error").and_then(|node| node.one_of(&choices));
    Some(Each {
        list: list.condition()?,
        name: name?.to_owned(),
        max_items: number("max_items", Each::MOST_ITEMS).and_then(|items| items.try_into().ok()),
        max_parallel: number("max_parallel", 100).and_then(|items| items.try_into().ok()).unwrap_or(10),
        on_item_error: on_item_error.unwrap_or(OnItemError::Stop),
    })
}

pub(super) fn read_approval(node: &Node<'_>, is_gate: bool) -> Option<Approval> {
    let approval = read_question(node, if is_gate { keys::GATE } else { keys::QUESTION });
    if node.any_object().is_some_and(|object| object.get("expires").is_none()) {
        let message = "this question never lapses: the run waits for ever if nobody answers";
        node.report(Diagnostic::new(Rule::NO_EXPIRY, node.key_at(), message).help("add `expires: 30m`"));
    }
    approval
}

/// A question to people, with these keys.
pub(super) fn read_question(node: &Node<'_>, keys: &[Key]) -> Option<Approval> {
    let object = node.object(&names(keys))?;
    let ask = object.require("ask").and_then(|node| node.template());
    let show = object.get("show").and_then(|node| node.strings()).unwrap_or_default();
    let from =
        object.get("from").and_then(|node| read_asked(&node)).unwrap_or(Asked { role: None, count: 1 });
    let reasons = [("required", true), ("optional", false)];
    let expires = object.get("expires").and_then(|node| node.time_limit());
    Some(Approval {
        skip_if: object.get("skip_if").and_then(|node| node.condition()),
        ask: ask?,
        show: show.iter().map(|path| path.split('.').map(str::to_owned).collect()).collect(),
        from,
        reason_required: object.get("reason").and_then(|node| node.one_of(&reasons)).unwrap_or(false),
        expires,
    })
}

pub(super) fn read_asked(node: &Node<'_>) -> Option<Asked> {
    let object = node.object(&names(keys::ASKED))?;
    let count = object.get("count").map_or(Some(1), |node| node.integer(1..=10));
    Some(Asked { role: text_of(&object, "role"), count: u32::try_from(count?).unwrap_or(1) })
}
