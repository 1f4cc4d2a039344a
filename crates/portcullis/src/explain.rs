//! `portcullis explain`: the rules of the checker, one as a page, all as a list, and the page `workflows/rules.md`.

use std::fmt::Write as _;

use anyhow::bail;
use workflow::{About, Rule, Severity};

use crate::show;

const WIDTH: usize = 100;

pub(crate) fn rule(id: Option<&str>) -> anyhow::Result<()> {
    let Some(id) = id else {
        let row =
            |rule: &Rule| vec![rule.id.to_owned(), word(rule.severity).to_owned(), rule.summary.to_owned()];
        let rows: Vec<Vec<String>> = Rule::all().map(row).collect();
        show::put(show::table(&["rule", "severity", "finds"], &rows));
        return Ok(());
    };
    let Some(rule) = Rule::find(id) else {
        bail!("there is no rule `{}`: {}", show::cut(id, 60), Rule::suggest(id));
    };
    let indented = |text: String| text.lines().map(|line| format!("    {line}\n")).collect::<String>();
    show::put(format_args!(
        "{} ({})\n    {}\n\n{}\nWrong\n\n{}\nRight\n\n{}",
        rule.id,
        word(rule.severity),
        rule.summary,
        wrapped(rule.why),
        indented(rule.wrong.shown()),
        indented(rule.right.shown()),
    ));
    Ok(())
}

/// Prints the page of all rules.
pub(crate) fn page() {
    show::put(markdown());
}

const TOPICS: [(About, &str, &str); 6] = [
    (
        About::Playbook,
        "Playbooks",
        "Those on YAML, keys and values hold for every file that Portcullis reads.",
    ),
    (About::Folder, "Files beside each other", "Found where a folder is checked."),
    (
        About::Test,
        "Tests of playbooks",
        "The examples are about [quarantine.yaml](../examples/approval/quarantine.yaml).",
    ),
    (
        About::Node,
        "Nodes and products",
        "Found in the folder of `nodes:`, before anything else is looked at.",
    ),
    (
        About::Expression,
        "Expressions alone",
        "Found by `portcullis eval`, which tries an expression on an alert.",
    ),
    (About::Settings, "The configuration", "Found in `portcullis.yaml`."),
];

fn markdown() -> String {
    let mut page = String::from(
        "# Rules of the checker\n\n\
         What `portcullis check` finds, why it matters, and how it is done right. `portcullis explain RULE` shows the same in a\n\
         terminal.\n\n\
         This page is written by `portcullis explain --markdown > workflows/rules.md`; a test fails where it is stale.\n",
    );
    for (about, title, text) in TOPICS {
        let _ = write!(page, "\n## {title}\n\n{text}\n\n| Rule | Severity | Finds |\n|---|---|---|\n");
        for rule in Rule::all().filter(|rule| rule.about == about) {
            let (id, severity, summary) = (rule.id, word(rule.severity), rule.summary.replace('|', "\\|"));
            let _ = writeln!(page, "| [`{id}`](#{id}) | {severity} | {summary} |");
        }
        for rule in Rule::all().filter(|rule| rule.about == about) {
            let (wrong, right) = (rule.wrong.shown(), rule.right.shown());
            let why = wrapped(rule.why);
            let _ = write!(
                page,
                "\n### {}\n\n{why}\nWrong:\n\n```yaml\n{wrong}```\n\nRight:\n\n```yaml\n{right}```\n",
                rule.id
            );
        }
    }
    page
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

/// Text in lines of at most so many characters.
fn wrapped(text: &str) -> String {
    let mut lines = String::new();
    let mut length = 0;
    for word in text.split_whitespace() {
        let width = word.chars().count();
        if length > 0 && length + 1 + width > WIDTH {
            lines.push('\n');
            length = 0;
        } else if length > 0 {
            lines.push(' ');
            length += 1;
        }
        lines.push_str(word);
        length += width;
    }
    lines + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_of_rules_is_up_to_date() {
        let written = include_str!("../../../workflows/rules.md");
        let help = "workflows/rules.md is stale: portcullis explain --markdown > workflows/rules.md";
        assert!(written == markdown(), "{help}");
        for rule in Rule::all() {
            assert!(written.contains(&format!("\n### {}\n", rule.id)), "{rule} has no topic");
        }
    }
}
