//! `helm` 0.0.1: the provenance file of a Helm chart and the OpenPGP key that it is signed with.
//! The chart itself is not part of it.

mod provenance;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::value::RawValue;

use super::artifact;
use crate::kind::{Canonical, Kind, Proposal, Purpose, Weight};
use crate::member::Member;
use crate::parts::{KeyFormat, Parts};
use crate::refusal::Refusal;
use crate::search;
use pki::Work;
use pki::jcs;
use pki::{Key, Signature, pgp};
use provenance::Provenance;

/// `helm:0.0.1`.
pub(super) struct V001;

impl Kind for V001 {
    fn tag(&self) -> &'static str {
        "helm:0.0.1"
    }

    fn weight(&self) -> Weight {
        Weight::Heavy
    }

    /// `chart.hash` and `chart.provenance.signature` are what stored entries have; of a proposal
    /// they are no part.
    fn decode(&self, spec: &RawValue) -> Result<Box<dyn Proposal>, Refusal> {
        let [public_key, chart] = Member::of(spec)
            .object(["publicKey", "chart"])?
            .unwrap_or_default();
        let key = artifact::key_content(public_key)?;
        let mut faults = Vec::new();
        let mut content = Vec::new();
        match chart.object(["provenance"])? {
            None => faults.push("chart in body is required".to_owned()),
            Some([provenance]) => match provenance.object(["content"])? {
                None => faults.push("chart.chart.provenance in body is required".to_owned()),
                Some([provenance]) => content = provenance.base64("provenance content")?,
            },
        }
        let public_key = artifact::require_key(key, &mut faults);
        artifact::refuse(&faults)?;
        match content.is_empty() {
            true => Err(Refusal::Invalid(
                "'content' must be specified for provenance".to_owned(),
            )),
            false => Ok(Box::new(Spec {
                public_key,
                provenance: content,
            })),
        }
    }

    /// Rekor cannot tell them from the leaf bytes; but all that they are made of is there.
    fn index_keys_of_leaf(&self, spec: &RawValue) -> Result<Option<Vec<String>>, Refusal> {
        let [public_key, chart] = Member::of(spec)
            .object(["publicKey", "chart"])?
            .unwrap_or_default();
        let key = pgp::Key::parse(
            &artifact::key_content(public_key)?.unwrap_or_default(),
            &mut Work::of_accepted(),
        )?;
        let [hash] = chart.object(["hash"])?.unwrap_or_default();
        Ok(Some(index_keys(&key, artifact::hash_key_of_leaf(hash)?)))
    }

    fn parts_of_leaf(&self, spec: &RawValue) -> Parts {
        Parts::new().with_digest(spec, &["chart", "hash"]).with_key(
            spec,
            KeyFormat::Pgp,
            &["publicKey", "content"],
        )
    }
}

/// See [`super::is_readable`].
pub(super) fn is_readable(provenance: &[u8]) -> bool {
    Provenance::parse(provenance).is_ok()
}

struct Spec {
    public_key: Vec<u8>,
    provenance: Vec<u8>,
}

impl Proposal for Spec {
    fn check(self: Box<Self>, purpose: Purpose<'_>, work: &mut Work) -> Result<Canonical, Refusal> {
        let key: pgp::Key = purpose.parse_key(&self.public_key, work)?;
        purpose.admit_leaf_with(key.canonical().len())?;
        let provenance = Provenance::parse(&self.provenance)?;
        provenance.signed.verify(&key, work)?;
        provenance.check_algorithm()?;
        let hash = format!("{}:{}", provenance.algorithm, provenance.value);
        Ok(Canonical {
            leaf_bytes: leaf_bytes(&key, &provenance),
            index_keys: index_keys(&key, hash),
            attestation: None,
            packages: Vec::new(),
        })
    }
}

/// Members are in the order of RFC 8785.
fn leaf_bytes(key: &pgp::Key, provenance: &Provenance) -> Vec<u8> {
    let signature = provenance.signed.signature().canonical();
    let mut leaf = String::with_capacity(256 + (signature.len() + key.canonical().len()) / 2 * 3);
    leaf += r#"{"apiVersion":"0.0.1","kind":"helm","spec":{"chart":{"hash":{"algorithm":"#;
    leaf += &jcs::string(&provenance.algorithm);
    leaf += r#","value":"#;
    leaf += &jcs::string(&provenance.value);
    leaf += r#"},"provenance":{"signature":{"content":""#;
    STANDARD.encode_string(signature, &mut leaf);
    leaf += r#""}}},"publicKey":{"content":""#;
    STANDARD.encode_string(key.canonical(), &mut leaf);
    leaf += r#""}}}"#;
    leaf.into_bytes()
}

/// The key's hash (without a prefix), its e-mail addresses, the chart's hash.
fn index_keys(key: &pgp::Key, hash: String) -> Vec<String> {
    let mut keys = vec![search::key_hash(key)];
    keys.extend(search::key_names(key));
    keys.push(hash);
    keys
}
