//! `dsse` 0.0.1: a DSSE envelope and the keys that verify its signatures.

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
use pki::dsse::{self, Envelope, KeysTried};
use pki::jcs;

/// `dsse:0.0.1`.
pub(super) struct V001;

impl Kind for V001 {
    fn tag(&self) -> &'static str {
        "dsse:0.0.1"
    }

    fn decode(&self, spec: &RawValue) -> Result<Box<dyn Proposal>, Refusal> {
        Ok(match Spec::from_json(spec)? {
            Spec::Proposed(proposed) => Box::new(proposed),
            Spec::Committed(committed) => Box::new(committed),
        })
    }

    /// The digests of a statement's subjects are not in the leaf.
    fn index_keys_of_leaf(&self, spec: &RawValue) -> Result<Option<Vec<String>>, Refusal> {
        match Spec::from_json(spec)? {
            Spec::Committed(_) => Ok(None),
            Spec::Proposed(_) => Err(Refusal::Invalid(
                "a leaf holds no proposed content".to_owned(),
            )),
        }
    }

    fn parts_of_leaf(&self, spec: &RawValue) -> Parts {
        Parts::new()
            .with_digest(spec, &["payloadHash"])
            .with_digest(spec, &["envelopeHash"])
            .with_keys(spec, KeyFormat::Pem, &["signatures"], "verifier")
            .indexed_by(KeyIndex::HashTwice)
    }
}

/// The two forms of a spec.
enum Spec {
    Proposed(Proposed),
    Committed(Committed),
}

/// The proposal of a client.
struct Proposed {
    /// JSON; its very bytes are hashed.
    envelope: String,
    /// PEM.
    verifiers: Vec<Vec<u8>>,
}

/// The contents of leaf bytes.
struct Committed {
    envelope_hash: CommittedHash,
    payload_hash: CommittedHash,
    /// By signature.
    signatures: Vec<CommittedSignature>,
}

struct CommittedSignature {
    /// Base64, in whichever alphabet the envelope has it.
    signature: String,
    /// PEM.
    verifier: Vec<u8>,
}

impl Proposal for Proposed {
    fn check(self: Box<Self>, _: Purpose<'_>, work: &mut Work) -> Result<Canonical, Refusal> {
        let envelope = Envelope::from_json(&self.envelope)?;
        if envelope.signatures.is_empty() {
            return Err(Refusal::Invalid(
                "DSSE envelope must contain 1 or more signatures".to_owned(),
            ));
        }
        let verified = dsse::verify(&envelope, &self.verifiers, KeysTried::UntilAllVerify, work)?;
        let envelope_hash = CommittedHash::of(self.envelope.as_bytes());
        let payload_hash = CommittedHash::of(verified.payload());
        let mut index_keys = Vec::new();
        let mut signatures = Vec::new();
        for (signature, key) in verified.keys_by_signature() {
            signatures.push(CommittedSignature {
                signature: signature.to_owned(),
                verifier: key.canonical().to_vec(),
            });
            index_keys.extend(index_keys_of_key(key));
        }
        index_keys.extend([payload_hash.index_key(), envelope_hash.index_key()]);
        let mut packages = Vec::new();
        if envelope.payload_type == statement::PAYLOAD_TYPE {
            let statement = statement::read(verified.payload(), Digests::Readable)?;
            index_keys.extend(statement.index_keys);
            packages = statement.packages;
        }
        let committed = Committed {
            envelope_hash,
            payload_hash,
            signatures,
        };
        Ok(Canonical {
            leaf_bytes: committed.leaf_bytes(),
            index_keys,
            attestation: None,
            packages,
        })
    }
}

impl Proposal for Committed {
    fn check(self: Box<Self>, purpose: Purpose<'_>, _: &mut Work) -> Result<Canonical, Refusal> {
        match purpose {
            Purpose::Insert { .. } => Err(not_insertable("missing proposed content")),
            Purpose::LookUp { .. } => Ok(found_by(self.leaf_bytes())),
        }
    }
}

