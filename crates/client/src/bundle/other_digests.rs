//! Signatures by a key over another digest than SHA-256: ECDSA P-384 and P-521, Ed25519ph, and RSA
//! over longer digests. `sigstore-verify` compares hashedrekords over SHA-256 alone.

use pki::Work;
use pki::digest::{Digest, HashAlgorithm};
use serde_json::Value;
use sigstore_verify::crypto::{ArtifactHasher, hash_reader};
use sigstore_verify::tsa::verify_timestamp_for_authority;
use sigstore_verify::types::bundle::MessageSignature;
use sigstore_verify::types::{DerPublicKey, HashAlgorithm as Algorithm, SignatureContent};

use super::error::{BundleError, Result};
use super::logs;
use super::read::Bundle;
use super::trust::TrustRoot;
use super::verify::{Artifact, Checked};

/// A hashedrekord as its leaf states it.
struct Record {
    digest: Digest,
    signature: Vec<u8>,
    /// The public key in DER.
    key: Vec<u8>,
}

impl Bundle {
    /// Returns the signature if a log entry is a hashedrekord over another digest than SHA-256.
    pub(super) fn over_other_digest(&self) -> Option<&MessageSignature> {
        let SignatureContent::MessageSignature(signature) = &self.content.content else {
            return None;
        };
        let is_other = |body: &[u8]| {
            let algorithm = algorithm(&serde_json::from_slice(body).ok()?)?;
            Some(algorithm != HashAlgorithm::Sha256)
        };
        let mut entries = self.entries().iter();
        let found =
            entries.any(|entry| is_other(entry.canonicalized_body.as_bytes()).unwrap_or(false));
        found.then_some(signature)
    }

    /// Verifies a signature by `key`, the timestamps over it, and that each entry is of it. The
    /// entries MUST have been verified.
    pub(super) fn verify_other_digest(
        &self,
        message: &MessageSignature,
        artifact: Artifact<'_>,
        trust: &TrustRoot,
        key: &DerPublicKey,
    ) -> Result<Checked> {
        let records = self.records()?;
        let mut algorithms = vec![Algorithm::Sha2256];
        algorithms.extend(message.message_digest.as_ref().map(|it| it.algorithm));
        for record in &records {
            algorithms.push(sigstore(record.digest.algorithm()));
        }
        algorithms.sort_unstable_by_key(Algorithm::digest_size);
        algorithms.dedup();
        let digests = digests(artifact, &algorithms)?;
        if let Some(stated) = &message.message_digest {
            let is_it = |(algorithm, digest): &(Algorithm, Vec<u8>)| {
                *algorithm == stated.algorithm && digest == stated.digest.as_bytes()
            };
            if !digests.iter().any(is_it) {
                let why = "message digest in bundle does not match artifact hash";
                return Err(BundleError::Artifact(why.into()));
            }
        }
        let signature = message.signature.as_bytes();
        for record in &records {
            record.check(&digests, signature, key)?;
        }
        self.stamped(trust, message)
    }

    fn records(&self) -> Result<Vec<Record>> {
        let mut records = Vec::new();
        for (number, entry) in self.entries().iter().enumerate() {
            let body = serde_json::from_slice(entry.canonicalized_body.as_bytes());
            let record = record(&body.map_err(BundleError::form)?);
            records.push(record.ok_or_else(|| {
                let log = logs::log_id(entry);
                BundleError::Entry(
                    format!("entry {number} of log {log} is no hashedrekord of a public key")
                        .into(),
                )
            })?);
        }
        Ok(records)
    }

    /// Verifies each timestamp with one of the trusted authorities.
    fn stamped(&self, trust: &TrustRoot, message: &MessageSignature) -> Result<Checked> {
        let authorities = trust.stampers();
        let data = &self
            .content
            .verification_material
            .timestamp_verification_data;
        let mut stamped = Vec::new();
        for stamp in &data.rfc3161_timestamps {
            let mut why = None;
            let time = authorities.iter().find_map(|authority| {
                let token = &stamp.signed_timestamp;
                let time = verify_timestamp_for_authority(token, &message.signature, authority);
                time.map_err(|error| why = Some(error)).ok()
            });
            match (time, why) {
                (Some(time), _) => stamped.push(time.as_second()),
                (None, Some(error)) => return Err(BundleError::Time(error.into())),
                (None, None) => {
                    return Err(BundleError::Time(
                        "the trust root names no timestamp authority".into(),
                    ));
                }
            }
        }
        Ok(Checked {
            stamped,
            certificate: None,
        })
    }
}

