//! What differs between two texts, line by line.

/// How many lines that are the same stand around what differs.
const CONTEXT: usize = 2;
/// The most pairs of lines that are compared; longer texts differ from the first to the last line that does.
const MOST_PAIRS: usize = 1_000_000;

/// One line of a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Line<'a> {
    Same(&'a str),
    /// Expected, and not there.
    Expected(&'a str),
    /// There, and not expected.
    Got(&'a str),
    /// Lines that are the same were left out.
    Gap,
}

/// What differs, with a little of what stands around it.
pub(super) fn lines<'a>(expected: &'a str, got: &'a str) -> Vec<Line<'a>> {
    let all = compare(&expected.lines().collect::<Vec<_>>(), &got.lines().collect::<Vec<_>>());
    let is_same = |line: &Line<'_>| matches!(line, Line::Same(_));
    let mut lines = Vec::new();
    for (index, line) in all.iter().enumerate() {
        let around = index.saturating_sub(CONTEXT)..all.len().min(index + CONTEXT + 1);
        if !all.get(around).unwrap_or_default().iter().all(is_same) {
            lines.push(*line);
        } else if lines.last() != Some(&Line::Gap) {
            lines.push(Line::Gap);
        }
    }
    lines
}

fn compare<'a>(expected: &[&'a str], got: &[&'a str]) -> Vec<Line<'a>> {
    let start = expected.iter().zip(got).take_while(|(a, b)| a == b).count();
    let (head, expected) = expected.split_at(start);
    let (_, got) = got.split_at(start);
    let end = expected.iter().rev().zip(got.iter().rev()).take_while(|(a, b)| a == b).count();
    let (expected, tail) = expected.split_at(expected.len() - end);
    let (got, _) = got.split_at(got.len() - end);
    let same = |line: &&'a str| Line::Same(line);
    head.iter().map(same).chain(middle(expected, got)).chain(tail.iter().map(same)).collect()
}

/// The longest common subsequence of lines stays, everything else differs.
fn middle<'a>(expected: &[&'a str], got: &[&'a str]) -> Vec<Line<'a>> {
    let missing = expected.iter().map(|line| Line::Expected(line));
    let added = got.iter().map(|line| Line::Got(line));
    if expected.len().saturating_mul(got.len()) > MOST_PAIRS {
        return missing.chain(added).collect();
    }
    // How long the common subsequence of the rest is, from each pair of lines on.
    let width = got.len() + 1;
    let mut longest = vec![0_usize; (expected.len() + 1) * width];
    let at = |row: usize, column: usize| row * width + column;
    for (row, a) in expected.iter().enumerate().rev() {
        for (column, b) in got.iter().enumerate().rev() {
            longest[at(row, column)] = if a == b {
                longest[at(row + 1, column + 1)] + 1
            } else {
                longest[at(row + 1, column)].max(longest[at(row, column + 1)])
            };
        }
    }
    let mut lines = Vec::new();
    let (mut row, mut column) = (0, 0);
    loop {
        match (expected.get(row), got.get(column)) {
            (None, None) => return lines,
            (Some(a), Some(b)) if a == b => {
                lines.push(Line::Same(a));
                (row, column) = (row + 1, column + 1);
            }
            (Some(a), b) if b.is_none() || longest[at(row + 1, column)] >= longest[at(row, column + 1)] => {
                lines.push(Line::Expected(a));
                row += 1;
            }
            (_, Some(b)) => {
                lines.push(Line::Got(b));
                column += 1;
            }
            (Some(_), None) => return lines,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(expected: &str, got: &str) -> String {
        let lines = lines(expected, got).into_iter().map(|line| match line {
            Line::Same(text) => format!(" {text}"),
            Line::Expected(text) => format!("-{text}"),
            Line::Got(text) => format!("+{text}"),
            Line::Gap => "...".to_owned(),
        });
        lines.collect::<Vec<_>>().join("|")
    }

    #[test]
    fn only_what_differs_is_shown() {
        assert_eq!(check("a\nb\nc", "a\nx\nc"), " a|-b|+x| c");
        assert_eq!(check("a\nb\nc", "a\nc\nd"), " a|-b| c|+d");
        assert_eq!(check("", "a"), "+a");
        assert_eq!(check("1\n2\n3\n4\n5\n6\n7", "1\n2\n3\n4\n5\n6\n8"), "...| 5| 6|-7|+8");
        assert_eq!(check("x\n1\n2\n3\n4\n5\ny", "1\n2\n3\n4\n5"), "-x| 1| 2|...| 4| 5|-y");
    }

    #[test]
    fn long_texts_are_compared_in_bounded_time() {
        let text = |word: &str| (0..20_000).map(|line| format!("{word} {line}\n")).collect::<String>();
        assert_eq!(lines(&text("a"), &text("b")).len(), 40_000);
    }
}
