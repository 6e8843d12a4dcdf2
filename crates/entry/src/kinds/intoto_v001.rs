//! `intoto` 0.0.1: a DSSE envelope and the one key that verifies it. The payload is kept as the
//! attestation.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::value::RawValue;

use super::hash::{CommittedHash, found_by, index_keys_of_key, not_insertable, validated};
use crate::kind::{Canonical, Kind, Proposal, Purpose};
use crate::member::Member;
use crate::parts::{KeyFormat, KeyIndex, Parts};
use crate::refusal::Refusal;
use crate::statement::{self, Digests};
use pki::Work;
use pki::base64::decode_standard_base64;
use pki::dsse::Envelope;
use pki::ssh_fingerprint::ssh_fingerprint;
use pki::x509::Key;

/// `intoto:0.0.1`.
pub(super) struct V001;

impl Kind for V001 {
    fn tag(&self) -> &'static str {
        "intoto:0.0.1"
    }

    fn decode(&self, spec: &RawValue) -> Result<Box<dyn Proposal>, Refusal> {
        Ok(Box::new(Spec::from_json(spec)?))
    }

    /// The digests of a statement's subjects are not in the leaf.
    fn index_keys_of_leaf(&self, spec: &RawValue) -> Result<Option<Vec<String>>, Refusal> {
        Spec::from_json(spec)?.committed_leaf_bytes().map(|_| None)
    }

    fn parts_of_leaf(&self, spec: &RawValue) -> Parts {
        Parts::new()
            .with_digest(spec, &["content", "hash"])
            .with_digest(spec, &["content", "payloadHash"])
            .with_key(spec, KeyFormat::Pem, &["publicKey"])
            .indexed_by(KeyIndex::HashTwice)
    }
}

/// A spec whose required fields are there.
struct Spec {
    /// PEM.
    public_key: Vec<u8>,
    /// JSON; its very bytes are hashed. Empty in the form that leaf bytes have.
    envelope: String,
    /// Of the form that leaf bytes have; ignored where there is an envelope.
    hash: Option<CommittedHash>,
    /// The hash of the payload. Early entries do not have it.
    payload_hash: Option<CommittedHash>,
}

impl Proposal for Spec {
    fn check(self: Box<Self>, purpose: Purpose<'_>, work: &mut Work) -> Result<Canonical, Refusal> {
        if self.envelope.is_empty() {
            let leaf_bytes = self.committed_leaf_bytes()?;
            return match purpose {
                Purpose::Insert { .. } => Err(not_insertable("missing envelope content")),
                Purpose::LookUp { .. } => Ok(found_by(leaf_bytes)),
            };
        }
        let key = Key::from_pem(&self.public_key)?;
        let envelope = Envelope::from_json(&self.envelope)?;
        verify(&envelope, &key, work)?;
        let payload = decode_standard_base64(&envelope.payload)
            .map_err(|at| Refusal::Invalid(format!("illegal base64 data at input byte {at}")))?;
        if let Purpose::Insert { .. } = purpose
            && (payload.is_empty() || envelope.payload_type.is_empty())
        {
            return Err(not_insertable("invalid DSSE envelope"));
        }
        let hash = CommittedHash::of(self.envelope.as_bytes());
        let payload_hash = CommittedHash::of(&payload);
        let mut index_keys = vec![hash.index_key()];
        index_keys.extend(index_keys_of_key(&key));
        index_keys.push(payload_hash.index_key());
        let mut packages = Vec::new();
        if envelope.payload_type == statement::PAYLOAD_TYPE {
            let statement = statement::read(&payload, Digests::SubjectsAndMaterials)?;
            index_keys.extend(statement.index_keys);
            packages = statement.packages;
        }
        let leaf_bytes = leaf_bytes(&key, &hash, Some(&payload_hash));
        Ok(Canonical {
            leaf_bytes,
            index_keys,
            attestation: Some(payload),
            packages,
        })
    }
}

impl Spec {
    fn from_json(spec: &RawValue) -> Result<Self, Refusal> {
        let [content, public_key] = Member::of(spec)
            .object(["content", "publicKey"])?
            .unwrap_or_default();
        let content = content.object(["envelope", "hash", "payloadHash"])?;
        let public_key = public_key.base64("public key")?;
        let mut faults = Vec::new();
        if content.is_none() {
            faults.push("content in body is required".to_owned());
        }
        let [envelope, hash, payload_hash] = content.unwrap_or_default();
        let envelope = envelope.text()?.unwrap_or_default().into_owned();
        let hash =
            CommittedHash::from_json(hash, "content.content.hash.content.hash", &mut faults)?;
        let payload_hash = CommittedHash::from_json(
            payload_hash,
            "content.content.payloadHash.content.payloadHash",
            &mut faults,
        )?;
        if public_key.is_empty() {
            faults.push("publicKey in body is required".to_owned());
        }
        validated(faults)?;
        Ok(Self {
            public_key,
            envelope,
            hash,
            payload_hash,
        })
    }

    /// Leaf bytes of the form that has no envelope.
    fn committed_leaf_bytes(&self) -> Result<Vec<u8>, Refusal> {
        let key = Key::from_pem(&self.public_key)?;
        let hash = self
            .hash
            .as_ref()
            .ok_or_else(|| Refusal::Invalid("missing hash value for envelope".to_owned()))?;
        Ok(leaf_bytes(&key, hash, self.payload_hash.as_ref()))
    }
}

/// Checks that the key verifies one signature. One with the ID of a key counts only if it is this
/// key's.
fn verify(envelope: &Envelope, key: &Key, work: &mut Work) -> Result<(), Refusal> {
    if envelope.signatures.is_empty() {
        return Err(Refusal::Invalid("no signature found".to_owned()));
    }
    let fingerprint = ssh_fingerprint(key.public_key());
    let opened = envelope.open()?;
    let is_candidate = |position: &usize| match envelope.signatures[*position].key_id.as_str() {
        "" => true,
        key_id => fingerprint
            .as_deref()
            .is_none_or(|fingerprint| fingerprint == key_id),
    };
    opened
        .checks(work)?
        .find(key, (0..envelope.signatures.len()).filter(is_candidate))?;
    Ok(())
}

/// Members in the order of RFC 8785.
fn leaf_bytes(key: &Key, hash: &CommittedHash, payload_hash: Option<&CommittedHash>) -> Vec<u8> {
    let mut leaf = r#"{"apiVersion":"0.0.1","kind":"intoto","spec":{"content":{"hash":"#.to_owned();
    hash.push_to(&mut leaf);
    if let Some(payload_hash) = payload_hash {
        leaf += r#","payloadHash":"#;
        payload_hash.push_to(&mut leaf);
    }
    leaf += r#"},"publicKey":""#;
    STANDARD.encode_string(key.canonical(), &mut leaf);
    leaf += r#""}}"#;
    leaf.into_bytes()
}
