//! Entries that somebody kept in a file, of either form.

use serde_json::Value;

use crate::entry::Entry;
use crate::error::{Result, VerifyError};
use crate::key::LogKey;
use crate::{v1, v2};

/// Reads an entry that somebody kept and verifies it: the answer of a Rekor v1 log, or a
/// `TransparencyLogEntry` as Rekor v2 answers it and Sigstore bundles hold it.
///
/// # Errors
///
/// The text is neither, or it does not verify.
pub fn open_entry(keys: &[LogKey], text: &[u8]) -> Result<Entry> {
    let json: Value = serde_json::from_slice(text).map_err(VerifyError::expected("a log entry"))?;
    match json.get("canonicalizedBody") {
        Some(_) => v2::open_entry(keys, text),
        None => v1::open_entry(keys, text),
    }
}
