//! The guardrails: what no playbook may touch, and how much all of them may disrupt.

use std::collections::BTreeSet;

use runner::guard::{self, Block, Budget, NeverTouch, Pattern, Rules};
use workflow::yaml::{Node, Object};
use workflow::{Diagnostic, Rule};

use super::Reader;

const KEYS: [&str; 4] = ["never_touch", "widest_block", "disruptions_per_hour", "resume_role"];
const PROTECTED: [&str; 5] = ["agents", "groups", "hosts", "addresses", "accounts"];
/// The shortest id of an agent that Wazuh writes.
const SHORTEST_ID: usize = 3;

/// What the operator says about disruption.
#[derive(Debug, Clone, Default)]
pub(crate) struct Guardrails {
    /// What is refused, and how much is let through without a question.
    pub(crate) rules: Rules,
    /// The role that it takes to end a halt, where one is named.
    pub(crate) resume_role: Option<String>,
}

impl Reader<'_> {
    pub(super) fn guardrails(&self, node: &Node<'_>, tokens: &[server::Token]) -> Guardrails {
        let Some(object) = node.object(&KEYS) else { return Guardrails::default() };
        let usual = Rules::default();
        let (v4, v6) = object.get("widest_block").map(|node| widest(&node)).unwrap_or_default();
        let rules = Rules {
            never_touch: object.get("never_touch").map(|node| never_touch(&node)).unwrap_or_default(),
            widest_v4: v4.unwrap_or(usual.widest_v4),
            widest_v6: v6.unwrap_or(usual.widest_v6),
            budget: object.get("disruptions_per_hour").map(|node| budget(&node)).unwrap_or_default(),
        };
        let resume_role = object.get("resume_role").and_then(|node| role(&node, tokens));
        Guardrails { rules, resume_role }
    }
}

fn never_touch(node: &Node<'_>) -> NeverTouch {
    let Some(object) = node.object(&PROTECTED) else { return NeverTouch::default() };
    let agents = object.get("agents").and_then(|node| node.list()).unwrap_or_default();
    let agents = agents.iter().filter_map(agent);
    let group = |node: &Node<'_>, text: &str| match text.trim() {
        "" => node.not("the name of a group"),
        name => Some(name.to_lowercase()),
    };
    let host = |node: &Node<'_>, text: &str| {
        let what = "the name of a host, as in \"dc*\"; `portcullis halt` protects all of them";
        Pattern::of_host(text).or_else(|| node.not(what))
    };
    let address = |node: &Node<'_>, text: &str| {
        Block::parse(text)
            .or_else(|| node.not("an address or a network, as in \"10.0.0.0/8\" or \"2001:db8::/32\""))
    };
    let account = |node: &Node<'_>, text: &str| {
        let what = "the name of an account, as in \"svc-*\"; `portcullis halt` protects all of them";
        Pattern::of_account(text).or_else(|| node.not(what))
    };
    NeverTouch {
        agents: agents.collect(),
        groups: each(&object, "groups", group).into_iter().collect::<BTreeSet<_>>(),
        hosts: each(&object, "hosts", host),
        addresses: each(&object, "addresses", address),
        accounts: each(&object, "accounts", account),
    }
}

fn agent(node: &Node<'_>) -> Option<u32> {
    if let Some(number) = node.value().as_u64() {
        return node
            .not(&format!("the id of a Wazuh agent, which is text: write \"{number:0>SHORTEST_ID$}\""));
    }
    let text = node.string()?;
    let id = guard::agent(text).filter(|_| text.trim().len() >= SHORTEST_ID);
    id.or_else(|| node.not("the id of a Wazuh agent: three digits or more, as in \"007\""))
}

/// The items of a list of texts.
fn each<T>(object: &Object<'_>, key: &str, read: impl Fn(&Node<'_>, &str) -> Option<T>) -> Vec<T> {
    let items = object.get(key).and_then(|node| node.list()).unwrap_or_default();
    items.iter().filter_map(|item| read(item, item.string()?)).collect()
}

fn widest(node: &Node<'_>) -> (Option<u8>, Option<u8>) {
    let Some(object) = node.object(&["ipv4", "ipv6"]) else { return (None, None) };
    let prefix = |key: &str, most: u64| {
        let prefix = object.get(key)?.integer(0..=most)?;
        u8::try_from(prefix).ok()
    };
    (prefix("ipv4", 32), prefix("ipv6", 128))
}

fn budget(node: &Node<'_>) -> Budget {
    let Some(object) = node.object(&["all", "per_playbook"]) else { return Budget::default() };
    let count = |key: &str| usize::try_from(object.get(key)?.integer(0..=1_000_000)?).ok();
    Budget { all: count("all"), per_playbook: count("per_playbook") }
}

/// A role that somebody has: a halt that nobody may end would take an edit of the file and a restart.
fn role(node: &Node<'_>, tokens: &[server::Token]) -> Option<String> {
    let role = node.string()?;
    if !tokens.iter().any(|token| token.roles.iter().any(|other| other == role)) {
        let message = format!("no token has the role `{role}`, so nobody could end a halt");
        let finding = Diagnostic::new(Rule::WRONG_VALUE, node.at(), message);
        node.report(finding.help("give it to somebody below `api.tokens`, or name another"));
    }
    Some(role.to_owned())
}
