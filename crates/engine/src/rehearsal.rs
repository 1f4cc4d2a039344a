//! Tests of a playbook: each plays a run through the engine, with mocks for the world and answers for the people.
//!
//! No server, no network, no waiting: the clock jumps to whatever is due next, ids are fixed, so that a test gives the
//! same run every time. The caller reads the files; nothing here opens one.

mod coverage;
mod diff;
mod facts;
mod failure;
mod file;
mod judge;
mod play;
mod story;

use std::sync::Arc;

use model::Outcome;
use serde_json::Value;
use workflow::{Diagnostics, Workflow};

pub use coverage::{Branch, Coverage, Part, Reach};
pub use failure::{Difference, Failure, Problem};

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
    /// What the test showed of the playbook.
    pub coverage: Coverage,
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
    let file = file.to_owned();
    (tests.into_iter().map(move |test| report(workflow, &file, &test, pure)), findings)
}

/// Checks a test file without playing it.
pub fn check(workflow: &Workflow, file: &str, text: &str, alerts: &Alerts<'_>) -> Diagnostics {
    file::read(workflow, file, text, alerts).1
}

fn report(workflow: &Arc<Workflow>, file: &str, test: &file::Test, pure: &Pure<'_>) -> Report {
    let played = play::play(workflow, test, pure);
    let mut problems = judge::problems(test, &played);
    for problem in &mut problems {
        problem.line = test.lines.of(&problem.place);
    }
    let coverage = coverage::of(workflow, &played);
    let story = played.story;
    let failure =
        (!problems.is_empty()).then(|| Failure { problems, file: file.to_owned(), story: story.clone() });
    Report { name: test.name.clone(), line: test.lines.of(""), failure, story, coverage }
}

#[cfg(test)]
mod tests;