impl Spec {
    fn from_json(spec: &RawValue) -> Result<Self, Refusal> {
        let [proposed, signatures, envelope_hash, payload_hash] = Member::of(spec)
            .object([
                "proposedContent",
                "signatures",
                "envelopeHash",
                "payloadHash",
            ])?
            .unwrap_or_default();
        let proposed = match proposed.object(["envelope", "verifiers"])? {
            Some([envelope, verifiers]) => Some((envelope.text()?, verifier_list(verifiers)?)),
            None => None,
        };
        let signatures = signature_list(signatures)?;
        let mut faults = Vec::new();
        let envelope_hash =
            CommittedHash::from_json(envelope_hash, "envelopeHash.envelopeHash", &mut faults)?;
        let payload_hash =
            CommittedHash::from_json(payload_hash, "payloadHash.payloadHash", &mut faults)?;
        if let Some((envelope, verifiers)) = &proposed {
            if envelope.is_none() {
                faults.push(
                    "proposedContent.proposedContent.envelope in body is required".to_owned(),
                );
            }
            match verifiers.as_deref() {
                None => faults.push(
                    "proposedContent.proposedContent.verifiers in body is required".to_owned(),
                ),
                Some([]) => {
                    faults.push(
                        "proposedContent.proposedContent.verifiers in body should have at least 1 items".to_owned(),
                    );
                }
                Some(_) => {}
            }
        }
        let signatures = committed_signatures(signatures, &mut faults);
        validated(faults)?;
        let has_signatures = !signatures.is_empty();
        match (proposed, envelope_hash, payload_hash) {
            (None, Some(envelope_hash), Some(payload_hash)) if has_signatures => {
                Ok(Self::Committed(Committed { envelope_hash, payload_hash, signatures }))
            }
            (Some((Some(envelope), Some(verifiers))), None, None) if !has_signatures => {
                Ok(Self::Proposed(Proposed { envelope: envelope.into_owned(), verifiers }))
            }
            (Some(_), ..) => Err(Refusal::Invalid(
                "either proposedContent or envelopeHash, payloadHash, and signatures must be present but not both"
                    .to_owned(),
            )),
            (None, ..) => Err(Refusal::Invalid(
                "either proposedContent or envelopeHash, payloadHash, and signatures must be present".to_owned(),
            )),
        }
    }
}

impl Committed {
    /// Members in the order of RFC 8785; signatures by their text.
    fn leaf_bytes(&self) -> Vec<u8> {
        let mut signatures: Vec<&CommittedSignature> = self.signatures.iter().collect();
        signatures.sort_by(|one, other| one.signature.cmp(&other.signature));
        let mut leaf = r#"{"apiVersion":"0.0.1","kind":"dsse","spec":{"envelopeHash":"#.to_owned();
        self.envelope_hash.push_to(&mut leaf);
        leaf += r#","payloadHash":"#;
        self.payload_hash.push_to(&mut leaf);
        leaf += r#","signatures":["#;
        for (position, signature) in signatures.into_iter().enumerate() {
            if position > 0 {
                leaf.push(',');
            }
            leaf += r#"{"signature":"#;
            leaf += &jcs::string(&signature.signature);
            leaf += r#","verifier":""#;
            STANDARD.encode_string(&signature.verifier, &mut leaf);
            leaf += r#""}"#;
        }
        leaf += "]}}";
        leaf.into_bytes()
    }
}

/// Returns the keys of a proposal. Empty texts and values of other types are skipped.
fn verifier_list(verifiers: Member<'_>) -> Result<Option<Vec<Vec<u8>>>, Refusal> {
    let Some(elements) = verifiers.elements("verifiers", dsse::MAX_SIGNATURES)? else {
        return Ok(None);
    };
    let mut keys = Vec::with_capacity(elements.len());
    for element in elements {
        let key = element.base64("verifier")?;
        if !key.is_empty() {
            keys.push(key);
        }
    }
    Ok(Some(keys))
}

type RawSignature = (Option<String>, Option<Vec<u8>>);

fn signature_list(signatures: Member<'_>) -> Result<Vec<RawSignature>, Refusal> {
    let elements = signatures
        .elements("signatures", dsse::MAX_SIGNATURES)?
        .unwrap_or_default();
    let mut list = Vec::with_capacity(elements.len());
    for element in elements {
        let Some([signature, verifier]) = element.object(["signature", "verifier"])? else {
            continue;
        };
        let verifier = verifier.base64("signature verifier")?;
        list.push((
            signature.text()?.map(|text| text.into_owned()),
            Some(verifier).filter(|bytes| !bytes.is_empty()),
        ));
    }
    Ok(list)
}

fn committed_signatures(
    raw: Vec<RawSignature>,
    faults: &mut Vec<String>,
) -> Vec<CommittedSignature> {
    let mut signatures = Vec::with_capacity(raw.len());
    for (position, (signature, verifier)) in raw.into_iter().enumerate() {
        // Rekor wants the standard alphabet here, and so cannot read back an entry whose envelope
        // has the other one.
        match &signature {
            None => faults.push(format!(
                "signatures.{position}.signature in body is required"
            )),
            Some(text) if dsse::decode_base64(text).is_err() => {
                faults.push(format!(
                    "signatures.{position}.signature in body should be base64"
                ));
            }
            Some(_) => {}
        }
        if verifier.is_none() {
            faults.push(format!(
                "signatures.{position}.verifier in body is required"
            ));
        }
        signatures.extend(signature.zip(verifier).map(|(signature, verifier)| {
            CommittedSignature {
                signature,
                verifier,
            }
        }));
    }
    signatures
}
