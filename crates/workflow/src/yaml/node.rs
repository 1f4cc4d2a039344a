//! Reading values: typed, with a finding where a value is not what it should be.

use std::ops::Range;
use std::time::Duration;

use expr::{CompileError, Condition, Language, Template, ValueTemplate, duration};
use serde_json::{Map, Value};

use crate::diagnostic::Diagnostic;
use crate::rule::Rule;
use crate::yaml::document::{Document, Place};
use crate::yaml::example;

/// A value and its place.
#[derive(Debug, Clone)]
pub struct Node<'a> {
    document: &'a Document,
    value: &'a Value,
    path: String,
}

/// A map whose keys are known.
#[derive(Debug, Clone)]
pub struct Object<'a> {
    node: Node<'a>,
    entries: &'a Map<String, Value>,
}

impl<'a> Node<'a> {
    pub(crate) fn new(document: &'a Document, value: &'a Value, path: String) -> Node<'a> {
        Node { document, value, path }
    }

    /// The value as JSON.
    pub fn value(&self) -> &'a Value {
        self.value
    }

    /// Where to point for this value: the value itself, or the key of a list or map.
    pub fn at(&self) -> Range<usize> {
        match self.place() {
            None => 0..0,
            Some(place) if place.is_scalar => place.value.clone(),
            Some(Place { key: Some(key), .. }) => key.clone(),
            Some(place) => {
                let text = self.document.source().get(place.value.clone()).unwrap_or_default();
                place.value.start..place.value.start + text.find('\n').unwrap_or(text.len())
            }
        }
    }

    /// Where the key of this value stands; the value itself in a list.
    pub fn key_at(&self) -> Range<usize> {
        self.place().and_then(|place| place.key.clone()).unwrap_or_else(|| self.at())
    }

    /// Where a word of this value stands: the text of an expression inside a longer text.
    pub fn word_at(&self, word: &str) -> Range<usize> {
        let at = self.at();
        let text = self.document.source().get(at.clone()).unwrap_or_default();
        text.find(word).map_or(at.clone(), |start| at.start + start..at.start + start + word.len())
    }

    /// Whether the value was written without quotes.
    pub fn is_plain(&self) -> bool {
        self.place().is_some_and(|place| place.is_plain)
    }

    /// The value as it was written.
    pub fn text(&self) -> &'a str {
        self.document.source().get(self.at()).unwrap_or_default()
    }

    /// Adds a finding.
    pub fn report(&self, diagnostic: Diagnostic) {
        self.document.report(diagnostic);
    }

    /// The value below this path, in the form `/list/0/key`; this value if there is none.
    pub fn below(&self, path: &str) -> Node<'a> {
        match self.value.pointer(path) {
            Some(value) => Node::new(self.document, value, format!("{}{path}", self.path)),
            None => self.clone(),
        }
    }

    /// A map with no keys but these.
    pub fn object(&self, keys: &[&str]) -> Option<Object<'a>> {
        if !self.value.is_object() {
            return self.wrong("a map", || Some(format!("with the keys {}", keys.join(", "))));
        }
        let object = self.any_object()?;
        for key in object.entries.keys().filter(|key| !keys.contains(&key.as_str())) {
            let at = object.key_at(key);
            let finding = Diagnostic::new(Rule::UNKNOWN_KEY, at, format!("there is no key `{key}` here"));
            self.report(finding.help(match example::of_foreign(key, keys) {
                Some(example) => format!("write `{example}`"),
                None => suggest(key, keys.iter().copied()),
            }));
        }
        Some(object)
    }

    /// A map with any keys.
    pub fn any_object(&self) -> Option<Object<'a>> {
        match self.value {
            Value::Object(entries) => Some(Object { node: self.clone(), entries }),
            _ => self.expected("a map"),
        }
    }

    /// The entries of a map, in the order of their keys.
    pub fn entries(&self) -> Vec<(&'a str, Node<'a>)> {
        let object = self.any_object();
        object.map_or_else(Vec::new, |object| {
            object.entries.keys().filter_map(|key| Some((key.as_str(), object.get(key)?))).collect()
        })
    }

    /// The items of a list.
    pub fn list(&self) -> Option<Vec<Node<'a>>> {
        let Value::Array(items) = self.value else {
            return self.expected("a list");
        };
        let nodes = items.iter().enumerate();
        Some(nodes.map(|(i, item)| Node::new(self.document, item, format!("{}/{i}", self.path))).collect())
    }

    /// Text.
    pub fn string(&self) -> Option<&'a str> {
        match self.value {
            Value::String(text) => Some(text),
            Value::Number(_) | Value::Bool(_) if self.is_plain() => {
                let message = format!("this has to be text, and YAML reads it as {}", describe(self.value));
                let text = self.document.source().get(self.at()).unwrap_or_default();
                self.report(
                    Diagnostic::new(Rule::WRONG_TYPE, self.at(), message).help(format!("write \"{text}\"")),
                );
                None
            }
            _ => self.expected("text"),
        }
    }

    /// A list of texts.
    pub fn strings(&self) -> Option<Vec<String>> {
        Some(self.list()?.iter().filter_map(Node::string).map(str::to_owned).collect())
    }

    /// True or false.
    pub fn bool(&self) -> Option<bool> {
        match self.value {
            Value::Bool(value) => Some(*value),
            Value::String(text) if self.is_plain() => {
                let is_yes = ["yes", "on", "y"].contains(&text.to_ascii_lowercase().as_str());
                let is_no = ["no", "off", "n"].contains(&text.to_ascii_lowercase().as_str());
                if !is_yes && !is_no {
                    return self.expected("true or false");
                }
                let message = format!("`{text}` is text: this has to be true or false");
                let finding = Diagnostic::new(Rule::WRONG_TYPE, self.at(), message);
                self.report(finding.help(format!("write {is_yes}")));
                None
            }
            _ => self.expected("true or false"),
        }
    }

    /// A whole number within a range.
    pub fn integer(&self, range: std::ops::RangeInclusive<u64>) -> Option<u64> {
        match self.value.as_u64() {
            Some(number) if range.contains(&number) => Some(number),
            _ => self.not(&format!("a whole number from {} to {}", range.start(), range.end())),
        }
    }

    /// A duration, as in `30s`.
    pub fn duration(&self) -> Option<Duration> {
        let text = match self.value {
            Value::Number(number) => number.to_string(),
            _ => self.string()?.to_owned(),
        };
        match duration::parse(&text) {
            Ok(duration) => Some(duration),
            Err(message) => {
                let mut finding = Diagnostic::new(Rule::WRONG_TYPE, self.at(), message);
                finding.help =
                    self.value.as_u64().map(|number| format!("write `{number}s`, if seconds are meant"));
                self.report(finding);
                None
            }
        }
    }

    /// A duration that is not zero.
    pub fn time_limit(&self) -> Option<Duration> {
        match self.duration()? {
            Duration::ZERO => self.not("a time in which anything can happen: write more than zero"),
            limit => Some(limit),
        }
    }

    /// One of these words.
    pub fn one_of<T: Copy>(&self, choices: &[(&str, T)]) -> Option<T> {
        let text = self.string()?;
        let chosen = choices.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        if chosen.is_none() {
            let message = format!("`{text}` is not one of the values that stand here");
            let help = suggest(text, choices.iter().map(|(word, _)| *word));
            self.report(Diagnostic::new(Rule::WRONG_VALUE, self.at(), message).help(help));
        }
        chosen
    }

    /// A decision in CEL; `true` and `false` may stand without quotes.
    pub fn condition(&self) -> Option<Condition> {
        let text = match self.value {
            Value::Bool(value) => value.to_string(),
            _ => self.string()?.to_owned(),
        };
        Condition::compile(&text).map_err(|error| self.expression_error(&error, &text)).ok()
    }

    /// Text in Handlebars.
    pub fn template(&self) -> Option<Template> {
        let text = self.string()?;
        Template::compile(text).map_err(|error| self.expression_error(&error, text)).ok()
    }

    /// Any value, with expressions at its leaves.
    pub fn values(&self, language: Language) -> Option<ValueTemplate> {
        let errors = match ValueTemplate::compile(self.value, language) {
            Ok(values) => return Some(values),
            Err(errors) => errors,
        };
        for (path, error) in errors {
            let leaf = self.below(&path);
            leaf.expression_error(&error, leaf.value.as_str().unwrap_or_default());
        }
        None
    }

    /// Reports that something else has to stand here.
    pub fn expected<T>(&self, what: &str) -> Option<T> {
        self.wrong(what, || None)
    }

    /// The same, with a help line where there is no example of this key.
    fn wrong<T>(&self, what: &str, help: impl FnOnce() -> Option<String>) -> Option<T> {
        let message = format!("this has to be {what}, not {}", describe(self.value));
        let mut finding = Diagnostic::new(Rule::WRONG_TYPE, self.at(), message);
        finding.help = example::of(&self.path).map(|example| format!("write `{example}`")).or_else(help);
        self.report(finding);
        None
    }

    /// Reports that the text here is not what it should be.
    pub fn not<T>(&self, what: &str) -> Option<T> {
        self.report(Diagnostic::new(Rule::WRONG_VALUE, self.at(), format!("this is not {what}")));
        None
    }

    /// Keeps the value out of every finding: it is a secret that should not stand in the file.
    pub fn hide(&self) {
        self.document.hide(self.at());
    }

    fn expression_error(&self, error: &CompileError, text: &str) {
        let whole = self.at();
        let at = error.at.as_ref().and_then(|at| {
            let start = self.document.source().get(whole.clone())?.find(text)? + whole.start;
            Some(start + at.start..start + at.end)
        });
        let mut finding = Diagnostic::new(Rule::WRONG_EXPRESSION, at.unwrap_or(whole), error.message.clone());
        finding.help = error.help.clone();
        self.report(finding);
    }

    fn place(&self) -> Option<&'a Place> {
        self.document.place(&self.path)
    }
}

