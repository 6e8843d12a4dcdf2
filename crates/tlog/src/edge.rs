//! The right edge of a tree: everything that an append and the root need.

use std::borrow::Cow;
use std::sync::Arc;

use crate::tile::{TILE_LEVELS, full_tile_root, nodes_at};
use crate::{
    EMPTY_ROOT, FullTile, Hash, MAX_TREE_SIZE, TILE_HEIGHT, TILE_WIDTH, TileId, TileTree, Tiles,
    TreeSize, node_hash,
};

/// The partial tile at the right edge of each level: at most 255 hashes a level. A clone shares
/// them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    size: TreeSize,
    // The last level has a hash; the levels below it may be empty.
    levels: Vec<Option<Arc<TileTree>>>,
}

/// The hashes do not have the shape of the right edge of a tree of that size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EdgeShapeError {
    /// A level has too few or too many hashes.
    #[error("level {level} of the right edge has {got} hashes instead of {want}")]
    Level {
        /// The level.
        level: usize,
        /// Number of hashes that it should have.
        want: usize,
        /// Number of hashes that it has.
        got: usize,
    },
    /// The size is larger than any tree can be.
    #[error("a tree of {0} leaves is larger than any can be")]
    TooLarge(TreeSize),
}

impl Edge {
    /// Returns the edge of the empty tree.
    pub fn empty() -> Self {
        Self {
            size: TreeSize(0),
            levels: Vec::new(),
        }
    }

    /// Returns the partial tile of each level in a tree of `size` with its width, level 0 first, up
    /// to the highest level that has any hash. Empty partial tiles are listed with width 0.
    pub fn shape(size: TreeSize) -> Vec<(TileId, usize)> {
        (0..TILE_LEVELS)
            .take_while(|level| nodes_at(size, *level) > 0)
            .map(|level| {
                let id = TileId {
                    level,
                    index: nodes_at(size, level) >> TILE_HEIGHT,
                };
                (id, id.width_at(size))
            })
            .collect()
    }

    /// Makes an edge of its hashes, level 0 first, in the shape that [`Edge::shape`] returns. The
    /// caller MUST compare the root with that of the tree head before it extends the tree.
    pub fn new(size: TreeSize, levels: Vec<Vec<Hash>>) -> Result<Self, EdgeShapeError> {
        if size > MAX_TREE_SIZE {
            return Err(EdgeShapeError::TooLarge(size));
        }
        let shape = Self::shape(size);
        for level in 0..shape.len().max(levels.len()) {
            let want = shape.get(level).map_or(0, |(_, width)| *width);
            let got = levels.get(level).map_or(0, Vec::len);
            if want != got {
                return Err(EdgeShapeError::Level { level, want, got });
            }
        }
        // Only empty levels can be left over above the shape.
        let levels = levels
            .iter()
            .take(shape.len())
            .map(|hashes| partial_tile(hashes))
            .collect();
        Ok(Self { size, levels })
    }

    /// Returns the number of leaves of the tree.
    pub fn size(&self) -> TreeSize {
        self.size
    }

    /// Returns the root hash of the tree, which takes at most one hash for each set bit of the
    /// size.
    pub fn root(&self) -> Hash {
        let mut root: Option<Hash> = None;
        for tile in self.levels.iter().flatten() {
            // The root of all to the right of this tile is the last, lone node of its level.
            root = Some(root.map_or_else(|| tile.root(), |right| root_with_last(tile, right)));
        }
        root.unwrap_or(EMPTY_ROOT)
    }

    /// Appends leaves and returns the tiles that became full, lower levels before higher ones, each
    /// level in order.
    ///
    /// The size MUST stay within [`MAX_TREE_SIZE`].
    pub fn append(&mut self, leaf_hashes: &[Hash]) -> Vec<FullTile> {
        let mut full =
            Vec::with_capacity(leaf_hashes.len() / TILE_WIDTH + usize::from(TILE_LEVELS));
        let mut new = Cow::Borrowed(leaf_hashes);
        for level in 0..TILE_LEVELS {
            if new.is_empty() {
                break;
            }
            let first = full.len();
            self.append_level(level, &new, &mut full);
            new = full[first..].iter().map(|tile| tile.root).collect();
        }
        self.size.0 += leaf_hashes.len() as u64;
        full
    }

