//! Answers of the Rekor v2 API, in which numbers are texts and hashes are base64.

use std::slice;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use tlog::{Checkpoint, Hash, LeafIndex, TreeSize};

use crate::entry::{self, Entry};
use crate::error::{Result, VerifyError, require};
use crate::head::SignedHead;
use crate::key::LogKey;
use crate::proof::Inclusion;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LogEntry {
    canonicalized_body: String,
    inclusion_proof: Proof,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Proof {
    log_index: String,
    tree_size: String,
    root_hash: String,
    hashes: Vec<String>,
    checkpoint: Envelope,
}

#[derive(Deserialize)]
struct Envelope {
    envelope: String,
}

/// Reads an answer with one entry of a log for v2 and verifies it: inclusion proof and checkpoint.
/// The caller compares the index or the leaf hash with its request.
///
/// # Errors
///
/// The answer has another form, or one of the two does not hold.
pub fn open_entry(keys: &[LogKey], answer: &[u8]) -> Result<Entry> {
    let entry: LogEntry =
        serde_json::from_slice(answer).map_err(VerifyError::expected("a log entry"))?;
    let proof = &entry.inclusion_proof;
    let body = STANDARD.decode(&entry.canonicalized_body)?;
    let hash = |text: &String| Ok(Hash::try_from(STANDARD.decode(text)?.as_slice())?);
    let hashes = proof.hashes.iter().map(hash).collect::<Result<Vec<_>>>()?;
    let (index, size) = (
        LeafIndex(proof.log_index.parse()?),
        TreeSize(proof.tree_size.parse()?),
    );
    let head = SignedHead::open(keys, &proof.checkpoint.envelope)
        .map_err(|error| error.within("checkpoint"))?;
    let root = hash(&proof.root_hash)?;
    require((head.size(), *head.root()) == (size, root), || {
        "the checkpoint is of another head".into()
    })?;
    Ok(Entry {
        log_index: index.0,
        uuid: None,
        time: None,
        inclusion: Inclusion::verify(tlog::leaf_hash(&body), index, hashes, head)?,
        body,
    })
}

/// Verifies an answer with one entry as [`open_entry`] does. Returns the SHA-256 of the artifact,
/// if the entry is a hashedrekord with SHA-256.
///
/// # Errors
///
/// As [`open_entry`].
pub fn verify_entry(key: &LogKey, answer: &[u8]) -> Result<Option<Hash>> {
    let entry = open_entry(slice::from_ref(key), answer)?;
    Ok(entry::artifact(&entry.body))
}

/// Opens a checkpoint whose key name is its origin. The caller MUST compare the origin if it knows
/// the name of the log.
///
/// # Errors
///
/// The text is not a checkpoint, or the log did not sign it.
pub fn open_checkpoint(key: &LogKey, note: &[u8]) -> Result<Checkpoint> {
    let note = std::str::from_utf8(note)?;
    key.open(note).map_err(|error| error.within("checkpoint"))
}

#[cfg(test)]
mod tests {
    use ring::rand::SystemRandom;
    use serde_json::json;
    use tlog::SigningKey;

    use super::*;

    #[test]
    fn every_part_of_an_entry_counts() {
        let rng = SystemRandom::new();
        let key =
            SigningKey::from_pkcs8(&SigningKey::generate_p256_pkcs8(&rng).unwrap(), &rng).unwrap();
        let log_key = LogKey::new(key.verifying_key().clone());
        let digest = tlog::sha256(b"artifact");
        let leaf =
            json!({"spec": {"hashedRekordV002": {"data": {"digest": STANDARD.encode(digest)}}}})
                .to_string();
        let (first, second) = (tlog::leaf_hash(b"other"), tlog::leaf_hash(leaf.as_bytes()));
        let root = tlog::node_hash(&first, &second);
        let note = Checkpoint::new("log.example", TreeSize(2), root)
            .sign("log.example", &key, &rng)
            .unwrap();
        let good = json!({"canonicalizedBody": STANDARD.encode(leaf), "inclusionProof": {
            "logIndex": "1", "treeSize": "2", "rootHash": STANDARD.encode(root), "hashes": [STANDARD.encode(first)],
            "checkpoint": {"envelope": note},
        }});
        assert_eq!(
            verify_entry(&log_key, good.to_string().as_bytes()).unwrap(),
            Some(digest)
        );

        let zeros = json!(STANDARD.encode([0; 32]));
        for (path, value) in [
            ("/canonicalizedBody", json!(STANDARD.encode("leaf"))),
            ("/inclusionProof/logIndex", json!("0")),
            ("/inclusionProof/treeSize", json!("3")),
            ("/inclusionProof/rootHash", zeros.clone()),
            ("/inclusionProof/hashes/0", zeros),
            (
                "/inclusionProof/checkpoint/envelope",
                json!("log.example\n2\n"),
            ),
        ] {
            let mut bad = good.clone();
            *bad.pointer_mut(path).unwrap() = value;
            assert!(
                verify_entry(&log_key, bad.to_string().as_bytes()).is_err(),
                "{path}"
            );
        }
    }
}
