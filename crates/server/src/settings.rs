//! What the operator says about who may come in and how much.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use runner::Clock;

use crate::secret::Secret;

/// What the operator says.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What a sender of alerts has to know, by the path below `/hooks/`.
    pub hooks: BTreeMap<String, Hook>,
    /// Paths below `/hooks/` that take alerts from anybody. A path that is also in `hooks` still asks for its secret.
    pub open_hooks: BTreeSet<String>,
    /// Who may use the API.
    pub tokens: Vec<Token>,
    /// The most bytes of an alert.
    pub most_body_bytes: usize,
    /// How long the body of a request may take to arrive.
    pub body_timeout: Duration,
    /// How many alerts may be on their way to the disk at once; who comes then is asked to come again.
    pub most_alerts: usize,
    /// How many senders may wait for what their run gives; who comes then is told which run it is, and does not wait.
    pub most_waiting: usize,
    /// How many requests of the API may be under way at once. Counted apart, so that a storm of alerts does not keep
    /// people from answering.
    pub most_requests: usize,
    /// The time at which alerts arrive.
    pub clock: Clock,
}

/// What a sender of alerts has to know.
#[derive(Debug, Clone)]
pub struct Hook {
    /// The header that carries the secret.
    pub header: String,
    /// The secret.
    pub secret: Secret,
}

/// Lets one person, or one program, use the API.
#[derive(Debug, Clone)]
pub struct Token {
    /// The person's name, which the journal keeps.
    pub name: String,
    /// The text of the token.
    pub secret: Secret,
    /// The roles of the person.
    pub roles: Vec<String>,
    /// Whether the holder may say that somebody else has spoken: a chat bot, for example.
    pub may_speak_for_others: bool,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            hooks: BTreeMap::new(),
            open_hooks: BTreeSet::new(),
            tokens: Vec::new(),
            most_body_bytes: 1024 * 1024,
            body_timeout: Duration::from_secs(30),
            most_alerts: 256,
            most_waiting: 256,
            most_requests: 64,
            clock: Clock::System,
        }
    }
}

impl Hook {
    /// The header that carries the secret where nothing else is said.
    pub const HEADER: &str = "x-portcullis-secret";

    /// A hook with this secret, in the usual header.
    pub fn new(secret: &str) -> Hook {
        Hook { header: Hook::HEADER.to_owned(), secret: Secret::new(secret) }
    }
}

impl Token {
    /// A token of this person, with no roles, who speaks for themselves.
    pub fn new(name: &str, secret: &str) -> Token {
        Token {
            name: name.to_owned(),
            secret: Secret::new(secret),
            roles: Vec::new(),
            may_speak_for_others: false,
        }
    }
}
