//! Any text in Handlebars is compiled or refused, and gives a value or an error.

#![no_main]

use expr::{Language, Scope, Template, ValueTemplate};
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};

fuzz_target!(|text: &str| {
    let scope = Scope::new(json!({
        "alert": { "rule": { "level": 10, "groups": ["attack", "sshd"] }, "data": { "srcip": "203.0.113.7" }, "text": "a\"b\n{{x}}" },
        "steps": { "host": { "name": "web-1", "list": [1, 2.5, null, true, { "a": [] }] } },
        "vars": { "empty": "" },
    }));
    if let Ok(template) = Template::compile(text) {
        let _ = template.references().len();
        let _ = template.eval_text(&scope);
    }
    let _ = ValueTemplate::compile(&Value::from(text), Language::Text).map(|values| values.eval(&scope));
});
