//! Properties of everything that parses what strangers send. Each function takes any bytes and
//! panics where a property does not hold; that a parser does not panic itself is the least of them.

mod cost;
mod envelopes;
mod formats;
mod packages;
mod summaries;
mod verdicts;
mod witnesses;

pub use cost::{assert_memory, refusal};
pub use envelopes::{cose, dsse, intoto, rfc3161, tuf, tuf_key};
pub use formats::{minisign, pgp, rekord, ssh};
pub use packages::{alpine, helm, helm_provenance, is_accepted, jar, pkcs7, rpm, rpm_package};
pub use summaries::summary;
pub use verdicts::{Verdict, verdict, verdicts};
pub use witnesses::{add_checkpoint, cosignature, witness_policy};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use entry::{
    Policy, ProposedEntry, Refusal, UnixSeconds, VerifiedEntry, index_keys_of_leaf, key_search_key,
};
use prost::Message as _;
use serde_json::{Value, json};
use sigstore_protobuf_specs::dev::sigstore::rekor::v2::CreateEntryRequest;
use tlog::{Checkpoint, Note, TilePath};
use x509_cert::der::{Decode, DecodePem};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

/// When entries are checked: late in 2026, as the seeds were made.
pub const NOW: UnixSeconds = UnixSeconds(1_795_384_279);

/// An entry that is accepted becomes leaf bytes that are RFC 8785, that are their own leaf bytes
/// when they are submitted or looked up again, and that tell the index keys.
pub fn hashedrekord(body: &[u8]) {
    let policy = Policy::default();
    let Ok(entry) = cost::verify(ProposedEntry::from_json, body) else {
        return;
    };
    let leaf = entry.leaf_bytes();
    let value: Value = serde_json::from_slice(leaf).expect("leaf bytes are JSON");
    let canonical = serde_json_canonicalizer::to_vec(&value).expect("JSON has a canonical form");
    assert_eq!(
        leaf, canonical,
        "the typed writer and the generic one agree"
    );

    let again = ProposedEntry::from_json(leaf)
        .and_then(|entry| entry.verify(&policy, NOW))
        .expect("accepted once more");
    assert_eq!(
        (again.leaf_bytes(), again.index_keys()),
        (leaf, entry.index_keys())
    );
    let looked_up =
        ProposedEntry::from_json(leaf).and_then(|entry| entry.leaf_bytes_for_lookup(NOW));
    assert_eq!(looked_up.as_deref(), Ok(leaf));
    assert_eq!(
        index_keys_of_leaf(leaf)
            .expect("a leaf")
            .expect("with keys"),
        entry.index_keys()
    );
}

/// A key that is read has the same search key by itself and in an entry; and where a second parser
/// reads the same certificate, it finds the same names.
pub fn x509_key(pem: &[u8]) {
    let searched = cost::within(pem, |_| key_search_key("x509", pem));
    let keys = keys_of_entry_with(pem);
    assert_eq!(searched.is_ok(), keys.is_ok(), "{searched:?} {keys:?}");
    let (Ok(searched), Ok(keys)) = (searched, keys) else {
        return;
    };
    assert_eq!(keys[0], searched);

    let Ok(certificate) = x509_cert::Certificate::from_pem(pem.trim_ascii()) else {
        return;
    };
    let extensions = certificate.tbs_certificate().extensions();
    let names = extensions
        .into_iter()
        .flatten()
        .filter(|extension| extension.extn_id.to_string() == "2.5.29.17");
    for name in names
        .filter_map(|name| SubjectAltName::from_der(name.extn_value.as_bytes()).ok())
        .flat_map(|names| names.0)
    {
        match name {
            GeneralName::DnsName(name)
            | GeneralName::Rfc822Name(name)
            | GeneralName::UniformResourceIdentifier(name) => {
                assert!(
                    keys.contains(&name.as_str().to_lowercase()),
                    "{name} is not among {keys:?}"
                );
            }
            _ => {}
        }
    }
}

/// A request of Rekor v2 that is accepted, the generated types read as the same, and it becomes
/// leaf bytes that are RFC 8785, that tell its index keys, and that its binary form becomes as
/// well.
pub fn v2_request(body: &[u8]) {
    if let Ok(entry) = cost::verify(ProposedEntry::from_v2_protobuf, body) {
        assert!(keys_of_leaf_agree(&entry));
    }
    let Ok(entry) = cost::verify(ProposedEntry::from_v2_json, body) else {
        return;
    };
    let leaf = entry.leaf_bytes();
    let value: Value = serde_json::from_slice(leaf).expect("leaf bytes are JSON");
    assert_eq!(
        leaf,
        serde_json_canonicalizer::to_vec(&value).expect("JSON has a canonical form")
    );
    assert!(keys_of_leaf_agree(&entry));
    let message = match serde_json::from_slice::<CreateEntryRequest>(body) {
        // Line ends in base64, which JSON escapes, are skipped here as in Go; the generated types
        // refuse them.
        Err(_) if body.contains(&b'\\') => return,
        message => message.expect("what is accepted is read by the generated types too"),
    };
    let binary = message.encode_to_vec();
    let again =
        cost::verify(ProposedEntry::from_v2_protobuf, &binary).expect("accepted in binary form");
    assert_eq!((again.kind(), again.leaf_bytes()), (entry.kind(), leaf));
}

/// The index keys of its leaf bytes are an entry's own, where they follow from them.
fn keys_of_leaf_agree(entry: &VerifiedEntry) -> bool {
    index_keys_of_leaf(entry.leaf_bytes())
        .expect("a leaf")
        .is_none_or(|keys| keys == entry.index_keys())
}

/// A note that is read is written back unchanged, and so is a checkpoint.
pub fn checkpoint(text: &[u8]) {
    let Ok(text) = std::str::from_utf8(text) else {
        return;
    };
    if let Ok(note) = Note::parse(text) {
        assert_eq!(note.to_string(), text);
    }
    if let Ok(checkpoint) = Checkpoint::parse(text) {
        assert_eq!(checkpoint.text(), text);
        assert_eq!(Checkpoint::parse(&checkpoint.text()), Ok(checkpoint));
    }
    // The text of a note is what is signed; it is a checkpoint on its own terms.
    if let Ok(note) = Note::parse(text)
        && let Ok(checkpoint) = Checkpoint::parse(note.text())
    {
        assert_eq!(checkpoint.text(), note.text());
    }
}

/// A path that is read is written back unchanged: one path for one resource.
pub fn tile_path(path: &[u8]) {
    let Ok(path) = std::str::from_utf8(path) else {
        return;
    };
    if let Ok(parsed) = path.parse::<TilePath>() {
        assert_eq!(parsed.to_string(), path);
    }
}

/// The index keys of leaf bytes that hold this key.
fn keys_of_entry_with(pem: &[u8]) -> Result<Vec<String>, Refusal> {
    let leaf = json!({"apiVersion": "0.0.1", "kind": "hashedrekord", "spec": {
        "data": {"hash": {"algorithm": "sha256", "value": "0".repeat(64)}},
        "signature": {"content": "AA==", "publicKey": {"content": STANDARD.encode(pem)}},
    }});
    index_keys_of_leaf(leaf.to_string().as_bytes())
        .map(|keys| keys.expect("a hashedrekord has keys"))
}
