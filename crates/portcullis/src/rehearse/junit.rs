//! What became of tests as JUnit XML, in the form that the reporters of GitLab, Jenkins and GitHub read.

use std::fmt::Write as _;
use std::time::Duration;

use engine::rehearsal::{Difference, Problem, Report};
use workflow::Diagnostics;

/// The tests of one file.
#[derive(Debug, Clone)]
pub(super) struct Suite {
    pub(super) file: String,
    pub(super) cases: Vec<Case>,
}

/// One test.
#[derive(Debug, Clone)]
pub(super) struct Case {
    workflow: String,
    name: String,
    line: usize,
    took: Duration,
    story: String,
    end: End,
}

#[derive(Debug, Clone)]
enum End {
    Passed,
    /// In a line, and in full.
    Failed(String, String),
    /// The test could not be run.
    Error(String, String),
}

impl Case {
    pub(super) fn new(workflow: &str, report: Report, took: Duration) -> Case {
        let end = report.failure.map_or(End::Passed, |failure| {
            End::Failed(failure.problems.first().map(in_a_line).unwrap_or_default(), failure.to_string())
        });
        let Report { name, line, story, .. } = report;
        Case { workflow: workflow.to_owned(), name, line, took, story: story.join("\n"), end }
    }

    /// What stands for the tests of a file that cannot be read.
    pub(super) fn unreadable(what: &str, findings: &Diagnostics) -> Case {
        let all = findings.findings();
        let first = all.first();
        Case {
            workflow: findings.file().to_owned(),
            name: what.to_owned(),
            line: first.map_or(1, |finding| findings.line_and_column(finding.at.start).0),
            took: Duration::ZERO,
            story: String::new(),
            end: End::Error(
                first.map(|finding| finding.message.clone()).unwrap_or_default(),
                findings.to_string(),
            ),
        }
    }

    pub(super) fn is_passed(&self) -> bool {
        matches!(self.end, End::Passed)
    }
}

fn in_a_line(problem: &Problem) -> String {
    match &problem.difference {
        Some(Difference { expected, got }) if !expected.contains('\n') && !got.contains('\n') => {
            format!("{}: expected {expected}, got {got}", problem.what)
        }
        Some(_) | None => problem.what.clone(),
    }
}

/// The whole file.
pub(super) fn write(suites: &[Suite]) -> String {
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let all: Vec<&Case> = suites.iter().flat_map(|suite| &suite.cases).collect();
    let _ = writeln!(xml, "<testsuites name=\"portcullis test\"{}>", counts(&all));
    for suite in suites {
        let cases: Vec<&Case> = suite.cases.iter().collect();
        let _ = writeln!(xml, "  <testsuite name=\"{}\"{}>", escape(&suite.file), counts(&cases));
        cases.iter().for_each(|case| write_case(&suite.file, case, &mut xml));
        xml.push_str("  </testsuite>\n");
    }
    xml.push_str("</testsuites>\n");
    xml
}

fn counts(cases: &[&Case]) -> String {
    let failures = cases.iter().filter(|case| matches!(case.end, End::Failed(..))).count();
    let errors = cases.iter().filter(|case| matches!(case.end, End::Error(..))).count();
    let took: Duration = cases.iter().map(|case| case.took).sum();
    format!(
        " tests=\"{}\" failures=\"{failures}\" errors=\"{errors}\" skipped=\"0\" time=\"{:.6}\"",
        cases.len(),
        took.as_secs_f64()
    )
}

fn write_case(file: &str, case: &Case, xml: &mut String) {
    let _ = writeln!(
        xml,
        "    <testcase classname=\"{}\" name=\"{}\" file=\"{}\" line=\"{}\" time=\"{:.6}\">",
        escape(&case.workflow),
        escape(&case.name),
        escape(file),
        case.line,
        case.took.as_secs_f64()
    );
    let (tag, message, text) = match &case.end {
        End::Passed => ("system-out", None, &case.story),
        End::Failed(line, text) => ("failure", Some(line), text),
        End::Error(line, text) => ("error", Some(line), text),
    };
    let message = message.map(|line| format!(" message=\"{}\" type=\"{tag}\"", escape(line)));
    let text = text.lines().map(escape).collect::<Vec<_>>().join("\n");
    let _ = writeln!(xml, "      <{tag}{}>{text}</{tag}>", message.unwrap_or_default());
    xml.push_str("    </testcase>\n");
}

/// Text for an element or an attribute. What XML cannot hold, not even escaped, is left out.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            // An attribute would lose them.
            '\n' => escaped.push_str("&#10;"),
            '\t' => escaped.push_str("&#9;"),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => {}
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    #[test]
    fn hostile_text_cannot_break_the_xml() {
        let name = "]]> <a b=\"c\"> &amp; 'x'\u{1b}[2J\u{0}\u{fffe}\nü".to_owned();
        let case = |end| Case {
            workflow: "contain".to_owned(),
            name: name.clone(),
            line: 7,
            took: Duration::from_micros(1500),
            story: name.clone(),
            end,
        };
        let cases = vec![
            case(End::Passed),
            case(End::Failed(name.clone(), name.clone())),
            case(End::Error("no".to_owned(), "not\nat all".to_owned())),
        ];
        assert_snapshot!(write(&[Suite { file: "a<b.test.yaml".to_owned(), cases }]), @r#"
        <?xml version="1.0" encoding="UTF-8"?>
        <testsuites name="portcullis test" tests="3" failures="1" errors="1" skipped="0" time="0.004500">
          <testsuite name="a&lt;b.test.yaml" tests="3" failures="1" errors="1" skipped="0" time="0.004500">
            <testcase classname="contain" name="]]&gt; &lt;a b=&quot;c&quot;&gt; &amp;amp; 'x'[2J&#10;ü" file="a&lt;b.test.yaml" line="7" time="0.001500">
              <system-out>]]&gt; &lt;a b=&quot;c&quot;&gt; &amp;amp; 'x'[2J
        ü</system-out>
            </testcase>
            <testcase classname="contain" name="]]&gt; &lt;a b=&quot;c&quot;&gt; &amp;amp; 'x'[2J&#10;ü" file="a&lt;b.test.yaml" line="7" time="0.001500">
              <failure message="]]&gt; &lt;a b=&quot;c&quot;&gt; &amp;amp; 'x'[2J&#10;ü" type="failure">]]&gt; &lt;a b=&quot;c&quot;&gt; &amp;amp; 'x'[2J
        ü</failure>
            </testcase>
            <testcase classname="contain" name="]]&gt; &lt;a b=&quot;c&quot;&gt; &amp;amp; 'x'[2J&#10;ü" file="a&lt;b.test.yaml" line="7" time="0.001500">
              <error message="no" type="error">not
        at all</error>
            </testcase>
          </testsuite>
        </testsuites>
        "#);
    }
}