impl Record {
    fn check(
        &self,
        digests: &[(Algorithm, Vec<u8>)],
        signature: &[u8],
        key: &DerPublicKey,
    ) -> Result<()> {
        let refuse = |why: &str| Err(BundleError::Entry(why.into()));
        if self.key != key.as_bytes() {
            return refuse("public key in the log entry does not match the expected key");
        }
        if self.signature != signature {
            return refuse("signature in bundle does not match signature in the log entry");
        }
        let algorithm = sigstore(self.digest.algorithm());
        let mut digests = digests.iter();
        let own = digests.find(|(found, _)| *found == algorithm);
        if own.is_none_or(|(_, digest)| digest != self.digest.bytes()) {
            return Err(BundleError::Artifact(
                "artifact hash mismatch for hashedrekord entry".into(),
            ));
        }
        let key = pki::x509::Key::from_spki_der(&self.key);
        let key = key.map_err(|error| BundleError::Signature(error.into()))?;
        let mut work = Work::of_accepted();
        let verified = key.verify_digest(&self.digest, signature, &mut work);
        verified.map_err(|error| BundleError::Signature(error.into()))
    }
}

/// Hashes the artifact by these algorithms.
fn digests(artifact: Artifact<'_>, algorithms: &[Algorithm]) -> Result<Vec<(Algorithm, Vec<u8>)>> {
    let hashers: std::result::Result<Vec<_>, _> = algorithms
        .iter()
        .map(|it| ArtifactHasher::new(*it))
        .collect();
    let mut hashers = hashers.map_err(|error| BundleError::Unsupported(error.into()))?;
    match artifact {
        Artifact::Bytes(bytes) => hashers.iter_mut().for_each(|hasher| hasher.update(bytes)),
        Artifact::Reader(reader) => hash_reader(reader, &mut hashers)?,
        Artifact::Sha256(_) => {
            let why = "the signature is over another digest than SHA-256: name the file";
            return Err(BundleError::Unsupported(why.into()));
        }
    }
    let digests = hashers.into_iter().map(ArtifactHasher::finalize);
    Ok(digests
        .map(|it| (it.algorithm(), it.as_bytes().to_vec()))
        .collect())
}

fn algorithm(body: &Value) -> Option<HashAlgorithm> {
    let name = match body.pointer("/spec/hashedRekordV002/data/algorithm") {
        Some(name) => name.as_str()?.replace("SHA2_", "sha"),
        None => body
            .pointer("/spec/data/hash/algorithm")?
            .as_str()?
            .to_owned(),
    };
    HashAlgorithm::from_name(&name)
}

/// Reads a hashedrekord of a public key.
fn record(body: &Value) -> Option<Record> {
    let base64 = |value: &Value| pki::base64::decode_standard_base64(value.as_str()?).ok();
    let algorithm = algorithm(body)?;
    if let Some(record) = body.pointer("/spec/hashedRekordV002") {
        let digest = Digest::from_bytes(algorithm, base64(&record["data"]["digest"])?)?;
        let signature = &record["signature"];
        return Some(Record {
            digest,
            signature: base64(&signature["content"])?,
            key: base64(&signature["verifier"]["publicKey"]["rawBytes"])?,
        });
    }
    let (data, signature) = (&body["spec"]["data"]["hash"], &body["spec"]["signature"]);
    let pem = base64(&signature["publicKey"]["content"])?;
    let (block, _rest) = pki::pem::decode(&pem)?;
    if block.label != b"PUBLIC KEY" {
        return None;
    }
    Some(Record {
        digest: Digest::from_hex(algorithm, data["value"].as_str()?).ok()?,
        signature: base64(&signature["content"])?,
        key: block.bytes,
    })
}

fn sigstore(algorithm: HashAlgorithm) -> Algorithm {
    match algorithm {
        HashAlgorithm::Sha256 => Algorithm::Sha2256,
        HashAlgorithm::Sha384 => Algorithm::Sha2384,
        HashAlgorithm::Sha512 => Algorithm::Sha2512,
    }
}
