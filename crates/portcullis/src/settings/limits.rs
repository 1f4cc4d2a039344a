//! How much the server takes on at once; who comes then is asked to come again.

use workflow::yaml::Node;

const KEYS: [&str; 5] = ["live_runs", "calls", "alerts", "requests", "body_bytes"];
/// Beyond these a limit bounds nothing.
const MOST_LIVE_RUNS: u64 = 1_000_000;
const MOST_AT_ONCE: u64 = 10_000;
/// The bodies that may be asked for: less holds no alert, and more no record of the journal.
const BODY_BYTES: std::ops::RangeInclusive<u64> = 1024..=8 * 1024 * 1024;

/// How much the server takes on at once; none: as much as is usual.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Limits {
    live_runs: Option<usize>,
    calls: Option<usize>,
    alerts: Option<usize>,
    requests: Option<usize>,
    body_bytes: Option<usize>,
}

pub(super) fn read(node: &Node<'_>) -> Limits {
    let Some(object) = node.object(&KEYS) else { return Limits::default() };
    let count = |key: &str, range| usize::try_from(object.get(key)?.integer(range)?).ok();
    Limits {
        live_runs: count("live_runs", 1..=MOST_LIVE_RUNS),
        calls: count("calls", 1..=MOST_AT_ONCE),
        alerts: count("alerts", 1..=MOST_AT_ONCE),
        requests: count("requests", 1..=MOST_AT_ONCE),
        body_bytes: count("body_bytes", BODY_BYTES),
    }
}

impl Limits {
    /// What the runner has to do with them.
    pub(crate) fn of_runner(self, usual: runner::Settings) -> runner::Settings {
        runner::Settings {
            most_active_runs: self.live_runs.unwrap_or(usual.most_active_runs),
            most_calls: self.calls.unwrap_or(usual.most_calls),
            ..usual
        }
    }

    /// What the server has to do with them.
    pub(crate) fn of_server(self, usual: server::Settings) -> server::Settings {
        server::Settings {
            most_alerts: self.alerts.unwrap_or(usual.most_alerts),
            most_requests: self.requests.unwrap_or(usual.most_requests),
            most_body_bytes: self.body_bytes.unwrap_or(usual.most_body_bytes),
            ..usual
        }
    }
}
