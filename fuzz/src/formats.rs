//! Formats of keys and signatures, and the kind `rekord` that takes four of them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use entry::{ProposedEntry, Refusal, VerifiedEntry, index_keys_of_leaf, key_search_key};
use serde_json::{Value, json};

use crate::cost;

/// The message that the seeds sign.
const MESSAGE: &[u8] = include_bytes!("../../crates/entry/tests/entry/pki/message");
/// A key for each format, by which signatures are verified.
const PGP_KEY: &[u8] = include_bytes!("../../crates/entry/tests/entry/pki/pgp/ed25519.key");
const MINISIGN_KEY: &[u8] =
    include_bytes!("../../crates/entry/tests/entry/pki/minisign/minisign.pub");
const SSH_KEY: &[u8] = include_bytes!("../../crates/entry/tests/entry/pki/ssh/ed25519.pub");

/// An entry that is accepted becomes leaf bytes that are RFC 8785 and tell the index keys; and the
/// canonical key and signature in them are accepted for the same artifact, and become the same leaf
/// bytes.
pub fn rekord(body: &[u8]) {
    let Ok(entry) = cost::verify(ProposedEntry::from_json, body) else {
        return;
    };
    let body: Value = serde_json::Deserializer::from_slice(body)
        .into_iter()
        .next()
        .expect("JSON")
        .expect("JSON");
    let content = &body["spec"]["data"]["content"];
    // Of members whose names differ in case the last one counts, which this generic parser cannot
    // tell.
    let is_plain =
        body.as_object().is_some_and(|members| members.len() == 3) && content.is_string();
    if entry.kind() == "rekord:0.0.1" && is_plain {
        check_fixed_point(&entry, content);
    }
}

/// The same holds for PGP signatures. A key ring is found by one search key, whether it is armored
/// or not.
pub fn pgp(bytes: &[u8]) {
    check_signature("pgp", PGP_KEY, bytes);
    if let Some(key) = check_key("pgp", bytes) {
        let armored = format!(
            "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n{}\n-----END PGP PUBLIC KEY BLOCK-----",
            STANDARD
                .encode(bytes)
                .as_bytes()
                .chunks(64)
                .map(String::from_utf8_lossy)
                .collect::<Vec<_>>()
                .join("\n")
        );
        if !bytes.starts_with(b"-----BEGIN PGP") {
            assert_eq!(key_search_key("pgp", armored.as_bytes()), Ok(key));
        }
    }
}

/// The same holds for minisign. A key is found by one search key, with a comment or without.
pub fn minisign(bytes: &[u8]) {
    check_signature("minisign", MINISIGN_KEY, bytes);
    let Some(key) = check_key("minisign", bytes) else {
        return;
    };
    if bytes.len() > 32 && bytes.len() < 8000 && !bytes.contains(&b'\n') {
        let file = [b"untrusted comment: x\n", bytes].concat();
        assert_eq!(key_search_key("minisign", &file), Ok(key));
    }
}

/// The same holds for SSH. A key is found by one search key, whatever stands around it.
pub fn ssh(bytes: &[u8]) {
    check_signature("ssh", SSH_KEY, bytes);
    let Some(key) = check_key("ssh", bytes) else {
        return;
    };
    if bytes.len() < 60_000 {
        let file = [b"# a comment\n\r\n", bytes].concat();
        assert_eq!(key_search_key("ssh", &file), Ok(key));
    }
}

/// The search key, if these bytes are a key: the one of an entry that holds it.
fn check_key(format: &str, bytes: &[u8]) -> Option<String> {
    let searched = cost::within(bytes, |_| key_search_key(format, bytes));
    let leaf = json!({"apiVersion": "0.0.1", "kind": "rekord", "spec": {
        "data": {"hash": {"algorithm": "sha256", "value": "0".repeat(64)}},
        "signature": {"content": "AA==", "format": format, "publicKey": {"content": STANDARD.encode(bytes)}},
    }});
    let keys = index_keys_of_leaf(leaf.to_string().as_bytes());
    assert_eq!(searched.is_ok(), keys.is_ok(), "{searched:?} {keys:?}");
    let key = searched.ok()?;
    assert_eq!(keys.ok()??[0], key);
    Some(key)
}

fn check_signature(format: &str, key: &[u8], signature: &[u8]) {
    let content = json!(STANDARD.encode(MESSAGE));
    let proposal = json!({"apiVersion": "0.0.1", "kind": "rekord", "spec": {
        "data": {"content": content},
        "signature": {
            "content": STANDARD.encode(signature),
            "format": format,
            "publicKey": {"content": STANDARD.encode(key)},
        },
    }});
    if let Ok(entry) = verify(&proposal) {
        check_fixed_point(&entry, &content);
    }
}

fn check_fixed_point(entry: &VerifiedEntry, content: &Value) {
    let leaf = entry.leaf_bytes();
    let mut value: Value = serde_json::from_slice(leaf).expect("leaf bytes are JSON");
    let canonical = serde_json_canonicalizer::to_vec(&value).expect("JSON has a canonical form");
    assert_eq!(
        leaf, canonical,
        "the typed writer and the generic one agree"
    );
    assert_eq!(
        index_keys_of_leaf(leaf)
            .expect("a leaf")
            .expect("with keys"),
        entry.index_keys()
    );
    value["spec"]["data"]["content"] = content.clone();
    let again = verify(&value).expect("what is canonical is accepted");
    assert_eq!(
        (again.leaf_bytes(), again.index_keys()),
        (leaf, entry.index_keys())
    );
}

fn verify(proposal: &Value) -> Result<VerifiedEntry, Refusal> {
    cost::verify(ProposedEntry::from_json, proposal.to_string().as_bytes())
}
