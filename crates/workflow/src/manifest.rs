//! The description of a node: what it needs, what it does to the world, and how the call is made.
//!
//! One YAML file each, also for the nodes that the engine performs itself. It is what the loader checks a playbook
//! against, what the runner performs, and what `portcullis nodes` prints.

mod after;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use expr::{Condition, Language, Template, ValueTemplate};
use model::{Digest, FailureClass, TriggerKind};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::keys::{self, names};
use crate::rule::Rule;
use crate::yaml::{Document, Node, Object};

pub use after::{After, Inverse, Otherwise, Verify};

/// The description of a node.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// The name that `uses:` names, as in `wazuh.get_agent`.
    pub name: String,
    /// What it does, in a sentence.
    pub summary: String,
    /// The vendor's page about the endpoint.
    pub docs: Option<String>,
    /// The product whose connection it uses.
    pub connection: Option<String>,
    /// What it does to the world; none: each step that uses it has to say so itself.
    pub effect: Option<Effect>,
    /// What an unknown outcome means; a step that only looks is run again in any case.
    pub on_doubt: OnDoubt,
    /// What it acts on, over `inputs`; every node that disrupts has one.
    pub target: Option<Template>,
    /// How long a call may take where the playbook does not say.
    pub timeout: Duration,
    /// What it takes.
    pub inputs: BTreeMap<String, Input>,
    /// Who performs it, and how.
    pub action: Action,
    /// How one finds out whether it happened, what undoes it, and how long it lasts.
    pub after: After,
    /// What the description's own tests are; only the crate that performs calls reads them.
    pub tests: Vec<Value>,
    /// The YAML.
    pub text: String,
    /// The digest of the YAML.
    pub digest: Digest,
}

/// What a node does to the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// It looks.
    Read,
    /// It writes something that disturbs nobody: a case, a comment.
    Write,
    /// It takes something away from somebody: a connection, an account, a host.
    Disrupt,
}

/// What an unknown outcome of a call means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnDoubt {
    /// Calling again does no harm.
    Retry,
    /// The call carries a key by which the other side knows it: it is sent again with the same one.
    SameKey,
    /// Somebody looks.
    Verify,
    /// A person has to say what became of it.
    Ask,
}

/// One input of a node.
#[derive(Debug, Clone, PartialEq)]
pub struct Input {
    /// What may be given.
    pub kind: InputKind,
    /// Whether it has to be given.
    pub is_required: bool,
    /// What is taken where nothing is given.
    pub default: Option<Value>,
    /// The only values that are taken; empty: any.
    pub choices: Vec<String>,
    /// What it is, in a sentence.
    pub summary: String,
}

/// What may be given as an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InputKind {
    /// Text.
    String,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// True or false.
    Boolean,
    /// A list.
    List,
    /// An object.
    Object,
    /// Any JSON.
    Any,
    /// The id of a Wazuh agent: three digits or more.
    AgentId,
    /// An IPv4 or IPv6 address.
    Ip,
    /// A duration, as in `30s`.
    Duration,
    /// A value in CEL.
    Expression,
    /// A program, taken as it stands: braces in it are its own, and nothing is put into it.
    Code,
}

/// Who performs a node, and how.
#[derive(Debug, Clone)]
pub enum Action {
    /// An HTTP request, described here.
    Request(Box<Request>),
    /// A function of ours that computes its output from its inputs, and touches nothing else.
    Native(NativeNode),
    /// The engine itself.
    Engine(EngineNode),
    /// Nobody: it starts runs.
    Trigger(TriggerKind),
}

/// The nodes that the engine performs itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngineNode {
    /// Gives its inputs as output.
    Set,
    /// Waits for a person.
    Approval,
    /// Waits for the clock.
    Delay,
    /// Runs another playbook.
    Workflow,
}

/// The nodes that are a function of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NativeNode {
    /// A filter in jq.
    Jq,
    /// A script in JavaScript.
    Script,
}