    /// Returns the hashes of the partial tiles, level 0 first, in the shape that [`Edge::shape`]
    /// returns: [`Edge::new`] makes the same edge of them.
    pub fn levels(&self) -> Vec<Vec<Hash>> {
        let hashes = |tile: &Arc<TileTree>| tile.hashes().collect();
        let levels = self.levels.iter();
        levels
            .map(|tile| tile.as_ref().map_or_else(Vec::new, hashes))
            .collect()
    }

    /// Returns the partial tiles with their trees, one for each level that has any hash.
    pub fn tiles(&self) -> Vec<(TileId, Arc<TileTree>)> {
        let ids = Self::shape(self.size).into_iter().map(|(id, _)| id);
        ids.zip(&self.levels)
            .filter_map(|(id, tile)| Some((id, Arc::clone(tile.as_ref()?))))
            .collect()
    }

    /// Appends the nodes of one level to its partial tile. Tiles that become full are added to
    /// `full`.
    fn append_level(&mut self, level: u8, mut new: &[Hash], full: &mut Vec<FullTile>) {
        let place = usize::from(level);
        if self.levels.len() == place {
            self.levels.push(None);
        }
        let mut index = nodes_at(self.size, level) >> TILE_HEIGHT;
        if let Some(partial) = self.levels[place].take() {
            let room = TILE_WIDTH - partial.width();
            let (first, others) = new.split_at(room.min(new.len()));
            let tile = extended(&partial, first);
            if tile.width() < TILE_WIDTH {
                self.levels[place] = Some(Arc::new(tile));
                return;
            }
            let id = TileId { level, index };
            full.push(FullTile {
                id,
                root: tile.root(),
                hashes: tile.hashes().collect(),
            });
            index += 1;
            new = others;
        }
        let (tiles, rest) = new.as_chunks();
        full.extend(tiles.iter().zip(index..).map(|(hashes, index)| FullTile {
            id: TileId { level, index },
            root: full_tile_root(hashes),
            hashes: hashes.to_vec(),
        }));
        self.levels[place] = partial_tile(rest);
    }
}

impl Tiles for Edge {
    fn tile(&self, id: TileId) -> Option<&TileTree> {
        let tile = self.levels.get(usize::from(id.level))?.as_deref()?;
        (nodes_at(self.size, id.level) >> TILE_HEIGHT == id.index).then_some(tile)
    }
}

/// Returns the tile with new hashes. There is at least one, and the tile has room for all.
fn extended(tile: &TileTree, new: &[Hash]) -> TileTree {
    // Unwrap safety: the one error is a wrong width, and `append_level` cuts the hashes to fit.
    #[expect(clippy::unwrap_used, reason = "see above")]
    tile.extended(new).unwrap()
}

/// Returns the tile of the last 0 to 255 hashes of a level.
fn partial_tile(hashes: &[Hash]) -> Option<Arc<TileTree>> {
    // The only possible error is an empty list, which makes no tile.
    TileTree::new(hashes).ok().map(Arc::new)
}

/// Returns the root of a level that has the hashes of `tile`, followed by one more node.
fn root_with_last(tile: &TileTree, last: Hash) -> Hash {
    let mut end = tile.width();
    let mut root = last;
    for height in 0..TILE_HEIGHT {
        // The perfect subtrees of a tree are the set bits of its size, the smallest on the right.
        if end >> height & 1 == 1 {
            end -= 1 << height;
            if let Some(left) = tile.subtree_root(height, end >> height) {
                root = node_hash(&left, &root);
            }
        }
    }
    root
}
