//! The JSON of the answers. Members are in Rekor's order, compact, with one final newline; no
//! member is added.

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use host::{JSON, Share};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use ledger::{Head, InclusionProof, LoggedEntry, Shards};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use tlog::Hash;

use super::errors::ApiError;
use crate::answer::Kept;
use crate::attestations::Attestations;
use crate::entry_id::entry_id;

/// Most bytes of the other members of an entry, with all names: entry ID, log ID and root hash have
/// 208 digits, three numbers 60, the signed entry timestamp 96 characters, names and punctuation
/// some 250.
const FIELDS_BYTES: u64 = 1024;

/// Bytes that most answers fit in, so that they are written without moving: an entry signed with a
/// key, and its proof in a tree of 10^6.
const USUAL_TEXT_BYTES: usize = 4 * 1024;

/// One entry with its proof: an object whose only member is named by the entry ID.
pub(crate) struct LogEntry {
    id: String,
    fields: EntryFields,
}

#[derive(Serialize)]
struct EntryFields {
    #[serde(skip_serializing_if = "Option::is_none")]
    attestation: Option<AttestationData>,
    #[serde(serialize_with = "base64")]
    body: Arc<[u8]>,
    #[serde(rename = "integratedTime")]
    integrated_time: i64,
    #[serde(rename = "logID", serialize_with = "hex")]
    log_id: Hash,
    #[serde(rename = "logIndex")]
    log_index: u64,
    verification: Verification,
}

#[derive(Serialize)]
struct AttestationData {
    #[serde(serialize_with = "base64")]
    data: Vec<u8>,
}

#[derive(Serialize)]
struct Verification {
    #[serde(rename = "inclusionProof")]
    inclusion_proof: Proof,
    #[serde(rename = "signedEntryTimestamp", serialize_with = "base64")]
    signed_entry_timestamp: Vec<u8>,
}

#[derive(Serialize)]
struct Proof {
    checkpoint: String,
    #[serde(serialize_with = "hex_list")]
    hashes: Vec<Hash>,
    #[serde(rename = "logIndex")]
    leaf_index: u64,
    #[serde(rename = "rootHash", serialize_with = "hex")]
    root_hash: Hash,
    #[serde(rename = "treeSize")]
    tree_size: u64,
}

impl LogEntry {
    /// An entry and its proof. Root, size and checkpoint all come from the proof's head.
    pub(crate) fn new(
        entry: &LoggedEntry,
        signed_entry_timestamp: &[u8],
        proof: &InclusionProof,
        attestations: Attestations,
    ) -> Self {
        let InclusionProof { head, hashes } = proof;
        let shown = entry
            .attestation
            .as_ref()
            .filter(|attestation| attestations.takes(&attestation.data));
        let fields = EntryFields {
            attestation: shown.map(|attestation| AttestationData {
                data: attestation.data.clone(),
            }),
            body: Arc::clone(&entry.body),
            integrated_time: entry.time,
            log_id: head.tree.log_id,
            log_index: head.tree.first_log_index + entry.leaf_index.0,
            verification: Verification {
                inclusion_proof: Proof {
                    checkpoint: head.shown_checkpoint().to_owned(),
                    hashes: hashes.clone(),
                    leaf_index: entry.leaf_index.0,
                    root_hash: head.root,
                    tree_size: head.size.0,
                },
                signed_entry_timestamp: signed_entry_timestamp.to_vec(),
            },
        };
        Self {
            id: entry_id(head.tree.id, &entry.leaf_hash),
            fields,
        }
    }

    /// Its ID.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }
}

impl Serialize for LogEntry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(&self.id, &self.fields)?;
        map.end()
    }
}

/// `GET /api/v1/log`.
#[derive(Serialize)]
pub(crate) struct LogInfo {
    /// Oldest first. If there are no frozen shards, `null`, as Rekor writes it.
    #[serde(rename = "inactiveShards")]
    inactive_shards: Option<Vec<ShardInfo>>,
    #[serde(flatten)]
    active: ShardInfo,
}

