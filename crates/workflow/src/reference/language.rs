//! The keys of the language as a page of Markdown.

use std::fmt::Write as _;

use super::cell;
use crate::keys::{self, Form, Key};
use crate::manifest::kind_names;

/// All keys of a playbook as a page of Markdown: what may stand where, and what it is for.
pub fn language() -> String {
    const TABLES: [(&str, &[Key]); 11] = [
        ("A playbook", keys::WORKFLOW),
        ("A trigger", keys::TRIGGER),
        ("A step", keys::STEP),
        ("`approval` of a step, and `with` of an `approval` step", keys::GATE),
        ("`from` of an approval", keys::ASKED),
        ("`retry`", keys::RETRY),
        ("`verify`", keys::VERIFY),
        ("`undo`", keys::UNDO),
        ("`dedupe`", keys::DEDUPE),
        ("`concurrency`", keys::CONCURRENCY),
        ("An input under `inputs` of a playbook", keys::INPUT),
    ];
    let mut page = "# All keys\n\n\
         Written by `portcullis schema --markdown` from the table that the checker reads; a test fails where it is stale. Keys that\n\
         are not here are errors. What nodes and triggers take under `with`: [all nodes](../../nodes/reference.md).\n"
        .to_owned();
    for (title, keys) in TABLES {
        let _ = write!(page, "\n## {title}\n\n| Key | Holds | For |\n|---|---|---|\n");
        for key in keys {
            let required = if key.is_required { ", required" } else { "" };
            let holds = cell(&form(key.form));
            let _ = writeln!(page, "| `{}` | {holds}{required} | {} |", key.name, cell(key.summary));
        }
    }
    page
}

fn form(form: Form) -> String {
    match form {
        Form::Id => "a name".to_owned(),
        Form::Text => "text".to_owned(),
        Form::Texts => "a list of texts".to_owned(),
        Form::Template => "text with `{{ }}`".to_owned(),
        Form::Condition => "CEL".to_owned(),
        Form::Conditions => "names with CEL".to_owned(),
        Form::Duration => "a duration".to_owned(),
        Form::Integer(least, most) => format!("{least} to {most}"),
        Form::Number(least, most) => format!("a number, {least} to {most}"),
        Form::Word(words) => format!("`{}`", words.join("`, `")),
        Form::Classes => format!("a list of `{}`, `http_NNN`", keys::CLASSES.join("`, `")),
        Form::Values => "names with values".to_owned(),
        Form::Any => "any value".to_owned(),
        Form::Bool => "`true`, `false`".to_owned(),
        Form::Kind => format!("`{}`", kind_names().join("`, `")),
        Form::Parameters => "names with inputs".to_owned(),
        Form::Object(_) => "a map: see below".to_owned(),
        Form::ObjectOrFalse(_) => "a map: see below, or `false`".to_owned(),
        Form::Moments => "a list of `failed`, `cancelled`".to_owned(),
        Form::Triggers => "a list of triggers".to_owned(),
        Form::Steps(most) => format!("a list of steps, 1 to {most}"),
        Form::Node => "the name of a node".to_owned(),
        Form::Inputs => "the node's inputs".to_owned(),
    }
}
