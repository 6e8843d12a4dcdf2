//! `alpine` 0.0.1: a signed Alpine package (APK v2) and the key that it is signed with.

mod apk;
mod pkginfo;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::value::RawValue;

use super::artifact::{self, Artifact};
use crate::kind::{Canonical, Kind, Proposal, Purpose, Weight};
use crate::member::Member;
use crate::parts::{KeyFormat, Parts};
use crate::refusal::Refusal;
use crate::search;
use apk::Package;
use pki::Work;
use pki::jcs;
use pki::x509::Key;

/// `alpine:0.0.1`.
pub(super) struct V001;

impl Kind for V001 {
    fn tag(&self) -> &'static str {
        "alpine:0.0.1"
    }

    fn weight(&self) -> Weight {
        Weight::Heavy
    }

    fn decode(&self, spec: &RawValue) -> Result<Box<dyn Proposal>, Refusal> {
        let [public_key, package] = Member::of(spec)
            .object(["publicKey", "package"])?
            .unwrap_or_default();
        let [public_key] = public_key.object(["content"])?.unwrap_or_default();
        let public_key = public_key.base64("public key content")?;
        let mut faults = Vec::new();
        let package = Artifact::decode(package, "package", &mut faults)?;
        if public_key.is_empty() {
            faults.push("publicKey in body is required".to_owned());
        }
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
        let [public_key] = public_key.object(["content"])?.unwrap_or_default();
        let key = Key::from_pem(&public_key.base64("public key content")?)?;
        let [hash] = package.object(["hash"])?.unwrap_or_default();
        Ok(Some(index_keys(&key, artifact::hash_key_of_leaf(hash)?)))
    }

    fn parts_of_leaf(&self, spec: &RawValue) -> Parts {
        Parts::new()
            .with_digest(spec, &["package", "hash"])
            .with_key(spec, KeyFormat::Pem, &["publicKey", "content"])
    }
}

struct Spec {
    /// PEM.
    public_key: Vec<u8>,
    package: Artifact,
}

impl Proposal for Spec {
    fn check(self: Box<Self>, purpose: Purpose<'_>, work: &mut Work) -> Result<Canonical, Refusal> {
        self.package.require_content(purpose, "package")?;
        let key = Key::from_pem(&self.public_key)?;
        let hash = self.package.sha256(work)?;
        let package = Package::read(&self.package.content, work).map_err(Refusal::invalid)?;
        key.public_key()
            .verify_hash(&package.control_sha1, &package.signature, work)
            .map_err(Refusal::invalid)?;
        Ok(Canonical {
            leaf_bytes: leaf_bytes(&key, &hash, &package),
            index_keys: index_keys(&key, format!("sha256:{hash}")),
            attestation: None,
            packages: Vec::new(),
        })
    }
}

/// Members are in the order of RFC 8785.
fn leaf_bytes(key: &Key, hash: &str, package: &Package) -> Vec<u8> {
    let mut leaf = String::with_capacity(512 + key.canonical().len() / 2 * 3);
    leaf += r#"{"apiVersion":"0.0.1","kind":"alpine","spec":{"package":{"hash":{"algorithm":"sha256","value":""#;
    leaf += hash;
    leaf += r#""},"pkginfo":"#;
    leaf += &jcs::object(&package.info.0);
    leaf += r#"},"publicKey":{"content":""#;
    STANDARD.encode_string(key.canonical(), &mut leaf);
    leaf += r#""}}}"#;
    leaf.into_bytes()
}

/// The key's hash (without a prefix), the certificate's names, the package's hash.
fn index_keys(key: &Key, hash: String) -> Vec<String> {
    let mut keys = vec![search::key_hash(key)];
    keys.extend(search::key_names(key));
    keys.push(hash);
    keys
}
