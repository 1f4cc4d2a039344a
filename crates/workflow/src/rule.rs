//! The registry of rules: everything that a finding can be about, with the reason and an example.
//!
//! The tables below are the only place where a rule is described. `portcullis explain` shows them, the page
//! `workflows/rules.md` is written from them, and the examples are checked by tests. A finding takes a [`Rule`], and a
//! name that no table has does not compile.

mod files;
mod graph;
mod rehearsal;
mod safety;
mod shape;
mod yaml;

use std::fmt;

use crate::diagnostic::Severity;
use crate::yaml::suggest;

/// One thing that a finding can be about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rule {
    /// The name, in kebab-case.
    pub id: &'static str,
    /// Whether what it finds can be used nevertheless. Single findings can be milder.
    pub severity: Severity,
    /// Which kind of file the examples are.
    pub about: About,
    /// What it finds, in a line.
    pub summary: &'static str,
    /// Why that matters.
    pub why: &'static str,
    /// A text with this mistake and no other.
    pub wrong: Example,
    /// The text without it.
    pub right: Example,
}

/// Which kind of file a rule is about in the first place. The rules on YAML and on keys hold in all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum About {
    /// A playbook.
    Playbook,
    /// The tests of a playbook.
    Test,
    /// The description of a node or of a product.
    Node,
    /// The configuration.
    Settings,
    /// Several files beside each other.
    Folder,
    /// An expression alone, as `portcullis eval` takes it.
    Expression,
}

/// How the text of an example is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Example {
    /// It stands here.
    Text(&'static str),
    /// It would be too long to show: this line, so many times, below a playbook's first lines.
    Repeated(&'static str, usize),
}

const TABLES: [&[Rule]; 6] =
    [yaml::RULES, shape::RULES, graph::RULES, safety::RULES, rehearsal::RULES, files::RULES];

impl Rule {
    /// Every rule, topic by topic.
    pub fn all() -> impl Iterator<Item = &'static Rule> {
        TABLES.iter().flat_map(|table| table.iter())
    }

    /// The rule with this name.
    pub fn find(id: &str) -> Option<&'static Rule> {
        Rule::all().find(|rule| rule.id == id)
    }

    /// A help line for a name that no rule has.
    pub fn suggest(id: &str) -> String {
        suggest(id, Rule::all().map(|rule| rule.id))
    }

    /// The rule with this name; to be used in constants, where a name that does not exist ends the build.
    const fn named(id: &str) -> &'static Rule {
        let mut table = 0;
        while table < TABLES.len() {
            let mut row = 0;
            while row < TABLES[table].len() {
                if is_same(TABLES[table][row].id.as_bytes(), id.as_bytes()) {
                    return &TABLES[table][row];
                }
                row += 1;
            }
            table += 1;
        }
        panic!("no table has a rule with this name")
    }
}

const fn is_same(left: &[u8], right: &[u8]) -> bool {
    let mut at = 0;
    while at < left.len() && at < right.len() && left[at] == right[at] {
        at += 1;
    }
    at == left.len() && at == right.len()
}

impl Example {
    /// The whole text.
    pub fn text(self) -> String {
        match self {
            Example::Text(text) => text.to_owned(),
            Example::Repeated(line, times) => format!("workflow: large\nsteps:\n{}", line.repeat(times)),
        }
    }

    /// The text as a reader sees it: what repeats stands there once.
    pub fn shown(self) -> String {
        match self {
            Example::Text(text) => text.to_owned(),
            Example::Repeated(line, times) => {
                format!("{}  # ... and so on, {times} times\n", Example::Repeated(line, 1).text())
            }
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id)
    }
}

