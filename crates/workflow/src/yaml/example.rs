//! What a key holds, by example: for help lines where something of another type stands there.

const EXAMPLES: [(&str, &str); 18] = [
    ("approval", "approval: { ask: \"Block it?\", from: { role: analyst }, expires: 30m }"),
    ("attack", "attack: [T1110]"),
    ("concurrency", "concurrency: { key: \"{{ alert.agent.id }}\", on_conflict: queue }"),
    ("dedupe", "dedupe: { key: \"{{ alert.agent.id }}\", window: 1h }"),
    ("from", "from: { role: analyst }"),
    ("inputs", "inputs: { sha256: { type: string, required: true } }"),
    ("needs", "needs: [host]"),
    ("on", "on: [timeout, http_5xx]"),
    ("on_failure", "on_failure: [{ id: tell, uses: ... }]"),
    ("outputs", "outputs: { blocked: status.block == \"ok\" }"),
    ("retry", "retry: { max: 3, wait: 2s, on: [timeout, http_5xx] }"),
    ("roles", "roles: [analyst]"),
    ("show", "show: [alert.rule, steps.host]"),
    ("steps", "steps: [{ id: host, uses: wazuh.get_agent, with: { agent: \"001\" } }]"),
    ("triggers", "triggers: [{ uses: webhook, with: { path: wazuh } }]"),
    ("undo/on", "on: [failed, cancelled]"),
    ("vars", "vars: { bad_from: 5 }"),
    ("with", "with: { agent: \"{{ alert.agent.id }}\" }"),
];

/// Keys of other workflow languages, and what stands in their place here.
const FOREIGN: [(&str, &str, &str); 24] = [
    ("action", "uses", "uses: wazuh.get_agent"),
    ("after", "needs", "needs: [host]"),
    ("args", "with", "with: { ... }"),
    ("condition", "if", "if: alert.rule.level >= 10"),
    ("continue-on-error", "on_error", "on_error: continue"),
    ("continue_on_error", "on_error", "on_error: continue"),
    ("depends_on", "needs", "needs: [host]"),
    ("env", "vars", "vars: { ... }"),
    ("for_each", "foreach", "foreach: alert.data.files"),
    ("ignore_errors", "on_error", "on_error: continue"),
    ("jobs", "steps", "steps: [...]"),
    ("loop", "foreach", "foreach: alert.data.files"),
    ("name", "title", "title: ..."),
    ("name", "workflow", "workflow: block_source"),
    ("on", "triggers", "triggers: [{ uses: webhook, with: { path: wazuh } }]"),
    ("params", "with", "with: { ... }"),
    ("parameters", "with", "with: { ... }"),
    ("retries", "retry", "retry: { max: 3, on: [timeout] }"),
    ("tasks", "steps", "steps: [...]"),
    ("timeout-minutes", "timeout", "timeout: 5m"),
    ("trigger", "triggers", "triggers: [{ uses: webhook, with: { path: wazuh } }]"),
    ("variables", "vars", "vars: { ... }"),
    ("when", "if", "if: alert.rule.level >= 10"),
    ("with_items", "foreach", "foreach: alert.data.files"),
];

/// How a key of another language is written here, where one of these keys may stand.
pub(super) fn of_foreign(key: &str, known: &[&str]) -> Option<&'static str> {
    let is_it = |(name, here, _): &&(&str, &str, &str)| *name == key && known.contains(here);
    FOREIGN.iter().find(is_it).map(|(_, _, example)| *example)
}

/// How the key at the end of this path is written.
pub(super) fn of(path: &str) -> Option<&'static str> {
    let is_it = |(name, _): &&(&str, &str)| path == *name || path.ends_with(&format!("/{name}"));
    EXAMPLES.iter().filter(is_it).max_by_key(|(name, _)| name.len()).map(|(_, example)| *example)
}
