//! The traps of YAML, in words that help: what a text means to other readers, and why it could not be read.

use std::ops::Range;

use crate::diagnostic::Diagnostic;
use crate::rule::Rule;

/// What a YAML 1.1 reader makes of an unquoted text that is text to us.
pub(super) fn other_meaning(text: &str) -> Option<&'static str> {
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if ["yes", "no", "on", "off"].contains(&text.to_ascii_lowercase().as_str()) {
        let is_true = ["yes", "on"].contains(&text.to_ascii_lowercase().as_str());
        return Some(if is_true { "true" } else { "false" });
    }
    if text.len() > 1 && text.starts_with('0') && is_digits(text) {
        return Some("a number without the zeros");
    }
    if text.contains('_') && text.split('_').all(is_digits) {
        return Some("a number");
    }
    if text.contains(':') && text.split(':').all(|part| is_digits(part) && part.len() <= 2) {
        return Some("a number of minutes or seconds");
    }
    None
}

pub(super) fn ambiguous(text: &str, meaning: &str, at: Range<usize>) -> Diagnostic {
    let message = format!("`{text}` is text here, and other YAML readers take it for {meaning}");
    Diagnostic::new(Rule::AMBIGUOUS_VALUE, at, message).help(format!("write \"{text}\""))
}

/// A form of YAML that is not part of the language. Where a value begins with the sign of one, it was often meant as text.
pub(super) fn refused(source: &str, at: Range<usize>, message: &str) -> Diagnostic {
    let line_start =
        source.get(..at.start).and_then(|text| text.rfind('\n')).map_or(0, |newline| newline + 1);
    let line = source.get(line_start..).and_then(|rest| rest.lines().next()).unwrap_or_default();
    let end = at.end.min(line_start + line.trim_end().len()).max(at.start);
    let finding = Diagnostic::new(Rule::YAML_FORM, at.start..end, message);
    let value = line.find(": ").map_or(line, |colon| line.get(colon + 2..).unwrap_or_default()).trim();
    if value.len() > 2 && value.starts_with(['!', '&', '*']) && value.contains(['(', '.']) {
        return finding.help(format!("put it in quotes: {}", quoted(value)));
    }
    if message.contains("begins with") {
        finding.help("write the value out, or put it in quotes")
    } else {
        finding
    }
}

pub(super) fn unquoted_template(at: Range<usize>) -> Diagnostic {
    Diagnostic::new(Rule::UNQUOTED_TEMPLATE, at, "YAML reads an unquoted `{{` as a map")
        .help("put the template in quotes: \"{{ alert.agent.id }}\"")
}

/// The finding for a text that is no YAML: a mistake that is often made, or else what the parser says.
pub(super) fn syntax_error(source: &str, at: usize, info: &str) -> Diagnostic {
    let line_start = source.get(..at).and_then(|text| text.rfind('\n')).map_or(0, |newline| newline + 1);
    let line = source.get(line_start..).and_then(|rest| rest.lines().next()).unwrap_or_default();
    if info.contains("tab")
        && let Some(tab) =
            source.get(line_start..).and_then(|rest| rest.find('\t')).map(|tab| line_start + tab)
    {
        let message = "YAML takes no tabs for indentation";
        return Diagnostic::new(Rule::YAML_SYNTAX, tab..tab + 1, message).help("use blanks");
    }
    if let Some(finding) = known(line, line_start) {
        return finding;
    }
    // The parser often stops at the line below the mistake.
    let before = source.get(..line_start.saturating_sub(1)).unwrap_or_default();
    let above_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let above = before.get(above_start..).unwrap_or_default();
    if let Some(finding) = known(above, above_start) {
        return finding;
    }
    let end = line_start + line.len();
    let finding =
        |message: &str, help: &str| Diagnostic::new(Rule::YAML_SYNTAX, at..end.max(at), message).help(help);
    if info.contains("quoted scalar") {
        return finding(
            "this quote is never closed",
            "close it, or put the whole value in the other kind of quotes",
        );
    }
    if let Some(bracket) = open_bracket(before) {
        let help = "close it, or put the value in quotes if it is text";
        return Diagnostic::new(Rule::YAML_SYNTAX, bracket, "this bracket is never closed").help(help);
    }
    if info.contains("'-' indicator") || info.contains("expected key") || info.contains("indentation") {
        let help = "keys of one map, and the dashes of one list, begin in the same column";
        return finding("this line is not in line with those above", help);
    }
    if info.contains("recursion") || info.contains("depth") {
        return finding(info, "values stand at most 32 levels deep");
    }
    let help = "look at the quotes, brackets and the indentation here and in the line above";
    finding(&format!("this is no YAML: {info}"), help)
}

