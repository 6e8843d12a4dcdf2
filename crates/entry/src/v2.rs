//! The parts that the entries of Rekor v2 share (`hashedrekord` and `dsse` in version 0.0.2):
//! requests, their JSON, signers.
//!
//! A v2 request does not name its kind as a v1 entry does; it is a message of protobuf, in JSON or
//! in its binary form.

mod json;
mod messages;
pub(crate) mod signer;
mod wire;

use serde_json::value::RawValue;
use sigstore_protobuf_specs::dev::sigstore::common::v1::{self, HashOutput};
use sigstore_protobuf_specs::dev::sigstore::rekor::v2::{self as rekor, CreateEntryRequest};

use crate::refusal::Refusal;
use pki::digest::{Digest, HashAlgorithm};

pub(crate) use wire::from_protobuf;

/// Signatures of an envelope, and verifiers of a request, as in Rekor.
pub(crate) const MAX_LIST: usize = 10;

/// A request in JSON. No body is a request without members.
pub(crate) fn from_json(json: &[u8]) -> Result<CreateEntryRequest, Refusal> {
    if json.trim_ascii().is_empty() {
        return Ok(CreateEntryRequest::default());
    }
    json::from_json(json)
}

/// The `spec` of leaf bytes.
pub(crate) fn spec_of_leaf(spec: &RawValue) -> Result<rekor::Spec, Refusal> {
    json::from_json(spec.get().as_bytes())
}

/// The name of a hash algorithm in leaf bytes.
pub(crate) fn hash_name(algorithm: HashAlgorithm) -> &'static str {
    match algorithm {
        HashAlgorithm::Sha256 => v1::HashAlgorithm::Sha2256,
        HashAlgorithm::Sha384 => v1::HashAlgorithm::Sha2384,
        HashAlgorithm::Sha512 => v1::HashAlgorithm::Sha2512,
    }
    .as_str_name()
}

/// A digest as leaf bytes have it.
pub(crate) fn digest_of(hash: Option<HashOutput>) -> Result<Digest, Refusal> {
    let hash = hash.ok_or_else(|| signer::missing("a digest"))?;
    let algorithm = match v1::HashAlgorithm::try_from(hash.algorithm) {
        Ok(v1::HashAlgorithm::Sha2256) => Some(HashAlgorithm::Sha256),
        Ok(v1::HashAlgorithm::Sha2384) => Some(HashAlgorithm::Sha384),
        Ok(v1::HashAlgorithm::Sha2512) => Some(HashAlgorithm::Sha512),
        _ => None,
    };
    let digest = algorithm.and_then(|algorithm| Digest::from_bytes(algorithm, hash.digest));
    digest.ok_or_else(|| Refusal::Invalid("the digest does not fit its algorithm".to_owned()))
}

/// The search key of a digest.
pub(crate) fn digest_key(digest: &Digest) -> String {
    format!(
        "{}:{}",
        digest.algorithm().name(),
        hex::encode(digest.bytes())
    )
}
