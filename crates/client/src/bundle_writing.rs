//! Writes Sigstore bundles, version 0.3, of entries that are in a log.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pki::digest::{Digest, HashAlgorithm};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::sign::Signer;
use crate::upload::{Envelope, Logged};

/// The media type of the bundles, which every client of today reads.
const MEDIA_TYPE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

/// What a bundle proves the signature of.
#[derive(Clone, Copy, Debug)]
pub enum BundleContent<'a> {
    /// A signature over an artifact.
    Message {
        /// The digest of the artifact.
        digest: &'a Digest,
        /// The signature.
        signature: &'a [u8],
    },
    /// A signed envelope. It MUST have one signature.
    Envelope(&'a Envelope),
}

/// A bundle that lacks the entry of the log, so that no client takes it for one. It may be kept
/// until the entry is in the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Draft(Value);

impl Draft {
    /// Makes the draft of a bundle.
    pub fn new(content: BundleContent<'_>, signer: &Signer) -> Self {
        let material = match signer.is_certificate() {
            true => json!({"certificate": {"rawBytes": STANDARD.encode(signer.der())}}),
            false => json!({"publicKey": {"hint": signer.hint()}}),
        };
        let (member, content) = match content {
            BundleContent::Message { digest, signature } => (
                "messageSignature",
                json!({
                    "messageDigest": {
                        "algorithm": algorithm(digest.algorithm()),
                        "digest": STANDARD.encode(digest.bytes()),
                    },
                    "signature": STANDARD.encode(signature),
                }),
            ),
            BundleContent::Envelope(envelope) => ("dsseEnvelope", envelope.to_json()),
        };
        Self(json!({"verificationMaterial": material, member: content}))
    }

    /// Returns the signature in the bundle.
    pub fn signature(&self) -> Vec<u8> {
        let paths = [
            "/messageSignature/signature",
            "/dsseEnvelope/signatures/0/sig",
        ];
        let mut texts = paths
            .into_iter()
            .filter_map(|path| self.0.pointer(path)?.as_str());
        let signature = texts.next().map(|text| STANDARD.decode(text));
        signature.and_then(Result::ok).unwrap_or_default()
    }

    /// Adds the answer of a time-stamp authority over the bytes of the signature. A certificate in
    /// Rekor v2 needs one, because that log signs no time.
    pub fn add_time_stamp(&mut self, answer: &[u8]) {
        let stamp = json!({"rfc3161Timestamps": [{"signedTimestamp": STANDARD.encode(answer)}]});
        self.0["verificationMaterial"]["timestampVerificationData"] = stamp;
    }

    /// Returns the whole bundle.
    pub fn finish(&self, logged: &Logged) -> Value {
        let mut bundle = self.0.clone();
        bundle["mediaType"] = json!(MEDIA_TYPE);
        bundle["verificationMaterial"]["tlogEntries"] = json!([log_entry(logged)]);
        bundle
    }
}

/// Returns an entry as a `TransparencyLogEntry`.
fn log_entry(logged: &Logged) -> Value {
    let entry = &logged.entry;
    let inclusion = &entry.inclusion;
    let body = entry.json().unwrap_or_default();
    let base64 = |bytes: &[u8]| STANDARD.encode(bytes);
    let hashes: Vec<String> = inclusion
        .hashes
        .iter()
        .map(|hash| base64(hash.as_ref()))
        .collect();
    let log_id = match &logged.promise {
        Some(promise) => promise.log_id.clone(),
        // The ID of a log of Rekor v2 is the whole hash of its note key.
        None => inclusion.head.signer.key_hash().0.to_vec(),
    };
    let mut log_entry = json!({
        "logIndex": entry.log_index.to_string(),
        "logId": {"keyId": base64(&log_id)},
        "kindVersion": {"kind": body["kind"], "version": body["apiVersion"]},
        "inclusionProof": {
            "logIndex": inclusion.leaf_index.to_string(),
            "rootHash": base64(inclusion.head.root().as_ref()),
            "treeSize": inclusion.head.size().to_string(),
            "hashes": hashes,
            "checkpoint": {"envelope": inclusion.head.note},
        },
        "canonicalizedBody": base64(&entry.body),
    });
    if let (Some(promise), Some(time)) = (&logged.promise, entry.time) {
        log_entry["integratedTime"] = json!(time.to_string());
        log_entry["inclusionPromise"] = json!({"signedEntryTimestamp": base64(&promise.timestamp)});
    }
    log_entry
}

fn algorithm(hash: HashAlgorithm) -> &'static str {
    match hash {
        HashAlgorithm::Sha256 => "SHA2_256",
        HashAlgorithm::Sha384 => "SHA2_384",
        HashAlgorithm::Sha512 => "SHA2_512",
    }
}