/// One shard.
#[derive(Serialize)]
struct ShardInfo {
    #[serde(rename = "rootHash", serialize_with = "hex")]
    root_hash: Hash,
    #[serde(rename = "signedTreeHead")]
    signed_tree_head: String,
    #[serde(rename = "treeID")]
    tree_id: String,
    #[serde(rename = "treeSize")]
    tree_size: u64,
}

impl LogInfo {
    /// The heads of a log.
    pub(crate) fn new(shards: &Shards) -> Self {
        let frozen: Vec<ShardInfo> = shards
            .frozen()
            .iter()
            .map(|head| ShardInfo::new(head))
            .collect();
        let inactive_shards = (!frozen.is_empty()).then_some(frozen);
        Self {
            inactive_shards,
            active: ShardInfo::new(shards.active()),
        }
    }
}

impl ShardInfo {
    fn new(head: &Head) -> Self {
        Self {
            root_hash: head.root,
            signed_tree_head: head.shown_checkpoint().to_owned(),
            tree_id: head.tree.id.to_string(),
            tree_size: head.size.0,
        }
    }
}

/// `GET /api/v1/log/proof`.
#[derive(Serialize)]
pub(crate) struct ConsistencyProof {
    #[serde(serialize_with = "hex_list")]
    hashes: Vec<Hash>,
    #[serde(rename = "rootHash", serialize_with = "hex")]
    root_hash: Hash,
}

impl ConsistencyProof {
    /// The proof, with the root of the *current* head, as Rekor gives it.
    pub(crate) fn new(hashes: Vec<Hash>, head: &Head) -> Self {
        Self {
            hashes,
            root_hash: head.root,
        }
    }
}

/// Returns the most bytes of an entry in an answer, without its attestation and with its proof in
/// `head`.
pub(crate) fn most_bytes(entry: &LoggedEntry, head: &Head) -> u64 {
    // Hashes from leaf to root, and at the right edge at most one for each level, each in quotes
    // and with a comma.
    let proof = 67 * u64::from(64 - head.size.0.leading_zeros());
    // A line end is two characters.
    let checkpoint = 2 * head.shown_checkpoint().len() as u64;
    let body = entry.body.len().div_ceil(3) as u64 * 4;
    body + proof + checkpoint + FIELDS_BYTES
}

/// An answer in JSON.
pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Response {
    match json_bytes(value) {
        Ok(text) => (status, [(CONTENT_TYPE, JSON)], text).into_response(),
        Err(error) => error.into_response(),
    }
}

/// The text of an answer in JSON.
pub(crate) fn json_bytes(value: &impl Serialize) -> Result<Bytes, ApiError> {
    text(value).map(Bytes::from)
}

/// Returns a successful answer of JSON that was written before.
pub(crate) fn json_text(text: Bytes) -> Response {
    ([(CONTENT_TYPE, JSON)], text).into_response()
}

/// A successful answer in JSON that keeps its room until it is sent.
pub(crate) fn json_within(share: Share, value: &impl Serialize) -> Response {
    match text(value) {
        Ok(text) => json_text(Bytes::from_owner(Kept::new(text, share))),
        Err(error) => error.into_response(),
    }
}

/// The answer to a client whose entry is in the log now; see [`json_within`].
pub(crate) fn created_within(share: Share, value: &impl Serialize) -> Response {
    match text(value) {
        Ok(text) => {
            let text = Bytes::from_owner(Kept::new(text, share));
            (StatusCode::CREATED, [(CONTENT_TYPE, JSON)], text).into_response()
        }
        Err(error) => error.into_response(),
    }
}

/// A successful answer whose JSON is made already; see [`json_within`].
pub(crate) fn text_within(share: Share, text: String) -> Response {
    json_text(Bytes::from_owner(Kept::new(text, share)))
}

