//! What is wrong with a text that a person wrote, and how it is shown: with the line, the place underlined, and help.

use std::fmt;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

/// One finding about a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// The rule, in kebab-case.
    pub rule: &'static str,
    /// Whether the text can be used nevertheless.
    pub severity: Severity,
    /// What is wrong, as a fragment without a full stop.
    pub message: String,
    /// Which bytes of the text.
    pub at: Range<usize>,
    /// Other places that matter, with a word each.
    pub notes: Vec<(Range<usize>, String)>,
    /// What to do.
    pub help: Option<String>,
}

/// Whether a text can be used in spite of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It cannot.
    Error,
    /// It can, and somebody should look.
    Warning,
}

impl Diagnostic {
    /// An error under this rule.
    pub fn error(rule: &'static str, at: Range<usize>, message: impl Into<String>) -> Diagnostic {
        Diagnostic {
            rule,
            severity: Severity::Error,
            message: message.into(),
            at,
            notes: Vec::new(),
            help: None,
        }
    }

    /// A warning under this rule.
    pub fn warning(rule: &'static str, at: Range<usize>, message: impl Into<String>) -> Diagnostic {
        Diagnostic { severity: Severity::Warning, ..Diagnostic::error(rule, at, message) }
    }

    /// The same finding with a word on what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Diagnostic {
        self.help = Some(help.into());
        self
    }

    /// The same finding with another place that matters.
    #[must_use]
    pub fn note(mut self, at: Range<usize>, text: impl Into<String>) -> Diagnostic {
        self.notes.push((at, text.into()));
        self
    }
}

/// All findings about one text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostics {
    file: String,
    source: String,
    findings: Vec<Diagnostic>,
}

impl Diagnostics {
    /// No finding yet about this file.
    pub fn new(file: impl Into<String>, source: impl Into<String>) -> Diagnostics {
        Diagnostics { file: file.into(), source: source.into(), findings: Vec::new() }
    }

    /// Adds a finding.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.findings.push(diagnostic);
    }

    /// Shows these bytes as stars from now on.
    pub fn hide(&mut self, at: Range<usize>) {
        let at = self.clamp(&at);
        let stars = "*".repeat(at.len());
        self.source.replace_range(at, &stars);
    }

    /// The findings, in the order of their places.
    pub fn findings(&self) -> Vec<&Diagnostic> {
        let mut findings: Vec<&Diagnostic> = self.findings.iter().collect();
        findings.sort_by_key(|finding| (finding.at.start, finding.severity));
        findings
    }

    /// The name under which the text is known.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Whether the text cannot be used.
    pub fn has_errors(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity == Severity::Error)
    }

    /// Whether there is nothing to say.
    pub fn is_empty(&self) -> bool {
        self.findings.is_empty()
    }

    /// The line and the column of a place, both from 1; columns count characters.
    pub fn line_and_column(&self, at: usize) -> (usize, usize) {
        let before = self.source.get(..at).unwrap_or(&self.source);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let column = before.get(line_start..).map_or(0, |line| line.chars().count());
        (before.matches('\n').count() + 1, column + 1)
    }

    /// Every finding as a person reads it in a terminal, with colours or without.
    pub fn render(&self, is_colourful: bool) -> String {
        let renderer = if is_colourful { Renderer::styled() } else { Renderer::plain() };
        let rendered = self.findings().into_iter().map(|finding| renderer.render(&[self.group(finding)]));
        rendered.collect::<Vec<_>>().join("\n\n")
    }

    fn group<'a>(&'a self, finding: &'a Diagnostic) -> Group<'a> {
        let level = match finding.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let primary = AnnotationKind::Primary.span(self.clamp(&finding.at));
        let notes = finding
            .notes
            .iter()
            .map(|(at, text)| AnnotationKind::Context.span(self.clamp(at)).label(text.as_str()));
        let snippet = Snippet::source(self.source.as_str())
            .path(self.file.as_str())
            .fold(true)
            .annotation(primary)
            .annotations(notes);
        let group = level.primary_title(finding.message.as_str()).id(finding.rule).element(snippet);
        match &finding.help {
            Some(help) => group.element(Level::HELP.message(help.as_str())),
            None => group,
        }
    }

    fn clamp(&self, at: &Range<usize>) -> Range<usize> {
        let start = floor_boundary(&self.source, at.start);
        let end = floor_boundary(&self.source, at.end).max(start);
        start..end
    }
}

fn floor_boundary(source: &str, at: usize) -> usize {
    (0..=at.min(source.len())).rev().find(|at| source.is_char_boundary(*at)).unwrap_or(0)
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Diagnostics {}
