//! What follows a call: how one finds out whether it happened, what undoes it, and how long it lasts.

use std::collections::BTreeMap;
use std::time::Duration;

use expr::{Condition, Language, Template, ValueTemplate};

use super::{Manifest, OnDoubt};
use crate::diagnostic::Diagnostic;
use crate::rule::Rule;
use crate::yaml::{Node, Object};

/// How one finds out whether a call happened: a node that looks, and what it has to see.
#[derive(Debug, Clone)]
pub struct Verify {
    /// The node that looks.
    pub uses: String,
    /// What it looks with, over `inputs`, `output` and `call`.
    pub with: BTreeMap<String, ValueTemplate>,
    /// What has to hold for `output` of the look, beside `inputs` and `call`.
    pub expect: Condition,
    /// How long to wait from look to look.
    pub every: Duration,
    /// How long to go on looking.
    pub within: Duration,
    /// Whether a call that was taken needs no look.
    pub only_in_doubt: bool,
    /// What it means that nothing was seen in that time.
    pub otherwise: Otherwise,
    /// What the step gives where only the look tells: over `output` of the look, `inputs` and `call`.
    pub output: Option<ValueTemplate>,
}

/// What it means that nothing shows that a call happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Otherwise {
    /// Nobody knows: a person says.
    Ask,
    /// It did not happen: it is sent again.
    Retry,
}

/// The node that undoes what a node did.
#[derive(Debug, Clone)]
pub struct Inverse {
    /// The node.
    pub uses: String,
    /// What it is performed with, over `inputs` and `call`: what is known before the call is sent.
    pub with: BTreeMap<String, ValueTemplate>,
}

/// What follows a call, as its description says.
#[derive(Debug, Clone, Default)]
pub struct After {
    /// How one finds out whether it happened.
    pub verify: Option<Verify>,
    /// What undoes it.
    pub undo: Option<Inverse>,
    /// How long the other side keeps it by itself, as a duration over `inputs`; null: one cannot say.
    pub lasts: Option<Template>,
}

impl Manifest {
    /// Whether what it does holds from then on: it has a row in the ledger under its target.
    pub fn contains(&self) -> bool {
        self.after.undo.is_some() || self.after.lasts.is_some()
    }
}

/// Reads the keys about what follows, and reports what does not go together.
pub(super) fn read(object: &Object<'_>, on_doubt: Option<OnDoubt>, disrupts: bool) -> After {
    let verify = object.get("verify");
    match (&verify, on_doubt) {
        (Some(node), Some(OnDoubt::Retry | OnDoubt::SameKey | OnDoubt::Ask)) => {
            let message = "what can be verified says `on_doubt: verify`";
            node.report(Diagnostic::new(Rule::WRONG_KEY, node.key_at(), message));
        }
        (None, Some(OnDoubt::Verify)) => {
            let message = "`on_doubt: verify` needs the key `verify`: how one finds out";
            object.node().report(Diagnostic::new(
                Rule::MISSING_KEY,
                object.node().below("/on_doubt").at(),
                message,
            ));
        }
        _ => {}
    }
    if let Some(lasts) = object.get("lasts").filter(|_| object.get("undo").is_some()) {
        let message = "what is undone does not end on its own as well: nobody would know which came first";
        lasts.report(
            Diagnostic::new(Rule::WRONG_KEY, lasts.key_at(), message).help("remove `lasts` or `undo`"),
        );
    }
    After {
        verify: verify.and_then(|node| read_verify(&node, disrupts)),
        undo: object.get("undo").and_then(|node| read_inverse(&node)),
        lasts: object.get("lasts").and_then(|node| node.template()),
    }
}

fn read_verify(node: &Node<'_>, disrupts: bool) -> Option<Verify> {
    let object =
        node.object(&["uses", "with", "expect", "every", "within", "when", "otherwise", "output"])?;
    let moments = [("always", false), ("doubt", true)];
    let meanings = [("ask", Otherwise::Ask), ("retry", Otherwise::Retry)];
    let otherwise = object.get("otherwise").and_then(|node| node.one_of(&meanings));
    if disrupts && otherwise == Some(Otherwise::Retry) {
        let message = "what disrupts is never sent again because nothing was seen";
        let at = node.below("/otherwise").at();
        node.report(Diagnostic::new(Rule::WRONG_VALUE, at, message).help("write `otherwise: ask`"));
    }
    let duration = |key: &str| object.require(key).and_then(|node| node.time_limit());
    Some(Verify {
        uses: object.require("uses").and_then(|node| node.string())?.to_owned(),
        with: object.get("with").map(|node| values(&node)).unwrap_or_default(),
        expect: object.require("expect").and_then(|node| node.condition())?,
        every: duration("every")?,
        within: duration("within")?,
        only_in_doubt: object.get("when").and_then(|node| node.one_of(&moments)).unwrap_or(false),
        otherwise: otherwise.unwrap_or(Otherwise::Ask),
        output: object.get("output").and_then(|node| node.values(Language::Text)),
    })
}

fn read_inverse(node: &Node<'_>) -> Option<Inverse> {
    let object = node.object(&["uses", "with"])?;
    Some(Inverse {
        uses: object.require("uses").and_then(|node| node.string())?.to_owned(),
        with: object.get("with").map(|node| values(&node)).unwrap_or_default(),
    })
}

fn values(node: &Node<'_>) -> BTreeMap<String, ValueTemplate> {
    let entries = node.entries().into_iter();
    entries.filter_map(|(name, node)| Some((name.to_owned(), node.values(Language::Text)?))).collect()
}
