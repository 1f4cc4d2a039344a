//! What a step touches: every word at every leaf of its inputs and in its target, whatever the keys are called.
//!
//! A word that is found where none was meant costs a step that a person then looks at; one that is missed costs an outage.
//! So words are taken generously: lists, paths, URLs, `DOMAIN\user`, `user@domain`, text in text.

use std::collections::BTreeSet;

use percent_encoding::percent_decode_str;
use serde_json::Value;
use workflow::InputKind;

use super::address;
use crate::guard::Intent;

/// An id of a Wazuh agent is not longer; longer numbers are ids of something else.
const LONGEST_ID: usize = 9;
/// Digits that can be an agent's id wherever they stand.
const SHORTEST_ID: usize = 3;
/// How often text is looked at as if it were percent-encoded.
const DECODINGS: usize = 2;

/// What a step touches.
#[derive(Debug, Default)]
pub(super) struct Touched {
    /// All words, in lower case, and where each stands.
    pub(super) words: Vec<Word>,
    /// What stands where an agent is named.
    pub(super) agents: Vec<Word>,
    /// What stands where a group is named.
    pub(super) groups: Vec<Word>,
}

/// A word and where it stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Word {
    pub(super) text: String,
    pub(super) at: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Agent,
    Group,
    Anywhere,
}

/// The number of an agent: `3`, `003` and `0003` are one.
pub(super) fn agent_id(text: &str) -> Option<u32> {
    let is_id = (1..=LONGEST_ID).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    is_id.then(|| text.parse().ok()).flatten()
}

/// Text as it is compared: lower case, without characters that nobody sees, and with those that stand for an ASCII one
/// replaced by it.
pub(super) fn clean(text: &str) -> String {
    let seen = text.chars().filter(|c| !is_invisible(*c)).map(|c| match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(c as u32 - 0xfee0).unwrap_or(c),
        '\u{3002}' | '\u{ff61}' => '.',
        c if c.is_control() || c.is_whitespace() => ' ',
        c => c,
    });
    seen.flat_map(char::to_lowercase).collect()
}

fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\0' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

impl Touched {
    pub(super) fn of(intent: &Intent<'_>) -> Touched {
        let mut touched = Touched::default();
        if let Value::Object(inputs) = intent.inputs {
            for (name, value) in inputs {
                let kind = intent.node.inputs.get(name).map(|input| input.kind);
                let place = if kind == Some(InputKind::AgentId) { Place::Agent } else { place_of(name) };
                touched.value(value, place, &format!("inputs.{name}"));
            }
        } else {
            touched.value(intent.inputs, Place::Anywhere, "inputs");
        }
        touched.text(intent.target.unwrap_or_default(), Place::Anywhere, "target");
        for list in [&mut touched.words, &mut touched.agents, &mut touched.groups] {
            let mut seen = BTreeSet::new();
            list.retain(|word| seen.insert(word.text.clone()));
        }
        touched
    }

    /// The numbers of the agents that are named.
    pub(super) fn agent_ids(&self) -> BTreeSet<u32> {
        self.agents.iter().filter_map(|word| agent_id(&word.text)).collect()
    }

    /// Every word that can be an agent's id, also where no agent is expected.
    pub(super) fn possible_agents(&self) -> impl Iterator<Item = (u32, &Word)> {
        let elsewhere = self.words.iter().filter(|word| word.text.len() >= SHORTEST_ID);
        self.agents.iter().chain(elsewhere).filter_map(|word| Some((agent_id(&word.text)?, word)))
    }

    fn value(&mut self, value: &Value, place: Place, at: &str) {
        match value {
            Value::Null | Value::Bool(_) => {}
            Value::Number(number) => self.text(&number.to_string(), place, at),
            Value::String(text) => {
                if place == Place::Agent && text.trim().is_empty() {
                    self.agents.push(Word { text: String::new(), at: at.to_owned() });
                }
                self.text(text, place, at);
            }
            Value::Array(items) => {
                if place == Place::Agent && items.is_empty() {
                    self.agents.push(Word { text: String::new(), at: at.to_owned() });
                }
                items.iter().enumerate().for_each(|(i, item)| self.value(item, place, &format!("{at}.{i}")));
            }
            Value::Object(entries) => {
                for (key, value) in entries {
                    // `agent: { id: "001" }`
                    let is_id = ["id", "ids"].contains(&key.to_lowercase().as_str());
                    let below = if is_id { place } else { place_of(key) };
                    let at = format!("{at}.{key}");
                    self.text(key, Place::Anywhere, &at);
                    self.value(value, below, &at);
                }
            }
        }
    }