impl<'a> Object<'a> {
    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<Node<'a>> {
        let value = self.entries.get(key)?;
        Some(Node::new(self.node.document, value, format!("{}/{key}", self.node.path)))
    }

    /// The value of a key that has to be there.
    pub fn require(&self, key: &str) -> Option<Node<'a>> {
        let value = self.get(key);
        if value.is_none() {
            let finding = Diagnostic::new(
                Rule::MISSING_KEY,
                self.node.at(),
                format!("the key `{key}` is missing here"),
            );
            self.node.report(finding);
        }
        value
    }

    /// The map itself.
    pub fn node(&self) -> &Node<'a> {
        &self.node
    }

    fn key_at(&self, key: &str) -> Range<usize> {
        let path = format!("{}/{key}", self.node.path);
        let place = self.node.document.place(&path);
        place.map_or_else(|| self.node.at(), |place| place.key.clone().unwrap_or_else(|| place.value.clone()))
    }
}

fn describe(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}

/// A help line that names the closest of the words that would be right, or all of them.
pub fn suggest<'a>(given: &str, known: impl Iterator<Item = &'a str>) -> String {
    let mut known: Vec<&str> = known.collect();
    known.sort_unstable();
    let distance = |word: &&str| strsim::osa_distance(given, word);
    let closest = known.iter().copied().min_by_key(distance);
    match closest {
        Some(word) if distance(&word) <= 1 + given.len() / 4 => format!("did you mean `{word}`?"),
        _ if known.is_empty() => "there are none: remove it, or add one where they are declared".to_owned(),
        _ if known.len() > 24 => {
            known.sort_by_key(distance);
            let closest: Vec<&str> = known.iter().copied().take(3).collect();
            format!("there are {} of them; the closest: {}", known.len(), closest.join(", "))
        }
        _ => format!("there are {}", known.join(", ")),
    }
}
