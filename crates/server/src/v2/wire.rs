//! A `TransparencyLogEntry` as Rekor v2 writes it: as a protobuf message, and in protobuf's JSON.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ledger::{InclusionProof, LoggedEntry};
use serde::{Serialize, Serializer};
use sigstore_protobuf_specs::dev::sigstore::common::v1::LogId;
use sigstore_protobuf_specs::dev::sigstore::rekor::v1::{
    self, Checkpoint, KindVersion, TransparencyLogEntry,
};
use tlog::Hash;

/// Returns an entry with its proof. Size, root and checkpoint all belong to the proof's head.
/// Indexes are those in the tree, because to v2 each tree is a log. As in Rekor v2, there is
/// neither a time nor an inclusion promise.
pub(crate) fn log_entry(entry: &LoggedEntry, proof: &InclusionProof) -> TransparencyLogEntry {
    let InclusionProof { head, hashes } = proof;
    let (kind, version) = entry.kind.split_once(':').unwrap_or((&entry.kind, ""));
    let log_index = signed(entry.leaf_index.0);
    TransparencyLogEntry {
        log_index,
        log_id: Some(LogId {
            key_id: head.tree.log_id.0.to_vec(),
        }),
        kind_version: Some(KindVersion {
            kind: kind.to_owned(),
            version: version.to_owned(),
        }),
        integrated_time: 0,
        inclusion_promise: None,
        inclusion_proof: Some(v1::InclusionProof {
            log_index,
            root_hash: head.root.0.to_vec(),
            tree_size: signed(head.size.0),
            hashes: hashes.iter().map(|hash| hash.0.to_vec()).collect(),
            checkpoint: Some(Checkpoint {
                envelope: head.checkpoint.clone(),
            }),
        }),
        canonicalized_body: entry.body.to_vec(),
    }
}

/// The database ensures that sizes and indexes fit in 63 bits.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Writes an entry in JSON: members are in the order of their numbers, unset members are written as
/// well, and 64-bit numbers are texts.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LogEntry<'a> {
    log_index: String,
    log_id: Id,
    kind_version: Kind<'a>,
    #[serde(serialize_with = "text")]
    integrated_time: i64,
    inclusion_promise: Option<Promise>,
    inclusion_proof: Proof<'a>,
    canonicalized_body: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Id {
    key_id: String,
}

#[derive(Serialize)]
struct Kind<'a> {
    kind: &'a str,
    version: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Promise {
    signed_entry_timestamp: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Proof<'a> {
    log_index: String,
    root_hash: String,
    tree_size: String,
    hashes: Vec<String>,
    checkpoint: Envelope<'a>,
}

#[derive(Serialize)]
struct Envelope<'a> {
    envelope: &'a str,
}

impl<'a> LogEntry<'a> {
    /// Returns the same as [`log_entry`]. In a log of another API the checkpoint is the one that its
    /// API shows.
    pub(crate) fn new(entry: &'a LoggedEntry, proof: &'a InclusionProof) -> Self {
        let InclusionProof { head, hashes } = proof;
        let (kind, version) = entry.kind.split_once(':').unwrap_or((&entry.kind, ""));
        Self {
            log_index: entry.leaf_index.to_string(),
            log_id: Id {
                key_id: STANDARD.encode(head.tree.log_id.0),
            },
            kind_version: Kind { kind, version },
            integrated_time: 0,
            inclusion_promise: None,
            inclusion_proof: Proof {
                log_index: entry.leaf_index.to_string(),
                root_hash: STANDARD.encode(head.root.0),
                tree_size: head.size.to_string(),
                hashes: base64(hashes),
                checkpoint: Envelope {
                    envelope: head.shown_checkpoint(),
                },
            },
            canonicalized_body: STANDARD.encode(&entry.body),
        }
    }

    /// Returns an entry of a v1 log with all that a bundle has of it: its index counts through all
    /// trees, and it has a time, which the log has signed.
    pub(crate) fn of_v1(
        entry: &'a LoggedEntry,
        proof: &'a InclusionProof,
        signed_entry_timestamp: &[u8],
    ) -> Self {
        let log_index = proof.head.tree.first_log_index + entry.leaf_index.0;
        Self {
            log_index: log_index.to_string(),
            integrated_time: entry.time,
            inclusion_promise: Some(Promise {
                signed_entry_timestamp: STANDARD.encode(signed_entry_timestamp),
            }),
            ..Self::new(entry, proof)
        }
    }
}

/// A proof that one size of the tree is the beginning of another.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ConsistencyProof {
    first_size: String,
    last_size: String,
    hashes: Vec<String>,
}

impl ConsistencyProof {
    pub(crate) fn new(first: u64, last: u64, hashes: &[Hash]) -> Self {
        Self {
            first_size: first.to_string(),
            last_size: last.to_string(),
            hashes: base64(hashes),
        }
    }
}

fn text<S: Serializer>(number: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(number)
}

fn base64(hashes: &[Hash]) -> Vec<String> {
    hashes.iter().map(|hash| STANDARD.encode(hash.0)).collect()
}
