//! What is wrong with a text that a person wrote, and how it is shown: with the line, the place underlined, and help.

use std::fmt;
use std::ops::Range;

use annotate_snippets::{
    Annotation, AnnotationKind, Group, Level, Origin, Renderer, Snippet, normalize_untrusted_str,
};

use crate::rule::Rule;

/// One finding about a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// The rule.
    pub rule: &'static Rule,
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
    /// A finding under this rule, as severe as the rule is.
    pub fn new(rule: &'static Rule, at: Range<usize>, message: impl Into<String>) -> Diagnostic {
        let severity = rule.severity;
        Diagnostic { rule, severity, message: message.into(), at, notes: Vec::new(), help: None }
    }

    /// A warning under a rule whose findings are errors in worse cases.
    pub fn milder(rule: &'static Rule, at: Range<usize>, message: impl Into<String>) -> Diagnostic {
        Diagnostic { severity: Severity::Warning, ..Diagnostic::new(rule, at, message) }
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

/// How many errors, and how many warnings, are kept of one text.
const MOST_FINDINGS: usize = 100;

const LONGEST_TEXT: usize = 1000;
/// Longer lines are not shown: nobody wrote them to be read.
const LONGEST_LINE: usize = 2000;
const LONGEST_SNIPPET: usize = 100_000;

/// Shorter words stand in texts by chance.
const SHORTEST_HIDDEN: usize = 4;

/// All findings about one text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostics {
    file: String,
    source: String,
    findings: Vec<Diagnostic>,
    /// How many are not kept.
    left_out: usize,
}

impl Diagnostics {
    /// No finding yet about this file.
    pub fn new(file: impl Into<String>, source: impl Into<String>) -> Diagnostics {
        Diagnostics { file: file.into(), source: source.into(), findings: Vec::new(), left_out: 0 }
    }

    /// Adds a finding. Of each severity the first hundred are kept: nobody reads more of one file.
    pub fn push(&mut self, mut diagnostic: Diagnostic) {
        for text in [&mut diagnostic.message].into_iter().chain(&mut diagnostic.help) {
            shorten(text);
        }
        let severity = diagnostic.severity;
        if self.findings.iter().filter(|finding| finding.severity == severity).count() < MOST_FINDINGS {
            self.findings.push(diagnostic);
        } else {
            self.left_out += 1;
        }
    }

    /// How many findings there were besides those that are kept.
    pub fn left_out(&self) -> usize {
        self.left_out
    }

    /// Shows these bytes as stars from now on, also where a finding has repeated them.
    pub fn hide(&mut self, at: Range<usize>) {
        let at = self.clamp(&at);
        let stars = "*".repeat(at.len());
        let hidden = self.source.get(at.clone()).unwrap_or_default().trim().to_owned();
        self.source.replace_range(at, &stars);
        if hidden.len() < SHORTEST_HIDDEN {
            return;
        }
        for finding in &mut self.findings {
            let notes = finding.notes.iter_mut().map(|(_, text)| text);
            for text in [&mut finding.message].into_iter().chain(&mut finding.help).chain(notes) {
                *text = text.replace(&hidden, "***");
            }
        }
    }

    /// Removes the findings of a rule where another one has the same place.
    pub(crate) fn drop_doubled(&mut self, rule: &Rule) {
        let others: Vec<Range<usize>> = self
            .findings
            .iter()
            .filter(|finding| finding.rule != rule)
            .map(|finding| finding.at.clone())
            .collect();
        self.findings.retain(|finding| finding.rule != rule || !others.contains(&finding.at));
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

    pub(crate) fn source(&self) -> &str {
        &self.source
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
        let mut rendered: Vec<String> = rendered.collect();
        if self.left_out > 0 {
            rendered.push(format!("{} more findings in {} are not shown", self.left_out, self.file));
        }
        rendered.join("\n\n")
    }

    fn group<'a>(&'a self, finding: &'a Diagnostic) -> Group<'a> {
        let level = match finding.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let title = level.primary_title(finding.message.as_str()).id(finding.rule.id);
        let group = match self.snippet(finding) {
            Some(snippet) => title.element(snippet),
            None => {
                let (line, column) = self.line_and_column(finding.at.start);
                title.element(Origin::path(self.file.as_str()).line(line).char_column(column))
            }
        };
        match &finding.help {
            Some(help) => group.element(Level::HELP.message(normalize_untrusted_str(help))),
            None => group,
        }
    }

    /// The lines that a finding is about; none where they are too long to be read.
    fn snippet<'a>(&'a self, finding: &'a Diagnostic) -> Option<Snippet<'a, Annotation<'a>>> {
        let primary = self.clamp(&finding.at);
        let notes: Vec<(Range<usize>, &str)> =
            finding.notes.iter().map(|(at, text)| (self.clamp(at), text.as_str())).collect();
        let starts = notes.iter().map(|(at, _)| at.start).chain([primary.start]);
        let ends = notes.iter().map(|(at, _)| at.end).chain([primary.end]);
        let (start, end) = (starts.min()?, ends.max()?);
        let start = self.source.get(..start)?.rfind('\n').map_or(0, |newline| newline + 1);
        let end = self.source.get(end..)?.find('\n').map_or(self.source.len(), |newline| end + newline);
        let text = self.source.get(start..end)?;
        if text.lines().any(|line| line.len() > LONGEST_LINE) || text.len() > LONGEST_SNIPPET {
            return None;
        }
        let within = |at: Range<usize>| at.start - start..at.end - start;
        let labels = notes
            .into_iter()
            .map(|(at, text)| AnnotationKind::Context.span(within(at)).label(text))
            .collect::<Vec<_>>();
        let snippet =
            Snippet::source(text).line_start(self.line_and_column(start).0).path(self.file.as_str());
        Some(snippet.fold(true).annotation(AnnotationKind::Primary.span(within(primary))).annotations(labels))
    }

    fn clamp(&self, at: &Range<usize>) -> Range<usize> {
        let start = floor_boundary(&self.source, at.start);
        let end = floor_boundary(&self.source, at.end).max(start);
        start..end
    }
}

/// Names in a text can be as long as the file.
fn shorten(text: &mut String) {
    if text.len() > LONGEST_TEXT {
        text.truncate(floor_boundary(text, LONGEST_TEXT));
        text.push_str(" ...");
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
