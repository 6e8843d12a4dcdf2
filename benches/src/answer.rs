//! Verifies what the log answers, with nothing but its public key.

use std::collections::HashMap;

use anyhow::{Context, Result, bail, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Method, StatusCode};
use serde::Deserialize;
use tlog::{Checkpoint, Hash, LeafIndex, NoteKey, TreeSize, VerifyingKey};

use crate::api::Api;
use crate::connection::Connection;

/// The log as its answers are checked against it.
pub(crate) struct Log {
    key: VerifyingKey,
}

/// Rekor v1's answer: one entry under its ID.
type Answer = HashMap<String, Entry>;

#[derive(Deserialize)]
struct Entry {
    body: String,
    #[serde(rename = "integratedTime")]
    integrated_time: u64,
    #[serde(rename = "logID")]
    log_id: String,
    #[serde(rename = "logIndex")]
    log_index: u64,
    verification: Verification,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Verification {
    inclusion_proof: InclusionProof,
    signed_entry_timestamp: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct InclusionProof {
    checkpoint: String,
    hashes: Vec<String>,
    log_index: u64,
    root_hash: String,
    tree_size: u64,
}

/// Rekor v2's: numbers are texts, hashes base64.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LogEntry {
    canonicalized_body: String,
    inclusion_proof: ProofV2,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ProofV2 {
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

impl Log {
    /// Asks for the public key. Good enough here: whoever measures a log trusts it for that long.
    pub(crate) async fn fetch(connection: &mut Connection) -> Result<Self> {
        let (status, pem) = connection.send(Method::GET, "/api/v1/log/publicKey", Bytes::new()).await?;
        ensure!(status == StatusCode::OK, "{status} for the public key");
        let (_, spki) = pem_rfc7468::decode_vec(&pem).map_err(|error| anyhow::anyhow!("the public key: {error}"))?;
        Ok(Self { key: VerifyingKey::from_spki(&spki)? })
    }

    /// Checks inclusion proof and checkpoint of one answer, and of v1 entry ID and signed entry timestamp.
    pub(crate) fn verify(&self, api: Api, answer: &[u8]) -> Result<()> {
        match api {
            Api::V1 => self.verify_v1(answer),
            Api::V2 => self.verify_v2(answer),
        }
    }

    fn verify_v2(&self, answer: &[u8]) -> Result<()> {
        let entry: LogEntry = serde_json::from_slice(answer).context("an answer that is no log entry")?;
        let proof = &entry.inclusion_proof;
        let leaf_hash = tlog::leaf_hash(&STANDARD.decode(&entry.canonicalized_body)?);
        let hash = |text: &String| Ok(Hash(STANDARD.decode(text)?.as_slice().try_into()?));
        let (root, hashes) = (hash(&proof.root_hash)?, proof.hashes.iter().map(hash).collect::<Result<Vec<_>>>()?);
        let (index, size) = (LeafIndex(proof.log_index.parse()?), TreeSize(proof.tree_size.parse()?));
        tlog::verify_inclusion(&leaf_hash, index, size, &root, &hashes)?;
        let note = &proof.checkpoint.envelope;
        let origin = note.lines().next().unwrap_or_default();
        let checkpoint = Checkpoint::open(note, origin, &[NoteKey::new(origin, self.key.clone())?])?;
        ensure!((checkpoint.size, checkpoint.root) == (size, root), "another head than the proof's");
        Ok(())
    }

    fn verify_v1(&self, answer: &[u8]) -> Result<()> {
        let answer: Answer = serde_json::from_slice(answer).context("an answer that is no log entry")?;
        let Some((id, entry)) = answer.iter().next() else { bail!("an answer without an entry") };
        self.verify_entry(id, entry).with_context(|| format!("entry {id}"))
    }

    fn verify_entry(&self, id: &str, entry: &Entry) -> Result<()> {
        let leaf_hash = tlog::leaf_hash(&STANDARD.decode(&entry.body)?);
        ensure!(id.ends_with(&leaf_hash.to_string()), "its ID does not end in its leaf hash {leaf_hash}");

        let proof = &entry.verification.inclusion_proof;
        let root = hash(&proof.root_hash)?;
        let hashes = proof.hashes.iter().map(|text| hash(text)).collect::<Result<Vec<_>>>()?;
        tlog::verify_inclusion(&leaf_hash, LeafIndex(proof.log_index), TreeSize(proof.tree_size), &root, &hashes)?;
        self.verify_checkpoint(proof, &root).context("checkpoint")?;

        // RFC 8785 of the four members: their names are in order, and nothing in them needs an escape.
        let Entry { body, integrated_time, log_id, log_index, .. } = entry;
        let signed = format!(
            r#"{{"body":"{body}","integratedTime":{integrated_time},"logID":"{log_id}","logIndex":{log_index}}}"#
        );
        let timestamp = STANDARD.decode(&entry.verification.signed_entry_timestamp)?;
        self.key.verify(signed.as_bytes(), &timestamp).context("signed entry timestamp")
    }

    /// Signed by this log under the name in its origin (`name - tree ID`), and of the head that the proof leads to.
    fn verify_checkpoint(&self, proof: &InclusionProof, root: &Hash) -> Result<()> {
        let origin = proof.checkpoint.lines().next().unwrap_or_default();
        let (name, _tree_id) = origin.rsplit_once(" - ").with_context(|| format!("origin {origin}"))?;
        let key = NoteKey::new(name, self.key.clone())?;
        let checkpoint = Checkpoint::open(&proof.checkpoint, origin, &[key])?;
        ensure!(checkpoint.size.0 == proof.tree_size && checkpoint.root == *root, "another head than the proof's");
        Ok(())
    }
}

fn hash(text: &str) -> Result<Hash> {
    let mut hash = [0; 32];
    hex::decode_to_slice(text, &mut hash)?;
    Ok(Hash(hash))
}

#[cfg(test)]
mod tests {
    use ring::rand::SystemRandom;
    use serde_json::{Value, json};
    use tlog::SigningKey;

    use super::*;

    /// The second leaf of two, as a log would answer it.
    fn answer(key: &SigningKey, rng: &SystemRandom) -> Value {
        let body = STANDARD.encode("leaf");
        let (first, second) = (tlog::leaf_hash(b"other"), tlog::leaf_hash(b"leaf"));
        let root = tlog::node_hash(&first, &second);
        let checkpoint = Checkpoint::new("localhost - 7", TreeSize(2), root).sign("localhost", key, rng).unwrap();
        let log_id = key.verifying_key().log_id();
        let signed = format!(r#"{{"body":"{body}","integratedTime":9,"logID":"{log_id}","logIndex":1}}"#);
        json!({ format!("0000000000000007{second}"): {
            "body": body, "integratedTime": 9, "logID": log_id.to_string(), "logIndex": 1,
            "verification": {
                "inclusionProof": {
                    "checkpoint": checkpoint, "hashes": [first.to_string()], "logIndex": 1, "rootHash": root.to_string(), "treeSize": 2,
                },
                "signedEntryTimestamp": STANDARD.encode(key.sign(signed.as_bytes(), rng).unwrap()),
            },
        }})
    }

    #[test]
    fn every_part_of_an_answer_counts() {
        let rng = SystemRandom::new();
        let key = SigningKey::from_pkcs8(&SigningKey::generate_p256_pkcs8(&rng).unwrap(), &rng).unwrap();
        let log = Log { key: key.verifying_key().clone() };
        let good = answer(&key, &rng);
        log.verify(Api::V1, good.to_string().as_bytes()).unwrap();

        let id = good.as_object().unwrap().keys().next().unwrap().clone();
        let zeros = "0".repeat(64);
        for (path, value) in [
            ("body", json!(STANDARD.encode("leaF"))),
            ("integratedTime", json!(8)),
            ("logIndex", json!(0)),
            ("verification/inclusionProof/logIndex", json!(0)),
            ("verification/inclusionProof/treeSize", json!(3)),
            ("verification/inclusionProof/rootHash", json!(zeros)),
            ("verification/inclusionProof/hashes/0", json!(zeros)),
            ("verification/inclusionProof/checkpoint", json!("localhost - 7\n2\n")),
        ] {
            let mut bad = good.clone();
            *bad.pointer_mut(&format!("/{id}/{path}")).unwrap() = value;
            assert!(log.verify(Api::V1, bad.to_string().as_bytes()).is_err(), "{path}");
        }
        let other = SigningKey::from_pkcs8(&SigningKey::generate_p256_pkcs8(&rng).unwrap(), &rng).unwrap();
        assert!(Log { key: other.verifying_key().clone() }.verify(Api::V1, good.to_string().as_bytes()).is_err());
    }
}