/// The names by which findings refer to their rules.
#[expect(missing_docs, reason = "each is described in its table")]
impl Rule {
    pub const AMBIGUOUS_VALUE: &Rule = Rule::named("ambiguous-value");
    pub const CYCLE: &Rule = Rule::named("cycle");
    pub const DECLARED_READ: &Rule = Rule::named("declared-read");
    pub const DUPLICATE_ID: &Rule = Rule::named("duplicate-id");
    pub const DUPLICATE_KEY: &Rule = Rule::named("duplicate-key");
    pub const DUPLICATE_NAME: &Rule = Rule::named("duplicate-name");
    pub const DUPLICATE_NODE: &Rule = Rule::named("duplicate-node");
    pub const DUPLICATE_PRODUCT: &Rule = Rule::named("duplicate-product");
    pub const DUPLICATE_TOKEN: &Rule = Rule::named("duplicate-token");
    pub const DUPLICATE_WORKFLOW: &Rule = Rule::named("duplicate-workflow");
    pub const EMPTY_SECRET: &Rule = Rule::named("empty-secret");
    pub const EMPTY_TARGET: &Rule = Rule::named("empty-target");
    pub const EMPTY_TEST: &Rule = Rule::named("empty-test");
    pub const LITERAL_TEMPLATE: &Rule = Rule::named("literal-template");
    pub const MAYBE_MISSING: &Rule = Rule::named("maybe-missing");
    pub const MISSING_INPUT: &Rule = Rule::named("missing-input");
    pub const MISSING_KEY: &Rule = Rule::named("missing-key");
    pub const MISSING_PATH: &Rule = Rule::named("missing-path");
    pub const MISSING_SECRET: &Rule = Rule::named("missing-secret");
    pub const NO_EXPIRY: &Rule = Rule::named("no-expiry");
    pub const NO_UNDO: &Rule = Rule::named("no-undo");
    pub const NO_VALUE: &Rule = Rule::named("no-value");
    pub const NUMBER_FOR_TEXT: &Rule = Rule::named("number-for-text");
    pub const ORPHAN_TEST: &Rule = Rule::named("orphan-test");
    pub const RECURSION: &Rule = Rule::named("recursion");
    pub const SECRET_LITERAL: &Rule = Rule::named("secret-literal");
    pub const TEMPLATE_IN_CODE: &Rule = Rule::named("template-in-code");
    pub const TOO_LARGE: &Rule = Rule::named("too-large");
    pub const UNBOUNDED_DISRUPTION: &Rule = Rule::named("unbounded-disruption");
    pub const UNESCAPED_ALERT_TEXT: &Rule = Rule::named("unescaped-alert-text");
    pub const UNESCAPED_PATH: &Rule = Rule::named("unescaped-path");
    pub const UNGATED_DISRUPTION: &Rule = Rule::named("ungated-disruption");
    pub const UNKNOWN_FACT: &Rule = Rule::named("unknown-fact");
    pub const UNKNOWN_FIELD: &Rule = Rule::named("unknown-field");
    pub const UNKNOWN_INPUT: &Rule = Rule::named("unknown-input");
    pub const UNKNOWN_KEY: &Rule = Rule::named("unknown-key");
    pub const UNKNOWN_NODE: &Rule = Rule::named("unknown-node");
    pub const UNKNOWN_OUTPUT: &Rule = Rule::named("unknown-output");
    pub const UNKNOWN_PATH: &Rule = Rule::named("unknown-path");
    pub const UNKNOWN_PRODUCT: &Rule = Rule::named("unknown-product");
    pub const UNKNOWN_ROOT: &Rule = Rule::named("unknown-root");
    pub const UNKNOWN_STEP: &Rule = Rule::named("unknown-step");
    pub const UNKNOWN_WORKFLOW: &Rule = Rule::named("unknown-workflow");
    pub const UNQUOTED_TEMPLATE: &Rule = Rule::named("unquoted-template");
    pub const UNREADABLE: &Rule = Rule::named("unreadable");
    pub const UNREADABLE_ALERT: &Rule = Rule::named("unreadable-alert");
    pub const WRONG_EXPRESSION: &Rule = Rule::named("wrong-expression");
    pub const WRONG_ID: &Rule = Rule::named("wrong-id");
    pub const WRONG_INPUT: &Rule = Rule::named("wrong-input");
    pub const WRONG_KEY: &Rule = Rule::named("wrong-key");
    pub const WRONG_NODE: &Rule = Rule::named("wrong-node");
    pub const WRONG_STEP: &Rule = Rule::named("wrong-step");
    pub const WRONG_TYPE: &Rule = Rule::named("wrong-type");
    pub const WRONG_VALUE: &Rule = Rule::named("wrong-value");
    pub const YAML_FORM: &Rule = Rule::named("yaml-form");
    pub const YAML_SYNTAX: &Rule = Rule::named("yaml-syntax");
}

#[cfg(test)]
mod tests;
