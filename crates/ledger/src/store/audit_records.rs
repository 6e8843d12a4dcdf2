//! Rows as both databases return them to fsck. Texts are bytes here, and a truth value is a number,
//! so that one that is damaged does not end the read.

use sqlx::FromRow;
use tlog::{Hash, LeafIndex, TreeSize};

use super::audit::AuditEntry;
use super::audited::{Audited, Faults};
use super::checksum::{EntryFacts, of_publication, of_timestamp};
use super::encoding::{hash, role, state};
use super::error::{StoreError, StoreResult};
use super::numbers::from_sql;
use super::packed_keys::unpack_keys;
use super::rotation::FinalCheckpoint;
use super::rows::{Attestation, HeadRow, KeyRole, KeyRow, PublicationRow, TreeRow, TreeState};
use crate::TreeId;

const NO_HASH: Hash = Hash([0; 32]);

/// A row of `entry` with what is stored beside it.
#[derive(FromRow)]
pub(crate) struct AuditRecord {
    leaf_index: i64,
    leaf_hash: Vec<u8>,
    time: i64,
    kind: Vec<u8>,
    attested: i64,
    checksum: Vec<u8>,
    index_keys: Vec<u8>,
    body: Option<Vec<u8>>,
    signature: Option<Vec<u8>>,
    signature_checksum: Option<Vec<u8>>,
    digest: Option<Vec<u8>>,
    data: Option<Vec<u8>>,
}

impl AuditRecord {
    /// Returns the entry, whose rows in the hash tables are still to be looked up.
    pub(crate) fn into_audited(self, tree: TreeId) -> StoreResult<Audited<AuditEntry>> {
        let mut faults = Faults::default();
        let leaf_index = from_sql(self.leaf_index, "entry.leaf_index")?;
        let leaf_hash = hash(&self.leaf_hash, "entry.leaf_hash");
        let index_keys = unpack_keys(&self.index_keys, leaf_index);
        let leaf_hash = faults.or(("entry", "leaf_hash"), leaf_hash, NO_HASH);
        let kind = faults.text(("entry", "kind"), self.kind);
        let attested = faults.or(("entry", "attested"), truth(self.attested), true);
        let facts = EntryFacts {
            tree,
            leaf_index: self.leaf_index,
            time: self.time,
            leaf_hash: &leaf_hash,
            attested,
            kind: &kind,
        };
        let has_checksum = facts.check(&self.checksum).is_ok();
        let timestamp_has_checksum = self.signature.as_ref().is_none_or(|signature| {
            let checksum = of_timestamp(tree, self.leaf_index, signature);
            self.signature_checksum.as_deref() == Some(checksum.as_slice())
        });
        let attestation = attestation(&mut faults, self.digest, self.data);
        let entry = AuditEntry {
            leaf_index: LeafIndex(leaf_index),
            leaf_hash,
            has_checksum,
            timestamp_has_checksum,
            time: self.time,
            kind,
            body: self.body,
            index_keys: faults.or(("entry", "index_keys"), index_keys, Vec::new()),
            leaf_rows: Vec::new(),
            index_key_rows: Vec::new(),
            claims: Vec::new(),
            signed_entry_timestamp: self.signature,
            attested,
            attestation,
        };
        Ok(faults.of(entry))
    }
}

fn truth(number: i64) -> StoreResult<bool> {
    match number {
        0 => Ok(false),
        1 => Ok(true),
        other => Err(StoreError::Damaged(format!("entry.attested is {other}"))),
    }
}

fn attestation(
    faults: &mut Faults,
    digest: Option<Vec<u8>>,
    data: Option<Vec<u8>>,
) -> Option<Attestation> {
    let (digest, data) = (digest?, data?);
    let digest = hash(&digest, "attestation.digest");
    Some(Attestation {
        digest: faults.or(("attestation", "digest"), digest, NO_HASH),
        data,
    })
}

/// A row of `head`.
#[derive(FromRow)]
pub(crate) struct HeadAudit {
    prev_size: i64,
    size: i64,
    root: Vec<u8>,
    time: i64,
}

impl HeadAudit {
    pub(crate) fn into_audited(self) -> Audited<HeadRow> {
        let mut faults = Faults::default();
        let prev_size = from_sql(self.prev_size, "head.prev_size");
        let size = from_sql(self.size, "head.size");
        let root = hash(&self.root, "head.root");
        let head = HeadRow {
            prev_size: TreeSize(faults.or(("head", "prev_size"), prev_size, 0)),
            size: TreeSize(faults.or(("head", "size"), size, 0)),
            root: faults.or(("head", "root"), root, NO_HASH),
            time: self.time,
        };
        faults.of(head)
    }
}

/// A row of `publication`.
#[derive(FromRow)]
pub(crate) struct PublicationAudit {
    prev_size: i64,
    size: i64,
    root: Vec<u8>,
    time: i64,
    checkpoint: Vec<u8>,
    checksum: Vec<u8>,
}

