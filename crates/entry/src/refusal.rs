//! Why an entry is refused.

use std::borrow::Cow;

/// How much of a client's text a refusal repeats, in characters. Kinds, versions and PEM labels in use have at most 22;
/// a message, and the log line it becomes, must not grow with the body.
const MAX_QUOTED: usize = 100;

/// Why an entry is refused. The server maps it to Rekor's status and body.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Not JSON, or of the wrong JSON type. 400 (Rekor says 500 on create).
    #[error("{0}")]
    Json(String),
    /// A required member of the outer object is missing. 422, code 602, `<field> in body is required`.
    #[error("{0} in body is required")]
    Required(&'static str),
    /// `apiVersion` is not a semantic version. 422, code 605.
    #[error("{0}")]
    Pattern(String),
    /// Unknown kind. 422, code 422 on create; 400 on retrieve.
    #[error("invalid kind value: {0:?}")]
    UnknownKind(String),
    /// Everything else. 400 `error processing entry: <reason>` on create, the bare reason on retrieve.
    #[error("{0}")]
    Invalid(String),
}

impl Refusal {
    /// What the JSON parser says.
    pub(crate) fn json(error: serde_json::Error) -> Self {
        Self::Json(error.to_string())
    }

    /// A refusal whose reason is the text of `error`.
    pub(crate) fn invalid(error: impl ToString) -> Self {
        Self::Invalid(error.to_string())
    }
}

/// The beginning of a client's text, for a message.
pub(crate) fn quoted(text: &str) -> Cow<'_, str> {
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
        assert_eq!(quoted(&"ü".repeat(1000)), format!("{}…", "ü".repeat(MAX_QUOTED)));
    }
}
