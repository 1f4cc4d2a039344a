//! The last net: takes known secrets out of an outcome, wherever the other side put them.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use model::{Failure, Outcome};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use crate::response::{Answer, Body};
use crate::settings::Secret;

/// Anything shorter stands in ordinary words too.
const SHORTEST: usize = 6;
const MARK: &str = "[secret]";

/// What must not be in an outcome.
#[derive(Clone, Default)]
pub(crate) struct Scrubber {
    needles: Vec<String>,
}

impl Scrubber {
    /// Adds a secret, in the forms in which it travels.
    pub(crate) fn add(&mut self, secret: &Secret) {
        let value = secret.expose();
        if value.len() < SHORTEST {
            return;
        }
        let json = Value::from(value).to_string();
        let forms = [
            value.to_owned(),
            json.trim_matches('"').to_owned(),
            utf8_percent_encode(value, NON_ALPHANUMERIC).to_string(),
            STANDARD.encode(value),
        ];
        self.needles.extend(forms);
        self.needles.sort_by_key(|needle| std::cmp::Reverse(needle.len()));
        self.needles.dedup();
    }

    /// The answer without the secrets; before it is read, so that no message can hold a cut one.
    pub(crate) fn answer(&self, mut answer: Answer) -> Answer {
        if self.needles.is_empty() {
            return answer;
        }
        for value in answer.headers.values_mut().filter(|value| self.is_in(value)) {
            *value = self.value(value);
        }
        answer.body = match answer.body {
            Body::Json(json) if self.is_in(&json) => Body::Json(self.value(&json).into()),
            Body::Text(text) => Body::Text(self.text(&text)),
            Body::Json(json) => Body::Json(json),
        };
        answer
    }

    /// The outcome without the secrets.
    pub(crate) fn outcome(&self, outcome: Outcome) -> Outcome {
        if self.needles.is_empty() {
            return outcome;
        }
        match outcome {
            Outcome::Succeeded(output) if self.is_in(&output) => {
                Outcome::Succeeded(Arc::new(self.value(&output)))
            }
            Outcome::Succeeded(output) => Outcome::Succeeded(output),
            Outcome::Failed(failure) => Outcome::Failed(self.failure(failure)),
            Outcome::Unknown(failure) => Outcome::Unknown(self.failure(failure)),
        }
    }

    fn failure(&self, failure: Failure) -> Failure {
        let message = self.text(&failure.message);
        let help = failure.help.as_deref().map(|help| self.text(help));
        Failure { message, help, ..failure }
    }

    fn is_in(&self, value: &Value) -> bool {
        let has = |text: &str| self.needles.iter().any(|needle| text.contains(needle));
        match value {
            Value::String(text) => has(text),
            Value::Array(items) => items.iter().any(|item| self.is_in(item)),
            Value::Object(entries) => entries.iter().any(|(key, value)| has(key) || self.is_in(value)),
            Value::Null | Value::Bool(_) | Value::Number(_) => false,
        }
    }

    fn value(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(text)),
            Value::Array(items) => items.iter().map(|item| self.value(item)).collect(),
            Value::Object(entries) => {
                entries.iter().map(|(key, value)| (self.text(key), self.value(value))).collect()
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        }
    }

    fn text(&self, text: &str) -> String {
        self.needles.iter().fold(text.to_owned(), |text, needle| text.replace(needle.as_str(), MARK))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_secret_is_taken_out_of_keys_values_and_messages_in_every_form() {
        let mut scrubber = Scrubber::default();
        scrubber.add(&"p\"ss word!".into());
        scrubber.add(&"abc".into());
        let output = json!({ "p\"ss word!": ["abc", "x p%22ss%20word%21 y", r#"{"a":"p\"ss word!"}"#, "cCJzcyB3b3JkIQ=="] });
        let Outcome::Succeeded(output) = scrubber.outcome(Outcome::Succeeded(output.into())) else {
            panic!()
        };
        assert_eq!(
            *output,
            json!({ "[secret]": ["abc", "x [secret] y", r#"{"a":"[secret]"}"#, "[secret]"] })
        );
    }
}
