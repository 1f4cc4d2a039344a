//! What goes wrong with an expression: when it is compiled, and when it is evaluated.

use std::ops::Range;

/// The author wrote something that is not an expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CompileError {
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    /// Which bytes of the expression's text, where that is known.
    pub at: Option<Range<usize>>,
}

impl CompileError {
    pub(crate) fn new(message: impl Into<String>) -> CompileError {
        CompileError { message: message.into(), help: None, at: None }
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> CompileError {
        self.help = Some(help.into());
        self
    }

    /// Points at the first place where this word stands in the text.
    pub(crate) fn at_word(mut self, source: &str, word: &str) -> CompileError {
        self.at = source.find(word).map(|start| start..start + word.len());
        self
    }
}

/// The expression cannot be evaluated over this data.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct EvalError {
    /// What is wrong, naming the expression.
    pub message: String,
}

impl EvalError {
    pub(crate) fn new(message: impl Into<String>) -> EvalError {
        EvalError { message: message.into() }
    }
}

/// How deep brackets stand inside each other. Quotes are not looked at: the figure guards a parser that recurses.
pub(crate) fn deepest_nesting(source: &str) -> usize {
    let depths = source.bytes().scan(0_usize, |depth, byte| {
        match byte {
            b'(' | b'[' | b'{' => *depth += 1,
            b')' | b']' | b'}' => *depth = depth.saturating_sub(1),
            _ => {}
        }
        Some(*depth)
    });
    depths.max().unwrap_or(0)
}
