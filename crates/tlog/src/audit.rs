//! Derives a whole log again from its leaves.

use crate::{EMPTY_ROOT, FullTile, Hash, TILE_HEIGHT, TILE_WIDTH, TileId, TreeSize, node_hash};

/// An auditor of a whole log. It takes the leaf hashes in order, and returns every full tile and
/// the root at each size.
///
/// It shares nothing with [`crate::Edge`] but the hash of a node, so that an error in one of them
/// shows. Bounded: at most 256 hashes a tile level and one for each bit of the size.
#[derive(Clone, Debug, Default)]
pub struct Audit {
    size: TreeSize,
    // At height h the root of the perfect subtree of 2^h leaves at the end of the tree; it counts
    // where bit h of the size is set.
    frontier: Vec<Hash>,
    // The hashes so far of the last tile of each level.
    partial: Vec<Vec<Hash>>,
}

impl Audit {
    /// Starts at the empty tree.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the number of leaves so far.
    pub fn size(&self) -> TreeSize {
        self.size
    }

    /// Takes the next leaf and returns the tiles that it fills, lower levels first. Most leaves
    /// fill no tile.
    ///
    /// The size MUST stay within [`crate::MAX_TREE_SIZE`].
    pub fn push(&mut self, leaf_hash: Hash) -> Vec<FullTile> {
        let mut full = Vec::new();
        let mut node = leaf_hash;
        for height in 0.. {
            if height % TILE_HEIGHT == 0 {
                full.extend(self.push_to_tile((height / TILE_HEIGHT) as usize, node));
            }
            let is_left = self.size.0 >> height & 1 == 0;
            match self.frontier.get_mut(height as usize) {
                Some(left) if is_left => *left = node,
                Some(left) => {
                    node = node_hash(left, &node);
                    continue;
                }
                None => self.frontier.push(node),
            }
            break;
        }
        self.size.0 += 1;
        full
    }

    /// Returns the root hash at the current size.
    pub fn root(&self) -> Hash {
        let set = self
            .frontier
            .iter()
            .enumerate()
            .filter(|(height, _)| self.size.0 >> height & 1 == 1);
        set.map(|(_, node)| *node)
            .reduce(|right, left| node_hash(&left, &right))
            .unwrap_or(EMPTY_ROOT)
    }

    /// Adds a node to the last tile of a level. The node is the root of the tile below, which is
    /// complete.
    fn push_to_tile(&mut self, level: usize, node: Hash) -> Option<FullTile> {
        if self.partial.len() == level {
            self.partial.push(Vec::with_capacity(TILE_WIDTH));
        }
        self.partial[level].push(node);
        let below = level.checked_sub(1)?;
        let hashes = std::mem::replace(&mut self.partial[below], Vec::with_capacity(TILE_WIDTH));
        let index = self.size.0 >> (level as u32 * TILE_HEIGHT);
        Some(FullTile {
            id: TileId {
                level: below as u8,
                index,
            },
            root: node,
            hashes,
        })
    }
}
