//! Text that came from a file, made harmless, short, and of a known width.

/// One line without anything that is invisible or changes how its surroundings are shown, at most so long.
pub(super) fn clean(text: &str, most: usize) -> String {
    let is_shown = |c: &char| !c.is_control() && !is_invisible(*c);
    let words = text.split_whitespace().map(|word| word.chars().filter(is_shown).collect::<String>());
    let line = words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    cut(&line, |part| part.chars().count() <= most)
}

fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{fff0}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}' | '\u{e0000}'..='\u{e0fff}')
}

/// The text, or as much of it as fits, with a sign that something is missing.
fn cut(text: &str, fits: impl Fn(&str) -> bool) -> String {
    if fits(text) {
        return text.to_owned();
    }
    let mut part = text.to_owned();
    while part.pop().is_some() {
        let shortened = format!("{}…", part.trim_end());
        if fits(&shortened) {
            return shortened;
        }
    }
    String::new()
}

/// A typeface, as far as widths go.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Face {
    Bold,
    Plain,
    /// Every character takes the same room.
    Code,
}

/// About how wide a text is. The typeface is the reader's, so it is rather too much than too little.
pub(super) fn width(text: &str, face: Face, size: f64) -> f64 {
    text.chars().map(|c| char_width(c, face)).sum::<f64>() * size
}

fn char_width(c: char, face: Face) -> f64 {
    if u32::from(c) >= 0x1100 && !matches!(c, '\u{2010}'..='\u{22ff}') {
        return 1.05;
    }
    let plain = match (face, c) {
        (Face::Code, _) => return 0.62,
        (
            _,
            'i' | 'j' | 'l' | 'I' | '.' | ',' | ':' | ';' | '\'' | '|' | '!' | ' ' | '(' | ')' | '[' | ']',
        ) => 0.36,
        (_, 'f' | 't' | 'r' | '"' | '-' | '/' | '\\') => 0.44,
        (_, 'm' | 'w' | 'M' | 'W' | '@' | '%' | '…' | '—') => 1.0,
        (_, c) if c.is_uppercase() => 0.74,
        (_, '=' | '<' | '>' | '+' | '~' | '&' | '#') => 0.84,
        _ => 0.63,
    };
    if face == Face::Bold { plain * 1.1 } else { plain }
}

/// The text on at most so many lines of this width; what does not fit is cut.
pub(super) fn wrap(text: &str, face: Face, size: f64, room: f64, most: usize) -> Vec<String> {
    let fits = |line: &str| width(line, face, size) <= room;
    let mut lines: Vec<String> = Vec::new();
    let mut rest = text;
    while !rest.is_empty() && lines.len() + 1 < most && !fits(rest) {
        let ends = rest.match_indices(' ').map(|(at, _)| at);
        let Some(end) = ends.take_while(|end| fits(&rest[..*end])).last() else { break };
        lines.push(rest[..end].to_owned());
        rest = rest[end..].trim_start();
    }
    if !rest.is_empty() {
        lines.push(cut(rest, fits));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_one_line_without_what_cannot_be_seen() {
        assert_eq!(clean(" a\u{202e}b\n\tc\u{0}\u{200b} \u{1b}[2J ", 60), "ab c [2J");
        assert_eq!(clean("abcdef", 4), "abc…");
    }

    #[test]
    fn lines_are_wrapped_at_words_and_the_last_is_cut() {
        let text = "one two three four five six seven eight";
        assert_eq!(wrap(text, Face::Code, 10.0, 62.0, 3), ["one two", "three four", "five six…"]);
        assert_eq!(wrap("unbreakable-and-long", Face::Code, 10.0, 62.0, 3), ["unbreakab…"]);
        assert_eq!(wrap("", Face::Code, 10.0, 62.0, 3), Vec::<String>::new());
    }
}
