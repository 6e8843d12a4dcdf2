//! Verified facts as text and as JSON. The JSON is documented in docs/VERIFYING.md.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use client::{Entry, Inclusion, SignedHead};
use serde_json::{Value, json};
use tlog::Hash;

use super::show::{self, Text};

/// Adds the facts of a head.
pub(crate) fn head(text: &mut Text, head: &SignedHead) {
    text.fact("origin", head.origin());
    text.fact("size", head.size());
    text.fact("root", head.root());
    text.fact("signed by", &head.signer);
    if !head.others.is_empty() {
        let others = head.others.join(", ");
        text.fact("cosigned by", format_args!("{others} (not verified)"));
    }
}

/// Returns the facts of a head.
pub(crate) fn head_json(head: &SignedHead) -> Value {
    json!({
        "origin": head.origin(),
        "size": head.size().0,
        "root": head.root().to_string(),
        "signer": head.signer.to_string(),
        "otherSigners": head.others,
        "checkpoint": head.note,
    })
}

/// Adds the facts of an entry.
pub(crate) fn entry(text: &mut Text, entry: &Entry) {
    if let Some(uuid) = &entry.uuid {
        text.fact("uuid", uuid);
    }
    text.fact("kind", entry.kind().as_deref().unwrap_or("unknown"));
    text.fact("log index", entry.log_index);
    if let Some(time) = entry.time {
        text.fact(
            "time",
            format_args!("{}, signed by the log", show::time(time)),
        );
    }
    let inclusion = &entry.inclusion;
    text.fact("leaf hash", inclusion.leaf_hash);
    let head = &inclusion.head;
    let place = format_args!(
        "leaf {} of {} in {}",
        inclusion.leaf_index,
        head.size(),
        head.origin()
    );
    text.fact("tree", place);
    text.fact("root", head.root());
    text.fact("signed by", &head.signer);
    let claims = "the signature in the entry, and whose key or certificate that is";
    text.fact("not checked", claims);
}

/// Returns the facts of an entry.
pub(crate) fn entry_json(entry: &Entry) -> Value {
    json!({
        "uuid": entry.uuid,
        "kind": entry.kind(),
        "logIndex": entry.log_index,
        "integratedTime": entry.time,
        "body": BASE64_STANDARD.encode(&entry.body),
        "inclusion": inclusion_json(&entry.inclusion),
    })
}

/// Returns the facts of an inclusion proof.
pub(crate) fn inclusion_json(inclusion: &Inclusion) -> Value {
    json!({
        "leafHash": inclusion.leaf_hash.to_string(),
        "leafIndex": inclusion.leaf_index.0,
        "hashes": hashes(&inclusion.hashes),
        "head": head_json(&inclusion.head),
    })
}

/// Returns hashes in hexadecimal.
pub(crate) fn hashes(hashes: &[Hash]) -> Vec<String> {
    hashes.iter().map(Hash::to_string).collect()
}
