//! What the tests of kinds with an artifact share.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use entry::{Policy, ProposedEntry, VerifiedEntry, index_keys_of_leaf};
use serde_json::{Value, json};

use crate::submission::NOW;

/// Submits an entry of this kind; the text of the refusal otherwise.
pub(crate) fn submit(kind: &str, spec: Value) -> Result<VerifiedEntry, String> {
    let body = json!({"apiVersion": "0.0.1", "kind": kind, "spec": spec}).to_string();
    ProposedEntry::from_json(body.as_bytes())
        .and_then(|entry| entry.verify(&Policy::default(), NOW))
        .map_err(|refusal| refusal.to_string())
}

/// The `spec` of leaf bytes, which are RFC 8785 and tell the index keys.
pub(crate) fn spec_of(entry: &VerifiedEntry) -> Value {
    let leaf: Value = serde_json::from_slice(entry.leaf_bytes()).unwrap();
    assert_eq!(
        entry.leaf_bytes(),
        serde_json_canonicalizer::to_vec(&leaf).unwrap()
    );
    assert_eq!(
        index_keys_of_leaf(entry.leaf_bytes()).unwrap().as_deref(),
        Some(entry.index_keys())
    );
    leaf["spec"].clone()
}

pub(crate) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Deterministic bytes that no compression makes shorter.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    (0..length)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        })
        .collect()
}
