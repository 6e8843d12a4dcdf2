//! The JSON of the answers: members in Rekor's order, compact, one final newline, nothing added.

use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use ledger::{Head, InclusionProof, LoggedEntry, Shards};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use tlog::Hash;

use crate::app::App;
use crate::attestations::Attestations;
use crate::budget::Share;
use crate::entry_id::entry_id;
use crate::errors::{ApiError, JSON};
use crate::limits::ADMISSION_WAIT;
use crate::metrics::Refused;

/// The most that the other members of an entry take, with all names: entry ID, log ID and root hash have 208 digits, three numbers
/// 60, the signed entry timestamp 96 characters, names and punctuation some 250.
const FIELDS_BYTES: u64 = 1024;

/// One entry with its proof: an object whose only member is named by the entry ID.
pub(crate) struct LogEntry {
    id: String,
    fields: EntryFields,
}

#[derive(Serialize)]
struct EntryFields {
    #[serde(skip_serializing_if = "Option::is_none")]
    attestation: Option<AttestationData>,
    body: String,
    #[serde(rename = "integratedTime")]
    integrated_time: i64,
    #[serde(rename = "logID")]
    log_id: String,
    #[serde(rename = "logIndex")]
    log_index: u64,
    verification: Verification,
}

#[derive(Serialize)]
struct AttestationData {
    data: String,
}

#[derive(Serialize)]
struct Verification {
    #[serde(rename = "inclusionProof")]
    inclusion_proof: Proof,
    #[serde(rename = "signedEntryTimestamp")]
    signed_entry_timestamp: String,
}

#[derive(Serialize)]
struct Proof {
    checkpoint: String,
    hashes: Vec<String>,
    #[serde(rename = "logIndex")]
    leaf_index: u64,
    #[serde(rename = "rootHash")]
    root_hash: String,
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
        let shown = entry.attestation.as_ref().filter(|attestation| attestations.takes(&attestation.data));
        let fields = EntryFields {
            attestation: shown.map(|attestation| AttestationData { data: STANDARD.encode(&attestation.data) }),
            body: STANDARD.encode(&entry.body),
            integrated_time: entry.time,
            log_id: head.tree.log_id.to_string(),
            log_index: head.tree.first_log_index + entry.leaf_index.0,
            verification: Verification {
                inclusion_proof: Proof {
                    checkpoint: head.checkpoint_v1.clone(),
                    hashes: hashes_json(hashes),
                    leaf_index: entry.leaf_index.0,
                    root_hash: head.root.to_string(),
                    tree_size: head.size.0,
                },
                signed_entry_timestamp: STANDARD.encode(signed_entry_timestamp),
            },
        };
        Self { id: entry_id(head.tree.id, &entry.leaf_hash), fields }
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
    /// Oldest first; `null`, as Rekor writes it, where there is none.
    #[serde(rename = "inactiveShards")]
    inactive_shards: Option<Vec<ShardInfo>>,
    #[serde(flatten)]
    active: ShardInfo,
}

/// One shard.
#[derive(Serialize)]
struct ShardInfo {
    #[serde(rename = "rootHash")]
    root_hash: String,
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
        let frozen: Vec<ShardInfo> = shards.frozen().iter().map(|head| ShardInfo::new(head)).collect();
        let inactive_shards = (!frozen.is_empty()).then_some(frozen);
        Self { inactive_shards, active: ShardInfo::new(shards.active()) }
    }
}

impl ShardInfo {
    fn new(head: &Head) -> Self {
        Self {
            root_hash: head.root.to_string(),
            signed_tree_head: head.checkpoint_v1.clone(),
            tree_id: head.tree.id.to_string(),
            tree_size: head.size.0,
        }
    }
}

/// `GET /api/v1/log/proof`.
#[derive(Serialize)]
pub(crate) struct ConsistencyProof {
    hashes: Vec<String>,
    #[serde(rename = "rootHash")]
    root_hash: String,
}

impl ConsistencyProof {
    /// The proof, with the root of the *current* head, as Rekor gives it.
    pub(crate) fn new(hashes: &[Hash], head: &Head) -> Self {
        Self { hashes: hashes_json(hashes), root_hash: head.root.to_string() }
    }
}

/// The most that an entry without its attestation takes in an answer, with its proof in `head`.
pub(crate) fn most_bytes(entry: &LoggedEntry, head: &Head) -> u64 {
    // Hashes from leaf to root, and at the right edge one for each level at most; in quotes, with a comma.
    let proof = 67 * u64::from(64 - head.size.0.leading_zeros());
    // A line end is two characters.
    let checkpoint = 2 * head.checkpoint_v1.len() as u64;
    let body = entry.body.len().div_ceil(3) as u64 * 4;
    body + proof + checkpoint + FIELDS_BYTES
}

/// The most that one entry of this log takes in an answer.
pub(crate) fn entry_bytes(app: &App) -> u64 {
    let beyond_tiles = app.ledger.tree().max_leaf_bytes.saturating_sub(ledger::MAX_LEAF_BYTES);
    app.attestations.room_of_entry() + u64::from(beyond_tiles) * 4 / 3
}

