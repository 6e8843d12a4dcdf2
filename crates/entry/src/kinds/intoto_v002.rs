//! `intoto` 0.0.2: the parts of a DSSE envelope, each signature with its key. The payload is kept
//! as the attestation.

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
use pki::dsse::{self, Envelope, KeysTried};
use pki::jcs;
use pki::x509::Key;

/// `intoto:0.0.2`.
pub(super) struct V002;

impl Kind for V002 {
    fn tag(&self) -> &'static str {
        "intoto:0.0.2"
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
            // The hash of the envelope is the word of the client, and nothing is found by it.
            .with_digest(spec, &["content", "payloadHash"])
            .with_keys(
                spec,
                KeyFormat::Pem,
                &["content", "envelope", "signatures"],
                "publicKey",
            )
            .indexed_by(KeyIndex::HashTwice)
    }
}

/// A spec whose required fields are there.
struct Spec {
    payload_type: String,
    /// Base64 of the payload, itself decoded from base64. Empty in the form that leaf bytes have.
    payload: Vec<u8>,
    signatures: Vec<Signature>,
    /// As the client gives it: nothing says over what, and nothing checks it.
    hash: Option<CommittedHash>,
    /// Of the form that leaf bytes have; made anew where there is a payload.
    payload_hash: Option<CommittedHash>,
}

struct Signature {
    key_id: String,
    /// Base64 of the signature, itself decoded from base64.
    sig: Vec<u8>,
    /// PEM. Leaf bytes have it as it is sent.
    public_key: Vec<u8>,
}

impl Proposal for Spec {
    fn check(self: Box<Self>, purpose: Purpose<'_>, work: &mut Work) -> Result<Canonical, Refusal> {
        if self.payload.is_empty() {
            let leaf_bytes = self.committed_leaf_bytes()?;
            return match purpose {
                Purpose::Insert { .. } => Err(not_insertable("missing envelope content")),
                Purpose::LookUp { .. } => Ok(found_by(leaf_bytes)),
            };
        }
        let envelope = self.envelope()?;
        let pems: Vec<&[u8]> = self
            .signatures
            .iter()
            .map(|signature| signature.public_key.as_slice())
            .collect();
        let verified = dsse::verify(&envelope, &pems, KeysTried::All, work)?;
        let payload = decode_standard_base64(&envelope.payload).map_err(|at| {
            Refusal::Invalid(format!(
                "could not decode envelope payload: illegal base64 data at input byte {at}"
            ))
        })?;
        if let Purpose::Insert { .. } = purpose
            && envelope.payload_type.is_empty()
        {
            return Err(not_insertable("missing payloadType content"));
        }
        let payload_hash = CommittedHash::of(&payload);
        let mut index_keys: Vec<String> =
            verified.keys().iter().flat_map(index_keys_of_key).collect();
        index_keys.push(payload_hash.index_key());
        let mut packages = Vec::new();
        if envelope.payload_type == statement::PAYLOAD_TYPE {
            let statement = statement::read(&payload, Digests::SubjectsAndMaterials)?;
            index_keys.extend(statement.index_keys);
            packages = statement.packages;
        }
        Ok(Canonical {
            leaf_bytes: self.leaf_bytes(Some(&payload_hash))?,
            index_keys,
            attestation: Some(payload),
            packages,
        })
    }
}

impl Spec {
    fn from_json(spec: &RawValue) -> Result<Self, Refusal> {
        let [content] = Member::of(spec).object(["content"])?.unwrap_or_default();
        let [envelope, hash, payload_hash] = content
            .object(["envelope", "hash", "payloadHash"])?
            .unwrap_or_default();
        let [payload_type, payload, signatures] = envelope
            .object(["payloadType", "payload", "signatures"])?
            .unwrap_or_default();
        let payload_type = payload_type.text()?;
        let payload = payload.base64("payload")?;
        let mut faults = Vec::new();
        if payload_type.is_none() {
            faults.push(format!("{ENVELOPE}.payloadType in body is required"));
        }
        let signatures = signature_list(signatures, &mut faults)?;
        let hash =
            CommittedHash::from_json(hash, "content.content.hash.content.hash", &mut faults)?;
        let payload_hash = CommittedHash::from_json(
            payload_hash,
            "content.content.payloadHash.content.payloadHash",
            &mut faults,
        )?;
        // Of faults below `content` Rekor names the first.
        faults.truncate(1);
        validated(faults)?;
        Ok(Self {
            payload_type: payload_type.unwrap_or_default().into_owned(),
            payload,
            signatures,
            hash,
            payload_hash,
        })
    }

