//! Orders for misbehaviour: which request shall fail, how, and how often.
//!
//! The connection layer carries them out; a simulated product does not know that it is made to fail.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One of the simulated products.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum System {
    Wazuh,
    TheHive,
    VirusTotal,
    Slack,
    Misp,
    #[serde(rename = "wazuh_indexer")]
    WazuhIndexer,
}

/// An order to treat the next matching requests badly.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// The product that shall fail.
    pub system: System,
    /// Only requests with this method; `None` matches each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Only requests to this path, without its query. A segment `*` matches any one segment, a last segment
    /// `*` matches any rest: `/api/v1/case`, `/api/v1/case/*/observable`, `/*`.
    pub path: String,
    /// How many requests it strikes before it is used up.
    #[serde(default = "once")]
    pub times: u32,
    /// What happens to them.
    pub kind: Kind,
}

fn once() -> u32 {
    1
}

/// What happens to a request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Kind {
    /// The effect is done at once, the answer comes late. A client that gives up meanwhile undoes nothing.
    Delay { ms: u64 },
    /// The connection is closed without an answer, and the effect is not done.
    DropBefore,
    /// The effect is done, then the connection is closed without an answer.
    DropAfter,
    /// This answer, and the effect is not done. A text is sent as it is, `null` as no body, the rest as JSON.
    Status {
        status: u16,
        #[serde(default)]
        body: Value,
    },
    /// A refused token in the product's own words (mostly a 401), and the effect is not done; the token stays good.
    TokenExpired,
    /// The effect is done, then the product answers that it ran out of time (Wazuh: 500, error 3021).
    ApiTimeout,
}

impl Fault {
    /// A fault that strikes the next matching request only.
    pub fn once(system: System, method: &str, path: &str, kind: Kind) -> Fault {
        Fault { system, method: Some(method.to_owned()), path: path.to_owned(), times: 1, kind }
    }

    fn strikes(&self, system: System, method: &str, path: &str) -> bool {
        self.times > 0
            && self.system == system
            && self.method.as_deref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(method))
            && path_matches(&self.path, path)
    }
}

fn path_matches(pattern: &str, path: &str) -> bool {
    let mut segments = path.split('/');
    let mut wanted = pattern.split('/').peekable();
    while let Some(want) = wanted.next() {
        let Some(segment) = segments.next() else {
            return false;
        };
        if want == "*" && wanted.peek().is_none() {
            return true;
        }
        if want != "*" && want != segment {
            return false;
        }
    }
    segments.next().is_none()
}

/// The orders that are still open, the oldest first.
#[derive(Default)]
pub(crate) struct Orders {
    open: Mutex<Vec<Fault>>,
}

impl Orders {
    pub(crate) fn add(&self, fault: Fault) {
        self.lock().push(fault);
    }

    pub(crate) fn clear(&self) {
        self.lock().clear();
    }

    pub(crate) fn list(&self) -> Vec<Fault> {
        self.lock().clone()
    }

    /// Uses up one strike of the oldest order that matches.
    pub(crate) fn take(&self, system: System, method: &str, path: &str) -> Option<Kind> {
        let mut open = self.lock();
        let index = open.iter().position(|fault| fault.strikes(system, method, path))?;
        open[index].times -= 1;
        if open[index].times > 0 {
            return Some(open[index].kind.clone());
        }
        Some(open.remove(index).kind)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Fault>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_matched_by_segments() {
        for (pattern, path, expected) in [
            ("/api/v1/case", "/api/v1/case", true),
            ("/api/v1/case", "/api/v1/case/~4296", false),
            ("/api/v1/case/*", "/api/v1/case/~4296/observable", true),
            ("/api/v1/case/*/observable", "/api/v1/case/~4296/observable", true),
            ("/api/v1/case/*/observable", "/api/v1/case/~4296/task", false),
            ("/*", "/agents/summary/status", true),
            ("/agents/summary/status", "/agents", false),
        ] {
            assert_eq!(path_matches(pattern, path), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn a_fault_is_used_up() {
        let orders = Orders::default();
        let fault = Fault::once(System::Wazuh, "PUT", "/active-response", Kind::DropAfter);
        orders.add(Fault { times: 2, ..fault });
        assert_eq!(orders.take(System::Wazuh, "GET", "/active-response"), None);
        assert_eq!(orders.take(System::TheHive, "PUT", "/active-response"), None);
        assert_eq!(orders.take(System::Wazuh, "PUT", "/active-response"), Some(Kind::DropAfter));
        assert_eq!(orders.take(System::Wazuh, "PUT", "/active-response"), Some(Kind::DropAfter));
        assert_eq!(orders.take(System::Wazuh, "PUT", "/active-response"), None);
    }
}
