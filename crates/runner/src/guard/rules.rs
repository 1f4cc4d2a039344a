//! What is never done, from the words that a step touches alone.

use std::collections::BTreeSet;

use model::{Failure, FailureClass};
use percent_encoding::percent_decode_str;

use super::address::{self, Block};
use super::budget::Budget;
use super::name::Pattern;
use super::touched::{Touched, Word, agent_id, clean};

const LONGEST_SHOWN: usize = 80;

/// What the operator never wants touched, and how much may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// What is never touched.
    pub never_touch: NeverTouch,
    /// The prefix of the widest network of IPv4 that a step may name.
    pub widest_v4: u8,
    /// The same of IPv6.
    pub widest_v6: u8,
    /// How much may be disrupted before a person is asked.
    pub budget: Budget,
}

/// What is never touched.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NeverTouch {
    /// Wazuh agents by their number.
    pub agents: BTreeSet<u32>,
    /// Groups of Wazuh agents, in lower case.
    pub groups: BTreeSet<String>,
    /// Hosts by name; the names of agents too.
    pub hosts: Vec<Pattern>,
    /// Addresses; those of agents too.
    pub addresses: Vec<Block>,
    /// Accounts by name.
    pub accounts: Vec<Pattern>,
}

/// What Wazuh knows about an agent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AgentFacts {
    /// Its name.
    pub name: String,
    /// Its address; none where it has never connected.
    pub address: Option<String>,
    /// The groups that it is in.
    pub groups: Vec<String>,
}

impl Default for Rules {
    fn default() -> Rules {
        Rules { never_touch: NeverTouch::default(), widest_v4: 24, widest_v6: 64, budget: Budget::default() }
    }
}

impl NeverTouch {
    /// Whether it takes more than an agent's id to know whether the agent is protected.
    pub(super) fn needs_facts(&self) -> bool {
        !self.groups.is_empty() || !self.hosts.is_empty() || !self.addresses.is_empty()
    }

    /// Why an agent with these facts is not touched.
    pub(super) fn refuses_agent(&self, id: u32, facts: &AgentFacts) -> Option<Failure> {
        let group = facts.groups.iter().find(|group| self.groups.contains(&clean(group)));
        if let Some(group) = group {
            return Some(never(format!("agent {id:03} is in the group `{}`, which", shown(group))));
        }
        let name = clean(&facts.name);
        if let Some(pattern) = self.hosts.iter().find(|pattern| pattern.is_host(&name)) {
            let host = shown(&facts.name);
            return Some(never(format!("agent {id:03} is the host `{host}` and matches `{pattern}`, which")));
        }
        if self.addresses.is_empty() {
            return None;
        }
        let own = facts.address.as_deref().map(|address| address::read(&clean(address))).unwrap_or_default();
        if own.is_empty() {
            let message =
                format!("Wazuh knows no address of agent {id:03}: nobody knows whether it is protected");
            return Some(refuse(message));
        }
        let block = self.addresses.iter().find(|block| own.iter().any(|address| address.overlaps(**block)));
        let address = shown(facts.address.as_deref().unwrap_or_default());
        block.map(|block| never(format!("agent {id:03} has the address {address} in {block}, which")))
    }
}

impl Rules {
    /// Why a step is not performed, whoever has approved it.
    pub(super) fn refuses(&self, target: Option<&str>, touched: &Touched) -> Option<Failure> {
        refuses_target(target)
            .or_else(|| refuses_agents(touched))
            .or_else(|| self.refuses_blocks(touched))
            .or_else(|| self.refuses_protected(touched))
    }

    fn refuses_blocks(&self, touched: &Touched) -> Option<Failure> {
        for Word { text, at } in &touched.words {
            for block in address::read(text) {
                if block.is_unspecified() || block.is_wider_than(self.widest_v4, self.widest_v6) {
                    let message = format!("`{}` in `{at}` is more than one step may act on", shown(text));
                    let (v4, v6) = (self.widest_v4, self.widest_v6);
                    return Some(refuse(message).help(format!(
                        "the widest networks that the guardrails allow are a /{v4} of IPv4 and a /{v6} of IPv6"
                    )));
                }
            }
        }
        None
    }