impl NativeNode {
    /// The input that holds the program.
    pub fn code_input(self) -> &'static str {
        match self {
            NativeNode::Jq => "filter",
            NativeNode::Script => "code",
        }
    }
}

/// An HTTP request, and how its answer is read.
///
/// Templates of the request see `inputs`; what reads the answer sees `inputs`, `connection` (what is not secret of it)
/// and `response` with `status`, `json`, `text` and `headers`.
#[derive(Debug, Clone)]
pub struct Request {
    /// The method.
    pub method: Template,
    /// The path below the connection's URL, or a whole URL for a node without a connection.
    pub path: Template,
    /// Query parameters; a list gives the parameter several times.
    pub query: Option<ValueTemplate>,
    /// Headers.
    pub headers: Option<ValueTemplate>,
    /// The body, as JSON.
    pub json: Option<ValueTemplate>,
    /// The longest body that the other side takes whole.
    pub max_bytes: Option<u64>,
    /// Statuses that count as an answer besides 2xx.
    pub accepts: Vec<u16>,
    /// What has to hold for the answer to mean that it was done.
    pub succeeds_when: Option<Condition>,
    /// What an answer that is no success means; the first that holds.
    pub failures: Vec<FailureRule>,
    /// What later steps see; none: the JSON of the answer.
    pub output: Option<ValueTemplate>,
}

/// What an answer means that is no success.
#[derive(Debug, Clone)]
pub struct FailureRule {
    /// When it holds.
    pub when: Condition,
    /// The class of the failure.
    pub class: Option<FailureClass>,
    /// What happened.
    pub message: Template,
    /// What to do.
    pub help: Option<Template>,
    /// Whether the answer proves that nothing was done, where its status alone does not.
    pub is_proof: bool,
    /// How long to stay away, where the answer has no `Retry-After`.
    pub retry_after: Option<Duration>,
}

const KEYS: [&str; 20] = [
    "node",
    "summary",
    "docs",
    "connection",
    "effect",
    "on_doubt",
    "target",
    "verify",
    "undo",
    "lasts",
    "timeout",
    "inputs",
    "request",
    "native",
    "engine",
    "trigger",
    "succeeds_when",
    "failures",
    "output",
    "tests",
];

impl Manifest {
    /// Reads a description; the findings are empty exactly where there is nothing to complain about.
    pub fn parse(file: &str, text: &str) -> Result<Manifest, Diagnostics> {
        let document = Document::parse(file, text)?;
        let manifest = read(&document, text);
        let findings = document.into_findings();
        match manifest {
            Some(manifest) if !findings.has_errors() => Ok(manifest),
            _ => Err(findings),
        }
    }

    /// Whether a step that uses this node may start without anything leaving the process.
    pub fn engine_node(&self) -> Option<EngineNode> {
        match self.action {
            Action::Engine(node) => Some(node),
            Action::Request(_) | Action::Native(_) | Action::Trigger(_) => None,
        }
    }

    /// The fields of the output, where the description fixes them.
    pub fn output_fields(&self) -> Option<Vec<&str>> {
        match &self.action {
            Action::Request(request) => request.output.as_ref()?.keys(),
            Action::Native(_) => Some(vec!["result"]),
            Action::Engine(_) | Action::Trigger(_) => None,
        }
    }
}

/// The digest of a text.
pub fn digest(text: &str) -> Digest {
    Digest::from_bytes(Sha256::digest(text).into())
}

