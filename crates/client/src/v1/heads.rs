//! The heads of the trees of a log.

use std::slice;

use serde::Deserialize;
use tlog::{Hash, TreeSize};

use super::hash;
use super::opened::open_checkpoint;
use crate::error::{Result, VerifyError, require};
use crate::head::SignedHead;
use crate::key::LogKey;

/// A tree head of the v1 API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeadV1 {
    /// Log index of the tree's first leaf.
    pub first_log_index: u64,
    /// The tree size.
    pub size: TreeSize,
    /// The root hash.
    pub root: Hash,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TreeHead {
    #[serde(default)]
    inactive_shards: Option<Vec<Shard>>,
    root_hash: String,
    signed_tree_head: String,
    #[serde(rename = "treeID")]
    tree_id: String,
    tree_size: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shard {
    root_hash: String,
    signed_tree_head: String,
    #[serde(rename = "treeID")]
    tree_id: String,
    tree_size: u64,
}

/// The heads of all trees of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heads {
    /// The head of the tree that takes entries.
    pub active: SignedHead,
    /// The last heads of the trees before it, oldest first.
    pub inactive: Vec<SignedHead>,
}

impl Heads {
    /// Returns the log index of the active tree's first leaf.
    pub fn first_log_index(&self) -> u64 {
        let sizes = self.inactive.iter().map(|head| head.size().0);
        sizes.fold(0, u64::saturating_add)
    }

    /// Returns the head of a tree by its ID in decimal.
    pub fn of_tree(&self, tree: &str) -> Option<&SignedHead> {
        let mut all = self.inactive.iter().chain([&self.active]);
        all.find(|head| head.tree_id() == Some(tree))
    }
}

/// Reads the answer of `GET /api/v1/log` and verifies the heads of all trees.
///
/// # Errors
///
/// The answer is not a tree head, or one of its checkpoints is not signed by `keys` or is of
/// another head or tree.
pub fn open_heads(keys: &[LogKey], answer: &[u8]) -> Result<Heads> {
    let head: TreeHead =
        serde_json::from_slice(answer).map_err(VerifyError::expected("a tree head"))?;
    let mut inactive = Vec::new();
    for shard in head.inactive_shards.unwrap_or_default() {
        let part = || format!("tree {}", shard.tree_id);
        let head = shard.open(keys).map_err(|error| error.within(part()))?;
        inactive.push(head);
    }
    let active = Shard {
        root_hash: head.root_hash,
        signed_tree_head: head.signed_tree_head,
        tree_id: head.tree_id,
        tree_size: head.tree_size,
    };
    let active = active.open(keys)?;
    Ok(Heads { active, inactive })
}

impl Shard {
    fn open(&self, keys: &[LogKey]) -> Result<SignedHead> {
        let root = hash(&self.root_hash)?;
        let head = open_checkpoint(
            keys,
            &self.signed_tree_head,
            TreeSize(self.tree_size),
            &root,
        )?;
        require(head.tree_id() == Some(&self.tree_id), || {
            format!("the checkpoint is of {}", head.origin())
        })?;
        Ok(head)
    }
}

impl LogKey {
    /// Reads the answer of `GET /api/v1/log` and verifies its checkpoint. The checkpoints of
    /// inactive shards are not looked at.
    ///
    /// # Errors
    ///
    /// The answer is not a tree head, or its checkpoint is not signed by this log or is of another
    /// head.
    pub fn open_head(&self, answer: &[u8]) -> Result<HeadV1> {
        let head: TreeHead =
            serde_json::from_slice(answer).map_err(VerifyError::expected("a tree head"))?;
        let (size, root) = (TreeSize(head.tree_size), hash(&head.root_hash)?);
        open_checkpoint(slice::from_ref(self), &head.signed_tree_head, size, &root)?;
        let shards = head.inactive_shards.unwrap_or_default();
        let sizes = shards.iter().map(|shard| shard.tree_size);
        Ok(HeadV1 {
            first_log_index: sizes.fold(0, u64::saturating_add),
            size,
            root,
        })
    }
}
