//! `jar` 0.0.1: a signed JAR archive, which brings its signature and its certificates.

mod archive;
mod manifest;
mod signed;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::value::RawValue;

use super::artifact::{self, Artifact};
use crate::kind::{Canonical, Kind, Proposal, Purpose, Weight};
use crate::member::Member;
use crate::parts::{KeyFormat, KeyIndex, Parts, bytes_at};
use crate::refusal::Refusal;
use pki::Work;
use pki::pkcs7::SignedData;

/// `jar:0.0.1`.
pub(super) struct V001;

impl Kind for V001 {
    fn tag(&self) -> &'static str {
        "jar:0.0.1"
    }

    fn weight(&self) -> Weight {
        Weight::Heavy
    }

    /// `signature` is what stored entries have; of a proposal it is no part.
    fn decode(&self, spec: &RawValue) -> Result<Box<dyn Proposal>, Refusal> {
        let [archive] = Member::of(spec).object(["archive"])?.unwrap_or_default();
        let mut faults = Vec::new();
        let archive = Artifact::decode(archive, "archive", &mut faults)?;
        artifact::refuse(&faults)?;
        let archive = archive.ok_or_else(|| Refusal::Invalid("missing package".to_owned()))?;
        archive.validate()?;
        Ok(Box::new(Spec { archive }))
    }

    fn index_keys_of_leaf(&self, spec: &RawValue) -> Result<Option<Vec<String>>, Refusal> {
        let [archive, signature] = Member::of(spec)
            .object(["archive", "signature"])?
            .unwrap_or_default();
        let [signature] = signature.object(["content"])?.unwrap_or_default();
        let signature = signature.base64("signature content")?;
        let [hash] = archive.object(["hash"])?.unwrap_or_default();
        Ok(Some(index_keys(
            &signature,
            artifact::hash_key_of_leaf(hash)?,
        )))
    }

    fn parts_of_leaf(&self, spec: &RawValue) -> Parts {
        let parts = Parts::new()
            .with_digest(spec, &["archive", "hash"])
            .with_key(spec, KeyFormat::Pem, &["signature", "publicKey", "content"])
            .indexed_by(KeyIndex::None);
        let signature = bytes_at(Member::of(spec), &["signature", "content"]);
        parts.with_index_keys(signature.map(|signature| hex::encode(tlog::sha256(&signature).0)))
    }
}

struct Spec {
    archive: Artifact,
}

impl Proposal for Spec {
    fn check(self: Box<Self>, purpose: Purpose<'_>, work: &mut Work) -> Result<Canonical, Refusal> {
        self.archive.require_content(purpose, "archive")?;
        let hash = self.archive.sha256(work)?;
        let block = signed::verified_block(&self.archive.content, purpose, work)?;
        let signed_data = SignedData::from_der(&block)?;
        let (key, signature) = (signed_data.key()?, signed_data.detached());
        Ok(Canonical {
            leaf_bytes: leaf_bytes(&hash, &signature, &key),
            index_keys: index_keys(&signature, format!("sha256:{hash}")),
            attestation: None,
            packages: Vec::new(),
        })
    }
}

/// Members are in the order of RFC 8785, and no value needs an escape.
fn leaf_bytes(hash: &str, signature: &[u8], key: &[u8]) -> Vec<u8> {
    let mut leaf = String::with_capacity(256 + (signature.len() + key.len()) / 2 * 3);
    leaf += r#"{"apiVersion":"0.0.1","kind":"jar","spec":{"archive":{"hash":{"algorithm":"sha256","value":""#;
    leaf += hash;
    leaf += r#""}},"signature":{"content":""#;
    STANDARD.encode_string(signature, &mut leaf);
    leaf += r#"","publicKey":{"content":""#;
    STANDARD.encode_string(key, &mut leaf);
    leaf += r#""}}}}"#;
    leaf.into_bytes()
}

/// The hash of the signature (not of the key, and without a prefix), and that of the archive.
fn index_keys(signature: &[u8], hash: String) -> Vec<String> {
    vec![hex::encode(tlog::sha256(signature).0), hash]
}
