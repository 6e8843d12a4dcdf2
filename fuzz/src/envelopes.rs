//! Kinds whose leaf bytes hold hashes of what was signed, or documents in canonical form.

use entry::{Policy, ProposedEntry, VerifiedEntry, index_keys_of_leaf, key_search_key};
use serde_json::Value;

use crate::{NOW, cost};

/// An entry that is accepted becomes leaf bytes that are RFC 8785, that are found by themselves,
/// and that tell what index keys follow from them.
pub fn dsse(body: &[u8]) {
    found_by_its_leaf("dsse:0.0.1", body);
}

/// The same holds for either version; and the leaf bytes hold the hash of the bytes that are kept
/// beside the entry.
pub fn intoto(body: &[u8]) {
    for kind in ["intoto:0.0.1", "intoto:0.0.2"] {
        if let Some(entry) = found_by_its_leaf(kind, body) {
            attestation_fits(&entry);
        }
    }
}

/// The same holds, except that leaf bytes without the message find nothing.
pub fn cose(body: &[u8]) {
    let Some(entry) = accepted("cose:0.0.1", body) else {
        return;
    };
    attestation_fits(&entry);
    assert_eq!(index_keys_of_leaf(entry.leaf_bytes()), Ok(None));
}

/// The answer of an authority is its own leaf.
pub fn rfc3161(body: &[u8]) {
    if let Some(entry) = found_by_its_leaf("rfc3161:0.0.1", body) {
        submitted_again(&entry);
    }
}

/// Documents are in the leaf in the form that every form of them becomes.
pub fn tuf(body: &[u8]) {
    if let Some(entry) = found_by_its_leaf("tuf:0.0.1", body) {
        submitted_again(&entry);
    }
}

/// A root that is read has one search key, in whichever order its members are.
pub fn tuf_key(root: &[u8]) {
    let Ok(key) = cost::within(root, |_| key_search_key("tuf", root)) else {
        return;
    };
    let Ok(value) = serde_json::from_slice::<Value>(root) else {
        return;
    };
    let members = value.as_object().map_or(0, serde_json::Map::len);
    // Of names that differ in case the last one counts, which this generic parser cannot tell.
    if members == 2 && value.get("signed").is_some() && value.get("signatures").is_some() {
        assert_eq!(key_search_key("tuf", value.to_string().as_bytes()), Ok(key));
    }
}

fn accepted(kind: &str, body: &[u8]) -> Option<VerifiedEntry> {
    let entry = cost::verify(ProposedEntry::from_json, body).ok()?;
    let value: Value = serde_json::from_slice(entry.leaf_bytes()).expect("leaf bytes are JSON");
    let canonical = serde_json_canonicalizer::to_vec(&value).expect("JSON has a canonical form");
    assert_eq!(
        entry.leaf_bytes(),
        canonical,
        "the typed writer and the generic one agree"
    );
    Some(entry).filter(|entry| entry.kind() == kind)
}

fn found_by_its_leaf(kind: &str, body: &[u8]) -> Option<VerifiedEntry> {
    let entry = accepted(kind, body)?;
    let leaf = entry.leaf_bytes();
    let found = ProposedEntry::from_json(leaf).and_then(|entry| entry.leaf_bytes_for_lookup(NOW));
    assert_eq!(found.as_deref(), Ok(leaf));
    if let Some(keys) = index_keys_of_leaf(leaf).expect("a leaf") {
        assert_eq!(keys, entry.index_keys());
    }
    Some(entry)
}

fn submitted_again(entry: &VerifiedEntry) {
    let again = ProposedEntry::from_json(entry.leaf_bytes())
        .and_then(|entry| entry.verify(&Policy::default(), NOW));
    let again = again.expect("accepted once more");
    assert_eq!(
        (again.leaf_bytes(), again.index_keys()),
        (entry.leaf_bytes(), entry.index_keys())
    );
}

fn attestation_fits(entry: &VerifiedEntry) {
    let hash = tlog::sha256(entry.attestation().expect("kept")).to_string();
    let leaf = std::str::from_utf8(entry.leaf_bytes()).expect("text");
    assert!(leaf.contains(&hash), "{hash} in {leaf}");
}
