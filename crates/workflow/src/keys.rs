//! The keys of a playbook: what may stand where, what it has to be, and what it is for.
//!
//! One table for two readers: the loader refuses every other key, and the schema tells editors. What a key does once it
//! has been read is the loader's.

/// A key that may stand in a map of a playbook.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) form: Form,
    pub(crate) is_required: bool,
    pub(crate) summary: &'static str,
}

/// What has to stand behind a key.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Form {
    /// A name of ours.
    Id,
    /// Text that is taken as it stands.
    Text,
    /// A list of texts.
    Texts,
    /// Text with expressions in double braces.
    Template,
    /// A decision in CEL.
    Condition,
    /// A name and a CEL expression each.
    Conditions,
    /// A duration, as in `30s`.
    Duration,
    /// A whole number from the one to the other.
    Integer(u64, u64),
    /// A number from the one to the other.
    Number(u64, u64),
    /// One of these words.
    Word(&'static [&'static str]),
    /// A list of classes of failures.
    Classes,
    /// A list of ends of a run.
    Moments,
    /// Anything with a name.
    Values,
    /// Any value.
    Any,
    /// True or false.
    Bool,
    /// The name of a type.
    Kind,
    /// A name each, with what a playbook takes under it.
    Parameters,
    /// A map with these keys.
    Object(&'static [Key]),
    /// A map with these keys, or false.
    ObjectOrFalse(&'static [Key]),
    /// A list of triggers.
    Triggers,
    /// A list of steps, of at most so many.
    Steps(usize),
    /// The name of a node.
    Node,
    /// The inputs of the node.
    Inputs,
}

/// The names of these keys.
pub(crate) fn names(keys: &[Key]) -> Vec<&'static str> {
    keys.iter().map(|key| key.name).collect()
}

const fn key(name: &'static str, form: Form, summary: &'static str) -> Key {
    Key { name, form, is_required: false, summary }
}

const fn required(name: &'static str, form: Form, summary: &'static str) -> Key {
    Key { name, form, is_required: true, summary }
}

/// How many steps a playbook has at most.
pub(crate) const MOST_STEPS: usize = 1000;

/// What a playbook holds.
pub(crate) const WORKFLOW: &[Key] = &[
    required("workflow", Form::Id, "The name: a-z, 0-9 and _, at most 64 characters."),
    key("title", Form::Text, "What it is for, in a line."),
    key("owner", Form::Text, "Who looks after it."),
    key("attack", Form::Texts, "The ATT&CK techniques that it answers to, as in T1110."),
    key(
        "mode",
        Form::Word(&["live", "shadow"]),
        "live; or shadow: every step is performed but those that disrupt, which are only written down.",
    ),
    key("triggers", Form::Triggers, "What starts it."),
    key(
        "inputs",
        Form::Parameters,
        "What it takes where another playbook calls it, read as inputs.NAME. Nothing else starts it then.",
    ),
    key("dedupe", Form::Object(DEDUPE), "Which alerts are one and the same, and for how long."),
    key("concurrency", Form::Object(CONCURRENCY), "Which of its runs do not go on side by side."),
    key("timeout", Form::Duration, "How long a run may take."),
    key("vars", Form::Values, "Values with a name, read as vars.NAME. They are taken as they stand."),
    required("steps", Form::Steps(MOST_STEPS), "The steps, 1 to 1000."),
    key(
        "on_failure",
        Form::Steps(MOST_STEPS),
        "Steps that are performed when all others have ended and the run has failed.",
    ),
    key("outputs", Form::Conditions, "What the run gives: a name and a CEL expression each."),
];

/// What a trigger holds.
pub(crate) const TRIGGER: &[Key] = &[
    required("uses", Form::Node, "What starts a run."),
    key("with", Form::Inputs, "What the trigger takes."),
    key("when", Form::Condition, "Which alerts start a run: CEL over alert and trigger."),
];

/// What `dedupe` holds.
pub(crate) const DEDUPE: &[Key] = &[
    required(
        "key",
        Form::Template,
        "Alerts with the same key are one and the same: text over alert and trigger.",
    ),
    required("window", Form::Duration, "For how long, from the first of them on."),
];

/// What `concurrency` holds.
pub(crate) const CONCURRENCY: &[Key] = &[
    required(
        "key",
        Form::Template,
        "Runs with the same key do not go on side by side: text over alert and trigger.",
    ),
    required(
        "on_conflict",
        Form::Word(&["queue", "drop"]),
        "queue: the later run waits for its turn. drop: it is kept, and does nothing.",
    ),
];

/// What an input holds, of a playbook or of a node.
pub(crate) const INPUT: &[Key] = &[
    required("type", Form::Kind, "What may be given."),
    key("required", Form::Bool, "Whether it has to be given."),
    key("default", Form::Any, "What is taken where nothing is given."),
    key("one_of", Form::Texts, "The only values that are taken."),
    key("summary", Form::Text, "What it is, in a sentence."),
];