/// The last bracket of the lines just above that is not closed on its line.
fn open_bracket(before: &str) -> Option<Range<usize>> {
    const LINES: usize = 3;
    let mut end = before.len();
    for line in before.rsplit('\n').take(LINES) {
        let start = end - line.len();
        let mut open = Vec::new();
        let mut quote = None;
        for (at, c) in line.char_indices() {
            match quote {
                Some(sign) if c == sign => quote = None,
                Some(_) => {}
                None if c == '"' || c == '\'' => quote = Some(c),
                None if "[{".contains(c) => open.push(at),
                None if "]}".contains(c) => drop(open.pop()),
                None => {}
            }
        }
        if let Some(at) = open.pop() {
            return Some(start + at..start + at + 1);
        }
        end = start.saturating_sub(1);
    }
    None
}

/// The mistake on a line, where it is one that is often made.
fn known(line: &str, start: usize) -> Option<Diagnostic> {
    let indentation = line.len() - line.trim_start().len();
    let finding = |at: Range<usize>, message: &str, help: String| {
        let at = start + at.start..start + at.end;
        Some(Diagnostic::new(Rule::YAML_SYNTAX, at, message).help(help))
    };
    if let Some(tab) = line.get(..indentation).and_then(|blank| blank.find('\t')) {
        return finding(tab..tab + 1, "YAML takes no tabs for indentation", "use blanks".to_owned());
    }
    let value = line.find(": ").map_or(indentation, |colon| colon + 2);
    let value = value + line.get(value..)?.len() - line.get(value..)?.trim_start().len();
    let value = if line.get(value..)?.starts_with("- ") { value + 2 } else { value };
    let text = line.get(value..)?.trim_end();
    let at = value..value + text.len();
    if text.starts_with("{{") {
        return Some(unquoted_template(start + at.start..start + at.end));
    }
    let first = text.chars().next()?;
    if let Some(rest) = text.strip_prefix(['"', '\'']) {
        let end = rest.find(first)? + 1;
        let behind = rest.get(end..)?.trim();
        if !behind.is_empty() && !behind.starts_with([',', '}', ']', '#', ':']) {
            let message = "the value ends at the second quote, and something follows";
            return finding(at, message, format!("put all of it in quotes: {}", quoted(text)));
        }
        return None;
    }
    if "@`%|>&*!".contains(first) && text.len() > 1 && !text.starts_with("|-") && !text.starts_with(">-") {
        let message = format!("a value that begins with `{first}` means something else to YAML");
        return finding(at, &message, format!("put it in quotes: {}", quoted(text)));
    }
    if !"[{".contains(first) && text.contains(": ") {
        let message = "a colon and a blank make a map of this text";
        return finding(at, message, format!("put it in quotes: {}", quoted(text)));
    }
    None
}

/// The text in those quotes that do not stand in it.
pub(super) fn quoted(text: &str) -> String {
    match (text.contains('"'), text.contains('\'')) {
        (false, _) => format!("\"{text}\""),
        (true, false) => format!("'{text}'"),
        (true, true) => format!("'{}'", text.replace('\'', "''")),
    }
}
