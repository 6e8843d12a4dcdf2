//! Answers of the Rekor v2 API, in which numbers are texts and hashes are base64.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use tlog::{Checkpoint, Hash, LeafIndex, TreeSize};

use crate::error::{Result, VerifyError, require};
use crate::key::LogKey;
use crate::v1;

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

/// Verifies an answer with one entry: inclusion proof and checkpoint. Returns the SHA-256 of the
/// artifact, if the entry is a hashedrekord with SHA-256.
///
/// # Errors
///
/// The answer has another form, or one of the two does not hold.
pub fn verify_entry(key: &LogKey, answer: &[u8]) -> Result<Option<Hash>> {
    let entry: LogEntry =
        serde_json::from_slice(answer).map_err(VerifyError::expected("a log entry"))?;
    let proof = &entry.inclusion_proof;
    let leaf_hash = tlog::leaf_hash(&STANDARD.decode(&entry.canonicalized_body)?);
    let hash = |text: &String| Ok(Hash::try_from(STANDARD.decode(text)?.as_slice())?);
    let (root, hashes) = (
        hash(&proof.root_hash)?,
        proof.hashes.iter().map(hash).collect::<Result<Vec<_>>>()?,
    );
    let (index, size) = (
        LeafIndex(proof.log_index.parse()?),
        TreeSize(proof.tree_size.parse()?),
    );
    tlog::verify_inclusion(&leaf_hash, index, size, &root, &hashes)?;
    let checkpoint = open_checkpoint(key, proof.checkpoint.envelope.as_bytes())?;
    require((checkpoint.size, checkpoint.root) == (size, root), || {
        "the checkpoint is of another head".into()
    })?;
    Ok(v1::artifact(&entry.canonicalized_body))
}

/// Opens a checkpoint whose key name is its origin. The caller MUST compare the origin if it knows
/// the name of the log.
///
/// # Errors
///
/// The text is not a checkpoint, or the log did not sign it.
pub fn open_checkpoint(key: &LogKey, note: &[u8]) -> Result<Checkpoint> {
    let note = std::str::from_utf8(note)?;
    let origin = note.lines().next().unwrap_or_default();
    key.open(note, origin, origin)
        .map_err(|error| error.within("checkpoint"))
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
