//! The registry of kinds.
//!
//! A new kind is one file here and one line in [`REGISTRY`]; its version is part of its line, so that two versions of
//! one kind are two lines. Nothing outside tells kinds apart.

mod hashedrekord;

use serde_json::value::RawValue;

use crate::policy::Policy;
use crate::refusal::Refusal;

/// Every kind in every version that this log takes.
static REGISTRY: &[&dyn Kind] = &[&hashedrekord::V001];

/// One kind in one version.
pub(crate) trait Kind: Sync {
    /// Kind and version, `hashedrekord:0.0.1`.
    fn tag(&self) -> &'static str;

    /// Decodes `spec`, which is a JSON object, and checks what Rekor calls field validation. MUST NOT take longer than
    /// in proportion to the length of `spec`: it runs where requests are read.
    fn decode(&self, spec: &RawValue) -> Result<Box<dyn Proposal>, Refusal>;

    /// The index keys that follow from the `spec` of leaf bytes, in any case; None if this kind's do not.
    fn index_keys_of_leaf(&self, spec: &RawValue) -> Result<Option<Vec<String>>, Refusal>;
}

/// What a client submitted as `spec`, decoded and unchecked.
pub(crate) trait Proposal: Send {
    /// Checks the signature and everything else that `purpose` asks for, and makes it canonical.
    fn check(self: Box<Self>, purpose: Purpose<'_>) -> Result<Canonical, Refusal>;
}

/// What a proposal is checked for.
#[derive(Clone, Copy)]
pub(crate) enum Purpose<'p> {
    /// To be appended: the policy admits it, and nothing is missing.
    Insert(&'p Policy),
    /// To be found: what Rekor's `retrieve` checks, so that the form in which an entry is stored may be enough.
    LookUp,
}

/// A checked entry.
pub(crate) struct Canonical {
    /// RFC 8785 form of `{"apiVersion":…,"kind":…,"spec":…}`.
    pub(crate) leaf_bytes: Vec<u8>,
    /// Search keys, in any case and perhaps repeated.
    pub(crate) index_keys: Vec<String>,
}

/// The kind of this name and version.
pub(crate) fn find(name: &str, version: &str) -> Result<&'static dyn Kind, Refusal> {
    let mut versions = REGISTRY.iter().filter(|kind| name_of(**kind) == name).peekable();
    if versions.peek().is_none() {
        return Err(unknown(name));
    }
    versions.find(|kind| kind.tag()[name.len() + 1..] == *version).copied().ok_or_else(|| {
        Refusal::Invalid(format!(
            "{name} implementation for version '{version}' not found: unable to locate entry for version {version}"
        ))
    })
}

/// Whether any version of the kind of this name is there.
pub(crate) fn is_known(name: &str) -> Result<(), Refusal> {
    match REGISTRY.iter().any(|kind| name_of(*kind) == name) {
        true => Ok(()),
        false => Err(unknown(name)),
    }
}

fn name_of(kind: &dyn Kind) -> &'static str {
    kind.tag().split(':').next().unwrap_or_default()
}

fn unknown(name: &str) -> Refusal {
    match name {
        // The base type of Rekor's models, which its decoder knows and its registry does not.
        "ProposedEntry" => Refusal::Invalid(format!("could not unmarshal entry for kind '{name}'")),
        _ => Refusal::UnknownKind(name.to_owned()),
    }
}
