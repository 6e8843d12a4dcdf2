//! The registry of kinds.
//!
//! A new kind is one file here and one line in [`REGISTRY`]; its version is part of its line, so
//! that two versions of one kind are two lines. Nothing outside tells kinds apart.

mod alpine;
mod artifact;
mod cose;
mod dsse;
pub(crate) mod dsse_v002;
mod hash;
mod hashedrekord;
pub(crate) mod hashedrekord_v002;
mod helm;
mod intoto_v001;
mod intoto_v002;
mod jar;
mod rekord;
mod rfc3161;
mod rpm;
mod tuf;

use serde_json::value::RawValue;

use crate::policy::Policy;
use crate::refusal::Refusal;
use pki::UnixSeconds;
use pki::Work;
use pki::quoted;

/// Every kind in every version that this log takes.
static REGISTRY: &[&dyn Kind] = &[
    &alpine::V001,
    &cose::V001,
    &dsse::V001,
    &dsse_v002::V002,
    &hashedrekord::V001,
    &hashedrekord_v002::V002,
    &helm::V001,
    &intoto_v001::V001,
    &intoto_v002::V002,
    &jar::V001,
    &rekord::V001,
    &rfc3161::V001,
    &rpm::V001,
    &tuf::V001,
];

/// Kind and version of all, `hashedrekord:0.0.1`.
pub fn kind_tags() -> impl Iterator<Item = &'static str> {
    REGISTRY.iter().map(|kind| kind.tag())
}

/// The names of all kinds, each once.
pub fn kind_names() -> Vec<&'static str> {
    let mut names: Vec<&str> = REGISTRY.iter().map(|kind| kind.name()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Whether the artifact of a kind can be read, `helm` or `rpm`: everything that is done with it but
/// for its signature. Behind that a fuzzer would hardly get.
pub fn is_readable(kind: &str, artifact: &[u8], work: &mut Work) -> bool {
    match kind {
        "helm" => helm::is_readable(artifact),
        "rpm" => rpm::is_readable(artifact, work),
        _ => false,
    }
}

/// One kind in one version.
pub(crate) trait Kind: Sync {
    /// Kind and version, `hashedrekord:0.0.1`.
    fn tag(&self) -> &'static str;

    /// Its name, `hashedrekord`.
    fn name(&self) -> &'static str {
        split(self.tag()).0
    }

    /// What a check of it may cost beyond its length.
    fn weight(&self) -> Weight {
        Weight::Light
    }

    /// Decodes `spec`, which is a JSON object, and checks what Rekor calls field validation. MUST
    /// NOT take longer than in proportion to the length of `spec`: it runs where requests are read.
    fn decode(&self, spec: &RawValue) -> Result<Box<dyn Proposal>, Refusal>;

    /// The index keys that follow from the `spec` of leaf bytes, in any case; None if this kind's
    /// do not.
    fn index_keys_of_leaf(&self, spec: &RawValue) -> Result<Option<Vec<String>>, Refusal>;
}

/// What a check may cost, whatever the length of what is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// In proportion to the length: some signatures, some hashes.
    Light,
    /// Much more: what is packed is unpacked, keys come in rings.
    Heavy,
}

/// What a client submitted as `spec`, decoded and unchecked.
pub(crate) trait Proposal: Send {
    /// Checks the signature and everything else that `purpose` asks for, and makes it canonical.
    /// MUST take from `work` before it does anything that may cost more than in proportion to the
    /// length of what was submitted.
    fn check(self: Box<Self>, purpose: Purpose<'_>, work: &mut Work) -> Result<Canonical, Refusal>;
}

/// What a proposal is checked for.
#[derive(Clone, Copy)]
pub(crate) enum Purpose<'p> {
    /// To be appended: the policy admits it, nothing is missing, and the leaf has room.
    Insert {
        policy: &'p Policy,
        now: UnixSeconds,
        max_leaf_bytes: usize,
    },
    /// To be found: what Rekor's `retrieve` checks, so that the form in which an entry is stored
    /// may be enough.
    LookUp { now: UnixSeconds },
}

impl Purpose<'_> {
    /// Refuses an entry whose leaf bytes hold base64 of so many bytes, if that alone is too much.
    /// MUST be asked before anything that takes long.
    pub(crate) fn admit_leaf_with(self, bytes: usize) -> Result<(), Refusal> {
        match self {
            Purpose::Insert { max_leaf_bytes, .. } if bytes.div_ceil(3) * 4 > max_leaf_bytes => {
                Err(Refusal::Invalid(format!(
                    "the entry has more than {} bytes, this log takes at most {max_leaf_bytes}: most often because of the \
                     key, which should go without the signatures of others (gpg --export --armor --export-options \
                     export-minimal) and without certificates that are not needed",
                    bytes.div_ceil(3) * 4
                )))
            }
            _ => Ok(()),
        }
    }
}

/// A checked entry.
pub(crate) struct Canonical {
    /// RFC 8785 form of `{"apiVersion":…,"kind":…,"spec":…}`.
    pub(crate) leaf_bytes: Vec<u8>,
    /// Search keys, in any case and perhaps repeated.
    pub(crate) index_keys: Vec<String>,
    /// Bytes to keep beside the entry.
    pub(crate) attestation: Option<Vec<u8>>,
}

/// The name of a kind that the registry has.
pub(crate) struct KindName<'n>(&'n str);

impl<'n> KindName<'n> {
    pub(crate) fn new(name: &'n str) -> Result<Self, Refusal> {
        match REGISTRY.iter().any(|kind| kind.name() == name) {
            true => Ok(Self(name)),
            // The base type of Rekor's models, which its decoder knows and its registry does not.
            false if name == "ProposedEntry" => Err(Refusal::Invalid(format!(
                "could not unmarshal entry for kind '{name}'"
            ))),
            false => Err(Refusal::UnknownKind(quoted(name).into_owned())),
        }
    }

    /// The kind in this version.
    pub(crate) fn in_version(self, version: &str) -> Result<&'static dyn Kind, Refusal> {
        let name = self.0;
        let kind = REGISTRY
            .iter()
            .find(|kind| split(kind.tag()) == (name, version))
            .copied();
        kind.ok_or_else(|| unknown_version(name, &quoted(version)))
    }
}

/// What Rekor says of a kind that does not have this version.
fn unknown_version(name: &str, version: &str) -> Refusal {
    Refusal::Invalid(format!(
        "{name} implementation for version '{version}' not found: unable to locate entry for version {version}"
    ))
}

/// Name and version of a tag.
fn split(tag: &'static str) -> (&'static str, &'static str) {
    tag.split_once(':').unwrap_or((tag, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_found_by_its_tag() {
        for kind in REGISTRY {
            let (name, version) = split(kind.tag());
            assert_eq!(
                KindName::new(name)
                    .unwrap()
                    .in_version(version)
                    .unwrap()
                    .tag(),
                kind.tag()
            );
            assert!(KindName::new(name).unwrap().in_version("9.9.9").is_err());
        }
        assert_eq!(
            KindName::new("bogus").err(),
            Some(Refusal::UnknownKind("bogus".to_owned()))
        );
        assert!(matches!(
            KindName::new("ProposedEntry"),
            Err(Refusal::Invalid(_))
        ));
    }
}
