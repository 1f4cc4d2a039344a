//! Colours. Fills are light and the words on them dark, so that they can be read on light and on dark pages alike.

use super::picture::Kind;

/// Words in a shape.
pub(super) const INK: &str = "#1f2328";
/// Words of less weight in a shape.
pub(super) const FAINT: &str = "#57606a";
/// Lines and words outside of shapes: as far from white as from black.
pub(super) const LINE: &str = "#737b85";

/// What a shape is filled with, and the colour of its border.
pub(super) fn colours(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::Trigger => ("#fbefff", "#8250df"),
        Kind::Junction => (LINE, LINE),
        Kind::Gate | Kind::Question => ("#fff8c5", "#9a6700"),
        Kind::Compute | Kind::Wait => ("#f6f8fa", "#6e7781"),
        Kind::Read => ("#ddf4ff", "#0969da"),
        Kind::Write => ("#dafbe1", "#1a7f37"),
        Kind::Disrupt => ("#ffebe9", "#cf222e"),
        Kind::Call => ("#ecebff", "#4b4acf"),
    }
}
