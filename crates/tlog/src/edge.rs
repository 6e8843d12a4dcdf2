//! The right edge of a tree: all that is needed to append to it and to compute its root.

use crate::{FullTile, Hash, TileId, TileTree, TreeSize};

/// The partial tile at the right edge of each level: at most 255 hashes a level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    size: TreeSize,
    levels: Vec<Vec<Hash>>,
}

/// The hashes given do not have the shape of a right edge of that size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("level {level} of the right edge has {got} hashes instead of {want}")]
pub struct EdgeShapeError {
    /// Which level.
    pub level: u8,
    /// Hashes it should have.
    pub want: usize,
    /// Hashes it has.
    pub got: usize,
}

impl Edge {
    /// The edge of the empty tree.
    pub fn empty() -> Self {
        Self { size: TreeSize(0), levels: Vec::new() }
    }

    /// The partial tile of each level in a tree of `size` with its width, level 0 first; levels whose partial tile is empty
    /// are listed with width 0, up to the highest level that has any hash.
    pub fn shape(_size: TreeSize) -> Vec<(TileId, usize)> {
        todo!()
    }

    /// An edge from its hashes, level 0 first, in the shape that [`Edge::shape`] gives. The caller compares the root.
    pub fn new(_size: TreeSize, _levels: Vec<Vec<Hash>>) -> Result<Self, EdgeShapeError> {
        todo!()
    }

    /// Leaves of the tree.
    pub fn size(&self) -> TreeSize {
        self.size
    }

    /// Root hash of the tree.
    pub fn root(&self) -> Hash {
        todo!()
    }

    /// Appends leaves and returns the tiles that became full, lower levels before higher ones, each level in order.
    pub fn append(&mut self, _leaf_hashes: &[Hash]) -> Vec<FullTile> {
        todo!()
    }

    /// The partial tiles with their trees, one for each level that has any hash.
    pub fn tiles(&self) -> Vec<(TileId, TileTree)> {
        todo!()
    }
}
