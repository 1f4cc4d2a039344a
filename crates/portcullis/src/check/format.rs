//! The forms in which findings are written.

use clap::ValueEnum;
use workflow::{Diagnostics, Severity};

use super::{Checked, github, json, sarif};
use crate::show;

/// How findings are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people: the line, the place underlined, and help.
    Text,
    /// One JSON object.
    Json,
    /// SARIF 2.1.0, for code scanning.
    Sarif,
    /// Workflow commands of GitHub Actions, which annotate a pull request.
    Github,
}

impl Checked {
    pub(super) fn shown(&self, format: Format) -> anyhow::Result<String> {
        Ok(match format {
            Format::Text => self.text(),
            Format::Json => pretty(&json::document(self))?,
            Format::Sarif => pretty(&sarif::document(self))?,
            Format::Github => github::commands(self) + &self.summary(),
        })
    }

    fn text(&self) -> String {
        let with_findings = self.files.iter().filter(|findings| !findings.is_empty());
        let shown: Vec<String> =
            with_findings.map(|findings| findings.render(show::is_colourful()) + "\n\n").collect();
        shown.concat() + &self.summary()
    }

    /// How many findings are so severe.
    pub(super) fn count(&self, severity: Severity) -> usize {
        let findings = self.files.iter().flat_map(Diagnostics::findings);
        findings.filter(|finding| finding.severity == severity).count()
    }

    fn left_out(&self) -> String {
        match self.files.iter().map(Diagnostics::left_out).sum() {
            0 => String::new(),
            1.. => "Of each file only the first hundred errors and the first hundred warnings are counted.\n"
                .to_owned(),
        }
    }

    fn summary(&self) -> String {
        let tests =
            if self.tests > 0 { format!(", {}", counted(self.tests, "test file")) } else { String::new() };
        format!(
            "{}{tests}: {}, {}\n",
            counted(self.playbooks, "playbook"),
            counted(self.count(Severity::Error), "error"),
            counted(self.count(Severity::Warning), "warning"),
        ) + &self.left_out()
    }
}

fn counted(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

fn pretty(document: &serde_json::Value) -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(document)? + "\n")
}

/// How severe a finding is, in a word.
pub(super) fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}
