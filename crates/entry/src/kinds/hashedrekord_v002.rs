//! `hashedrekord` 0.0.2, of Rekor v2: a signature over a digest that the client gives.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::value::RawValue;
use sigstore_protobuf_specs::dev::sigstore::rekor::v2::{HashedRekordRequestV002, spec};

use crate::kind::{Canonical, Kind, Proposal, Purpose, unknown_version};
use crate::parts::Parts;
use crate::refusal::Refusal;
use crate::v2::signer::{Scheme, Signer, missing};
use crate::v2::{self, digest_key, hash_name};
use pki::Work;
use pki::digest::Digest;

/// `hashedrekord:0.0.2`.
pub(crate) struct V002;

impl Kind for V002 {
    fn tag(&self) -> &'static str {
        "hashedrekord:0.0.2"
    }

    /// Refuses: as in Rekor, only the v2 API takes this version.
    fn decode(&self, _: &RawValue) -> Result<Box<dyn Proposal>, Refusal> {
        Err(unknown_version("hashedrekord", "0.0.2"))
    }

    fn index_keys_of_leaf(&self, spec: &RawValue) -> Result<Option<Vec<String>>, Refusal> {
        let spec = v2::spec_of_leaf(spec)?;
        let Some(spec::Spec::HashedRekordV002(entry)) = spec.spec else {
            return Err(missing("hashedRekordV002"));
        };
        let signature = entry.signature.ok_or_else(|| missing("a signature"))?;
        Ok(Some(index_keys(
            &Signer::new(signature.verifier)?,
            &v2::digest_of(entry.data)?,
        )))
    }

    fn parts_of_leaf(&self, spec: &RawValue) -> Parts {
        Parts::new()
            .with_v2_digest(spec, &["hashedRekordV002", "data"])
            .with_v2_verifier(spec, &["hashedRekordV002", "signature", "verifier"])
    }
}

/// The request of a client.
pub(crate) struct Request(pub(crate) HashedRekordRequestV002);

impl Proposal for Request {
    fn check(self: Box<Self>, purpose: Purpose<'_>, work: &mut Work) -> Result<Canonical, Refusal> {
        self.checked(purpose, work)
            .map_err(|reason| Refusal::Invalid(format!("invalid hashedrekord request: {reason}")))
    }
}

impl Request {
    fn checked(self, purpose: Purpose<'_>, work: &mut Work) -> Result<Canonical, Refusal> {
        let HashedRekordRequestV002 { digest, signature } = self.0;
        let signature = signature.filter(|signature| !signature.content.is_empty());
        let signature = signature.ok_or_else(|| missing("a signature"))?;
        if digest.is_empty() {
            return Err(missing("the digest"));
        }
        let signer = Signer::new(signature.verifier)?;
        let Scheme::Digest(algorithm) = signer.scheme() else {
            return Err(Refusal::Invalid(
                "an Ed25519 signature over a digest is PKIX_ED25519_PH".to_owned(),
            ));
        };
        if let Purpose::Insert { algorithms, .. } = purpose
            && !signer.is_admitted(algorithms)
        {
            return Err(Refusal::Invalid("the algorithm is not admitted".to_owned()));
        }
        let length = digest.len();
        let digest = Digest::from_bytes(algorithm, digest).ok_or_else(|| {
            Refusal::Invalid(format!(
                "a {} digest has {} bytes, not {length}",
                algorithm.title(),
                algorithm.digest_length()
            ))
        })?;
        signer
            .public_key()
            .verify_digest(&digest, &signature.content, work)
            .map_err(Refusal::invalid)?;
        Ok(Canonical {
            leaf_bytes: leaf_bytes(&digest, &signature.content, &signer),
            index_keys: index_keys(&signer, &digest),
            attestation: None,
            packages: Vec::new(),
        })
    }
}

/// Members are in the order of RFC 8785, and no value needs an escape: base64 and known names.
fn leaf_bytes(digest: &Digest, signature: &[u8], signer: &Signer) -> Vec<u8> {
    let mut leaf = String::with_capacity(320 + signature.len() * 4 / 3 + signer.written_len());
    leaf += r#"{"apiVersion":"0.0.2","kind":"hashedrekord","spec":{"hashedRekordV002":{"data":{"algorithm":""#;
    leaf += hash_name(digest.algorithm());
    leaf += r#"","digest":""#;
    STANDARD.encode_string(digest.bytes(), &mut leaf);
    leaf += r#""},"signature":{"content":""#;
    STANDARD.encode_string(signature, &mut leaf);
    leaf += r#"","verifier":"#;
    signer.write(&mut leaf);
    leaf += "}}}}";
    leaf.into_bytes()
}

/// As for version 0.0.1: the key's hash, the certificate's names, the digest.
fn index_keys(signer: &Signer, digest: &Digest) -> Vec<String> {
    signer.index_keys().chain([digest_key(digest)]).collect()
}
