//! `tuf` 0.0.1: a document of The Update Framework and the root whose keys signed it, neither of
//! them expired.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::value::RawValue;

use super::hash::validated;
use crate::kind::{Canonical, Kind, Proposal, Purpose};
use crate::member::Member;
use crate::parts::{KeyFormat, KeyIndex, Parts};
use crate::refusal::Refusal;
use crate::search;
use pki::Key as _;
use pki::Work;
use pki::base64::decode_standard_base64;
use pki::jcs;
use pki::tuf::{Document, Root};

/// `tuf:0.0.1`.
pub(super) struct V001;

impl Kind for V001 {
    fn tag(&self) -> &'static str {
        "tuf:0.0.1"
    }

    fn decode(&self, spec: &RawValue) -> Result<Box<dyn Proposal>, Refusal> {
        Ok(Box::new(Spec::from_json(spec)?))
    }

    fn index_keys_of_leaf(&self, spec: &RawValue) -> Result<Option<Vec<String>>, Refusal> {
        let spec = Spec::from_json(spec)?;
        let work = &mut Work::of_accepted();
        Ok(Some(index_keys(
            &Document::parse(&spec.metadata, work)?,
            &Root::parse(&spec.root, work)?,
        )))
    }

    fn parts_of_leaf(&self, spec: &RawValue) -> Parts {
        let parts = Parts::new().indexed_by(KeyIndex::None);
        let Ok(read) = Spec::from_json(spec) else {
            return parts;
        };
        let work = &mut Work::of_request(read.metadata.len() + read.root.len());
        let document = Document::parse(&read.metadata, work);
        let root = Root::parse(&read.root, work);
        let index_keys = match (document, root) {
            (Ok(document), Ok(root)) => index_keys(&document, &root),
            _ => Vec::new(),
        };
        parts
            .with_index_keys(index_keys)
            .with_key_bytes(KeyFormat::Tuf, read.root)
    }
}

/// A spec whose documents are there.
struct Spec {
    /// JSON.
    metadata: Vec<u8>,
    /// JSON.
    root: Vec<u8>,
}

impl Proposal for Spec {
    fn check(self: Box<Self>, purpose: Purpose<'_>, work: &mut Work) -> Result<Canonical, Refusal> {
        let now = match purpose {
            Purpose::Insert { now, .. } | Purpose::LookUp { now } => now,
        };
        let document = Document::parse(&self.metadata, work)?;
        purpose.admit_leaf_with(document.canonical().len())?;
        let root = Root::parse(&self.root, work)?;
        purpose.admit_leaf_with(document.canonical().len() + root.canonical().len())?;
        root.verify(&document, now, work)?;
        let index_keys = index_keys(&document, &root);
        Ok(Canonical {
            leaf_bytes: leaf_bytes(&document, &root),
            index_keys,
            attestation: None,
            packages: Vec::new(),
        })
    }
}

impl Spec {
    fn from_json(spec: &RawValue) -> Result<Self, Refusal> {
        let [metadata, root] = Member::of(spec)
            .object(["metadata", "root"])?
            .unwrap_or_default();
        let mut faults = Vec::new();
        let metadata = content(metadata, "metadata", &mut faults)?;
        let root = content(root, "root", &mut faults)?;
        validated(faults)?;
        Ok(Self {
            metadata: metadata.unwrap_or_default(),
            root: root.unwrap_or_default(),
        })
    }
}

/// A document as an object, or as base64 of its text.
fn content(
    member: Member<'_>,
    name: &str,
    faults: &mut Vec<String>,
) -> Result<Option<Vec<u8>>, Refusal> {
    let Some([content]) = member.object(["content"])? else {
        faults.push(format!("{name} in body is required"));
        return Ok(None);
    };
    match content.text()? {
        Some(text) => decode(&text, name).map(Some),
        None => {
            let json = content.json().filter(|json| *json != "null");
            if json.is_none() {
                faults.push(format!("{name}.{name}.content in body is required"));
            }
            Ok(json.map(|json| json.as_bytes().to_vec()))
        }
    }
}

fn decode(text: &str, name: &str) -> Result<Vec<u8>, Refusal> {
    decode_standard_base64(text).map_err(|at| {
        let name = if name == "metadata" {
            "TUF metadata"
        } else {
            "TUF root"
        };
        Refusal::Invalid(format!(
            "base64 decoding {name} content: illegal base64 data at input byte {at}"
        ))
    })
}

/// The hash of the document, its role and version as it writes them, the hash of the root.
fn index_keys(document: &Document, root: &Root) -> Vec<String> {
    let keys = [
        hex::encode(tlog::sha256(document.canonical()).0),
        document.role().to_owned(),
        document.version().to_string(),
        search::key_hash(root),
    ];
    search::raw_keys(&keys)
}

/// Members in the order of RFC 8785.
fn leaf_bytes(document: &Document, root: &Root) -> Vec<u8> {
    let mut leaf =
        r#"{"apiVersion":"0.0.1","kind":"tuf","spec":{"metadata":{"content":""#.to_owned();
    STANDARD.encode_string(document.canonical(), &mut leaf);
    leaf += r#""},"root":{"content":""#;
    STANDARD.encode_string(root.canonical(), &mut leaf);
    leaf += r#""}"#;
    if !root.spec_version().is_empty() {
        leaf += r#","spec_version":"#;
        leaf += &jcs::string(root.spec_version());
    }
    leaf += "}}";
    leaf.into_bytes()
}
