//! The rows of the database in memory.

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use ledger::TreeId;
use ledger::store::*;
use tlog::{FullTile, Hash, LeafIndex, TileId, TreeSize};

#[derive(Clone, Default)]
pub(crate) struct Tables {
    pub(crate) trees: Vec<TreeRow>,
    /// By tree ID.
    pub(crate) rows: BTreeMap<i64, Rows>,
    /// By name and API of the log.
    pub(crate) next_keys: BTreeMap<(String, String), Vec<u8>>,
    pub(crate) servers: BTreeMap<String, ServerRow>,
    pub(crate) last_texts: BTreeMap<i64, FinalCheckpoint>,
    /// By their place: the first claim and its entry.
    pub(crate) claims: BTreeMap<(NameKey, bool), (Claim, TreeId, LeafIndex)>,
    none: Rows,
}

/// The rows of one tree.
#[derive(Clone, Default)]
pub(crate) struct Rows {
    pub(crate) heads: Vec<HeadRow>,
    pub(crate) entries: Vec<(Arc<EntryRow>, i64)>,
    pub(crate) tiles: BTreeMap<TileId, FullTile>,
    pub(crate) timestamps: BTreeMap<LeafIndex, Vec<u8>>,
    pub(crate) publications: Vec<PublicationRow>,
}

impl Rows {
    pub(super) fn find(&self, hashes: &[Hash], size: TreeSize) -> Vec<EntryRef> {
        let rows = self.entries.iter().take(size.0 as usize).enumerate();
        rows.filter(|(_, (row, _))| hashes.contains(&row.leaf_hash))
            .map(|(i, (row, _))| EntryRef {
                leaf_index: LeafIndex(i as u64),
                leaf_hash: row.leaf_hash,
            })
            .collect()
    }
}

/// The rows of the newest tree, which is the only one unless a test rotates or has several logs.
impl Deref for Tables {
    type Target = Rows;

    fn deref(&self) -> &Rows {
        self.trees
            .last()
            .map_or(&self.none, |tree| self.of(tree.tree_id))
    }
}

impl DerefMut for Tables {
    fn deref_mut(&mut self) -> &mut Rows {
        let tree = self.trees.last().unwrap().tree_id;
        self.of_mut(tree)
    }
}

impl Tables {
    pub(crate) fn of(&self, tree: TreeId) -> &Rows {
        self.rows.get(&tree.0).unwrap_or(&self.none)
    }

    pub(crate) fn of_mut(&mut self, tree: TreeId) -> &mut Rows {
        self.rows.entry(tree.0).or_default()
    }

    pub(super) fn has_key(&self, spki: &[u8]) -> bool {
        let mut keys = self.trees.iter().flat_map(|tree| &tree.keys);
        keys.any(|key| key.spki == spki)
    }

    /// Removes the registered key of a log if it is this one.
    pub(super) fn forget_next_key(&mut self, log: &(String, String), spki: &[u8]) -> bool {
        let is_this = self.next_keys.get(log).is_some_and(|key| key == spki);
        if is_this {
            self.next_keys.remove(log);
        }
        is_this
    }

    pub(super) fn claim(&self, claim: &Claim, tree: TreeId, leaf_index: LeafIndex) -> StoredClaim {
        let row = self.trees.iter().find(|row| row.tree_id == tree).unwrap();
        StoredClaim {
            key: claim.key,
            values: claim.values.clone(),
            entry: Claimant {
                tree,
                leaf_index,
                log_index: row.first_log_index + leaf_index.0,
                leaf_hash: self.of(tree).entries[leaf_index.0 as usize].0.leaf_hash,
            },
        }
    }

    pub(super) fn standing(&self, tree: TreeId) -> Option<Standing> {
        let row = self.trees.iter().find(|row| row.tree_id == tree)?;
        Some(Standing {
            state: row.state,
            head: self.of(tree).heads.last().copied(),
        })
    }
}

pub(super) fn key_of(log: LogName<'_>) -> (String, String) {
    (log.name.to_owned(), log.api.to_owned())
}
