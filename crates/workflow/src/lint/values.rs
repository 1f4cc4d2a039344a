//! Values that say something else than they seem to: braces in variables, numbers for text.

use expr::{Comparison, Constant, Leaf};
use serde_json::Value;

use super::expressions::Expression;
use crate::diagnostic::Diagnostic;
use crate::rule::Rule;
use crate::workflow::Workflow;
use crate::yaml::{Node, Object, suggest};

/// Fields of Wazuh's alerts that hold digits and are text.
const TEXTS: [&str; 5] =
    ["alert.agent.id", "alert.data.dstport", "alert.data.srcport", "alert.id", "alert.rule.id"];

pub(super) fn check(root: &Object<'_>, workflow: &Workflow, expressions: &[Expression<'_>]) {
    if let Some(vars) = root.get("vars") {
        check_literal(&vars);
    }
    for expression in expressions {
        if let Leaf::Expression(condition) = expression.leaf {
            check_numbers(&expression.node, condition);
            check_words(&expression.node, condition);
        }
    }
    for (index, trigger) in workflow.triggers.iter().enumerate() {
        if let Some(when) = &trigger.when {
            check_numbers(&root.node().below(&format!("/triggers/{index}/when")), when);
        }
    }
}

fn check_literal(node: &Node<'_>) {
    match node.value() {
        Value::String(text) if text.contains("{{") => {
            let message = "nothing is evaluated in `vars`: the braces stay as they are";
            let help = "compute it in a `set` step, or write the template where the variable is used";
            node.report(Diagnostic::new(Rule::LITERAL_TEMPLATE, node.at(), message).help(help));
        }
        Value::Object(_) => node.entries().iter().for_each(|(_, node)| check_literal(node)),
        Value::Array(_) => node.list().unwrap_or_default().iter().for_each(check_literal),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// What a status and a decision can be; with anything else they are never equal.
const STATUSES: [&str; 10] = [
    "cancelled",
    "expired",
    "failed",
    "in_doubt",
    "ok",
    "pending",
    "rejected",
    "running",
    "skipped",
    "waiting",
];
const DECISIONS: [&str; 2] = ["approve", "reject"];

fn check_words(node: &Node<'_>, condition: &expr::Condition) {
    for Comparison { path, with } in condition.compared() {
        let Constant::Text(word) = with else { continue };
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        let words = match path.as_slice() {
            ["status", _] => STATUSES.as_slice(),
            ["approvals", _, "decision"] => DECISIONS.as_slice(),
            _ => continue,
        };
        if !word.is_empty() && !words.contains(&word.as_str()) {
            let message = format!("`{}` is never `{word}`", path.join("."));
            let help = suggest(word, words.iter().copied());
            node.report(Diagnostic::new(Rule::WRONG_VALUE, node.word_at(word), message).help(help));
        }
    }
}

fn check_numbers(node: &Node<'_>, condition: &expr::Condition) {
    for Comparison { path, .. } in condition.compared().iter().filter(|with| with.with == Constant::Number) {
        let text = path.join(".");
        if TEXTS.contains(&text.as_str()) {
            let message = format!("Wazuh sends `{text}` as text, and text is never equal to a number");
            let finding = Diagnostic::new(Rule::NUMBER_FOR_TEXT, node.word_at(&text), message);
            node.report(finding.help(format!("put the number in quotes, as in `{text} == \"5710\"`")));
        }
    }
}
