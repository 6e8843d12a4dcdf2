//! How answers are fetched: a trait, so that the readers of logs know no network.

use std::future::Future;

/// An answer of a log's server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The whole body.
    pub body: Vec<u8>,
}

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// The URL.
    pub url: String,
    /// JSON for a POST. Without it, the request is a GET.
    pub json: Option<String>,
    /// Largest body that is read, in bytes.
    pub limit: usize,
}

/// Sends requests. It MUST bound the time of each, and MUST NOT follow redirects.
pub trait Fetch {
    /// Sends one request and reads the whole answer, whatever its status.
    fn fetch(&self, ask: &Ask) -> impl Future<Output = Result<Answer, FetchError>> + Send;
}

/// An answer to a request that changes something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The whole body.
    pub body: Vec<u8>,
    /// The header `Location`.
    pub location: Option<String>,
    /// The header `Retry-After`, in seconds.
    pub retry_after: Option<u64>,
    /// The header `x-log-index`, in which Rekor v2 names a duplicate.
    pub log_index: Option<String>,
}

/// Sends requests that change something. It MUST bound the time of each, and MUST NOT follow
/// redirects or send anything twice.
pub trait Submit {
    /// Sends one request and reads the whole answer, whatever its status.
    fn submit(&self, ask: &Ask) -> impl Future<Output = Result<Reply, FetchError>> + Send;
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Not a URL.
    #[error("{0:?} is not an http or https URL")]
    Url(String),
    /// The server cannot be reached, or the connection broke.
    #[error("{url} cannot be reached: {cause}")]
    Unreachable {
        /// The URL.
        url: String,
        /// The cause.
        cause: String,
    },
    /// The answer took too long.
    #[error("{url} did not answer within {seconds} s")]
    TooSlow {
        /// The URL.
        url: String,
        /// The limit.
        seconds: u64,
    },
    /// The answer is larger than the request allows.
    #[error("the answer of {url} has more than {limit} bytes")]
    TooLarge {
        /// The URL.
        url: String,
        /// The limit.
        limit: usize,
    },
    /// The system's root certificates.
    #[error("the system's root certificates cannot be read: {0}")]
    Roots(String),
}