/// Room for an answer of up to `bytes`, to be taken before the answer is made.
///
/// # Errors
///
/// 503 if no room came free in time.
pub(crate) async fn room(app: &App, bytes: u64) -> Result<Share, ApiError> {
    app.answers.admit(bytes).await.ok_or_else(|| {
        ApiError::unavailable(Refused::AnswerBudget, "too many answers at once", ADMISSION_WAIT.as_secs())
    })
}

/// An answer in JSON.
pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Response {
    answer(status, text(value).map(Bytes::from))
}

/// A successful answer in JSON that keeps its room until it is sent.
pub(crate) fn json_within(share: Share, value: &impl Serialize) -> Response {
    answer(StatusCode::OK, text(value).map(|text| Bytes::from_owner(Kept::new(text, share))))
}

/// A successful answer whose JSON is made already; see [`json_within`].
pub(crate) fn text_within(share: Share, text: String) -> Response {
    answer(StatusCode::OK, Ok(Bytes::from_owner(Kept::new(text, share))))
}

/// A text with its share of the answers in flight.
pub(crate) struct Kept {
    text: String,
    _share: Share,
}

impl Kept {
    /// A text that was made within `share`, of which it keeps its length.
    pub(crate) fn new(text: String, mut share: Share) -> Self {
        share.shrink_to(text.len() as u64);
        Self { text, _share: share }
    }
}

impl AsRef<[u8]> for Kept {
    fn as_ref(&self) -> &[u8] {
        self.text.as_bytes()
    }
}

fn answer(status: StatusCode, text: serde_json::Result<Bytes>) -> Response {
    match text {
        Ok(text) => (status, [(CONTENT_TYPE, JSON)], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "an answer could not be written");
            ApiError::unknown().into_response()
        }
    }
}

fn text(value: &impl Serialize) -> serde_json::Result<String> {
    let mut text = serde_json::to_string(value)?;
    text.push('\n');
    Ok(text)
}

fn hashes_json(hashes: &[Hash]) -> Vec<String> {
    hashes.iter().map(Hash::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(attestation: Option<AttestationData>) -> LogEntry {
        let inclusion_proof = Proof {
            checkpoint: "n - 258\n2\n<&>\n".into(),
            hashes: vec!["06".into()],
            leaf_index: 1,
            root_hash: "04".into(),
            tree_size: 2,
        };
        let fields = EntryFields {
            attestation,
            body: "e30=".into(),
            integrated_time: 7,
            log_id: "03".into(),
            log_index: 11,
            verification: Verification { inclusion_proof, signed_entry_timestamp: "AQID".into() },
        };
        LogEntry { id: "0102".into(), fields }
    }

    #[test]
    fn an_entry_has_rekors_members_in_rekors_order() {
        let text = |attestation| serde_json::to_string(&entry(attestation)).expect("plain data");
        let fields = "\"body\":\"e30=\",\"integratedTime\":7,\"logID\":\"03\",\"logIndex\":11,\"verification\":{\"inclusionProof\":\
                      {\"checkpoint\":\"n - 258\\n2\\n<&>\\n\",\"hashes\":[\"06\"],\"logIndex\":1,\"rootHash\":\"04\",\"treeSize\":2},\
                      \"signedEntryTimestamp\":\"AQID\"}";
        assert_eq!(text(None), format!("{{\"0102\":{{{fields}}}}}"));
        let attestation = AttestationData { data: "YQ==".into() };
        assert_eq!(text(Some(attestation)), format!("{{\"0102\":{{\"attestation\":{{\"data\":\"YQ==\"}},{fields}}}}}"));
    }

    #[test]
    fn log_info_and_consistency_proof() {
        let shard = |tree_id: &str| ShardInfo {
            root_hash: "04".into(),
            signed_tree_head: "n".into(),
            tree_id: tree_id.into(),
            tree_size: 2,
        };
        let info = LogInfo { inactive_shards: None, active: shard("258") };
        let active = r#""rootHash":"04","signedTreeHead":"n","treeID":"258","treeSize":2}"#;
        assert_eq!(serde_json::to_string(&info).expect("plain data"), format!(r#"{{"inactiveShards":null,{active}"#));
        let info = LogInfo { inactive_shards: Some(vec![shard("7")]), active: shard("258") };
        let frozen = r#"{"rootHash":"04","signedTreeHead":"n","treeID":"7","treeSize":2}"#;
        assert_eq!(
            serde_json::to_string(&info).expect("plain data"),
            format!(r#"{{"inactiveShards":[{frozen}],{active}"#)
        );
        let proof = ConsistencyProof { hashes: vec![], root_hash: "04".into() };
        assert_eq!(serde_json::to_string(&proof).expect("plain data"), r#"{"hashes":[],"rootHash":"04"}"#);
    }
}