fn read(document: &Document, text: &str) -> Option<Manifest> {
    let object = document.root().object(&KEYS)?;
    let name = object.require("node").and_then(|node| read_name(&node));
    let summary = object.require("summary").and_then(|node| node.string());
    let action = read_action(&object);
    let is_trigger = matches!(action, Some(Action::Trigger(_)));
    let effect = object.get("effect").and_then(|node| node.one_of(&MANIFEST_EFFECTS));
    let on_doubt = object.get("on_doubt").and_then(|node| node.one_of(&ON_DOUBT));
    if !is_trigger {
        object.require("effect");
        object.require("on_doubt");
    }
    let target = object.get("target").and_then(|node| node.template());
    let disrupts = matches!(effect, Some(None | Some(Effect::Disrupt)));
    if disrupts && target.is_none() {
        let message = "a node that disrupts says what it acts on: the key `target` is missing";
        document.report(Diagnostic::new(Rule::MISSING_KEY, object.node().at(), message));
    }
    if disrupts && on_doubt == Some(OnDoubt::Retry) {
        let message = "what may disrupt is never sent again on its own: write `on_doubt: ask`, or `verify`";
        document.report(Diagnostic::new(Rule::WRONG_VALUE, object.node().below("/on_doubt").at(), message));
    }
    let after = after::read(&object, on_doubt, disrupts);
    if after.undo.is_some() || after.lasts.is_some() {
        object.require("target");
    }
    if on_doubt == Some(OnDoubt::SameKey) {
        check_key(&object, action.as_ref());
    }
    let inputs = object.get("inputs").map_or_else(BTreeMap::new, |node| read_inputs(&node));
    let tests = object.get("tests").and_then(|node| node.list()).unwrap_or_default();
    Some(Manifest {
        name: name?,
        summary: summary?.to_owned(),
        docs: object.get("docs").and_then(|node| node.string()).map(str::to_owned),
        connection: object.get("connection").and_then(|node| node.string()).map(str::to_owned),
        effect: effect.unwrap_or(Some(Effect::Read)),
        on_doubt: on_doubt.unwrap_or(OnDoubt::Ask),
        target,
        timeout: object.get("timeout").and_then(|node| node.time_limit()).unwrap_or(Duration::from_secs(30)),
        inputs,
        action: action?,
        after,
        tests: tests.into_iter().map(|test| test.value().clone()).collect(),
        text: text.to_owned(),
        digest: digest(text),
    })
}

/// What a step may say of a node that leaves it to the step.
pub(crate) const EFFECTS: [(&str, Effect); 3] =
    [("read", Effect::Read), ("write", Effect::Write), ("disrupt", Effect::Disrupt)];
const MANIFEST_EFFECTS: [(&str, Option<Effect>); 4] = [
    ("read", Some(Effect::Read)),
    ("write", Some(Effect::Write)),
    ("disrupt", Some(Effect::Disrupt)),
    ("declared", None),
];
const ON_DOUBT: [(&str, OnDoubt); 4] = [
    ("retry", OnDoubt::Retry),
    ("same_key", OnDoubt::SameKey),
    ("verify", OnDoubt::Verify),
    ("ask", OnDoubt::Ask),
];

/// A call that is known by its key has to carry it.
fn check_key(object: &Object<'_>, action: Option<&Action>) {
    let Some(Action::Request(request)) = action else { return };
    let values = [&request.query, &request.headers, &request.json];
    let references = values.into_iter().flatten().flat_map(ValueTemplate::references);
    let mut references = references.chain(request.path.references());
    if !references.any(|reference| reference.text() == "call.key") {
        let message =
            "`on_doubt: same_key` needs `{{ call.key }}` in the request: the key by which it is known";
        let at = object.node().below("/on_doubt").at();
        object.node().report(Diagnostic::new(Rule::MISSING_KEY, at, message));
    }
}

fn read_name(node: &Node<'_>) -> Option<String> {
    let name = node.string()?;
    let is_word = |word: &str| {
        word.starts_with(|c: char| c.is_ascii_lowercase())
            && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    };
    if !name.split('.').all(is_word) || name.split('.').count() > 2 {
        let message = format!("`{name}` is not a node's name: write `product.verb_noun`");
        node.report(Diagnostic::new(Rule::WRONG_VALUE, node.at(), message));
        return None;
    }
    Some(name.to_owned())
}

fn read_inputs(node: &Node<'_>) -> BTreeMap<String, Input> {
    let inputs = node.entries().into_iter();
    let read = |node: &Node<'_>| {
        node.any_object().and_then(|object| object.require("summary"));
        Input::read(node)
    };
    inputs.filter_map(|(name, node)| Some((name.to_owned(), read(&node)?))).collect()
}

