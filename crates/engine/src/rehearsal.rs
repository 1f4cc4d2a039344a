//! Tests of a playbook: each plays a run through the engine, with mocks for the world and answers for the people.
//!
//! No server, no network, no waiting: the clock jumps to whatever is due next, ids are fixed, so that a test gives the
//! same run every time. The caller reads the files; nothing here opens one.

mod file;
mod judge;
mod play;
mod story;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use model::Outcome;
use serde_json::Value;
use workflow::{Diagnostics, Workflow};

use crate::Command;

/// What became of one test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The name of the test.
    pub name: String,
    /// The line of the test file where it stands, from 1.
    pub line: usize,
    /// Why it failed; none: it passed.
    pub failure: Option<Failure>,
    /// The run as a person would tell it, a line for each fact.
    pub story: Vec<String>,
}

/// Why a test failed: what was expected and what came, and the story of the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What is not as it should be.
    pub problems: Vec<Problem>,
    story: Vec<String>,
}

/// One thing that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What it is about.
    pub what: String,
    /// What was expected and what came, where two things were compared.
    pub difference: Option<Difference>,
    /// What to do about it.
    pub help: Option<String>,
}

/// Two things that should be the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// What the test says.
    pub expected: String,
    /// What came.
    pub got: String,
}

/// Gives the alert that stands under a path.
pub type Alerts<'a> = dyn Fn(&str) -> Result<Value, String> + 'a;

/// Performs what needs nobody but this machine; none: it takes a mock.
pub type Pure<'a> = dyn Fn(&Command) -> Option<Outcome> + 'a;

/// The tests of a file against its workflow; each is played when its report is asked for. Where the findings hold an
/// error, there are none.
///
/// `alerts` reads the paths that the test file writes. `pure` is asked about calls for which a
/// test has no mock.
pub fn rehearse<'a>(
    workflow: &'a Arc<Workflow>,
    file: &str,
    text: &str,
    alerts: &Alerts<'_>,
    pure: &'a Pure<'a>,
) -> (impl Iterator<Item = Report> + use<'a>, Diagnostics) {
    let (tests, findings) = file::read(workflow, file, text, alerts);
    let lines: Vec<usize> = tests.iter().map(|test| findings.line_and_column(test.at).0).collect();
    let reports = tests.into_iter().zip(lines).map(|(test, line)| report(workflow, &test, line, pure));
    (reports, findings)
}

fn report(workflow: &Arc<Workflow>, test: &file::Test, line: usize, pure: &Pure<'_>) -> Report {
    let played = play::play(workflow, test, pure);
    let problems = judge::problems(test, &played);
    let story = played.story;
    let failure = (!problems.is_empty()).then(|| Failure { problems, story: story.clone() });
    Report { name: test.name.clone(), line, failure, story }
}

impl Problem {
    fn new(what: impl Into<String>) -> Problem {
        Problem { what: what.into(), difference: None, help: None }
    }

    fn help(self, help: impl Into<String>) -> Problem {
        Problem { help: Some(help.into()), ..self }
    }

    fn difference(what: impl Into<String>, expected: impl Into<String>, got: impl Into<String>) -> Problem {
        let difference = Difference { expected: expected.into(), got: got.into() };
        Problem { difference: Some(difference), ..Problem::new(what) }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let problems: Vec<String> = self.problems.iter().map(ToString::to_string).collect();
        f.write_str(&problems.join("\n"))?;
        if self.story.is_empty() {
            return Ok(());
        }
        f.write_str("\n  the run:")?;
        self.story.iter().try_for_each(|line| write!(f, "\n    {line}"))
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "  {}", self.what)?;
        if let Some(difference) = &self.difference {
            write!(f, "{difference}")?;
        }
        match &self.help {
            Some(help) => write!(f, "\n    help: {help}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let expected: Vec<&str> = self.expected.lines().collect();
        let got: Vec<&str> = self.got.lines().collect();
        if expected.len().max(got.len()) <= 1 {
            return write!(f, ": expected {}, got {}", self.expected, self.got);
        }
        let start = expected.iter().zip(&got).take_while(|(a, b)| a == b).count();
        let rest = expected.len().min(got.len()) - start;
        let ends = expected.iter().rev().zip(got.iter().rev());
        let end = ends.take(rest).take_while(|(a, b)| a == b).count();
        f.write_str(": expected (-) and got (+)")?;
        write_lines(f, ' ', &expected, 0..start)?;
        write_lines(f, '-', &expected, start..expected.len() - end)?;
        write_lines(f, '+', &got, start..got.len() - end)?;
        write_lines(f, ' ', &expected, expected.len() - end..expected.len())
    }
}

fn write_lines(f: &mut fmt::Formatter<'_>, mark: char, lines: &[&str], which: Range<usize>) -> fmt::Result {
    let lines = lines.get(which).unwrap_or_default();
    lines.iter().try_for_each(|line| write!(f, "\n    {mark} {line}"))
}

#[cfg(test)]
mod tests;
