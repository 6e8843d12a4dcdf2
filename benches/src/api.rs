//! The two ways to write.

/// An API of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Api {
    /// Rekor v1: the answer has a signed entry timestamp.
    V1,
    /// Rekor v2: it has none.
    V2,
}

impl Api {
    /// Where entries are posted.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::V1 => "/api/v1/log/entries",
            Self::V2 => "/api/v2/log/entries",
        }
    }
}
