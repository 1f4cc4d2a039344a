//! What a page of Markdown holds: fenced blocks, and headings.

/// A fenced block.
pub(crate) struct Block {
    /// The line on which it begins, from 1.
    pub(crate) line: usize,
    /// What stands behind the fence: the language, and more.
    pub(crate) info: String,
    pub(crate) text: String,
}

/// All fenced blocks of a page that begin at the margin.
pub(crate) fn blocks(page: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut is_open = false;
    for (index, line) in page.lines().enumerate() {
        match (line.strip_prefix("```"), blocks.last_mut()) {
            (Some(""), _) if is_open => is_open = false,
            (Some(info), _) if !is_open => {
                blocks.push(Block { line: index + 1, info: info.to_owned(), text: String::new() });
                is_open = true;
            }
            (_, Some(block)) if is_open => block.text.push_str(&format!("{line}\n")),
            _ => {}
        }
    }
    assert!(!is_open, "a fence is not closed");
    blocks
}

/// The places of a page that a link may name, as GitHub makes them of headings.
pub(crate) fn anchors(page: &str) -> Vec<String> {
    let mut is_code = false;
    let mut anchors = Vec::new();
    for line in page.lines() {
        is_code ^= line.trim_start().starts_with("```");
        if let Some(heading) = line.strip_prefix('#').filter(|_| !is_code) {
            let heading = heading.trim_start_matches('#').trim().to_lowercase();
            let kept = heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
            anchors.push(kept.map(|c| if c == ' ' { '-' } else { c }).collect());
        }
    }
    anchors
}
