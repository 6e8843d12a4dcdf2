//! Entries that were checked as a log checks them, before they are sent.

use entry::{Policy, ProposedEntry, Refusal, UnixSeconds, VerifiedEntry};
use pki::digest::{Digest, HashAlgorithm};
use serde_json::Value;

use super::kind::{KeyFormat, Kind};
use super::request::{self, Envelope, Parts, RequestError};
use crate::entry::Entry;
use crate::sign::Signer;

/// The API by which a log takes entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Api {
    /// Rekor v1.
    V1,
    /// Rekor v2.
    V2,
}

/// An entry that the log would take: its signature verifies here. Other logs may take fewer kinds
/// and algorithms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    api: Api,
    request: String,
    kind: &'static str,
    leaf: Vec<u8>,
}

/// Every algorithm that some log admits.
const ALGORITHMS: [&str; 10] = [
    "ecdsa-sha2-256-nistp256",
    "ecdsa-sha2-384-nistp384",
    "ecdsa-sha2-512-nistp521",
    "ecdsa-sha2-256-nistp384",
    "ecdsa-sha2-256-nistp521",
    "rsa-sign-pkcs1-2048-sha256",
    "rsa-sign-pkcs1-3072-sha256",
    "rsa-sign-pkcs1-4096-sha256",
    "ed25519",
    "ed25519-ph",
];

/// Why there is no proposal.
#[derive(Debug, thiserror::Error)]
pub enum ProposalError {
    /// There is no request.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The log would refuse it.
    #[error("{0}")]
    Refused(Refusal),
}

impl From<Refusal> for ProposalError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl Proposal {
    /// Checks a request as the log would. `now` is what the expiry of TUF metadata is judged by.
    ///
    /// # Errors
    ///
    /// The log would refuse it.
    pub fn read(api: Api, request: String, now: UnixSeconds) -> Result<Self, Refusal> {
        let proposed = match api {
            Api::V1 => ProposedEntry::from_json(request.as_bytes())?,
            Api::V2 => ProposedEntry::from_v2_json(request.as_bytes())?,
        };
        let policy = Policy::from_names(ALGORITHMS);
        let policy = policy.map_err(|error| Refusal::Invalid(error.to_string()))?;
        let verified: VerifiedEntry = proposed.verify(&policy, now)?;
        Ok(Self {
            api,
            request,
            kind: verified.kind(),
            leaf: verified.leaf_bytes().to_vec(),
        })
    }

    /// Makes the entry of a signature over a digest.
    ///
    /// # Errors
    ///
    /// The log would refuse it, most often because the signature does not verify.
    pub fn hashedrekord(
        api: Api,
        digest: &Digest,
        signature: &[u8],
        signer: &Signer,
        now: UnixSeconds,
    ) -> Result<Self, ProposalError> {
        let request = request::hashedrekord(api, digest, signature, signer)?;
        Ok(Self::read(api, request.to_string(), now)?)
    }

    /// Makes the entry of an envelope. [`Kind::Intoto`] keeps the payload in Rekor v1;
    /// [`Kind::Dsse`] sends the envelope as it is. Without a kind, Rekor v2 gets what its present
    /// versions take. The hash function that was signed over is found out.
    ///
    /// # Errors
    ///
    /// The log would refuse it, most often because the signature does not verify.
    pub fn envelope(
        api: Api,
        kind: Option<Kind>,
        envelope: &Envelope,
        signer: &Signer,
        now: UnixSeconds,
    ) -> Result<Self, ProposalError> {
        let request = |hash| match (api, kind) {
            (Api::V1, Some(Kind::Intoto)) => Ok(request::intoto(envelope, signer)),
            (Api::V2, Some(Kind::Intoto)) => Err(RequestError::NotInV2(Kind::Intoto)),
            (Api::V2, Some(Kind::Dsse)) => request::whole_envelope(envelope, signer, hash),
            _ => request::envelope(api, envelope, signer, hash),
        };
        let read = |hash| -> Result<Self, ProposalError> {
            Ok(Self::read(api, request(hash)?.to_string(), now)?)
        };
        match (read(signer.usual_hash()), api) {
            (Err(ProposalError::Refused(refusal)), Api::V2) => {
                read(HashAlgorithm::Sha256).map_err(|_| refusal.into())
            }
            (proposal, _) => proposal,
        }
    }

    /// Makes the entry of a kind whose files are sent as they are: all but
    /// [`Proposal::hashedrekord`] and [`Proposal::envelope`].
    ///
    /// # Errors
    ///
    /// A file is missing, Rekor v2 does not have the kind, or the log would refuse it.
    pub fn whole(
        api: Api,
        kind: Kind,
        format: Option<KeyFormat>,
        parts: Parts<'_>,
        now: UnixSeconds,
    ) -> Result<Self, ProposalError> {
        if api == Api::V2 {
            return Err(RequestError::NotInV2(kind).into());
        }
        let request = request::whole(kind, format, parts)?;
        Ok(Self::read(api, request.to_string(), now)?)
    }

    /// Returns the API that it is for.
    pub fn api(&self) -> Api {
        self.api
    }

    /// Returns kind and version, `hashedrekord:0.0.1`.
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// Returns the request in JSON.
    pub fn request(&self) -> &str {
        &self.request
    }

    /// Returns the leaf hash that the entry has in the log.
    pub fn leaf_hash(&self) -> tlog::Hash {
        tlog::leaf_hash(&self.leaf)
    }

    /// Returns whether a verified entry is this one: its leaf bytes are the same. Rekor writes an
    /// OpenPGP key in another order each time, and a binary signature in another armor. So of
    /// entries with such a key everything else is compared.
    pub(crate) fn is(&self, entry: &Entry) -> bool {
        if entry.body == self.leaf {
            return true;
        }
        let Ok(own) = serde_json::from_slice::<Value>(&self.leaf) else {
            return false;
        };
        let format = own
            .pointer("/spec/signature/format")
            .and_then(Value::as_str);
        let has_pgp_key = self.kind.starts_with("rpm:")
            || self.kind.starts_with("helm:")
            || format == Some(KeyFormat::Pgp.name());
        let theirs = entry.json().filter(|_| has_pgp_key);
        theirs.is_some_and(|theirs| without_key(own) == without_key(theirs))
    }
}

/// Takes out keys, and the texts of signatures in OpenPGP.
fn without_key(mut leaf: Value) -> Value {
    for path in [
        "/spec",
        "/spec/signature",
        "/spec/chart/provenance/signature",
    ] {
        let Some(Value::Object(members)) = leaf.pointer_mut(path) else {
            continue;
        };
        members.remove("publicKey");
        if path != "/spec" {
            members.remove("content");
        }
    }
    leaf
}
