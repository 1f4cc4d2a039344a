//! Text for a terminal: tables, times, and hostile text made harmless.

use std::fmt::{self, Write as _};
use std::io::{self, IsTerminal as _, Write as _};

/// Whether colours are wanted on standard output.
pub(crate) fn is_colourful() -> bool {
    io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

/// Writes a line to standard output.
pub(crate) fn say(text: impl fmt::Display) {
    put(format_args!("{text}\n"));
}

/// Writes to standard output. Where nobody reads any more (`portcullis runs | head`), that is no reason to stop half-way.
pub(crate) fn put(text: impl fmt::Display) {
    let mut out = io::stdout().lock();
    let _ = write!(out, "{text}").and_then(|()| out.flush());
}

/// Text on one line: control characters, which could drive the terminal, become visible.
pub(crate) fn line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\r' | '\t' => line.push(' '),
            c if c.is_control() || is_invisible(c) => {
                let _ = write!(line, "{}", c.escape_unicode());
            }
            c => line.push(c),
        }
    }
    line
}

/// Characters that change how text around them is shown.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// The same, cut to a width in characters.
pub(crate) fn cut(text: &str, width: usize) -> String {
    let line = line(text);
    if line.chars().count() <= width {
        return line;
    }
    let mut cut: String = line.chars().take(width.saturating_sub(1)).collect();
    cut.push('…');
    cut
}

/// A table with aligned columns.
pub(crate) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain(head.get(column).map(|title| title.chars().count())).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let mut text = row_text(&head.iter().map(|title| (*title).to_owned()).collect::<Vec<_>>(), &widths);
    for row in rows {
        text.push_str(&row_text(row, &widths));
    }
    text
}

fn row_text(row: &[String], widths: &[usize]) -> String {
    let cells: Vec<String> = row
        .iter()
        .zip(widths)
        .map(|(cell, width)| format!("{cell}{}", " ".repeat(width.saturating_sub(cell.chars().count()))))
        .collect();
    format!("{}\n", cells.join("  ").trim_end())
}

/// A word as an argument of a command line: brackets mean something to a shell.
pub(crate) fn argument(word: &str) -> String {
    if word.contains('[') { format!("'{word}'") } else { word.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_cannot_drive_the_terminal() {
        assert_eq!(line("a\u{1b}[2Jb\u{202e}c\nd"), "a\\u{1b}[2Jb\\u{202e}c d");
        assert_eq!(cut("abcdef", 4), "abc…");
    }

    #[test]
    fn columns_are_aligned() {
        let rows = [vec!["1".to_owned(), "long cell".to_owned()], vec!["22".to_owned(), "x".to_owned()]];
        assert_eq!(table(&["id", "what"], &rows), "id  what\n1   long cell\n22  x\n");
    }
}
