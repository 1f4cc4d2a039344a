//! Findings as workflow commands of GitHub Actions: `::error file=...,line=...::message`.
//!
//! A line of output that begins with `::` is a command, so what stands in a finding must not begin one.

use std::fmt::Write as _;

use super::Checked;
use super::format::level;
use crate::show;

pub(super) fn commands(checked: &Checked) -> String {
    let mut text = String::new();
    for file in &checked.files {
        for finding in file.findings() {
            let (line, column) = file.line_and_column(finding.at.start);
            let (end_line, end_column) = file.line_and_column(finding.at.end.max(finding.at.start));
            let help = finding.help.iter().map(|help| format!("\nhelp: {help}"));
            let message: String = std::iter::once(finding.message.clone()).chain(help).collect();
            let columns = if line == end_line {
                format!(",col={column},endColumn={end_column}")
            } else {
                String::new()
            };
            let _ = writeln!(
                text,
                "::{} file={},line={line},endLine={end_line}{columns},title={}::{}",
                level(finding.severity),
                property(file.file()),
                property(finding.rule.id),
                data(&message),
            );
        }
    }
    text
}

/// The text behind the second `::`.
fn data(text: &str) -> String {
    let lines: Vec<String> = text.split('\n').map(show::line).collect();
    lines.join("\n").replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// The value of a property, which a comma or a colon would end.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_begins_no_command_of_its_own() {
        assert_eq!(data("100%\n::stop-commands::x\r\u{1b}[2J"), "100%25%0A::stop-commands::x \\u{1b}[2J");
        assert_eq!(property("a,line=1::error::x%0A.yaml"), "a%2Cline=1%3A%3Aerror%3A%3Ax%250A.yaml");
    }
}
