//! The traits of a kind of entries, the purpose of a check, and its result.
//!
//! The kinds are in `kinds/`, and [`crate::kinds`] is their registry.

use pki::{Key, UnixSeconds, Work};
use serde_json::value::RawValue;

use crate::algorithms::Algorithms;
use crate::package::Package;
use crate::parts::Parts;
use crate::refusal::Refusal;

/// One kind in one version.
pub(crate) trait Kind: Sync {
    /// Kind and version, `hashedrekord:0.0.1`.
    fn tag(&self) -> &'static str;

    /// Its name, `hashedrekord`.
    fn name(&self) -> &'static str {
        split_tag(self.tag()).0
    }

    /// How much a check may cost beyond its length.
    fn weight(&self) -> Weight {
        Weight::Light
    }

    /// Decodes `spec`, which is a JSON object, and checks what Rekor calls field validation. Its
    /// time MUST be proportional to the length of `spec`, because it runs on the thread that reads
    /// requests.
    fn decode(&self, spec: &RawValue) -> Result<Box<dyn Proposal>, Refusal>;

    /// Returns the keys and digests that the `spec` of leaf bytes shows. Parts that cannot be read
    /// are left out.
    fn parts_of_leaf(&self, spec: &RawValue) -> Parts;

    /// Returns the index keys that follow from the `spec` of leaf bytes, in any case. None if this
    /// kind's keys do not follow from it.
    fn index_keys_of_leaf(&self, spec: &RawValue) -> Result<Option<Vec<String>>, Refusal>;
}

/// How much a check may cost, beyond the length of its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// In proportion to the length: some signatures, some hashes.
    Light,
    /// Much more: archives are unpacked, and keys come in rings.
    Heavy,
}

/// The `spec` that a client submitted, decoded and unchecked.
pub(crate) trait Proposal: Send {
    /// Checks the signature and everything else that `purpose` asks for, and makes it canonical.
    /// MUST take from `work` before each step whose cost may grow faster than the length of the
    /// request.
    fn check(self: Box<Self>, purpose: Purpose<'_>, work: &mut Work) -> Result<Canonical, Refusal>;
}

/// The purpose of a check.
#[derive(Clone, Copy)]
pub(crate) enum Purpose<'p> {
    /// To be appended: the policy admits it, nothing is missing, and the leaf has room.
    Insert {
        algorithms: &'p Algorithms,
        now: UnixSeconds,
        max_leaf_bytes: usize,
    },
    /// To be found: checks as Rekor's `retrieve` does, which may be content with the form in which
    /// an entry is stored.
    LookUp { now: UnixSeconds },
}

impl Purpose<'_> {
    /// Parses a key whose canonical form the leaf bytes will hold in base64. A key that is too long
    /// for them is refused before the signatures in it are checked.
    pub(crate) fn parse_key<K: Key>(self, key: &[u8], work: &mut Work) -> Result<K, Refusal> {
        let Purpose::Insert { max_leaf_bytes, .. } = self else {
            return Ok(K::parse(key, work)?);
        };
        let most = max_leaf_bytes / 4 * 3;
        match K::parse_within(key, most, work) {
            Err(pki::Error::TooLong) => Err(too_large(most + 1, max_leaf_bytes)),
            parsed => Ok(parsed?),
        }
    }

    /// Refuses an entry whose leaf bytes hold base64 of so many bytes, if that alone is too much.
    /// MUST be called before anything that takes long.
    pub(crate) fn admit_leaf_with(self, bytes: usize) -> Result<(), Refusal> {
        match self {
            Purpose::Insert { max_leaf_bytes, .. } if base64_length(bytes) > max_leaf_bytes => {
                Err(too_large(bytes, max_leaf_bytes))
            }
            _ => Ok(()),
        }
    }
}

/// Refuses an entry whose leaf bytes hold base64 of so many bytes.
fn too_large(bytes: usize, max_leaf_bytes: usize) -> Refusal {
    Refusal::Invalid(format!(
        "the entry has more than {} bytes, this log takes at most {max_leaf_bytes}: most often because of the \
         key, which should go without the signatures of others (gpg --export --armor --export-options \
         export-minimal) and without certificates that are not needed",
        base64_length(bytes)
    ))
}

fn base64_length(bytes: usize) -> usize {
    bytes.div_ceil(3) * 4
}

/// A checked entry.
pub(crate) struct Canonical {
    /// RFC 8785 form of `{"apiVersion":…,"kind":…,"spec":…}`.
    pub(crate) leaf_bytes: Vec<u8>,
    /// Search keys, in any case and perhaps repeated.
    pub(crate) index_keys: Vec<String>,
    /// Bytes to keep beside the entry.
    pub(crate) attestation: Option<Vec<u8>>,
    /// The packages that its statement is about.
    pub(crate) packages: Vec<Package>,
}

/// The refusal of a version that a kind does not have, in the words of Rekor.
pub(crate) fn unknown_version(name: &str, version: &str) -> Refusal {
    Refusal::Invalid(format!(
        "{name} implementation for version '{version}' not found: unable to locate entry for version {version}"
    ))
}

/// Splits a tag into name and version.
pub(crate) fn split_tag(tag: &'static str) -> (&'static str, &'static str) {
    tag.split_once(':').unwrap_or((tag, ""))
}
