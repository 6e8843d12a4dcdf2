//! The facts about a tree that never change.

use tlog::{Hash, NoteKey, SignedRoot, VerifyingKey};

use crate::api::{Api, HeadForm};
use crate::ids::TreeId;
use crate::store::{KeyRole, StoreError, StoreResult, TreeRow};

/// A tree as it was created.
#[derive(Debug)]
pub struct Tree {
    /// Identity.
    pub id: TreeId,
    /// Name of the ledger: signer name of Rekor v1's checkpoints.
    pub name: String,
    /// The API by which the log of the tree takes entries.
    pub api: &'static Api,
    /// Origin line of C2SP checkpoints, and the name that signs them.
    pub origin: String,
    /// The log ID of Rekor: SHA-256 of the log key's SPKI where the log key signs Rekor v1's text,
    /// else the whole note key hash of origin and log key.
    pub log_id: Hash,
    /// PEM of the log key.
    pub public_key_pem: String,
    /// The log key.
    pub log_key: VerifyingKey,
    /// The key that signs C2SP checkpoints. It is the log key where no other is stored.
    pub checkpoint_key: VerifyingKey,
    /// Log index of leaf 0: sum of the lengths of earlier shards.
    pub first_log_index: u64,
    /// Larger leaves are refused.
    pub max_leaf_bytes: u32,
}

impl Tree {
    /// Reads a stored tree of a log of this API.
    pub fn of(row: &TreeRow, api: &'static Api) -> StoreResult<Self> {
        let log_key = key(row, KeyRole::Log)?.ok_or_else(|| lacks(row, KeyRole::Log))?;
        let checkpoint_key = match api.heads {
            HeadForm::RekorV1 => {
                let key = key(row, KeyRole::Checkpoint)?;
                key.ok_or_else(|| lacks(row, KeyRole::Checkpoint))?
            }
            HeadForm::Checkpoint => log_key.clone(),
        };
        let log_id = match api.heads {
            HeadForm::RekorV1 => log_key.log_id(),
            HeadForm::Checkpoint => {
                let key = NoteKey::new(&row.origin, log_key.clone());
                let key = key.map_err(|error| {
                    StoreError::Damaged(format!(
                        "table tree: the origin of tree {}: {error}",
                        row.tree_id
                    ))
                })?;
                key.key_hash()
            }
        };
        Ok(Self {
            id: row.tree_id,
            name: row.name.clone(),
            api,
            origin: row.origin.clone(),
            log_id,
            public_key_pem: log_key.to_pem(),
            log_key,
            checkpoint_key,
            first_log_index: row.first_log_index,
            max_leaf_bytes: row.max_leaf_bytes,
        })
    }

    /// Returns the origin line of Rekor v1's checkpoints.
    pub fn rekor_origin(&self) -> String {
        rekor_origin(&self.name, self.id)
    }

    /// Returns the part of a COSE receipt that the log signs, for a head with this root.
    pub fn signed_root(&self, root: Hash) -> SignedRoot<'_> {
        SignedRoot {
            key: &self.log_key,
            key_id: &self.log_id,
            origin: &self.origin,
            root,
        }
    }

    /// Returns the texts that state a head of this tree, each with its origin, its signer and the
    /// key of that.
    pub(crate) fn texts<'a>(
        &'a self,
        rekor_checkpoint: Option<&'a str>,
        checkpoint: &'a str,
    ) -> Vec<HeadText<'a>> {
        let rekor = rekor_checkpoint.map(|text| HeadText {
            text,
            origin: self.rekor_origin(),
            signer: &self.name,
            key: &self.log_key,
        });
        let c2sp = HeadText {
            text: checkpoint,
            origin: self.origin.clone(),
            signer: &self.origin,
            key: &self.checkpoint_key,
        };
        rekor.into_iter().chain([c2sp]).collect()
    }
}

/// A signed text that states a head.
pub(crate) struct HeadText<'a> {
    pub(crate) text: &'a str,
    pub(crate) origin: String,
    signer: &'a str,
    key: &'a VerifyingKey,
}

impl HeadText<'_> {
    /// Verifies the signature and returns the statement.
    pub(crate) fn open(&self) -> Result<tlog::Checkpoint, String> {
        let key = NoteKey::new(self.signer, self.key.clone()).map_err(|error| error.to_string())?;
        tlog::Checkpoint::open(self.text, &self.origin, &[key]).map_err(|error| error.to_string())
    }
}

/// Returns the origin line of Rekor v1's checkpoints of a tree.
fn rekor_origin(name: &str, tree: TreeId) -> String {
    format!("{name} - {tree}")
}

fn key(row: &TreeRow, role: KeyRole) -> StoreResult<Option<VerifyingKey>> {
    let Some(stored) = row.keys.iter().find(|stored| stored.role == role) else {
        return Ok(None);
    };
    let key = VerifyingKey::from_spki(&stored.spki).map_err(|error| {
        StoreError::Damaged(format!(
            "table tree_key: the {role} key of tree {}: {error}",
            row.tree_id
        ))
    })?;
    Ok(Some(key))
}

fn lacks(row: &TreeRow, role: KeyRole) -> StoreError {
    StoreError::Damaged(format!(
        "table tree_key: tree {} has no {role} key",
        row.tree_id
    ))
}
