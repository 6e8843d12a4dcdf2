//! Log indexes that no entry has, because the entries were lost with their database: those between
//! the end of a frozen tree and the beginning of the next one.

use std::ops::Range;
use std::sync::Arc;

use tlog::{TILE_HEIGHT, TilePath, TreeSize};

use super::Shards;
use super::shard::Shard;
use crate::ids::TreeId;
use crate::reading::entry::ReadError;

/// The gaps of a log. Almost every log has none.
#[derive(Clone, Default)]
pub(crate) struct Gaps(Option<Arc<[Gap]>>);

struct Gap {
    /// The frozen tree before it.
    tree: TreeId,
    /// First log index of that tree.
    first_log_index: u64,
    /// Its indexes in that tree, as if it had gone on.
    leaves: Range<u64>,
}

impl Gaps {
    /// Finds the gaps between these shards, oldest first. All but the last one are frozen.
    pub(crate) fn between<'s>(shards: impl Iterator<Item = &'s Arc<Shard>> + Clone) -> Self {
        let pairs = shards.clone().zip(shards.skip(1));
        let gaps: Vec<Gap> = pairs
            .filter_map(|(one, next)| Gap::between(one, next))
            .collect();
        Self((!gaps.is_empty()).then(|| gaps.into()))
    }

    fn iter(&self) -> impl Iterator<Item = &Gap> {
        self.0.iter().flat_map(|gaps| gaps.iter())
    }

    fn after(&self, tree: TreeId) -> Option<&Gap> {
        self.iter().find(|gap| gap.tree == tree)
    }
}

impl Gap {
    fn between(frozen: &Shard, next: &Shard) -> Option<Self> {
        let first_log_index = frozen.heads.tree().first_log_index;
        let begin = frozen.heads.integrated().size.0;
        let end = next
            .heads
            .tree()
            .first_log_index
            .saturating_sub(first_log_index);
        (begin < end).then(|| Self {
            tree: frozen.id(),
            first_log_index,
            leaves: begin..end,
        })
    }

    fn lost(&self, leaf_index: u64) -> ReadError {
        let log_index = self.first_log_index + leaf_index;
        ReadError::Lost(format!("the entry at log index {log_index} was lost"))
    }
}

impl Shards {
    /// Call before an answer that says that there is no entry at a log index.
    ///
    /// # Errors
    ///
    /// [`ReadError::Lost`] if the entry was lost.
    pub fn check_index(&self, log_index: u64) -> Result<(), ReadError> {
        let is_in = |gap: &&Gap| {
            let leaf_index = log_index.checked_sub(gap.first_log_index);
            leaf_index.is_some_and(|leaf_index| gap.leaves.contains(&leaf_index))
        };
        match self.gaps.iter().find(is_in) {
            Some(gap) => Err(gap.lost(log_index - gap.first_log_index)),
            None => Ok(()),
        }
    }

    /// Call before an answer that says that a tree has no entry at an index.
    ///
    /// # Errors
    ///
    /// As [`Shards::check_index`].
    pub fn check_leaf(&self, tree: TreeId, leaf_index: u64) -> Result<(), ReadError> {
        let gap = self.gaps.after(tree);
        match gap.filter(|gap| gap.leaves.contains(&leaf_index)) {
            Some(gap) => Err(gap.lost(leaf_index)),
            None => Ok(()),
        }
    }

    /// Call before an answer that says that a tree never was as large.
    ///
    /// # Errors
    ///
    /// As [`Shards::check_index`].
    pub fn check_size(&self, tree: TreeId, size: TreeSize) -> Result<(), ReadError> {
        self.check_leaf(tree, size.0.saturating_sub(1))
    }

    /// Call before an answer that says that a tree does not have a tile or an entry bundle.
    ///
    /// # Errors
    ///
    /// As [`Shards::check_index`].
    pub fn check_resource(&self, tree: TreeId, path: TilePath) -> Result<(), ReadError> {
        let tile = path.tile();
        let nodes_before = u128::from(tile.index) << TILE_HEIGHT;
        let width = path
            .partial
            .map_or(1 << TILE_HEIGHT, |width| u128::from(width.get()));
        let leaves_below = TILE_HEIGHT * u32::from(tile.level);
        let last = (nodes_before + width)
            .checked_shl(leaves_below)
            .unwrap_or(0);
        match u64::try_from(last) {
            Ok(last) => self.check_size(tree, TreeSize(last)),
            Err(_) => Ok(()),
        }
    }

    /// Call before an answer that says that a tree does not have an entry with some leaf hash.
    ///
    /// # Errors
    ///
    /// [`ReadError::Lost`] if the tree lost entries: it may have been one of them.
    pub fn check_tree(&self, tree: TreeId) -> Result<(), ReadError> {
        match self.gaps.after(tree) {
            None => Ok(()),
            Some(gap) => Err(ReadError::Lost(format!(
                "the entry is not in tree {tree}, of which {} entries were lost: it may have been one \
                 of them",
                gap.leaves.end - gap.leaves.start
            ))),
        }
    }
}
