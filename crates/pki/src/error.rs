//! The error of this crate.

use std::borrow::Cow;

/// How much of a client's text a refusal repeats, in characters. Kinds, versions and PEM labels in
/// use have at most 22; a message, and the log line it becomes, must not grow with the body.
const MAX_QUOTED: usize = 100;

/// Why a key, a signature or a document is refused, in the words of Rekor where it has some.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It cannot be read, or does not verify.
    #[error("{0}")]
    Invalid(String),
    /// The canonical form of a key is longer than the caller has room for.
    #[error("the key is too long")]
    TooLong,
}

impl Error {
    /// An error with the text of `error`.
    pub fn invalid(error: impl ToString) -> Self {
        Self::Invalid(error.to_string())
    }
}

/// The beginning of a client's text, for a message.
pub fn quoted(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(MAX_QUOTED) {
        Some((at, _)) => Cow::Owned(format!("{}…", &text[..at])),
        None => Cow::Borrowed(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut() {
        assert_eq!(quoted("ü").len(), 2);
        assert_eq!(quoted(&"ü".repeat(MAX_QUOTED)), "ü".repeat(MAX_QUOTED));
        assert_eq!(
            quoted(&"ü".repeat(1000)),
            format!("{}…", "ü".repeat(MAX_QUOTED))
        );
    }
}