impl Input {
    /// Reads one entry of `inputs:`.
    pub(crate) fn read(node: &Node<'_>) -> Option<Input> {
        let object = node.object(&names(keys::INPUT))?;
        let kind = object.require("type")?.one_of(&KINDS)?;
        let summary = object.get("summary").map_or(Some(""), |node| node.string())?;
        let default = object.get("default");
        let input = Input {
            kind,
            is_required: object.get("required").and_then(|node| node.bool()).unwrap_or(false),
            default: default.as_ref().map(|node| node.value().clone()),
            choices: object.get("one_of").and_then(|node| node.strings()).unwrap_or_default(),
            summary: summary.to_owned(),
        };
        if let Some(default) = default
            && let Err(message) = input.check(default.value())
        {
            default.report(Diagnostic::new(
                Rule::WRONG_INPUT,
                default.at(),
                format!("the default {message}"),
            ));
        }
        Some(input)
    }
}

fn read_action(object: &Object<'_>) -> Option<Action> {
    const ACTIONS: [&str; 4] = ["request", "native", "engine", "trigger"];
    let given: Vec<Node<'_>> = ACTIONS.iter().filter_map(|key| object.get(key)).collect();
    let [node] = given.as_slice() else {
        let message = "a node has exactly one of `request`, `native`, `engine` and `trigger`";
        object.node().report(Diagnostic::new(Rule::MISSING_KEY, object.node().at(), message));
        return None;
    };
    if object.get("request").is_some() {
        return read_request(node, object).map(Box::new).map(Action::Request);
    }
    if object.get("native").is_some() {
        let nodes = [("jq", NativeNode::Jq), ("script", NativeNode::Script)];
        return node.one_of(&nodes).map(Action::Native);
    }
    if object.get("engine").is_some() {
        let nodes = [
            ("set", EngineNode::Set),
            ("approval", EngineNode::Approval),
            ("delay", EngineNode::Delay),
            ("workflow", EngineNode::Workflow),
        ];
        return node.one_of(&nodes).map(Action::Engine);
    }
    let triggers = [
        ("webhook", TriggerKind::Webhook),
        ("manual", TriggerKind::Manual),
        ("schedule", TriggerKind::Schedule),
    ];
    node.one_of(&triggers).map(Action::Trigger)
}

fn read_request(node: &Node<'_>, manifest: &Object<'_>) -> Option<Request> {
    let object = node.object(&["method", "path", "query", "headers", "json", "max_bytes", "accepts"])?;
    let values = |key: &str| object.get(key).and_then(|node| node.values(Language::Text));
    let accepts = object.get("accepts").and_then(|node| node.list()).unwrap_or_default();
    let failures = manifest.get("failures").and_then(|node| node.list()).unwrap_or_default();
    Some(Request {
        method: object.require("method").and_then(|node| node.template())?,
        path: object.require("path").and_then(|node| node.template())?,
        query: values("query"),
        headers: values("headers"),
        json: values("json"),
        max_bytes: object.get("max_bytes").and_then(|node| node.integer(1..=16_777_216)),
        accepts: accepts
            .iter()
            .filter_map(|node| node.integer(100..=599))
            .filter_map(|n| n.try_into().ok())
            .collect(),
        succeeds_when: manifest.get("succeeds_when").and_then(|node| node.condition()),
        failures: failures.iter().filter_map(FailureRule::read).collect(),
        output: manifest.get("output").and_then(|node| node.values(Language::Text)),
    })
}

