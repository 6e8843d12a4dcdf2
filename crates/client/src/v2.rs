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
use crate::v1::Timestamp;

/// A `TransparencyLogEntry` of Sigstore. ProtoJSON leaves out members that are 0 or empty.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LogEntry {
    canonicalized_body: String,
    inclusion_proof: Proof,
    log_index: Option<String>,
    log_id: Option<LogId>,
    integrated_time: Option<String>,
    /// Only entries of Rekor v1 have one.
    inclusion_promise: Option<Promise>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Proof {
    log_index: Option<String>,
    tree_size: String,
    root_hash: String,
    #[serde(default)]
    hashes: Vec<String>,
    checkpoint: Envelope,
}

#[derive(Deserialize)]
struct Envelope {
    envelope: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LogId {
    key_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Promise {
    signed_entry_timestamp: String,
}

/// Reads a `TransparencyLogEntry` and verifies it: inclusion proof and checkpoint, and the signed
/// entry timestamp if it has one, as an entry of Rekor v1 in a bundle has. The caller compares the
/// index or the leaf hash with its request.
///
/// # Errors
///
/// The answer has another form, or one of them does not hold.
pub fn open_entry(keys: &[LogKey], answer: &[u8]) -> Result<Entry> {
    let entry: LogEntry =
        serde_json::from_slice(answer).map_err(VerifyError::expected("a log entry"))?;
    let proof = &entry.inclusion_proof;
    let body = STANDARD.decode(&entry.canonicalized_body)?;
    let hashes = proof.hashes.iter().map(hash).collect::<Result<Vec<_>>>()?;
    let (index, size) = (
        LeafIndex(number(&proof.log_index)?),
        TreeSize(proof.tree_size.parse()?),
    );
    let head = SignedHead::open(keys, &proof.checkpoint.envelope)
        .map_err(|error| error.within("checkpoint"))?;
    let root = hash(&proof.root_hash)?;
    require((head.size(), *head.root()) == (size, root), || {
        "the checkpoint is of another head".into()
    })?;
    let signed = entry.timestamp(keys);
    let signed = signed.map_err(|error| error.within("signed entry timestamp"))?;
    Ok(Entry {
        attestation: None,
        log_index: signed.map_or(index.0, |(log_index, _)| log_index),
        uuid: None,
        time: signed.map(|(_, time)| time),
        inclusion: Inclusion::verify(tlog::leaf_hash(&body), index, hashes, head)?,
        body,
    })
}

impl LogEntry {
    /// Returns the log index and the time that a signed entry timestamp states.
    fn timestamp(&self, keys: &[LogKey]) -> Result<Option<(u64, u64)>> {
        let Some(promise) = &self.inclusion_promise else {
            return Ok(None);
        };
        let id = self.log_id.as_ref().map(|id| &id.key_id);
        let id = id.ok_or_else(|| VerifyError::Mismatch("the log ID is missing".into()))?;
        let (log_index, time) = (number(&self.log_index)?, number(&self.integrated_time)?);
        let timestamp = Timestamp {
            body: &self.canonicalized_body,
            integrated_time: time,
            log_id: &hash(id)?.to_string(),
            log_index,
            signature: &promise.signed_entry_timestamp,
        };
        timestamp.verify(keys)?;
        Ok(Some((log_index, time)))
    }
}

fn hash(text: &String) -> Result<Hash> {
    Ok(Hash::try_from(STANDARD.decode(text)?.as_slice())?)
}

fn number(text: &Option<String>) -> Result<u64> {
    Ok(text.as_deref().unwrap_or("0").parse()?)
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
