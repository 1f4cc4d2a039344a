//! Why a test failed, as a person reads it.

use std::fmt::{self, Write as _};

use super::diff::{self, Line};

/// Longer than this together, what was expected and what came stand below each other.
const LONGEST_IN_LINE: usize = 60;

/// Why a test failed: what was expected and what came, and the story of the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What is not as it should be.
    pub problems: Vec<Problem>,
    pub(super) file: String,
    pub(super) story: Vec<String>,
}

/// One thing that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What it is about.
    pub what: String,
    /// The line of the test file that it is about, from 1.
    pub line: usize,
    /// What was expected and what came, where two things were compared.
    pub difference: Option<Difference>,
    /// What to do about it.
    pub help: Option<String>,
    /// What it is about, as a path from the test.
    pub(super) place: String,
}

/// Two things that should be the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// What the test says.
    pub expected: String,
    /// What came.
    pub got: String,
}

impl Problem {
    pub(super) fn new(what: impl Into<String>) -> Problem {
        Problem { what: what.into(), line: 0, difference: None, help: None, place: String::new() }
    }

    pub(super) fn help(self, help: impl Into<String>) -> Problem {
        Problem { help: Some(help.into()), ..self }
    }

    /// The problem is about this part of the test, as in `/expect/status/block`.
    pub(super) fn at(self, place: impl Into<String>) -> Problem {
        Problem { place: place.into(), ..self }
    }

    pub(super) fn difference(
        what: impl Into<String>,
        expected: impl Into<String>,
        got: impl Into<String>,
    ) -> Problem {
        let difference = Difference { expected: expected.into(), got: got.into() };
        Problem { difference: Some(difference), ..Problem::new(what) }
    }
}

impl Failure {
    /// The failure as a person reads it in a terminal, with colours or without.
    pub fn render(&self, is_colourful: bool) -> String {
        let paint = Paint { is_colourful };
        let mut text = String::new();
        for problem in &self.problems {
            problem.write(&self.file, &paint, &mut text);
        }
        if !self.story.is_empty() {
            text.push_str("  the run:\n");
        }
        for line in &self.story {
            let _ = writeln!(text, "    {}", visible(line));
        }
        text.truncate(text.trim_end().len());
        text
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl Problem {
    fn write(&self, file: &str, paint: &Paint, text: &mut String) {
        let place = paint.dim(&format!("{file}:{}:", self.line));
        let _ = write!(text, "  {place} {}", visible(&self.what));
        if let Some(difference) = &self.difference {
            difference.write(paint, text);
        }
        text.push('\n');
        if let Some(help) = &self.help {
            let _ = writeln!(text, "    help: {}", visible(help));
        }
    }
}

impl Difference {
    fn write(&self, paint: &Paint, text: &mut String) {
        if !self.expected.trim_end().contains('\n') && !self.got.trim_end().contains('\n') {
            let expected = paint.expected(&visible(self.expected.trim_end()));
            let got = paint.got(&visible(self.got.trim_end()));
            let is_long = self.expected.chars().count() + self.got.chars().count() > LONGEST_IN_LINE;
            let _ = if is_long {
                write!(text, "\n    expected {expected}\n    got      {got}")
            } else {
                write!(text, ": expected {expected}, got {got}")
            };
            return;
        }
        let (expected, got) = (paint.expected("expected (-)"), paint.got("got (+)"));
        let _ = write!(text, ": {expected} and {got}");
        for line in diff::lines(&self.expected, &self.got) {
            let line = match line {
                Line::Same(line) => format!("  {}", visible(line)),
                Line::Expected(line) => paint.expected(&format!("- {}", visible(line))),
                Line::Got(line) => paint.got(&format!("+ {}", visible(line))),
                Line::Gap => paint.dim("  ..."),
            };
            let _ = write!(text, "\n    {line}");
        }
    }
}

struct Paint {
    is_colourful: bool,
}

impl Paint {
    fn expected(&self, text: &str) -> String {
        self.paint("32", text)
    }

    fn got(&self, text: &str) -> String {
        self.paint("31", text)
    }

    fn dim(&self, text: &str) -> String {
        self.paint("2", text)
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.is_colourful { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// Text that an attacker may have written: what could drive a terminal or turn text around becomes visible.
fn visible(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        let turns = matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
        if turns || c.is_control() && c != '\t' {
            let _ = write!(line, "{}", c.escape_unicode());
        } else {
            line.push(c);
        }
    }
    line
}
