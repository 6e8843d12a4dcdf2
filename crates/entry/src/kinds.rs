//! The registry of kinds.
//!
//! A new kind is one file here and one line in [`REGISTRY`]; its version is part of its line, so
//! that two versions of one kind are two lines. No other module tells kinds apart.

mod alpine;
mod artifact;
mod cose;
mod dsse;
mod dsse_v002;
mod hash;
mod hashedrekord;
mod hashedrekord_v002;
mod helm;
mod intoto_v001;
mod intoto_v002;
mod jar;
mod rekord;
mod rfc3161;
mod rpm;
mod tuf;

use pki::{Work, quoted};
use sigstore_protobuf_specs::dev::sigstore::rekor::v2::CreateEntryRequest;
use sigstore_protobuf_specs::dev::sigstore::rekor::v2::create_entry_request::Spec;

use crate::kind::{Kind, Proposal, split_tag, unknown_version};
use crate::refusal::Refusal;

/// Every kind in every version that this log accepts.
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

/// Returns kind and version of all kinds, such as `hashedrekord:0.0.1`.
pub fn kind_tags() -> impl Iterator<Item = &'static str> {
    REGISTRY.iter().map(|kind| kind.tag())
}

/// Returns the names of all kinds, each once.
pub fn kind_names() -> Vec<&'static str> {
    let mut names: Vec<&str> = REGISTRY.iter().map(|kind| kind.name()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Whether the artifact of a kind (`helm` or `rpm`) can be read. Does everything that a check does
/// but for the signature, which no fuzzer gets past.
pub fn is_readable(kind: &str, artifact: &[u8], work: &mut Work) -> bool {
    match kind {
        "helm" => helm::is_readable(artifact),
        "rpm" => rpm::is_readable(artifact, work),
        _ => false,
    }
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
            .find(|kind| split_tag(kind.tag()) == (name, version))
            .copied();
        kind.ok_or_else(|| unknown_version(name, &quoted(version)))
    }
}

/// Returns the kind of a request of Rekor v2 and the unchecked proposal in it.
pub(crate) fn of_v2_request(
    request: CreateEntryRequest,
) -> Result<(&'static dyn Kind, Box<dyn Proposal>), Refusal> {
    match request.spec {
        Some(Spec::HashedRekordRequestV002(request)) => Ok((
            &hashedrekord_v002::V002,
            Box::new(hashedrekord_v002::Request(request)),
        )),
        Some(Spec::DsseRequestV002(request)) => {
            Ok((&dsse_v002::V002, Box::new(dsse_v002::Request(request))))
        }
        None => Err(Refusal::Invalid(
            "invalid type, must be either hashedrekord or dsse".to_owned(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_found_by_its_tag() {
        for kind in REGISTRY {
            let (name, version) = split_tag(kind.tag());
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
