//! The JSON of `/trees/{treeID}/rows/{size}`: stored rounds of a tree, for `treehead recover`.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ledger::recover::{CopiedEntry, CopiedRound, Page};
use ledger::store::{
    Attestation, FinalCheckpoint, HeadRow, KeyRole, KeyRow, PublicationRow, TreeRow, TreeState,
};
use ledger::{NewClaim, TreeId, TreeRows};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use tlog::{Hash, TreeSize};

use crate::attestations::Attestations;

/// Rounds of a tree that follow each other, and what is stored beside rounds.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rows {
    trees: Vec<Tree>,
    rounds: Vec<Round>,
    publication: Option<Publication>,
    last: Option<Last>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Tree {
    /// Decimal, because JSON numbers of some readers have 53 bits.
    #[serde(rename = "treeID")]
    tree_id: String,
    name: String,
    api: String,
    origin: String,
    first_log_index: u64,
    max_leaf_bytes: u32,
    is_frozen: bool,
    created_at: i64,
    frozen_at: Option<i64>,
    log_key: Bytes,
    checkpoint_key: Option<Bytes>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Round {
    size: u64,
    root_hash: HexHash,
    time: i64,
    entries: Vec<Entry>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    kind: String,
    body: Bytes,
    index_keys: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    claims: Vec<Claim>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signed_entry_timestamp: Option<Bytes>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    is_attested: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    attestation: Option<AttestationBytes>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Claim {
    name: String,
    /// By aspect.
    values: BTreeMap<i16, Bytes>,
}

#[derive(Debug, Serialize, Deserialize)]
struct AttestationBytes {
    digest: HexHash,
    data: Bytes,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Publication {
    size: u64,
    root_hash: HexHash,
    time: i64,
    checkpoint: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Last {
    rekor_checkpoint: Option<String>,
    checkpoint: String,
    freeze_note: String,
    receipt_signature: Bytes,
}

impl Rows {
    /// Makes the answer. `trees` are those of the log. An attestation that this server does not show
    /// is left out.
    pub(crate) fn new(trees: Vec<TreeRow>, rows: TreeRows, shown: Attestations) -> Self {
        let rounds = rows.page.rounds.into_iter();
        let publication = rows.publication.map(|row| Publication {
            size: row.size.0,
            root_hash: HexHash(row.root),
            time: row.time,
            checkpoint: row.checkpoint,
        });
        let last = rows.last.map(|last| Last {
            rekor_checkpoint: last.rekor_checkpoint,
            checkpoint: last.checkpoint,
            freeze_note: last.freeze_note,
            receipt_signature: Bytes(last.receipt_signature),
        });
        Self {
            trees: trees.into_iter().map(Tree::from).collect(),
            rounds: rounds.map(|round| Round::new(round, shown)).collect(),
            publication,
            last,
        }
    }

    /// Returns the trees of the log, oldest first.
    pub fn trees(&self) -> Vec<TreeRow> {
        self.trees.iter().map(Tree::to_row).collect()
    }

    /// Returns the newest publication as the one that follows a publication of size `after`.
    pub fn publication(&self, after: Option<TreeSize>) -> Option<PublicationRow> {
        let newest = self.publication.as_ref()?;
        let row = PublicationRow {
            prev_size: after,
            size: TreeSize(newest.size),
            root: newest.root_hash.0,
            time: newest.time,
            checkpoint: newest.checkpoint.clone(),
        };
        Some(row).filter(|row| after.is_none_or(|after| row.size > after))
    }

    /// Returns the last checkpoints of the tree, if it is finished.
    pub fn last(&self) -> Option<FinalCheckpoint> {
        let last = self.last.as_ref()?;
        Some(FinalCheckpoint {
            rekor_checkpoint: last.rekor_checkpoint.clone(),
            checkpoint: last.checkpoint.clone(),
            freeze_note: last.freeze_note.clone(),
            receipt_signature: last.receipt_signature.0.clone(),
        })
    }

    /// Returns the rounds that follow the size `from`, none beyond `end`.
    pub fn into_page(self, from: TreeSize, end: TreeSize) -> Page {
        let mut prev_size = from;
        let mut rounds = Vec::with_capacity(self.rounds.len());
        for round in self.rounds {
            if round.size > end.0 {
                break;
            }
            let head = HeadRow {
                prev_size,
                size: TreeSize(round.size),
                root: round.root_hash.0,
                time: round.time,
            };
            prev_size = head.size;
            let entries = round.entries.into_iter().map(Entry::into_copied);
            rounds.push(CopiedRound {
                head,
                entries: entries.collect(),
            });
        }
        Page { rounds }
    }
}

impl From<TreeRow> for Tree {
    fn from(row: TreeRow) -> Self {
        let key = |role| {
            let mut keys = row.keys.iter();
            let key = keys.find(|key| key.role == role);
            key.map(|key| Bytes(key.spki.clone()))
        };
        Self {
            tree_id: row.tree_id.to_string(),
            log_key: key(KeyRole::Log).unwrap_or_default(),
            checkpoint_key: key(KeyRole::Checkpoint),
            name: row.name,
            api: row.api,
            origin: row.origin,
            first_log_index: row.first_log_index,
            max_leaf_bytes: row.max_leaf_bytes,
            is_frozen: row.state == TreeState::Frozen,
            created_at: row.created_at,
            frozen_at: row.frozen_at,
        }
    }
}

impl Tree {
    fn to_row(&self) -> TreeRow {
        let key = |role, spki: &Bytes| KeyRow {
            role,
            spki: spki.0.clone(),
        };
        let checkpoint_key = self.checkpoint_key.as_ref();
        let checkpoint_key = checkpoint_key.map(|spki| key(KeyRole::Checkpoint, spki));
        let log_key = key(KeyRole::Log, &self.log_key);
        TreeRow {
            // No tree has the ID 0.
            tree_id: TreeId(self.tree_id.parse().unwrap_or_default()),
            name: self.name.clone(),
            api: self.api.clone(),
            origin: self.origin.clone(),
            first_log_index: self.first_log_index,
            max_leaf_bytes: self.max_leaf_bytes,
            state: match self.is_frozen {
                true => TreeState::Frozen,
                false => TreeState::Active,
            },
            created_at: self.created_at,
            frozen_at: self.frozen_at,
            keys: [log_key].into_iter().chain(checkpoint_key).collect(),
        }
    }
}

impl Round {
    fn new(round: CopiedRound, shown: Attestations) -> Self {
        let entries = round.entries.into_iter();
        Self {
            size: round.head.size.0,
            root_hash: HexHash(round.head.root),
            time: round.head.time,
            entries: entries.map(|entry| Entry::new(entry, shown)).collect(),
        }
    }
}

impl Entry {
    fn new(entry: CopiedEntry, shown: Attestations) -> Self {
        let attestation = entry.attestation.filter(|kept| {
            let is_erased = kept.data.is_empty();
            is_erased || shown.takes(&kept.data)
        });
        Self {
            kind: entry.kind,
            body: Bytes(entry.body),
            index_keys: entry.index_keys,
            claims: entry.claims.into_iter().map(Claim::from).collect(),
            signed_entry_timestamp: entry.signed_entry_timestamp.map(Bytes),
            is_attested: entry.attested,
            attestation: attestation.map(|kept| AttestationBytes {
                digest: HexHash(kept.digest),
                data: Bytes(kept.data),
            }),
        }
    }

    fn into_copied(self) -> CopiedEntry {
        CopiedEntry {
            kind: self.kind,
            body: self.body.0,
            index_keys: self.index_keys,
            claims: self.claims.into_iter().map(NewClaim::from).collect(),
            signed_entry_timestamp: self.signed_entry_timestamp.map(|bytes| bytes.0),
            attested: self.is_attested,
            attestation: self.attestation.map(|kept| Attestation {
                digest: kept.digest.0,
                data: kept.data.0,
            }),
        }
    }
}

impl From<NewClaim> for Claim {
    fn from(claim: NewClaim) -> Self {
        Self {
            name: claim.name,
            values: bytes_of(claim.values, Bytes),
        }
    }
}

impl From<Claim> for NewClaim {
    fn from(claim: Claim) -> Self {
        Self {
            name: claim.name,
            values: bytes_of(claim.values, |bytes| bytes.0),
        }
    }
}

fn bytes_of<T, U>(values: BTreeMap<i16, T>, of: impl Fn(T) -> U) -> BTreeMap<i16, U> {
    let values = values.into_iter();
    values.map(|(aspect, value)| (aspect, of(value))).collect()
}

/// Bytes, in base64.
#[derive(Debug, Default)]
struct Bytes(Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD.decode(text).map(Self).map_err(de::Error::custom)
    }
}

/// A hash, in hexadecimal.
#[derive(Debug)]
struct HexHash(Hash);

impl Serialize for HexHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for HexHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let mut hash = [0; 32];
        hex::decode_to_slice(text, &mut hash).map_err(de::Error::custom)?;
        Ok(Self(Hash(hash)))
    }
}