    /// The envelope that is proposed.
    fn envelope(&self) -> Result<Envelope, Refusal> {
        let text = |bytes: &[u8]| {
            // A value that is not a text is not base64 either.
            String::from_utf8(bytes.to_vec()).map_err(|_| dsse::unverified(&dsse::bad_base64()))
        };
        let signatures = self.signatures.iter().map(|signature| {
            Ok(dsse::Signature {
                key_id: signature.key_id.clone(),
                sig: text(&signature.sig)?,
            })
        });
        Ok(Envelope {
            payload_type: self.payload_type.clone(),
            payload: text(&self.payload)?,
            signatures: signatures.collect::<Result<_, Refusal>>()?,
        })
    }

    /// Leaf bytes of the form that has no payload. Its keys parse, because those of every entry
    /// did.
    fn committed_leaf_bytes(&self) -> Result<Vec<u8>, Refusal> {
        for signature in &self.signatures {
            Key::from_pem(&signature.public_key)?;
        }
        self.leaf_bytes(self.payload_hash.as_ref())
    }

    /// Members in the order of RFC 8785.
    fn leaf_bytes(&self, payload_hash: Option<&CommittedHash>) -> Result<Vec<u8>, Refusal> {
        let missing = |what: &str| Refusal::Invalid(format!("missing {what} digest"));
        let hash = self.hash.as_ref().ok_or_else(|| missing("envelope"))?;
        let payload_hash = payload_hash.ok_or_else(|| missing("payload"))?;
        let mut leaf =
            r#"{"apiVersion":"0.0.2","kind":"intoto","spec":{"content":{"envelope":{"payloadType":"#.to_owned();
        leaf += &jcs::string(&self.payload_type);
        leaf += r#","signatures":["#;
        for (position, signature) in self.signatures.iter().enumerate() {
            leaf += if position > 0 { ",{" } else { "{" };
            if !signature.key_id.is_empty() {
                leaf += r#""keyid":"#;
                leaf += &jcs::string(&signature.key_id);
                leaf.push(',');
            }
            leaf += r#""publicKey":""#;
            STANDARD.encode_string(&signature.public_key, &mut leaf);
            leaf += r#"","sig":""#;
            STANDARD.encode_string(&signature.sig, &mut leaf);
            leaf += r#""}"#;
        }
        leaf += r#"]},"hash":"#;
        hash.push_to(&mut leaf);
        leaf += r#","payloadHash":"#;
        payload_hash.push_to(&mut leaf);
        leaf += "}}}";
        Ok(leaf.into_bytes())
    }
}

/// How Rekor's messages name the envelope.
const ENVELOPE: &str = "content.content.envelope.content.envelope";

/// Returns the signatures. Elements that are not objects are skipped. An empty key counts as given,
/// as in Rekor, and then does not parse.
fn signature_list(
    signatures: Member<'_>,
    faults: &mut Vec<String>,
) -> Result<Vec<Signature>, Refusal> {
    let Some(elements) = signatures.elements("signatures", dsse::MAX_SIGNATURES)? else {
        faults.push(format!("{ENVELOPE}.signatures in body is required"));
        return Ok(Vec::new());
    };
    let mut list = Vec::with_capacity(elements.len());
    let mut given = 0;
    for element in elements {
        let Some([key_id, sig, public_key]) = element.object(["keyid", "sig", "publicKey"])? else {
            continue;
        };
        let mut required = |member: Member<'_>, name: &str, what: &str| {
            if member.text()?.is_none() {
                faults.push(format!(
                    "{ENVELOPE}.signatures.{given}.{name} in body is required"
                ));
            }
            member.base64(what)
        };
        let public_key = required(public_key, "publicKey", "public key")?;
        let sig = required(sig, "sig", "signature")?;
        list.push(Signature {
            key_id: key_id.text()?.unwrap_or_default().into_owned(),
            sig,
            public_key,
        });
        given += 1;
    }
    if list.is_empty() {
        faults.push(format!(
            "{ENVELOPE}.signatures in body should have at least 1 items"
        ));
    }
    Ok(list)
}
