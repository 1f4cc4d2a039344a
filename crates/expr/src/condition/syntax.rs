//! What the parser says about text that is no CEL, in words that help.

use std::ops::Range;

use crate::error::CompileError;

/// The words for a mistake of the parser, and its place.
pub(super) fn syntax_error(source: &str, errors: &cel::ParseErrors) -> CompileError {
    if let Some(error) = familiar(source) {
        return error;
    }
    let Some(first) = errors.errors.first() else {
        return CompileError::new("this is not a CEL expression");
    };
    let at = place(source, first.pos);
    let mut error = CompileError::new(message(source, &first.msg, &at));
    let found = source.get(at.clone()).unwrap_or_default();
    error.help = Some(if found == "var" { "write `vars`".to_owned() } else { HELP.to_owned() });
    error.at = Some(at);
    error
}

const HELP: &str = "a decision reads like `alert.rule.level >= 10 && \"sshd\" in alert.rule.groups`";

const RESERVED: [&str; 17] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
];

/// What the parser says ends in a list of all that could follow, which helps nobody.
fn message(source: &str, detail: &str, at: &Range<usize>) -> String {
    let found = source.get(at.clone()).unwrap_or_default();
    if found.trim().is_empty() || detail.contains("<EOF>") {
        return "this is not a CEL expression: it ends too early".to_owned();
    }
    if detail.contains("recursion limit") {
        return "the expression is nested too deep".to_owned();
    }
    if RESERVED.contains(&found) {
        return format!("`{found}` is a word that CEL keeps for itself");
    }
    format!("this is not a CEL expression: `{found}` cannot stand here")
}

fn place(source: &str, (line, column): (isize, isize)) -> Range<usize> {
    let line = usize::try_from(line).unwrap_or(1).saturating_sub(1);
    let column = usize::try_from(column).unwrap_or(1).saturating_sub(1);
    let line_start: usize = source.split_inclusive('\n').take(line).map(str::len).sum();
    let start = (line_start + column).min(source.len());
    let start = (0..=start).rev().find(|at| source.is_char_boundary(*at)).unwrap_or(0);
    let rest = source.get(start..).unwrap_or_default();
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let word = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
    let end = start + if word > 0 { word } else { rest.chars().next().map_or(0, char::len_utf8) };
    start..end
}

/// Mistakes that come from other languages. Only what stands outside of quotes counts.
fn familiar(source: &str) -> Option<CompileError> {
    let bare = without_text(source);
    let found = |at: Range<usize>, message: &str, help: &str| {
        let mut error = CompileError::new(message).help(help);
        error.at = Some(at);
        Some(error)
    };
    if let Some(at) = bare.find("{{") {
        let end = bare.get(at..).and_then(|rest| rest.find("}}")).map_or(bare.len(), |end| at + end + 2);
        let help = "decisions are CEL: write `alert.rule.level >= 10`, without braces";
        return found(at..end, "a decision takes no braces", help);
    }
    for (word, operator) in
        [("and", "&&"), ("or", "||"), ("AND", "&&"), ("OR", "||"), ("not", "!"), ("NOT", "!")]
    {
        if let Some(at) = word_in(&bare, word) {
            return found(at, &format!("there is no `{word}` in CEL"), &format!("write `{operator}`"));
        }
    }
    for (wrong, right) in [("===", "=="), ("!==", "!="), ("<>", "!="), ("=~", "matches")] {
        if let Some(at) = bare.find(wrong) {
            let help = match right {
                "matches" => "write `alert.data.url.matches(\"^/admin\")`".to_owned(),
                _ => format!("write `{right}`"),
            };
            return found(at..at + wrong.len(), &format!("there is no `{wrong}` in CEL"), &help);
        }
    }
    for sign in ['&', '|', '='] {
        if let Some(at) = single(&bare, sign) {
            let message = format!("there is no single `{sign}` in CEL");
            return found(at..at + 1, &message, &format!("write `{sign}{sign}`"));
        }
    }
    None
}

/// The same text with blanks in the place of all that stands in quotes, byte for byte.
fn without_text(source: &str) -> String {
    let mut quote = None;
    let mut is_escaped = false;
    let bare = source.chars().flat_map(|c| {
        let is_text = quote.is_some();
        match quote {
            Some(_) if is_escaped => is_escaped = false,
            Some(_) if c == '\\' => is_escaped = true,
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if c == '"' || c == '\'' => quote = Some(c),
            None => {}
        }
        let shown = if is_text || !c.is_ascii() { ' ' } else { c };
        std::iter::repeat_n(shown, c.len_utf8())
    });
    bare.collect()
}

/// Where a word stands between blanks or brackets, and not as a part of a path.
fn word_in(bare: &str, word: &str) -> Option<Range<usize>> {
    let is_edge = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != '.');
    bare.match_indices(word).map(|(at, _)| at..at + word.len()).find(|at| {
        let before = bare.get(..at.start).and_then(|text| text.chars().next_back());
        let after = bare.get(at.end..).and_then(|text| text.chars().next());
        is_edge(before) && is_edge(after)
    })
}

/// Where a sign stands alone: `a & b`, `a = b`, and not `&&`, `==`, `>=`.
fn single(bare: &str, sign: char) -> Option<usize> {
    let is_part = |c: Option<char>| c.is_some_and(|c| "&|=<>!".contains(c));
    bare.match_indices(sign).map(|(at, _)| at).find(|at| {
        let before = bare.get(..*at).and_then(|text| text.chars().next_back());
        let after = bare.get(at + 1..).and_then(|text| text.chars().next());
        !is_part(before) && !is_part(after)
    })
}