    fn refuses_protected(&self, touched: &Touched) -> Option<Failure> {
        let NeverTouch { agents, groups, hosts, addresses, accounts } = &self.never_touch;
        if let Some((id, Word { at, .. })) = touched.possible_agents().find(|(id, _)| agents.contains(id)) {
            return Some(never(format!("agent {id:03} in `{at}`")));
        }
        if let Some(Word { text, at }) = touched.groups.iter().find(|word| groups.contains(&word.text)) {
            return Some(never(format!("the group `{}` in `{at}`", shown(text))));
        }
        for Word { text, at } in &touched.words {
            let word = shown(text);
            if let Some(pattern) = hosts.iter().find(|pattern| pattern.is_host(text)) {
                return Some(never(format!("`{word}` in `{at}` matches the host `{pattern}`, which")));
            }
            if let Some(pattern) = accounts.iter().find(|pattern| pattern.is(text)) {
                return Some(never(format!("`{word}` in `{at}` matches the account `{pattern}`, which")));
            }
            if addresses.is_empty() {
                continue;
            }
            for block in address::read(text) {
                if let Some(protected) = addresses.iter().find(|protected| protected.overlaps(block)) {
                    let is = if block.is_one() { "is" } else { "has a part" };
                    return Some(never(format!("`{word}` in `{at}` {is} in {protected}, which")));
                }
            }
        }
        None
    }
}

/// A target has to name the one thing that is acted on.
fn refuses_target(target: Option<&str>) -> Option<Failure> {
    let whole = clean(target.unwrap_or_default());
    let fails = |what: &str| {
        let message = format!("the target `{}` {what}", shown(target.unwrap_or_default()));
        Some(refuse(message).help("a step that disrupts has to name the one thing that it acts on"))
    };
    if whole.trim().is_empty() {
        return Some(refuse("there is no target: nobody knows what this would act on".to_owned()));
    }
    for word in whole.split_whitespace() {
        let path = word.split_once("://").map_or(word, |(_, rest)| rest).split(['?', '#']).next();
        let path = path.unwrap_or_default();
        for segment in path.strip_prefix('/').unwrap_or(path).split('/') {
            let segment = percent_decode_str(segment).decode_utf8_lossy();
            match segment.trim() {
                "" => return fails("has an empty part"),
                "all" => return fails("means all"),
                segment if segment.contains('*') => return fails("means more than one"),
                _ => {}
            }
        }
    }
    None
}

/// One agent, and no group of them: without an id Wazuh takes all.
fn refuses_agents(touched: &Touched) -> Option<Failure> {
    let is_all = |word: &&Word| word.text.is_empty() || word.text == "all" || word.text.contains('*');
    if let Some(Word { text, at }) = touched.agents.iter().find(is_all) {
        let what = if text.is_empty() { "names no agent" } else { "means more than one agent" };
        return Some(
            refuse(format!("`{at}` {what}")).help("name one agent by its id: without one Wazuh takes all"),
        );
    }
    let ids: Vec<String> = touched.agent_ids().iter().map(|id| format!("{id:03}")).collect();
    if ids.len() > 1 {
        let agents = ids.iter().take(5).cloned().collect::<Vec<_>>().join(", ");
        let message = format!("the step names {} agents at once: {agents}", ids.len());
        return Some(
            refuse(message).help("one agent a step: `foreach` makes one of each, with its own gate"),
        );
    }
    None
}

fn never(what: String) -> Failure {
    refuse(format!("{what} is never to be touched"))
        .help("the operator says so in portcullis.yaml, below `guardrails`")
}

pub(super) fn refuse(message: String) -> Failure {
    Failure::new(FailureClass::Guardrail, message)
}

/// Text that somebody else wrote, on one line and not too long.
fn shown(text: &str) -> String {
    let line = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    line.take(LONGEST_SHOWN).collect()
}

/// The id of an agent as an operator writes it.
pub fn agent(text: &str) -> Option<u32> {
    agent_id(text.trim())
}
