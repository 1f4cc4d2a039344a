//! What became of one call to the outside world.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::id::InvalidId;

/// What became of one attempt of a step.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// It happened, and this is what it gave.
    Succeeded(Arc<Value>),
    /// It provably did not happen.
    Failed(Failure),
    /// It may have happened: a timeout or a reset after the request left, a 5xx, an answer that cannot be read.
    Unknown(Failure),
}

/// Why an attempt did not succeed, for a person: what happened and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    /// The class that `retry.on` names.
    pub class: FailureClass,
    /// What happened, as a fragment without a full stop.
    pub message: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// How long the other side asked us to stay away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

impl Failure {
    /// A failure of this class with this message.
    pub fn new(class: FailureClass, message: impl Into<String>) -> Failure {
        Failure { class, message: message.into(), help: None, retry_after_ms: None }
    }

    /// The same failure with a word on what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Failure {
        self.help = Some(help.into());
        self
    }

    /// How long the other side asked us to stay away.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after_ms.map(Duration::from_millis)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.message)
    }
}

/// The kind of a failure: what `retry.on` names and what a person looks for first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum FailureClass {
    /// The host name could not be resolved.
    Dns,
    /// No connection could be made.
    Connect,
    /// The TLS handshake failed, or the certificate is not the expected one.
    Tls,
    /// No answer within the time allowed.
    Timeout,
    /// The connection was lost after the request had begun to leave.
    Reset,
    /// An HTTP status that is not a success.
    Http(u16),
    /// The other system did not let us in: credentials, token, roles.
    Auth,
    /// The other system answered, and its answer says that the thing was not done.
    Rejected,
    /// The answer could not be read, or lacks what the node needs from it.
    Response,
    /// The inputs could not be made: an expression failed, a value has the wrong type.
    Input,
    /// What the step waits for has not come true.
    NotYet,
    /// A run that the step called did not succeed.
    Workflow,
    /// It was looked for, and nothing shows that it happened.
    NotSeen,
    /// The operator's guardrails do not allow it.
    Guardrail,
    /// A person said so.
    Resolved,
    /// The process ended before the outcome was known.
    Interrupted,
    /// The node cannot work here: no connection configured, for example.
    Setup,
}

const CLASSES: [(FailureClass, &str); 16] = [
    (FailureClass::Dns, "dns"),
    (FailureClass::Connect, "connect"),
    (FailureClass::Tls, "tls"),
    (FailureClass::Timeout, "timeout"),
    (FailureClass::Reset, "reset"),
    (FailureClass::Auth, "auth"),
    (FailureClass::Rejected, "rejected"),
    (FailureClass::Response, "response"),
    (FailureClass::Input, "input"),
    (FailureClass::NotYet, "not_yet"),
    (FailureClass::Workflow, "workflow"),
    (FailureClass::NotSeen, "not_seen"),
    (FailureClass::Guardrail, "guardrail"),
    (FailureClass::Resolved, "resolved"),
    (FailureClass::Interrupted, "interrupted"),
    (FailureClass::Setup, "setup"),
];

impl fmt::Display for FailureClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let FailureClass::Http(status) = self {
            return write!(f, "http_{status}");
        }
        let (_, name) =
            CLASSES.iter().find(|(class, _)| class == self).expect("every class but http is in the table");
        f.write_str(name)
    }
}

impl std::str::FromStr for FailureClass {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<FailureClass, InvalidId> {
        if let Some((class, _)) = CLASSES.iter().find(|(_, name)| *name == text) {
            return Ok(*class);
        }
        let status = text.strip_prefix("http_").and_then(|digits| digits.parse().ok());
        let given = || text.chars().take(80).collect();
        status
            .map(FailureClass::Http)
            .ok_or_else(|| InvalidId { expected: "a failure class", given: given() })
    }
}

impl TryFrom<String> for FailureClass {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<FailureClass, InvalidId> {
        text.parse()
    }
}

impl From<FailureClass> for String {
    fn from(class: FailureClass) -> String {
        class.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_class_reads_what_it_writes() {
        for text in ["dns", "timeout", "http_429", "interrupted"] {
            assert_eq!(text.parse::<FailureClass>().unwrap().to_string(), text);
        }
        assert!("http_".parse::<FailureClass>().is_err());
    }
}
