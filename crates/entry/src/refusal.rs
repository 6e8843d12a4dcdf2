//! Why an entry is refused.

/// Why an entry is refused. The server maps it to Rekor's status and body.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Not JSON, or of the wrong JSON type. 400 (Rekor says 500 on create).
    #[error("{0}")]
    Json(String),
    /// A required member of the outer object is missing. 422, code 602, `<field> in body is
    /// required`.
    #[error("{0} in body is required")]
    Required(&'static str),
    /// `apiVersion` is not a semantic version. 422, code 605.
    #[error("{0}")]
    Pattern(String),
    /// Unknown kind. 422, code 422 on create; 400 on retrieve.
    #[error("invalid kind value: {0:?}")]
    UnknownKind(String),
    /// Everything else. 400 `error processing entry: <reason>` on create, the bare reason on
    /// retrieve.
    #[error("{0}")]
    Invalid(String),
}

impl Refusal {
    /// The error of the JSON parser.
    pub(crate) fn json(error: serde_json::Error) -> Self {
        Self::Json(error.to_string())
    }

    /// A refusal whose reason is the text of `error`.
    pub(crate) fn invalid(error: impl ToString) -> Self {
        Self::Invalid(error.to_string())
    }
}

impl From<pki::go_json::Error> for Refusal {
    fn from(error: pki::go_json::Error) -> Self {
        Self::invalid(error)
    }
}

impl From<pki::Error> for Refusal {
    fn from(error: pki::Error) -> Self {
        Self::invalid(error)
    }
}

impl From<pki::TooCostly> for Refusal {
    fn from(error: pki::TooCostly) -> Self {
        Self::invalid(error)
    }
}
