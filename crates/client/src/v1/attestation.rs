//! The attestation that a log keeps beside an entry.

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

/// Returns the attestation in an answer with one entry. It is not verified: the entry states its
/// hash.
pub(crate) fn attestation(answer: &[u8]) -> Option<Vec<u8>> {
    #[derive(Deserialize)]
    struct Entry {
        attestation: Option<Attestation>,
    }
    #[derive(Deserialize)]
    struct Attestation {
        data: String,
    }
    let answer: HashMap<String, Entry> = serde_json::from_slice(answer).ok()?;
    let attestation = answer.into_values().next()?.attestation?;
    STANDARD.decode(attestation.data).ok()
}
