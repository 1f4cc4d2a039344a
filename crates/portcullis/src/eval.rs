//! `portcullis eval`: tries an expression on an alert.

use std::io::{self, BufRead as _, IsTerminal as _};
use std::path::Path;

use anyhow::{Context as _, bail};
use expr::{CompileError, Condition, Reference, Scope, Template};
use rustyline::error::ReadlineError;
use rustyline::history::MemHistory;
use rustyline::{Config, Editor};
use serde_json::{Map, Value, json};
use workflow::{Diagnostic, Diagnostics, Rule, Workflow};

use crate::cli::EvalOptions;
use crate::{app, check, show};

/// The run and its time are those of the tests of a playbook.
const RUN: &str = "00000000-0000-7000-8000-000000000000";
const START: &str = "2026-01-01T00:00:00.000Z";

/// Evaluates the expression, or every line of standard input; gives whether all of them could be.
pub(crate) fn eval(config: &Path, options: &EvalOptions) -> anyhow::Result<bool> {
    let workflow = match &options.workflow {
        None => None,
        Some(path) => match load(config, path)? {
            Ok(workflow) => Some(workflow),
            Err(findings) => {
                eprintln!("{}", findings.render(is_colourful()));
                return Ok(false);
            }
        },
    };
    let scope = scope(options, workflow.as_ref())?;
    match &options.expression {
        Some(text) => Ok(say(text, &scope)),
        None if io::stdin().is_terminal() => prompt(&scope).map(|()| true),
        None => {
            let mut is_good = true;
            for line in io::stdin().lock().lines() {
                let line = line.context("cannot read standard input")?;
                is_good &= line.trim().is_empty() || say(&line, &scope);
            }
            Ok(is_good)
        }
    }
}

fn prompt(scope: &Scope) -> anyhow::Result<()> {
    show::say("CEL, or text with {{ }}. The arrows bring lines back, Ctrl-D ends.");
    let config = Config::builder().auto_add_history(true).build();
    let mut editor: Editor<(), MemHistory> = Editor::with_history(config, MemHistory::new())?;
    loop {
        match editor.readline("> ") {
            Ok(line) if line.trim().is_empty() => {}
            Ok(line) => drop(say(&line, scope)),
            Err(ReadlineError::Interrupted) => {}
            Err(ReadlineError::Eof) => return Ok(()),
            Err(error) => return Err(error).context("cannot read the terminal"),
        }
    }
}

/// Shows what an expression gives: on a terminal with its type, elsewhere as JSON alone.
fn say(text: &str, scope: &Scope) -> bool {
    match evaluate(text, scope) {
        Ok(value) if io::stdout().is_terminal() => {
            let shown = format!("{value:#}").lines().map(show::line).collect::<Vec<_>>().join("\n");
            let between = if shown.contains('\n') { "\n" } else { " " };
            show::say(format_args!("{}:{between}{shown}", kind(&value)));
            true
        }
        Ok(value) => {
            show::say(format_args!("{value:#}"));
            true
        }
        Err(finding) => {
            let mut findings = Diagnostics::new("expression", text);
            findings.push(finding);
            eprintln!("{}", findings.render(is_colourful()));
            false
        }
    }
}

fn is_colourful() -> bool {
    io::stderr().is_terminal() && show::is_colourful()
}

/// Text with braces is Handlebars, anything else CEL.
fn evaluate(text: &str, scope: &Scope) -> Result<Value, Diagnostic> {
    let wrong = |error: CompileError| {
        let at = error.at.unwrap_or(0..text.len());
        Diagnostic { help: error.help, ..Diagnostic::new(Rule::WRONG_EXPRESSION, at, error.message) }
    };
    let (result, references) = if text.contains("{{") {
        let template = Template::compile(text).map_err(wrong)?;
        (template.eval(scope), template.references().to_vec())
    } else {
        let condition = Condition::compile(text).map_err(wrong)?;
        (condition.eval(scope), condition.references().to_vec())
    };
    result.map_err(|error| {
        // The expression stands below the message.
        let message = error.message.rsplit_once(", in `").map_or(error.message.as_str(), |(what, _)| what);
        Diagnostic::new(Rule::NO_VALUE, missing(text, &references, scope).unwrap_or(0..text.len()), message)
    })
}

/// Where the first path stands that leads nowhere.
fn missing(text: &str, references: &[Reference], scope: &Scope) -> Option<std::ops::Range<usize>> {
    let leads_nowhere = |reference: &&Reference| {
        let path: Vec<&str> = reference.path.iter().map(String::as_str).collect();
        !reference.is_optional && scope.get(&path).is_none_or(Value::is_null)
    };
    let path = references.iter().find(leads_nowhere)?.text();
    text.find(&path).map(|start| start..start + path.len())
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "list",
        Value::Object(_) => "object",
    }
}

