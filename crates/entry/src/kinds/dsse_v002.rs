//! `dsse` 0.0.2, of Rekor v2 up to v2.2.1: a DSSE envelope, of which the hash of the payload and
//! the signatures are logged.
//!
//! Newer clients log an envelope as a `hashedrekord` over the digest of what was signed.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::value::RawValue;
use sigstore_protobuf_specs::dev::sigstore::rekor::v2::{DsseRequestV002, spec};
use sigstore_protobuf_specs::io::intoto::Envelope;

use crate::kind::{Canonical, Kind, Proposal, Purpose, unknown_version};
use crate::parts::Parts;
use crate::refusal::Refusal;
use crate::statement::{self, Digests};
use crate::v2::signer::{Scheme, Signer, missing};
use crate::v2::{self, MAX_LIST, digest_key, hash_name};
use pki::Work;
use pki::digest::{Digest, HashAlgorithm};
use pki::dsse::likely_first;
use pki::public_key::KeyKind;

/// `dsse:0.0.2`.
pub(crate) struct V002;

impl Kind for V002 {
    fn tag(&self) -> &'static str {
        "dsse:0.0.2"
    }

    /// Refuses: as in Rekor, only the v2 API takes this version.
    fn decode(&self, _: &RawValue) -> Result<Box<dyn Proposal>, Refusal> {
        Err(unknown_version("dsse", "0.0.2"))
    }

    fn index_keys_of_leaf(&self, spec: &RawValue) -> Result<Option<Vec<String>>, Refusal> {
        let spec = v2::spec_of_leaf(spec)?;
        let Some(spec::Spec::DsseV002(entry)) = spec.spec else {
            return Err(missing("dsseV002"));
        };
        v2::digest_of(entry.payload_hash)?;
        for signature in entry.signatures {
            Signer::new(signature.verifier)?;
        }
        // Some keys follow from the payload, which is not kept.
        Ok(None)
    }

    fn parts_of_leaf(&self, spec: &RawValue) -> Parts {
        Parts::new()
            .with_v2_digest(spec, &["dsseV002", "payloadHash"])
            .with_v2_verifiers(spec, &["dsseV002", "signatures"])
    }
}

/// The request of a client.
pub(crate) struct Request(pub(crate) DsseRequestV002);

impl Proposal for Request {
    fn check(self: Box<Self>, purpose: Purpose<'_>, work: &mut Work) -> Result<Canonical, Refusal> {
        self.checked(purpose, work)
            .map_err(|reason| Refusal::Invalid(format!("invalid dsse request: {reason}")))
    }
}

impl Request {
    fn checked(self, purpose: Purpose<'_>, work: &mut Work) -> Result<Canonical, Refusal> {
        let DsseRequestV002 {
            envelope,
            verifiers,
        } = self.0;
        let envelope = envelope.ok_or_else(|| missing("the envelope"))?;
        for (list, length) in [
            ("verifiers", verifiers.len()),
            ("signatures", envelope.signatures.len()),
        ] {
            if !(1..=MAX_LIST).contains(&length) {
                return Err(Refusal::Invalid(format!(
                    "1 to {MAX_LIST} {list} are expected"
                )));
            }
        }
        if envelope
            .signatures
            .iter()
            .any(|signature| signature.sig.is_empty())
        {
            return Err(Refusal::Invalid("a signature is empty".to_owned()));
        }
        let mut signers = Vec::with_capacity(verifiers.len());
        for verifier in verifiers {
            let signer = Signer::new(Some(verifier))?;
            if signer.scheme() == Scheme::Digest(HashAlgorithm::Sha512)
                && signer.public_key().kind() == KeyKind::Ed25519
            {
                return Err(Refusal::Invalid(
                    "an Ed25519 signature of an envelope is PKIX_ED25519".to_owned(),
                ));
            }
            if let Purpose::Insert { algorithms, .. } = purpose
                && !signer.is_admitted(algorithms)
            {
                return Err(Refusal::Invalid("an algorithm is not admitted".to_owned()));
            }
            signers.push(signer);
        }
        work.take_hashing(envelope.payload.len())?;
        let payload_hash = Digest::of(HashAlgorithm::Sha256, &envelope.payload);
        let signed = Signed::new(&envelope, &signers, work)?;
        let mut signatures = signed.pairs(&envelope, &signers, work)?;
        signatures.sort_unstable_by_key(|(signature, _)| *signature);
        let mut index_keys: Vec<String> = signatures
            .iter()
            .flat_map(|(_, signer)| signer.index_keys())
            .collect();
        index_keys.push(digest_key(&payload_hash));
        let mut packages = Vec::new();
        if envelope.payload_type == statement::PAYLOAD_TYPE {
            let statement = statement::read(&envelope.payload, Digests::Readable)?;
            index_keys.extend(statement.index_keys);
            packages = statement.packages;
        }
        Ok(Canonical {
            leaf_bytes: leaf_bytes(&payload_hash, &signatures),
            index_keys,
            attestation: None,
            packages,
        })
    }
}

