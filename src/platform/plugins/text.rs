//! Cutting a guest's words to a size.

/// The beginning of `text`: at most `bytes` long, cut between characters.
pub(super) fn bounded(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}