impl PublicationAudit {
    pub(crate) fn into_audited(self, tree: TreeId) -> StoreResult<Audited<PublicationRow>> {
        let mut faults = Faults::default();
        let prev_size = match self.prev_size {
            -1 => Ok(None),
            other => from_sql(other, "publication.prev_size").map(|size| Some(TreeSize(size))),
        };
        let size = from_sql(self.size, "publication.size");
        let root = hash(&self.root, "publication.root");
        let publication = PublicationRow {
            prev_size: faults.or(("publication", "prev_size"), prev_size, None),
            size: TreeSize(faults.or(("publication", "size"), size, 0)),
            root: faults.or(("publication", "root"), root, NO_HASH),
            time: self.time,
            checkpoint: faults.text(("publication", "checkpoint"), self.checkpoint),
        };
        let checksum = match of_publication(tree, &publication)?.as_slice() == self.checksum {
            true => Ok(()),
            false => Err(StoreError::Damaged(
                "the row does not have its checksum".to_owned(),
            )),
        };
        faults.or(("publication", "checksum"), checksum, ());
        Ok(faults.of(publication))
    }
}

/// A row of `final_checkpoint`.
#[derive(FromRow)]
pub(crate) struct FinalAudit {
    rekor_checkpoint: Option<Vec<u8>>,
    checkpoint: Vec<u8>,
    freeze_note: Vec<u8>,
    receipt_signature: Vec<u8>,
}

impl FinalAudit {
    pub(crate) fn into_audited(self) -> Audited<FinalCheckpoint> {
        let mut faults = Faults::default();
        let mut text = |column, bytes| faults.text(("final_checkpoint", column), bytes);
        let last = FinalCheckpoint {
            rekor_checkpoint: self.rekor_checkpoint.map(|of| text("rekor_checkpoint", of)),
            checkpoint: text("checkpoint", self.checkpoint),
            freeze_note: text("freeze_note", self.freeze_note),
            receipt_signature: self.receipt_signature,
        };
        faults.of(last)
    }
}

/// A row of `tree` with one of its keys, if it has any.
#[derive(FromRow)]
pub(crate) struct TreeAudit {
    tree_id: i64,
    name: Vec<u8>,
    api: Vec<u8>,
    origin: Vec<u8>,
    first_log_index: i64,
    max_leaf_bytes: i64,
    state: Vec<u8>,
    created_at: i64,
    frozen_at: Option<i64>,
    role: Option<Vec<u8>>,
    spki: Option<Vec<u8>>,
}

/// Returns trees with their keys, from rows in which those of one tree are neighbours.
pub(crate) fn into_audited_trees(records: Vec<TreeAudit>) -> Vec<Audited<TreeRow>> {
    let mut trees: Vec<(TreeRow, Faults)> = Vec::new();
    for mut record in records {
        let mut faults = Faults::default();
        let key = key(&mut faults, record.role.take(), record.spki.take());
        match trees.last_mut() {
            Some((tree, known)) if tree.tree_id.0 == record.tree_id => {
                tree.keys.extend(key);
                known.extend(faults);
            }
            _ => {
                let mut tree = record.into_tree(&mut faults);
                tree.keys.extend(key);
                trees.push((tree, faults));
            }
        }
    }
    let audited = trees.into_iter().map(|(tree, faults)| faults.of(tree));
    audited.collect()
}

fn key(faults: &mut Faults, name: Option<Vec<u8>>, spki: Option<Vec<u8>>) -> Option<KeyRow> {
    let (name, spki) = (String::from_utf8_lossy(&name?).into_owned(), spki?);
    let role = faults.or(("tree_key", "role"), role(&name).map(Some), None::<KeyRole>);
    Some(KeyRow { role: role?, spki })
}

impl TreeAudit {
    fn into_tree(self, faults: &mut Faults) -> TreeRow {
        let first_log_index = from_sql(self.first_log_index, "tree.first_log_index");
        let max_leaf_bytes = u32::try_from(self.max_leaf_bytes).map_err(|_| {
            StoreError::Damaged(format!("tree.max_leaf_bytes is {}", self.max_leaf_bytes))
        });
        let state_text = String::from_utf8_lossy(&self.state).into_owned();
        let likely_state = match self.frozen_at {
            Some(_) => TreeState::Frozen,
            None => TreeState::Active,
        };
        TreeRow {
            tree_id: TreeId(self.tree_id),
            name: faults.text(("tree", "name"), self.name),
            api: faults.text(("tree", "api"), self.api),
            origin: faults.text(("tree", "origin"), self.origin),
            first_log_index: faults.or(("tree", "first_log_index"), first_log_index, 0),
            max_leaf_bytes: faults.or(("tree", "max_leaf_bytes"), max_leaf_bytes, 0),
            state: faults.or(("tree", "state"), state(&state_text), likely_state),
            created_at: self.created_at,
            frozen_at: self.frozen_at,
            keys: Vec::new(),
        }
    }
}
