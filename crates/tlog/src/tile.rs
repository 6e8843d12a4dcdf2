//! Tiles of height 8 (C2SP tlog-tiles) and the rs_merkle tree inside each.

use crate::{Hash, TreeSize};

/// Levels of the Merkle tree that one tile spans.
pub const TILE_HEIGHT: u32 = 8;
/// Hashes of a full tile.
pub const TILE_WIDTH: usize = 256;

/// Which tile: at level 0 its hashes are leaf hashes, at level L roots of the full tiles of level L - 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TileId {
    /// 0 ..= 7.
    pub level: u8,
    /// Position within the level.
    pub index: u64,
}

/// A tile with all its 256 hashes: written once, never changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FullTile {
    /// Which.
    pub id: TileId,
    /// Root of its 256 hashes.
    pub root: Hash,
    /// The 256 hashes.
    pub hashes: Vec<Hash>,
}

/// The hashes of one tile (1 ..= 256) with the Merkle tree over them, ready for proofs ("decoded": about 20 KiB when full).
pub struct TileTree {
    hashes: Vec<Hash>,
}

impl TileId {
    /// Hashes that this tile has in a tree of `size`: 0 (absent) to 256 (full).
    pub fn width_at(self, _size: TreeSize) -> usize {
        todo!()
    }
}

impl TileTree {
    /// Builds the tree. `hashes` MUST hold 1 to 256.
    pub fn new(hashes: Vec<Hash>) -> Self {
        Self { hashes }
    }

    /// The hashes.
    pub fn hashes(&self) -> &[Hash] {
        &self.hashes
    }

    /// Root of the hashes.
    pub fn root(&self) -> Hash {
        todo!()
    }
}
