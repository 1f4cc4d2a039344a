//! Role-based access in white mode: what is not allowed is denied.

use std::collections::{BTreeMap, BTreeSet};

use super::State;
use super::reply::{DENIED, Failures, NO_AGENT, Problem};

/// Each allowed action with the resources that it is allowed on: `agent:id:*`, `agent:id:001`,
/// `agent:group:web`, `*:*:*`.
pub type Permissions = BTreeMap<String, BTreeSet<String>>;

const ADMINISTRATOR: &[(&[&str], &[&str])] = &[
    (&["agent:create", "group:create", "agent:uninstall"], &["*:*:*"]),
    (
        &[
            "agent:read",
            "agent:delete",
            "agent:modify_group",
            "agent:reconnect",
            "agent:restart",
            "agent:upgrade",
        ],
        &["agent:id:*", "agent:group:*"],
    ),
    (&["group:read", "group:delete", "group:update_config", "group:modify_assignments"], &["group:id:*"]),
    (&["active-response:command"], &["agent:id:*"]),
    (&["manager:read", "manager:restart", "manager:update_config"], &["*:*:*"]),
    (&["rules:read"], &["rule:file:*"]),
    (&["sca:read", "syscheck:read", "syscheck:run", "syscollector:read"], &["agent:id:*"]),
    (&["task:status", "event:ingest", "security:revoke", "security:read_config"], &["*:*:*"]),
];

/// What the role `administrator` allows, as far as playbooks care.
pub(super) fn administrator() -> Permissions {
    let mut permissions = Permissions::new();
    for (actions, resources) in ADMINISTRATOR {
        for action in *actions {
            let resources = resources.iter().map(|resource| (*resource).to_owned()).collect();
            permissions.insert((*action).to_owned(), resources);
        }
    }
    permissions
}

/// The agents that a request reaches, and those that it asked for in vain.
pub(super) struct Targets {
    pub(super) ids: BTreeSet<String>,
    pub(super) failures: Failures,
}

/// Resolves `agents_list`. A list of which nothing is permitted is an error, a missing list is silently narrowed.
pub(super) fn targets(state: &State, action: &str, list: Option<Vec<String>>) -> Result<Targets, Problem> {
    let mut failures = Failures::default();
    let Some(list) = list else {
        let ids = state.agents.keys().filter(|id| allows(state, action, id)).cloned().collect();
        return Ok(Targets { ids, failures });
    };
    let asked: BTreeSet<String> = list.into_iter().collect();
    let (allowed, denied): (BTreeSet<_>, BTreeSet<_>) =
        asked.into_iter().partition(|id| allows(state, action, id));
    if allowed.is_empty() {
        return Err(Problem::denied("agent:id"));
    }
    for id in &denied {
        failures.add(id, &DENIED, "Resource type: agent:id");
    }
    let (ids, unknown): (BTreeSet<_>, BTreeSet<_>) =
        allowed.into_iter().partition(|id| state.agents.contains_key(id));
    for id in &unknown {
        failures.add(id, &NO_AGENT, "");
    }
    Ok(Targets { ids, failures })
}

/// For endpoints without agents.
pub(super) fn check(state: &State, action: &str) -> Result<(), Problem> {
    if state.permissions.contains_key(action) { Ok(()) } else { Err(Problem::denied("*:*:*")) }
}

fn allows(state: &State, action: &str, id: &str) -> bool {
    let Some(resources) = state.permissions.get(action) else {
        return false;
    };
    let groups = state.agents.get(id).map(|enrolled| enrolled.agent.groups.as_slice()).unwrap_or_default();
    resources.iter().any(|resource| match resource.strip_prefix("agent:group:") {
        Some(group) => !groups.is_empty() && (group == "*" || groups.iter().any(|member| member == group)),
        None => {
            resource == "agent:id:*" || resource == "*:*:*" || resource.strip_prefix("agent:id:") == Some(id)
        }
    })
}
