//! What the parser says about text that is no template, in words that help.

#![expect(clippy::wildcard_enum_match_arm, reason = "the enums are those of handlebars, which may grow")]

use std::ops::Range;

use handlebars::TemplateErrorReason;

use crate::error::CompileError;

/// The words for a mistake of the parser, and its place.
pub(super) fn syntax_error(source: &str, error: &handlebars::TemplateError) -> CompileError {
    if let Some(error) = unclosed(source) {
        return error;
    }
    let message = match error.reason() {
        TemplateErrorReason::MismatchingClosedHelper(opened, closed) => {
            format!("`{{{{#{opened}}}}}` is closed by `{{{{/{closed}}}}}`")
        }
        TemplateErrorReason::InvalidSyntax(_) => "this is not a template expression".to_owned(),
        _ => "this template cannot be read".to_owned(),
    };
    let mut result = CompileError::new(message)
        .help("write `{{ path.to.value }}` or `{{ helper argument }}`: a helper stands first");
    let start = error.pos().map(|(line, column)| {
        let line_start: usize = source.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
        (line_start + column.saturating_sub(1)).min(source.len())
    });
    let start =
        start.filter(|start| source.is_char_boundary(*start)).or_else(|| source.find("{{")).unwrap_or(0);
    let end = source
        .get(start..)
        .and_then(|rest| rest.find("}}"))
        .map_or(source.len(), |length| start + length + 2);
    result.at = Some(start..end);
    result
}

/// Braces and blocks that are opened and not closed, or closed and not opened.
fn unclosed(source: &str) -> Option<CompileError> {
    let found = |at: Range<usize>, message: String, help: String| {
        let mut error = CompileError::new(message).help(help);
        error.at = Some(at);
        Some(error)
    };
    let mut open: Vec<(&str, Range<usize>)> = Vec::new();
    let mut from = 0;
    while let Some(start) = source.get(from..)?.find("{{").map(|at| from + at) {
        from = start + 2;
        if source.get(..start).is_some_and(|before| before.ends_with('\\')) {
            continue;
        }
        let Some(end) = source.get(start..)?.find("}}").map(|at| start + at + 2) else {
            let line = source.get(start..)?.find('\n').map_or(source.len(), |at| start + at);
            return found(
                start..line,
                "`{{` is never closed".to_owned(),
                "write `}}` behind the expression".to_owned(),
            );
        };
        from = end;
        let tag = source.get(start + 2..end - 2)?.trim_matches(|c: char| c == '~' || c.is_whitespace());
        if let Some(block) = tag.strip_prefix('#') {
            open.push((block.split_whitespace().next().unwrap_or_default(), start..end));
        } else if let Some(name) = tag.strip_prefix('/') {
            let name = name.trim();
            match open.pop() {
                Some((opened, _)) if opened == name => {}
                Some((opened, at)) => {
                    let message = format!("`{{{{#{opened}}}}}` is closed by `{{{{/{name}}}}}`");
                    return found(at, message, format!("close it with `{{{{/{opened}}}}}`"));
                }
                None => {
                    let message = format!("`{{{{/{name}}}}}` closes what was never opened");
                    return found(
                        start..end,
                        message,
                        format!("remove it, or open `{{{{#{name} ...}}}}` before"),
                    );
                }
            }
        }
    }
    let (name, at) = open.pop()?;
    let help = format!("write `{{{{/{name}}}}}` where it ends");
    found(at, format!("`{{{{#{name}}}}}` is never closed"), help)
}
