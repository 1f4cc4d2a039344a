//! Any text in CEL is compiled or refused, and gives a value or an error.

#![no_main]

use expr::{Condition, Scope};
use libfuzzer_sys::fuzz_target;
use serde_json::json;

fuzz_target!(|text: &str| {
    let Ok(condition) = Condition::compile(text) else { return };
    let scope = Scope::new(json!({
        "alert": { "rule": { "level": 10, "groups": ["attack", "sshd"] }, "data": { "srcip": "203.0.113.7" }, "n": 1.5 },
        "steps": { "host": { "name": "web-1", "list": [1, 2, 3, "x", null, { "a": [] }] } },
        "status": { "host": "ok" },
        "vars": { "block_for": "24h" },
    }));
    let _ = condition.references().len();
    let _ = condition.eval(&scope);
    let _ = condition.holds(&scope);
});
