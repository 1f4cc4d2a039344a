//! Findings as one JSON object. Its form is stable: keys are added, and neither change nor go.

use std::ops::Range;

use serde_json::{Value, json};
use workflow::{Diagnostic, Diagnostics, Severity};

use super::Checked;
use super::format::level;

const VERSION: u32 = 1;

pub(super) fn document(checked: &Checked) -> Value {
    let findings = checked.files.iter().flat_map(|file| {
        let findings = file.findings().into_iter();
        findings.map(|finding| self::finding(file, finding)).collect::<Vec<_>>()
    });
    json!({
        "version": VERSION,
        "playbooks": checked.playbooks,
        "tests": checked.tests,
        "errors": checked.count(Severity::Error),
        "warnings": checked.count(Severity::Warning),
        "findings": findings.collect::<Vec<_>>(),
    })
}

fn finding(file: &Diagnostics, finding: &Diagnostic) -> Value {
    let notes = finding.notes.iter().map(|(at, text)| json!({ "message": text, "at": place(file, at) }));
    json!({
        "file": file.file(),
        "at": place(file, &finding.at),
        "rule": finding.rule.id,
        "severity": level(finding.severity),
        "message": finding.message,
        "help": finding.help,
        "notes": notes.collect::<Vec<_>>(),
    })
}

/// Lines and columns from 1; columns count characters, and the end is the character behind the last.
fn place(file: &Diagnostics, at: &Range<usize>) -> Value {
    let (line, column) = file.line_and_column(at.start);
    let (end_line, end_column) = file.line_and_column(at.end.max(at.start));
    json!({ "line": line, "column": column, "end_line": end_line, "end_column": end_column })
}