impl FailureRule {
    /// Reads one entry of `failures:`.
    pub fn read(node: &Node<'_>) -> Option<FailureRule> {
        let object = node.object(&["when", "class", "message", "help", "proof", "retry_after"])?;
        let class = object.get("class").and_then(|node| {
            let parsed = node.string()?.parse();
            parsed
                .map_err(|error: model::InvalidId| {
                    node.report(Diagnostic::new(Rule::WRONG_VALUE, node.at(), error.to_string()));
                })
                .ok()
        });
        Some(FailureRule {
            when: object.require("when")?.condition()?,
            class,
            message: object.require("message")?.template()?,
            help: object.get("help").and_then(|node| node.template()),
            is_proof: object.get("proof").and_then(|node| node.bool()).unwrap_or(false),
            retry_after: object.get("retry_after").and_then(|node| node.duration()),
        })
    }
}

const KINDS: [(&str, InputKind); 12] = [
    ("string", InputKind::String),
    ("integer", InputKind::Integer),
    ("number", InputKind::Number),
    ("boolean", InputKind::Boolean),
    ("list", InputKind::List),
    ("object", InputKind::Object),
    ("any", InputKind::Any),
    ("agent_id", InputKind::AgentId),
    ("ip", InputKind::Ip),
    ("duration", InputKind::Duration),
    ("expression", InputKind::Expression),
    ("code", InputKind::Code),
];

/// The types of inputs as descriptions write them.
pub(crate) fn kind_names() -> Vec<&'static str> {
    KINDS.iter().map(|(name, _)| *name).collect()
}

impl InputKind {
    /// The kind as descriptions write it.
    pub fn as_str(self) -> &'static str {
        KINDS.iter().find(|(_, kind)| *kind == self).map_or("any", |(name, _)| name)
    }
}

impl Input {
    /// A value as this input takes it, or what is wrong with it. An address is written in one way only: what is contained
    /// is known by its name, and two names of one thing would be two things.
    pub fn take(&self, value: Value) -> Result<Value, String> {
        self.check(&value)?;
        let address = value.as_str().filter(|_| self.kind == InputKind::Ip);
        let address = address.and_then(|text| text.parse::<IpAddr>().ok());
        Ok(address.map_or(value, |address| address.to_canonical().to_string().into()))
    }

    /// Says what is wrong with a value for this input.
    pub fn check(&self, value: &Value) -> Result<(), String> {
        let is_right = match self.kind {
            InputKind::String | InputKind::Code => value.is_string(),
            InputKind::Integer => value.is_i64() || value.is_u64(),
            InputKind::Number => value.is_number(),
            InputKind::Boolean => value.is_boolean(),
            InputKind::List => value.is_array(),
            InputKind::Object => value.is_object(),
            InputKind::Any | InputKind::Expression => true,
            InputKind::AgentId => value.as_str().is_some_and(is_agent_id),
            InputKind::Ip => value.as_str().is_some_and(|text| text.parse::<IpAddr>().is_ok()),
            InputKind::Duration => value.as_str().is_some_and(|text| expr::duration::parse(text).is_ok()),
        };
        if !is_right {
            return Err(format!("has to be {}, not {}", self.kind.describe(), shown(value)));
        }
        match value.as_str() {
            Some(text) if !self.choices.is_empty() && !self.choices.iter().any(|choice| choice == text) => {
                Err(format!("has to be one of {}, not {}", self.choices.join(", "), shown(value)))
            }
            _ => Ok(()),
        }
    }
}

impl InputKind {
    pub(crate) fn describe(self) -> &'static str {
        match self {
            InputKind::String | InputKind::Code => "text",
            InputKind::Integer => "a whole number",
            InputKind::Number => "a number",
            InputKind::Boolean => "true or false",
            InputKind::List => "a list",
            InputKind::Object => "an object",
            InputKind::Any | InputKind::Expression => "a value",
            InputKind::AgentId => "the id of a Wazuh agent, three digits or more, as text",
            InputKind::Ip => "an IP address",
            InputKind::Duration => "a duration such as 30s",
        }
    }
}

fn is_agent_id(text: &str) -> bool {
    (3..=10).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
}

fn shown(value: &Value) -> String {
    let text = value.to_string();
    let cut: String = text.chars().take(60).collect();
    if cut.len() < text.len() { format!("`{cut}...`") } else { format!("`{cut}`") }
}