/// The signed bytes, hashed once for each hash function in use.
struct Signed {
    message: Vec<u8>,
    digests: Vec<Digest>,
}

impl Signed {
    /// The pre-authentication encoding of an envelope (DSSE, protocol.md), with the digests that
    /// its signers use.
    fn new(envelope: &Envelope, signers: &[Signer], work: &mut Work) -> Result<Self, Refusal> {
        let Envelope {
            payload,
            payload_type,
            ..
        } = envelope;
        let mut message = format!(
            "DSSEv1 {} {payload_type} {} ",
            payload_type.len(),
            payload.len()
        )
        .into_bytes();
        message.extend_from_slice(payload);
        let mut digests: Vec<Digest> = Vec::new();
        for signer in signers {
            match signer.scheme() {
                Scheme::Digest(hash) if digests.iter().all(|digest| digest.algorithm() != hash) => {
                    work.take_hashing(message.len())?;
                    digests.push(Digest::of(hash, &message));
                }
                Scheme::Digest(_) | Scheme::Message => {}
            }
        }
        Ok(Self { message, digests })
    }

    /// Each signature with a verifier that it verifies under. A key counts once.
    fn pairs<'a>(
        &self,
        envelope: &'a Envelope,
        signers: &'a [Signer],
        work: &mut Work,
    ) -> Result<Vec<(&'a [u8], &'a Signer)>, Refusal> {
        let mut pairs: Vec<(&[u8], &Signer)> = Vec::with_capacity(envelope.signatures.len());
        let mut last = None;
        for signature in &envelope.signatures {
            let at = self.verifier_of(&signature.sig, signers, &pairs, last, work)?;
            pairs.push((&signature.sig, &signers[at]));
            last = Some(at);
        }
        Ok(pairs)
    }

    /// The position of the first signer whose key has no signature yet and verifies this one.
    fn verifier_of(
        &self,
        signature: &[u8],
        signers: &[Signer],
        pairs: &[(&[u8], &Signer)],
        last: Option<usize>,
        work: &mut Work,
    ) -> Result<usize, Refusal> {
        let is_used = |key: &[u8]| {
            pairs
                .iter()
                .any(|(_, used)| used.public_key().bytes() == key)
        };
        let mut tried: Vec<(&[u8], Scheme)> = Vec::new();
        for at in likely_first(signers.len(), last) {
            let check = check_of(&signers[at]);
            if is_used(check.0) || tried.contains(&check) {
                continue;
            }
            if self.verifies(&signers[at], signature, work)? {
                // A key may come twice, once as a certificate: which one is logged must not depend
                // on the order of trying.
                return Ok(signers
                    .iter()
                    .position(|signer| check_of(signer) == check)
                    .unwrap_or(at));
            }
            tried.push(check);
        }
        Err(Refusal::Invalid(
            "a signature does not verify under any verifier that has none yet".to_owned(),
        ))
    }

    fn verifies(
        &self,
        signer: &Signer,
        signature: &[u8],
        work: &mut Work,
    ) -> Result<bool, Refusal> {
        let key = signer.public_key();
        let verified = match signer.scheme() {
            Scheme::Message => key.verify_message(&self.message, signature, work),
            Scheme::Digest(hash) => match self
                .digests
                .iter()
                .find(|digest| digest.algorithm() == hash)
            {
                Some(digest) => key.verify_digest(digest, signature, work),
                None => return Ok(false),
            },
        };
        match verified {
            Err(error @ pki::Error::TooCostly(_)) => Err(error.into()),
            verified => Ok(verified.is_ok()),
        }
    }
}

/// Signers with the same key and scheme verify the same signatures.
fn check_of(signer: &Signer) -> (&[u8], Scheme) {
    (signer.public_key().bytes(), signer.scheme())
}

/// Members are in the order of RFC 8785, and no value needs an escape: base64 and known names.
fn leaf_bytes(payload_hash: &Digest, signatures: &[(&[u8], &Signer)]) -> Vec<u8> {
    let signatures_len: usize = signatures
        .iter()
        .map(|(signature, signer)| 50 + signature.len() * 4 / 3 + signer.written_len())
        .sum();
    let mut leaf = String::with_capacity(200 + signatures_len);
    leaf +=
        r#"{"apiVersion":"0.0.2","kind":"dsse","spec":{"dsseV002":{"payloadHash":{"algorithm":""#;
    leaf += hash_name(payload_hash.algorithm());
    leaf += r#"","digest":""#;
    STANDARD.encode_string(payload_hash.bytes(), &mut leaf);
    leaf += r#""},"signatures":["#;
    for (place, (signature, signer)) in signatures.iter().enumerate() {
        if place > 0 {
            leaf.push(',');
        }
        leaf += r#"{"content":""#;
        STANDARD.encode_string(signature, &mut leaf);
        leaf += r#"","verifier":"#;
        signer.write(&mut leaf);
        leaf.push('}');
    }
    leaf += "]}}}";
    leaf.into_bytes()
}
