//! `rpm` 0.0.1: a signed RPM package and the OpenPGP key that it is signed with.

mod header;
mod package;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::value::RawValue;

use super::artifact::{self, Artifact};
use crate::kind::{Canonical, Kind, Proposal, Purpose, Weight};
use crate::member::Member;
use crate::parts::{KeyFormat, Parts};
use crate::refusal::Refusal;
use crate::search;
use package::Package;
use pki::Work;
use pki::jcs;
use pki::{Key, pgp};

/// `rpm:0.0.1`.
pub(super) struct V001;

impl Kind for V001 {
    fn tag(&self) -> &'static str {
        "rpm:0.0.1"
    }

    fn weight(&self) -> Weight {
        Weight::Heavy
    }

    fn decode(&self, spec: &RawValue) -> Result<Box<dyn Proposal>, Refusal> {
        let [public_key, package] = Member::of(spec)
            .object(["publicKey", "package"])?
            .unwrap_or_default();
        let key = artifact::key_content(public_key)?;
        let mut faults = Vec::new();
        let package = Artifact::decode(package, "package", &mut faults)?;
        let public_key = artifact::require_key(key, &mut faults);
        artifact::refuse(&faults)?;
        let package = package.ok_or_else(|| Refusal::Invalid("missing package".to_owned()))?;
        package.validate()?;
        Ok(Box::new(Spec {
            public_key,
            package,
        }))
    }

    fn index_keys_of_leaf(&self, spec: &RawValue) -> Result<Option<Vec<String>>, Refusal> {
        let [public_key, package] = Member::of(spec)
            .object(["publicKey", "package"])?
            .unwrap_or_default();
        let key = pgp::Key::parse(
            &artifact::key_content(public_key)?.unwrap_or_default(),
            &mut Work::of_accepted(),
        )?;
        let [hash] = package.object(["hash"])?.unwrap_or_default();
        Ok(Some(index_keys(&key, artifact::hash_key_of_leaf(hash)?)))
    }

    fn parts_of_leaf(&self, spec: &RawValue) -> Parts {
        Parts::new()
            .with_digest(spec, &["package", "hash"])
            .with_key(spec, KeyFormat::Pgp, &["publicKey", "content"])
    }
}

/// See [`super::is_readable`].
pub(super) fn is_readable(package: &[u8], work: &mut Work) -> bool {
    Package::read(package, work).is_ok_and(|package| package.facts().is_ok())
}

struct Spec {
    public_key: Vec<u8>,
    package: Artifact,
}

impl Proposal for Spec {
    fn check(self: Box<Self>, purpose: Purpose<'_>, work: &mut Work) -> Result<Canonical, Refusal> {
        self.package.require_content(purpose, "package")?;
        let key: pgp::Key = purpose.parse_key(&self.public_key, work)?;
        purpose.admit_leaf_with(key.canonical().len())?;
        let hash = self.package.sha256(work)?;
        let package = Package::read(&self.package.content, work).map_err(Refusal::invalid)?;
        package.verify(&key, work).map_err(Refusal::invalid)?;
        let leaf_bytes = leaf_bytes(&key, &hash, &package).map_err(Refusal::invalid)?;
        Ok(Canonical {
            leaf_bytes,
            index_keys: index_keys(&key, format!("sha256:{hash}")),
            attestation: None,
            packages: Vec::new(),
        })
    }
}

/// Members are in the order of RFC 8785.
fn leaf_bytes(
    key: &pgp::Key,
    hash: &str,
    package: &Package<'_>,
) -> Result<Vec<u8>, package::PackageError> {
    let mut leaf = String::with_capacity(512 + key.canonical().len() / 2 * 3);
    leaf += r#"{"apiVersion":"0.0.1","kind":"rpm","spec":{"package":{"hash":{"algorithm":"sha256","value":""#;
    leaf += hash;
    leaf += r#""},"headers":"#;
    leaf += &jcs::object(&package.facts()?);
    leaf += r#"},"publicKey":{"content":""#;
    STANDARD.encode_string(key.canonical(), &mut leaf);
    leaf += r#""}}}"#;
    Ok(leaf.into_bytes())
}

/// The key's hash (without a prefix), its e-mail addresses, the package's hash.
fn index_keys(key: &pgp::Key, hash: String) -> Vec<String> {
    let mut keys = vec![search::key_hash(key)];
    keys.extend(search::key_names(key));
    keys.push(hash);
    keys
}
