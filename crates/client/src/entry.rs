//! A verified entry of any log.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tlog::Hash;

use crate::proof::Inclusion;

/// An entry that is in a tree whose head a trusted key signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The leaf bytes: what the log keeps of the entry.
    pub body: Vec<u8>,
    /// The index in the log. In Rekor v1 it counts through all trees.
    pub log_index: u64,
    /// The ID in Rekor v1: 16 hexadecimal digits of the tree ID and 64 of the leaf hash.
    pub uuid: Option<String>,
    /// The time that the log signed, Unix seconds. Rekor v2 signs none.
    pub time: Option<u64>,
    /// The proof.
    pub inclusion: Inclusion,
    /// The bytes that a log of Rekor v1 keeps beside the entry. They are not verified: the body has
    /// their SHA-256.
    pub attestation: Option<Vec<u8>>,
}

impl Entry {
    /// Returns kind and version, such as `hashedrekord 0.0.1`, if the body states them.
    pub fn kind(&self) -> Option<String> {
        let body = self.json()?;
        let kind = body.get("kind")?.as_str()?;
        let version = body.get("apiVersion")?.as_str()?;
        Some(format!("{kind} {version}"))
    }

    /// Returns the body as JSON, if it is JSON.
    pub fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }

    /// Returns whether the body itself states this hash: a text in it is its hexadecimal form, or
    /// its base64.
    pub fn states(&self, hash: &[u8]) -> bool {
        self.json().is_some_and(|body| any_states(&body, hash))
    }
}

fn any_states(value: &Value, hash: &[u8]) -> bool {
    match value {
        Value::String(text) => is_hash(text, hash),
        Value::Array(values) => values.iter().any(|value| any_states(value, hash)),
        Value::Object(members) => members.values().any(|value| any_states(value, hash)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

fn is_hash(text: &str, hash: &[u8]) -> bool {
    let digits = hex::decode(text).is_ok_and(|bytes| bytes == hash);
    digits || STANDARD.decode(text).is_ok_and(|bytes| bytes == hash)
}

/// Returns the SHA-256 of the artifact of a hashedrekord, of v1 or v2, from its leaf bytes. Other
/// entries have none.
pub(crate) fn artifact(body: &[u8]) -> Option<Hash> {
    let body: Value = serde_json::from_slice(body).ok()?;
    if let Some(digest) = body.pointer("/spec/hashedRekordV002/data/digest") {
        return Hash::try_from(STANDARD.decode(digest.as_str()?).ok()?.as_slice()).ok();
    }
    let digits = body.pointer("/spec/data/hash/value")?.as_str()?;
    Hash::try_from(hex::decode(digits).ok()?.as_slice()).ok()
}
