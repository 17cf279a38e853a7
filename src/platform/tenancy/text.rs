//! Texts that people type: what may be stored and shown.

/// A value that is not allowed, and in which field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} {message}")]
pub struct InvalidField {
    /// The field's name, as the API shows it.
    pub field: &'static str,
    /// What is wrong with the value.
    pub message: &'static str,
}

/// Refuses a text that is blank, longer than `most_chars`, or holds control characters (PostgreSQL cannot store NUL).
///
/// # Errors
/// [`InvalidField`] naming `field`.
pub fn check_text(field: &'static str, text: &str, most_chars: usize) -> Result<(), InvalidField> {
    let message = if text.trim().is_empty() {
        "must not be blank"
    } else if text.chars().nth(most_chars).is_some() {
        "is too long"
    } else if text.chars().any(char::is_control) {
        "must not hold control characters"
    } else {
        return Ok(());
    };
    Err(InvalidField { field, message })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blank_long_and_unprintable_texts_are_refused() {
        assert_eq!(check_text("name", "Füße GmbH", 9), Ok(()));
        for bad in ["", "  ", "0123456789", "a\u{0}b", "a\nb"] {
            assert!(check_text("name", bad, 9).is_err(), "{bad:?}");
        }
    }
}