/// What a playbook could read: the alert, the variables of the playbook, and steps that have given these outputs.
fn scope(options: &EvalOptions, workflow: Option<&Workflow>) -> anyhow::Result<Scope> {
    let steps = match &options.steps {
        None => Map::new(),
        Some(path) => {
            let Value::Object(steps) = read_json(path)? else {
                bail!("{} has to be an object: the output of each step by its id", path.display());
            };
            steps
        }
    };
    let ids = workflow.map(|workflow| workflow.steps.iter().map(|step| step.id.to_string()));
    let pending = ids.into_iter().flatten().map(|id| (id, Value::from("pending")));
    let done = steps.keys().map(|id| (id.clone(), Value::from("ok")));
    let status: Map<String, Value> = pending.chain(done).collect();
    let mut scope = Scope::new(json!({
        "trigger": { "kind": "manual", "received_at": START, "headers": {}, "query": {} },
        "run": { "id": RUN, "workflow": workflow.map(|workflow| &workflow.name), "started_at": START },
        "vars": workflow.map(|workflow| workflow.vars.clone()).unwrap_or_default(),
        "status": status,
        "steps": steps,
        "errors": {},
        "approvals": {},
    }));
    if let Some(path) = &options.alert {
        let is_called = workflow.is_some_and(|workflow| workflow.inputs.is_some());
        scope.set(&[if is_called { "inputs" } else { "alert" }], read_json(path)?);
    }
    Ok(scope)
}

fn read_json(path: &Path) -> anyhow::Result<Value> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is not JSON", path.display()))
}

fn load(config: &Path, path: &Path) -> anyhow::Result<Result<Workflow, Diagnostics>> {
    let (mut catalog, _) = check::catalog_and_paths(config, Vec::new())?;
    app::add_playbooks_beside([path], &mut catalog);
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let (workflow, findings) = workflow::load(&path.display().to_string(), &text, &catalog);
    Ok(workflow.ok_or(findings))
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    fn check(text: &str) -> String {
        let mut scope = Scope::new(json!({ "steps": { "host": { "name": "web-01" } } }));
        scope.set(
            &["alert"],
            json!({ "rule": { "level": 10, "groups": ["sshd"] }, "load": 1.5, "none": null }),
        );
        match evaluate(text, &scope) {
            Ok(value) => format!("{}: {value}", kind(&value)),
            Err(finding) => {
                let mut findings = Diagnostics::new("expression", text);
                findings.push(finding);
                findings.to_string()
            }
        }
    }

    #[test]
    fn braces_are_handlebars_and_anything_else_is_cel() {
        let all = [
            "alert.rule.level >= 10",
            "alert.rule",
            "alert.rule.groups",
            "alert.load",
            "size(alert.rule.groups)",
            "{{ alert.rule.level }}",
            "level {{ alert.rule.level }}",
            "{{ steps.host.name }}",
        ];
        let shown: Vec<String> = all.into_iter().map(check).collect();
        assert_snapshot!(shown.join("\n"), @r#"
        boolean: true
        object: {"groups":["sshd"],"level":10}
        list: ["sshd"]
        number: 1.5
        integer: 1
        integer: 10
        string: "level 10"
        string: "web-01"
        "#);
    }

    #[test]
    fn what_is_wrong_is_underlined() {
        let all = [
            "alert.rule.levl > 3 && alert.rule.level > 3",
            "alert.rule.level >= 'x'",
            "alert.rule.level >= ",
            "{{ nope alert.rule }}",
            "{{ alert.none }} and {{ alert.load }}",
        ];
        let shown: Vec<String> = all.into_iter().map(check).collect();
        assert_snapshot!(shown.join("\n\n"), @r#"
        error[no-value]: `alert.rule.levl` is missing: `alert.rule` has groups, level
         --> expression:1:1
          |
        1 | alert.rule.levl > 3 && alert.rule.level > 3
          | ^^^^^^^^^^^^^^^

        error[no-value]: found no matching overload for '_>=_' applied to '(int, string)'
         --> expression:1:1
          |
        1 | alert.rule.level >= 'x'
          | ^^^^^^^^^^^^^^^^^^^^^^^

        error[wrong-expression]: this is not a CEL expression: it ends too early
         --> expression:1:21
          |
        1 | alert.rule.level >= 
          |                     ^
          |
          = help: a decision reads like `alert.rule.level >= 10 && "sshd" in alert.rule.groups`

        error[wrong-expression]: there is no helper `nope`
         --> expression:1:4
          |
        1 | {{ nope alert.rule }}
          |    ^^^^
          |
          = help: there are and, base64, base64url, concat, date_add, default, each, eq, gt, gte, if, join, json, last, len, lower, lt, lte, map, merge, ne, not, or, seconds, sha256, shell, slack, trim, unless, upper, urlencode

        error[no-value]: `alert.none` is null
         --> expression:1:4
          |
        1 | {{ alert.none }} and {{ alert.load }}
          |    ^^^^^^^^^^
        "#);
    }
}
