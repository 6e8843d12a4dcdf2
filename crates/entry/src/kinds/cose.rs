//! `cose` 0.0.1: a tagged COSE_Sign1 message and the key that verifies it. The message is kept as
//! the attestation.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::value::RawValue;

use super::hash::{CommittedHash, not_insertable, validated};
use crate::kind::{Canonical, Kind, Proposal, Purpose};
use crate::member::Member;
use crate::parts::{KeyFormat, Parts};
use crate::refusal::Refusal;
use crate::search;
use crate::statement::{self, Digests};
use pki::Work;
use pki::cose_sign1::{Sign1, Verifier};
use pki::x509::Key;

/// `cose:0.0.1`.
pub(super) struct V001;

impl Kind for V001 {
    fn tag(&self) -> &'static str {
        "cose:0.0.1"
    }

    fn decode(&self, spec: &RawValue) -> Result<Box<dyn Proposal>, Refusal> {
        Ok(Box::new(Spec::from_json(spec)?))
    }

    /// The digests of a statement's subjects are not in the leaf.
    fn index_keys_of_leaf(&self, spec: &RawValue) -> Result<Option<Vec<String>>, Refusal> {
        let spec = Spec::from_json(spec)?;
        Key::from_pem(&spec.public_key)?;
        match spec.data {
            Some(Data {
                envelope_hash: Some(_),
                payload_hash: Some(_),
                ..
            }) => Ok(None),
            _ => Err(Refusal::Invalid(
                "a leaf holds the hashes of envelope and payload".to_owned(),
            )),
        }
    }

    fn parts_of_leaf(&self, spec: &RawValue) -> Parts {
        Parts::new()
            .with_digest(spec, &["data", "envelopeHash"])
            .with_digest(spec, &["data", "payloadHash"])
            .with_key(spec, KeyFormat::Pem, &["publicKey"])
    }
}

/// A spec whose required fields are there.
struct Spec {
    /// PEM.
    public_key: Vec<u8>,
    /// CBOR; empty in the form that leaf bytes have.
    message: Vec<u8>,
    data: Option<Data>,
}

struct Data {
    /// Authenticated along with the message, and not kept.
    aad: Vec<u8>,
    /// Of the form that leaf bytes have; ignored where there is a message.
    envelope_hash: Option<CommittedHash>,
    /// The hash of the payload. As above.
    payload_hash: Option<CommittedHash>,
}

impl Proposal for Spec {
    fn check(self: Box<Self>, purpose: Purpose<'_>, work: &mut Work) -> Result<Canonical, Refusal> {
        let key = Key::from_pem(&self.public_key)?;
        if self.message.is_empty() {
            return Err(self.without_message(purpose));
        }
        let verifier = Verifier::new(key.public_key())?;
        let sign1 = Sign1::from_tagged(&self.message)?;
        let data = self
            .data
            .as_ref()
            .ok_or_else(|| Refusal::Invalid("cose object data cannot be nil".to_owned()))?;
        sign1.verify(&data.aad, &verifier, work)?;

        work.take_hashing(self.message.len() + sign1.payload().len())
            .map_err(Refusal::invalid)?;
        let envelope_hash = CommittedHash::of(&self.message);
        let payload_hash = CommittedHash::of(sign1.payload());
        let mut index_keys = vec![search::key_hash(&key)];
        index_keys.extend(search::key_names(&key));
        index_keys.extend([envelope_hash.index_key(), payload_hash.index_key()]);
        let mut packages = Vec::new();
        if sign1.content_type() == Some(statement::PAYLOAD_TYPE) {
            let statement = statement::read(sign1.payload(), Digests::Subjects)?;
            index_keys.extend(statement.index_keys);
            packages = statement.packages;
        }
        let leaf_bytes = leaf_bytes(&key, &envelope_hash, &payload_hash);
        Ok(Canonical {
            leaf_bytes,
            index_keys,
            attestation: Some(self.message),
            packages,
        })
    }
}

impl Spec {
    fn from_json(spec: &RawValue) -> Result<Self, Refusal> {
        let [message, public_key, data] = Member::of(spec)
            .object(["message", "publicKey", "data"])?
            .unwrap_or_default();
        let message = message.base64("message")?;
        let public_key = public_key.base64("publicKey")?;
        let mut faults = Vec::new();
        let data = match data.object(["payloadHash", "envelopeHash", "aad"])? {
            Some([payload_hash, envelope_hash, aad]) => Some(Data {
                aad: aad.base64("aad")?,
                envelope_hash: CommittedHash::from_json(
                    envelope_hash,
                    "data.data.envelopeHash.data.envelopeHash",
                    &mut faults,
                )?,
                payload_hash: CommittedHash::from_json(
                    payload_hash,
                    "data.data.payloadHash.data.payloadHash",
                    &mut faults,
                )?,
            }),
            None => None,
        };
        if public_key.is_empty() {
            faults.push("publicKey in body is required".to_owned());
        }
        validated(faults)?;
        Ok(Self {
            public_key,
            message,
            data,
        })
    }

    /// Returns the refusal of a proposal that cannot be looked up either: leaf bytes do not hold
    /// the message, and Rekor makes none without it.
    fn without_message(&self, purpose: Purpose<'_>) -> Refusal {
        let hash = self
            .data
            .as_ref()
            .and_then(|data| data.envelope_hash.as_ref());
        match (hash.map(|hash| hex::decode(hash.value())), purpose) {
            (None, _) => {
                Refusal::Invalid("envelope hash should have been previously computed".to_owned())
            }
            (Some(Err(error)), _) => Refusal::invalid(error),
            (Some(Ok(_)), Purpose::Insert { .. }) => not_insertable("missing COSE Sign1 message"),
            (Some(Ok(_)), Purpose::LookUp { .. }) => {
                Refusal::Invalid("signed message uninitialized".to_owned())
            }
        }
    }
}

/// Members in the order of RFC 8785.
fn leaf_bytes(key: &Key, envelope_hash: &CommittedHash, payload_hash: &CommittedHash) -> Vec<u8> {
    let mut leaf =
        r#"{"apiVersion":"0.0.1","kind":"cose","spec":{"data":{"envelopeHash":"#.to_owned();
    envelope_hash.push_to(&mut leaf);
    leaf += r#","payloadHash":"#;
    payload_hash.push_to(&mut leaf);
    leaf += r#"},"publicKey":""#;
    STANDARD.encode_string(key.canonical(), &mut leaf);
    leaf += r#""}}"#;
    leaf.into_bytes()
}
