//! The stages of an entry: proposed, verified, leaf bytes.

use sigstore_protobuf_specs::dev::sigstore::rekor::v2::CreateEntryRequest;

use crate::envelope::{Envelope, require_object};
use crate::index_keys::{bounded, lower_case};
use crate::kind::{Kind, Proposal, Purpose, Weight};
use crate::kinds::{self, KindName};
use crate::packages::{PackageClaims, bounded_claims};
use crate::policy::Policy;
use crate::refusal::Refusal;
use crate::v2;
use pki::{TooCostly, UnixSeconds, Work};

/// Parsed but unchecked.
pub struct ProposedEntry {
    kind: &'static dyn Kind,
    proposal: Box<dyn Proposal>,
    /// The work that checking it may cause.
    work: Work,
    max_leaf_bytes: usize,
}

/// Checked: its signature verifies over what it claims, by the key it names, and the policy admits
/// it. Only [`ProposedEntry::verify`] makes one.
pub struct VerifiedEntry {
    kind: &'static dyn Kind,
    leaf_bytes: Vec<u8>,
    index_keys: Vec<String>,
    attestation: Option<Vec<u8>>,
    package_claims: PackageClaims,
}

impl ProposedEntry {
    /// Parses `{"kind":…,"apiVersion":…,"spec":{…}}`: a request body, or one element of `entries`
    /// of a look-up.
    ///
    /// As Rekor does (facts of v1.5.4): what follows the first JSON value is ignored, and so are
    /// unknown members at every level; names of the outer object are matched without regard to
    /// case; of duplicate members the last one wins; a member of the wrong type inside `spec`
    /// counts as absent. A body of white space is `Required("proposedEntry")`. Strings that are not
    /// Unicode (a lone surrogate, invalid UTF-8) are refused, where Rekor puts U+FFFD into them.
    pub fn from_json(json: &[u8]) -> Result<Self, Refusal> {
        let envelope = Envelope::from_json(json)?;
        let name = KindName::new(envelope.kind()?)?;
        let (version, spec) = envelope.contents()?;
        let kind = name.in_version(version)?;
        require_object(spec)?;
        Ok(Self {
            kind,
            proposal: kind.decode(spec)?,
            work: Work::of_request(json.len()),
            max_leaf_bytes: usize::MAX,
        })
    }

    /// Parses a `CreateEntryRequest` of Rekor v2 in JSON, as Rekor does, but that nothing may
    /// follow it.
    pub fn from_v2_json(json: &[u8]) -> Result<Self, Refusal> {
        v2::from_json(json).and_then(|request| Self::from_v2_request(request, json.len()))
    }

    /// Parses a `CreateEntryRequest` of Rekor v2 in protobuf's binary form.
    pub fn from_v2_protobuf(bytes: &[u8]) -> Result<Self, Refusal> {
        v2::from_protobuf(bytes).and_then(|request| Self::from_v2_request(request, bytes.len()))
    }

    fn from_v2_request(request: CreateEntryRequest, bytes: usize) -> Result<Self, Refusal> {
        let (kind, proposal) = kinds::of_v2_request(request)?;
        Ok(Self {
            kind,
            proposal,
            work: Work::of_request(bytes),
            max_leaf_bytes: usize::MAX,
        })
    }

    /// Returns how much a check may cost beyond its length. A heavy check belongs on a thread of
    /// its own.
    pub fn weight(&self) -> Weight {
        self.kind.weight()
    }

    /// Limits the leaf bytes, so that an entry whose leaf would be longer is refused early.
    pub fn with_max_leaf_bytes(self, max_leaf_bytes: usize) -> Self {
        Self {
            max_leaf_bytes,
            ..self
        }
    }

    /// Verifies for insertion. `now` is what expiry is judged by, where a kind knows it (TUF
    /// metadata).
    pub fn verify(self, policy: &Policy, now: UnixSeconds) -> Result<VerifiedEntry, Refusal> {
        self.verify_counting(policy, now).0
    }