    fn text(&mut self, text: &str, place: Place, at: &str) {
        let mut text = clean(text);
        for _ in 0..=DECODINGS {
            self.words.extend(words(&text).into_iter().map(|text| Word { text, at: at.to_owned() }));
            self.named(&text, place, at);
            match percent_decode_str(&text).decode_utf8() {
                Ok(decoded) if decoded != text => text = clean(&decoded),
                _ => break,
            }
        }
    }

    /// What is named as an agent or a group: all of the text where the key says so, else what follows such a word, as in
    /// `agent/001` and `agents_list=001,002`.
    fn named(&mut self, text: &str, whole: Place, at: &str) {
        let (mut before, mut place) = ("", whole);
        for (separator, piece) in pieces(text) {
            let separator = separator.trim_matches([' ', '"', '\'']);
            let is_value = separator.contains(['=', ':', '/', '\\', '[']);
            let is_next = [",", ";", "|"].contains(&separator);
            let is_empty = separator.starts_with('=') && separator.contains('&');
            let said = if is_value { place_of(before) } else { Place::Anywhere };
            if said == Place::Agent && (is_empty || piece.is_empty()) {
                self.agents.push(Word { text: String::new(), at: at.to_owned() });
            }
            place = match (whole, is_next) {
                (Place::Anywhere, false) if is_empty => Place::Anywhere,
                (Place::Anywhere, false) => said,
                (Place::Anywhere, true) => place,
                (Place::Agent | Place::Group, _) => whole,
            };
            let word = Word { text: piece.to_owned(), at: at.to_owned() };
            match place {
                Place::Agent if !piece.is_empty() => self.agents.push(word),
                Place::Group if !piece.is_empty() => self.groups.push(word),
                Place::Agent | Place::Group | Place::Anywhere => {}
            }
            before = piece;
        }
    }
}

/// What a key says about its value.
fn place_of(key: &str) -> Place {
    let key: String = key.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    let ends = |name: &str| {
        ["", "s", "id", "ids", "list", "slist"].iter().any(|tail| key.ends_with(&format!("{name}{tail}")))
    };
    if ends("agent") && !key.contains("useragent") {
        Place::Agent
    } else if ends("group") {
        Place::Group
    } else {
        Place::Anywhere
    }
}

fn is_between_items(c: char) -> bool {
    c.is_whitespace() || ",;|\"'`<>(){}[]=&?#!+".contains(c)
}

fn is_between_parts(c: char) -> bool {
    "/\\@".contains(c)
}

/// The smallest pieces of a text, each with what stands before it; the last may be empty.
fn pieces(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let is_separator = |c: char| is_between_items(c) || is_between_parts(c) || c == ':';
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let start = rest.find(|c| !is_separator(c)).unwrap_or(rest.len());
        let (separator, behind) = rest.split_at(start);
        let (piece, behind) = behind.split_at(behind.find(is_separator).unwrap_or(behind.len()));
        rest = behind;
        Some((separator, piece))
    })
}

/// Every word that a text can be read as: all of it, its items, and their parts.
fn words(text: &str) -> Vec<String> {
    let mut words = vec![text.trim()];
    let mut pairs = Vec::new();
    for item in text.split(is_between_items) {
        words.push(item);
        if !address::read(item).is_empty() {
            continue;
        }
        let parts: Vec<&str> = item.split(is_between_parts).collect();
        // `net/10.0.0.0/8`
        for pair in parts.windows(2) {
            let pair = pair.join("/");
            pairs.extend((!address::read(&pair).is_empty()).then_some(pair));
        }
        for part in parts {
            words.push(part);
            if address::read(part).is_empty() {
                words.extend(part.split(':'));
            }
        }
    }
    let mut seen = BTreeSet::new();
    let all = words.into_iter().map(str::to_owned).chain(pairs);
    all.filter(|word| !word.is_empty() && seen.insert(word.clone())).collect()
}
