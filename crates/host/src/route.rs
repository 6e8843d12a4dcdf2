//! The route of a request, as its router reports it.

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

/// The level of a route's requests in the access log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visibility {
    /// On the level INFO.
    Info,
    /// On the level DEBUG: there are so many that they would fill the log.
    Debug,
}

/// The route of a request, in the extensions of its answer. Metrics, the access log and CORS read
/// it.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    /// Name of the operation.
    pub operation: &'static str,
    /// Path template.
    pub path: &'static str,
    /// Whether the operation changes what is stored.
    pub access: Access,
    /// The level of its requests in the access log.
    pub visibility: Visibility,
}

/// In the extensions of an answer that has no end of its own. Its client must take each piece in
/// time, instead of the whole.
#[derive(Clone, Copy, Debug)]
pub struct Endless;

/// The HTTP status that an answer of gRPC corresponds to, in the extensions of the answer. All
/// answers of gRPC have 200.
#[derive(Clone, Copy, Debug)]
pub struct Outcome(pub StatusCode);
