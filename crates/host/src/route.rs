//! What a router says of the request that it took.

use http::StatusCode;

/// Whether an operation changes what is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// It does not.
    Read,
    /// It does.
    Write,
}

impl Access {
    /// Returns the label of metrics.
    pub fn label(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

/// Where requests of a route stand in the access log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visibility {
    /// On the level INFO.
    Info,
    /// On the level DEBUG: there are so many of them that they would fill the log.
    Debug,
}

/// The route that took a request, in the extensions of its answer: for metrics, the access log and
/// CORS.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    /// Name of the operation.
    pub operation: &'static str,
    /// Path template.
    pub path: &'static str,
    /// Whether the operation changes what is stored.
    pub access: Access,
    /// Where its requests stand in the access log.
    pub visibility: Visibility,
}

/// The HTTP status that stands for an answer of gRPC, where all answers have 200; in the extensions
/// of the answer.
#[derive(Clone, Copy, Debug)]
pub struct Outcome(pub StatusCode);
