//! Short HTTP requests to an object store or to another server of the ledger.

use std::time::Duration;

use ledger::guard::{MAX_GUARD_BYTES, READ_PATIENCE};

use crate::http_client::{Bounds, HttpClient};

const BOUNDS: Bounds = Bounds {
    connect: Duration::from_secs(2),
    // As long as a start waits for a place.
    answer: READ_PATIENCE,
    answer_bytes: MAX_GUARD_BYTES,
};

/// Returns a client for URLs that begin as this one.
pub(super) fn client(url: &str) -> Result<HttpClient, String> {
    HttpClient::new(url, BOUNDS)
}
