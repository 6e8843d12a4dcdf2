//! Verifies what the log answers, with nothing but its public key.

use std::collections::HashMap;

use anyhow::{Context, Result, bail, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Method, StatusCode};
use serde::Deserialize;
use tlog::{Hash, LeafIndex, TreeSize, VerifyingKey};

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

impl Log {
    /// Asks for the public key. Good enough here: whoever measures a log trusts it for that long.
    pub(crate) async fn fetch(connection: &mut Connection) -> Result<Self> {
        let (status, pem) = connection.send(Method::GET, "/api/v1/log/publicKey", Bytes::new()).await?;
        ensure!(status == StatusCode::OK, "{status} for the public key");
        let (_, spki) = pem_rfc7468::decode_vec(&pem).map_err(|error| anyhow::anyhow!("the public key: {error}"))?;
        Ok(Self { key: VerifyingKey::from_spki(&spki)? })
    }

    /// Checks the entry ID, inclusion proof, checkpoint and signed entry timestamp of one answer.
    pub(crate) fn verify(&self, answer: &[u8]) -> Result<()> {
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

    /// The note's text, size and root, and its one signature: `— name base64(4 bytes of key hint, signature)`.
    fn verify_checkpoint(&self, proof: &InclusionProof, root: &Hash) -> Result<()> {
        let (text, signatures) = proof.checkpoint.split_once("\n\n").context("no signature")?;
        let expected = format!("\n{}\n{}", proof.tree_size, STANDARD.encode(root.0));
        ensure!(text.ends_with(&expected), "another head than the proof's: {text}");
        let line = signatures.lines().next().context("no signature")?;
        let signature = STANDARD.decode(line.rsplit(' ').next().unwrap_or_default())?;
        let (_key_hint, signature) = signature.split_at_checked(4).context("a signature of under 4 bytes")?;
        Ok(self.key.verify(format!("{text}\n").as_bytes(), signature)?)
    }
}

fn hash(text: &str) -> Result<Hash> {
    let mut hash = [0; 32];
    hex::decode_to_slice(text, &mut hash)?;
    Ok(Hash(hash))
}