fn text(value: &impl Serialize) -> Result<String, ApiError> {
    let mut text = Vec::with_capacity(USUAL_TEXT_BYTES);
    let written = serde_json::to_writer(&mut text, value);
    text.push(b'\n');
    // What serde_json writes is UTF-8.
    let text = String::from_utf8(text);
    text.ok().filter(|_| written.is_ok()).ok_or_else(|| {
        tracing::error!(?written, "an answer could not be written");
        ApiError::unknown()
    })
}

fn hex<S: Serializer>(hash: &Hash, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(hash)
}

fn hex_list<S: Serializer>(hashes: &[Hash], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(hashes.iter().map(Hex))
}

struct Hex<'h>(&'h Hash);

impl Serialize for Hex<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        hex(self.0, serializer)
    }
}

fn base64<S: Serializer>(bytes: &impl AsRef<[u8]>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&Base64Display::new(bytes.as_ref(), &STANDARD))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(attestation: Option<AttestationData>) -> LogEntry {
        let inclusion_proof = Proof {
            checkpoint: "n - 258\n2\n<&>\n".into(),
            hashes: vec![Hash([6; 32])],
            leaf_index: 1,
            root_hash: Hash([4; 32]),
            tree_size: 2,
        };
        let fields = EntryFields {
            attestation,
            body: Arc::from(*b"{}"),
            integrated_time: 7,
            log_id: Hash([3; 32]),
            log_index: 11,
            verification: Verification {
                inclusion_proof,
                signed_entry_timestamp: vec![1, 2, 3],
            },
        };
        LogEntry {
            id: "0102".into(),
            fields,
        }
    }

    #[test]
    fn an_entry_has_rekors_members_in_rekors_order() {
        let text = |attestation| serde_json::to_string(&entry(attestation)).expect("plain data");
        let [log_id, root, hash] = [3, 4, 6].map(|byte| Hash([byte; 32]));
        let fields = format!(
            "\"body\":\"e30=\",\"integratedTime\":7,\"logID\":\"{log_id}\",\"logIndex\":11,\"verification\":{{\"inclusionProof\":\
             {{\"checkpoint\":\"n - 258\\n2\\n<&>\\n\",\"hashes\":[\"{hash}\"],\"logIndex\":1,\"rootHash\":\"{root}\",\"treeSize\":2}},\
             \"signedEntryTimestamp\":\"AQID\"}}"
        );
        assert_eq!(text(None), format!("{{\"0102\":{{{fields}}}}}"));
        let attestation = AttestationData {
            data: b"a".to_vec(),
        };
        assert_eq!(
            text(Some(attestation)),
            format!("{{\"0102\":{{\"attestation\":{{\"data\":\"YQ==\"}},{fields}}}}}")
        );
    }

    #[test]
    fn log_info_and_consistency_proof() {
        let shard = |tree_id: &str| ShardInfo {
            root_hash: Hash([4; 32]),
            signed_tree_head: "n".into(),
            tree_id: tree_id.into(),
            tree_size: 2,
        };
        let info = LogInfo {
            inactive_shards: None,
            active: shard("258"),
        };
        let root = Hash([4; 32]);
        let active =
            format!(r#""rootHash":"{root}","signedTreeHead":"n","treeID":"258","treeSize":2}}"#);
        assert_eq!(
            serde_json::to_string(&info).expect("plain data"),
            format!(r#"{{"inactiveShards":null,{active}"#)
        );
        let info = LogInfo {
            inactive_shards: Some(vec![shard("7")]),
            active: shard("258"),
        };
        let frozen =
            format!(r#"{{"rootHash":"{root}","signedTreeHead":"n","treeID":"7","treeSize":2}}"#);
        assert_eq!(
            serde_json::to_string(&info).expect("plain data"),
            format!(r#"{{"inactiveShards":[{frozen}],{active}"#)
        );
        let proof = ConsistencyProof {
            hashes: vec![],
            root_hash: root,
        };
        assert_eq!(
            serde_json::to_string(&proof).expect("plain data"),
            format!(r#"{{"hashes":[],"rootHash":"{root}"}}"#)
        );
    }
}
