//! The log entries of a bundle: that a trusted log shows them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sigstore_verify::types::bundle::InclusionProof;
use sigstore_verify::types::{KindVersion, MediaType, TransparencyLogEntry};
use tlog::{Hash, KeyAlgorithm, LeafIndex, TreeSize};

use super::error::{BundleError, Result, check_not_later};
use super::read::Bundle;
use super::trust::TrustRoot;
use crate::error::{self, VerifyError, require};
use crate::head::SignedHead;
use crate::key::{LogKey, Window};
use crate::proof::Inclusion;
use crate::v1::Timestamp;

/// A log entry of a bundle that was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logged {
    /// Kind and version, such as `hashedrekord 0.0.1`.
    pub kind: String,
    /// The index in the log. In Rekor v1 it counts through all trees.
    pub log_index: u64,
    /// The leaf bytes.
    pub body: Vec<u8>,
    /// The time that the log signed, Unix seconds. Rekor v2 signs none.
    pub time: Option<i64>,
    /// How the log shows it.
    pub shown: Shown,
    /// The time in which the log takes entries, as the trust root says.
    pub window: Window,
}

/// How a log shows an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    /// It is in a tree whose head the log signed.
    Included(Box<Inclusion>),
    /// The log promised to include it, and did not prove that it did: a bundle of version 0.1 may
    /// hold no more. Has the ID of the log.
    Promised(Hash),
}

/// Verifies each log entry. None may be left over.
pub(super) fn verify(bundle: &Bundle, trust: &TrustRoot, now: i64) -> Result<Vec<Logged>> {
    let mut logged = Vec::new();
    for (number, entry) in bundle.entries().iter().enumerate() {
        let may_be_promised = bundle.content.media_type == MediaType::Bundle0_1;
        let fault = |source| BundleError::Log { number, source };
        let verified = verify_one(entry, trust).map_err(fault)?;
        if !may_be_promised && matches!(verified.shown, Shown::Promised(_)) {
            return Err(fault(mismatch("it has no inclusion proof")));
        }
        check_clock(&verified, number, now)?;
        logged.push(verified);
    }
    Ok(logged)
}

/// What happened later than now did not happen, or the clock is slow.
fn check_clock(logged: &Logged, number: usize, now: i64) -> Result<()> {
    if let Some(time) = logged.time {
        let what = || format!("the time that the log signed in entry {number}");
        check_not_later(time, now, what)?;
    }
    let what = || format!("the first use of the key that signed entry {number}");
    check_not_later(logged.window.start, now, what)
}

fn verify_one(entry: &TransparencyLogEntry, trust: &TrustRoot) -> error::Result<Logged> {
    let id = Hash::try_from(entry.log_id.key_id.as_bytes())?;
    let key = trust.log(&id);
    let key = key.ok_or_else(|| {
        mismatch(format!(
            "it is of log {id}, which the trust root does not name"
        ))
    })?;
    let kind = kind(entry)?;
    let body = entry.canonicalized_body.as_bytes();
    let inclusion = match &entry.inclusion_proof {
        Some(proof) => Some(included(entry, proof, key, trust, &id)?),
        None => None,
    };
    let time = timestamp(entry, key, &id)?;
    let shown = match (inclusion, time) {
        (Some(inclusion), _) => Shown::Included(Box::new(inclusion)),
        (None, Some(_)) => Shown::Promised(id),
        (None, None) => return Err(mismatch("it has neither an inclusion proof nor a promise")),
    };
    Ok(Logged {
        kind,
        log_index: entry.log_index.get(),
        body: body.to_vec(),
        time,
        shown,
        window: key.window(),
    })
}

/// Returns kind and version. What the bundle says beside the leaf must be what the leaf says.
fn kind(entry: &TransparencyLogEntry) -> error::Result<String> {
    let body: Value = serde_json::from_slice(entry.canonicalized_body.as_bytes())
        .map_err(VerifyError::expected("the leaf of an entry"))?;
    let stated = (body["kind"].as_str(), body["apiVersion"].as_str());
    let claimed = (entry.kind_version.kind(), entry.kind_version.version());
    require(stated == (Some(claimed.0), Some(claimed.1)), || {
        format!(
            "the bundle calls it {} {}, its leaf another kind",
            claimed.0, claimed.1
        )
    })?;
    Ok(format!("{} {}", claimed.0, claimed.1))
}

fn included(
    entry: &TransparencyLogEntry,
    proof: &InclusionProof,
    key: &LogKey,
    trust: &TrustRoot,
    id: &Hash,
) -> error::Result<Inclusion> {
    let index = proof.log_index.get();
    if entry.kind_version == KindVersion::HashedRekordV002 {
        let outer = entry.log_index.get();
        require(outer == index, || {
            format!("it is entry {outer}, and its proof is of entry {index}")
        })?;
    }
    let head = SignedHead::open(std::slice::from_ref(key), proof.checkpoint.envelope());
    let head = head.map_err(|error| error.within("checkpoint"))?;
    check_name(&head, trust, id)?;
    let root = Hash(*proof.root_hash.as_bytes());
    require(
        (head.size(), *head.root()) == (TreeSize(proof.tree_size), root),
        || "the checkpoint is of another head".into(),
    )?;
    let hashes = proof.hashes.iter().map(|hash| Hash(*hash.as_bytes()));
    let leaf_hash = tlog::leaf_hash(entry.canonicalized_body.as_bytes());
    Inclusion::verify(leaf_hash, LeafIndex(index), hashes.collect(), head)
}

/// Checks the name in the origin. The ID of an Ed25519 log contains it, and a log of Rekor v1 has
/// any name before its tree ID. Otherwise it is the host in the log's URL.
fn check_name(head: &SignedHead, trust: &TrustRoot, id: &Hash) -> error::Result<()> {
    let signer = &head.signer;
    let is_in_id = signer.key().algorithm() == KeyAlgorithm::Ed25519 && signer.key_hash() == *id;
    if head.tree_id().is_some() || is_in_id {
        return Ok(());
    }
    let host = trust.host(id).unwrap_or_default();
    require(head.origin() == host, || {
        format!(
            "the origin is {}, and the trust root says that the log is {host}",
            head.origin()
        )
    })
}

/// Returns the time in the signed entry timestamp. A time that no timestamp signs is no time.
fn timestamp(entry: &TransparencyLogEntry, key: &LogKey, id: &Hash) -> error::Result<Option<i64>> {
    let Some(promise) = &entry.inclusion_promise else {
        return Ok(None);
    };
    let time = entry.integrated_time.map(|time| time.as_second());
    let seconds = time.and_then(|time| u64::try_from(time).ok());
    let seconds = seconds.ok_or_else(|| mismatch("it has a promise without a time"))?;
    let timestamp = Timestamp {
        body: &entry.canonicalized_body.to_base64(),
        integrated_time: seconds,
        log_id: &id.to_string(),
        log_index: entry.log_index.get(),
        signature: &STANDARD.encode(promise.signed_entry_timestamp.as_bytes()),
    };
    let verified = timestamp.verify(std::slice::from_ref(key));
    verified.map_err(|error| error.within("signed entry timestamp"))?;
    Ok(time)
}

/// Returns the ID of the log that an entry names, in hexadecimal.
pub(super) fn log_id(entry: &TransparencyLogEntry) -> String {
    hex::encode(entry.log_id.key_id.as_bytes())
}

fn mismatch(reason: impl Into<String>) -> VerifyError {
    VerifyError::Mismatch(reason.into())
}