    /// Verifies for insertion, and returns the work that was counted as well.
    pub fn verify_counting(
        self,
        policy: &Policy,
        now: UnixSeconds,
    ) -> (Result<VerifiedEntry, Refusal>, Work) {
        let Self {
            kind,
            proposal,
            mut work,
            max_leaf_bytes,
        } = self;
        let purpose = Purpose::Insert {
            algorithms: policy.algorithms(),
            now,
            max_leaf_bytes,
        };
        let verified = verify(kind, proposal, policy, purpose, &mut work);
        // A check that was left out must not lead to an entry.
        (
            if work.is_exhausted() {
                Err(Refusal::invalid(TooCostly))
            } else {
                verified
            },
            work,
        )
    }

    /// The leaf bytes to look up: checks as Rekor's `retrieve` does (signature and expiry, but
    /// neither policy nor insertability).
    pub fn leaf_bytes_for_lookup(self, now: UnixSeconds) -> Result<Vec<u8>, Refusal> {
        let Self {
            proposal, mut work, ..
        } = self;
        let checked = proposal.check(Purpose::LookUp { now }, &mut work);
        if work.is_exhausted() {
            Err(Refusal::invalid(TooCostly))
        } else {
            Ok(checked?.leaf_bytes)
        }
    }
}

fn verify(
    kind: &'static dyn Kind,
    proposal: Box<dyn Proposal>,
    policy: &Policy,
    purpose: Purpose<'_>,
    work: &mut Work,
) -> Result<VerifiedEntry, Refusal> {
    let name = kind.name();
    if !policy.admits_kind(name) {
        return Err(Refusal::Invalid(format!(
            "entry kind '{name}' is not enabled for submission on this server"
        )));
    }
    let canonical = proposal.check(purpose, work)?;
    Ok(VerifiedEntry {
        kind,
        leaf_bytes: canonical.leaf_bytes,
        index_keys: bounded(canonical.index_keys)?,
        attestation: canonical.attestation,
        package_claims: bounded_claims(PackageClaims::of(&canonical.packages))?,
    })
}

impl VerifiedEntry {
    /// Kind and version, `hashedrekord:0.0.1`.
    pub fn kind(&self) -> &'static str {
        self.kind.tag()
    }

    /// The canonical bytes that are hashed.
    pub fn leaf_bytes(&self) -> &[u8] {
        &self.leaf_bytes
    }

    /// Search keys, in lower case letter by letter as Go has it, each once.
    pub fn index_keys(&self) -> &[String] {
        &self.index_keys
    }

    /// Returns the bytes that Rekor keeps beside the entry if attestation storage is on. They are
    /// not in the leaf bytes, which hold their SHA-256.
    pub fn attestation(&self) -> Option<&[u8]> {
        self.attestation.as_deref()
    }

    /// Returns what the entry claims of packages in their versions.
    pub fn package_claims(&self) -> &PackageClaims {
        &self.package_claims
    }

    /// Takes it apart: leaf bytes, index keys and attestation.
    pub fn into_parts(self) -> (Vec<u8>, Vec<String>, Option<Vec<u8>>) {
        (self.leaf_bytes, self.index_keys, self.attestation)
    }
}

/// Returns kind and version of the entry with these leaf bytes, as [`VerifiedEntry::kind`]. Errors
/// for bytes that no entry of a registered kind has.
pub fn kind_of_leaf(leaf_bytes: &[u8]) -> Result<&'static str, Refusal> {
    let envelope = Envelope::from_json(leaf_bytes)?;
    let (version, _) = envelope.contents()?;
    Ok(KindName::new(envelope.kind()?)?.in_version(version)?.tag())
}

/// Returns the index keys that follow from leaf bytes alone, for fsck: those of
/// [`VerifiedEntry::index_keys`], in their order; None if the kind's keys do not follow from the
/// body. No signature is checked. Errors for bytes that no entry of a registered kind has.
pub fn index_keys_of_leaf(leaf_bytes: &[u8]) -> Result<Option<Vec<String>>, Refusal> {
    let envelope = Envelope::from_json(leaf_bytes)?;
    let (version, spec) = envelope.contents()?;
    let keys = KindName::new(envelope.kind()?)?
        .in_version(version)?
        .index_keys_of_leaf(spec)?;
    Ok(keys.map(lower_case))
}