/// What a step holds.
pub(crate) const STEP: &[Key] = &[
    required("id", Form::Id, "The name by which others refer to it: steps.ID, status.ID."),
    key("title", Form::Template, "What it does, for people."),
    required("uses", Form::Node, "The node."),
    key("connection", Form::Text, "Another connection than the one with the name of the node's product."),
    key(
        "effect",
        Form::Word(&["read", "write", "disrupt"]),
        "What the call does to the world, for nodes that leave it to the step.",
    ),
    key(
        "needs",
        Form::Texts,
        "The steps that have to settle first. Without this key it is the step above; [] starts at once.",
    ),
    key("if", Form::Condition, "Whether the step is performed, in CEL."),
    key("foreach", Form::Condition, "A list, in CEL: the step is performed for each of its items."),
    key("as", Form::Id, "The name under which the step reads its item; item where nothing is said."),
    key(
        "max_items",
        Form::Integer(1, 1000),
        "How long the list may be: with a longer one the step fails before anything is done.",
    ),
    key(
        "max_parallel",
        Form::Integer(1, 100),
        "How many items are under way at once; 10 where nothing is said.",
    ),
    key(
        "on_item_error",
        Form::Word(&["stop", "continue"]),
        "stop: no further item is begun when one fails. continue: the others are performed.",
    ),
    key("with", Form::Inputs, "The inputs of the node."),
    key("timeout", Form::Duration, "How long one call may take."),
    key("retry", Form::Object(RETRY), "When it is tried again."),
    key(
        "until",
        Form::Condition,
        "What has to hold for output before the step counts as done: CEL. Until then it is performed again.",
    ),
    key(
        "on_error",
        Form::Word(&["fail", "continue"]),
        "fail: what is behind it is stopped, and the run fails. continue: the steps behind it go on.",
    ),
    key("approval", Form::Object(GATE), "The gate of the step: people are asked before it is performed."),
    key(
        "on_doubt",
        Form::Word(&["retry", "same_key", "ask"]),
        "What an unknown outcome means, for nodes that leave the effect to the step.",
    ),
    key(
        "verify",
        Form::ObjectOrFalse(VERIFY),
        "How long to look whether it happened, for nodes that can be verified; false: not at all.",
    ),
    key(
        "undo",
        Form::ObjectOrFalse(UNDO),
        "When it is undone, for nodes that have an inverse; false: when a person wants it.",
    ),
];

/// What `verify` holds.
pub(crate) const VERIFY: &[Key] = &[
    key("within", Form::Duration, "How long to go on looking. Then nobody knows, and a person is asked."),
    key("every", Form::Duration, "How long to wait from look to look."),
];

/// What `undo` holds.
pub(crate) const UNDO: &[Key] = &[
    key(
        "after",
        Form::Template,
        "So long after it was sent, as a duration. The timer is on disk before anything is sent.",
    ),
    key("on", Form::Moments, "As soon as the run has ended so: a list of failed and cancelled."),
    key("approval", Form::Object(UNDO_GATE), "People are asked before it is undone by the clock or by `on`."),
];

/// What `retry` holds.
pub(crate) const RETRY: &[Key] = &[
    required("max", Form::Integer(2, 100), "How many attempts there are in all."),
    key("wait", Form::Duration, "How long to wait before the second attempt; 1s where nothing is said."),
    key(
        "backoff",
        Form::Number(1, 10),
        "By how much each wait is longer than the one before; 2 where nothing is said.",
    ),
    key("on", Form::Classes, "The failures that are worth another attempt; required without until."),
];

/// The classes of failures that are named most; `http_` and a status is one too.
pub(crate) const CLASSES: &[&str] = &[
    "timeout", "connect", "dns", "tls", "reset", "auth", "rejected", "response", "http_429", "http_503",
    "http_4xx", "http_5xx",
];

const ASK: Key = required("ask", Form::Template, "The question, up to 2000 characters.");
const SHOW: Key =
    key("show", Form::Texts, "What stands beside the question: paths without braces, as in steps.host.");
const FROM: Key = key("from", Form::Object(ASKED), "Who may answer, and how many have to approve.");
const REASON: Key = key(
    "reason",
    Form::Word(&["required", "optional"]),
    "Whether an approval needs a reason; a rejection always does.",
);
const EXPIRES: Key = key(
    "expires",
    Form::Duration,
    "When the question lapses. The step is expired then: the clock never approves.",
);
const SKIP_IF: Key = key("skip_if", Form::Condition, "When nobody has to be asked, in CEL.");

/// What an approval holds that is a step of its own.
pub(crate) const QUESTION: &[Key] = &[ASK, SHOW, FROM, REASON, EXPIRES];

/// What the gate of a step holds.
pub(crate) const GATE: &[Key] = &[ASK, SHOW, FROM, REASON, EXPIRES, SKIP_IF];

/// What the gate of an undo holds: the question stands until somebody answers it.
pub(crate) const UNDO_GATE: &[Key] = &[ASK, SHOW, FROM, REASON];

/// Who is asked.
pub(crate) const ASKED: &[Key] = &[
    key("role", Form::Text, "The role that it takes."),
    key("count", Form::Integer(1, 10), "How many different people have to approve; 1 where nothing is said."),
];
