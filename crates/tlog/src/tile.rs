//! Tiles of height 8 (C2SP tlog-tiles) and the rs_merkle tree inside each.

use std::fmt;

use rs_merkle::{Hasher, PartialTree, utils::indices::tree_depth};

use crate::{Hash, TreeSize, node_hash, sha256};

/// Levels of the Merkle tree that one tile spans.
pub const TILE_HEIGHT: u32 = 8;
/// Hashes of a full tile.
pub const TILE_WIDTH: usize = 1 << TILE_HEIGHT;
/// Tile levels of the largest tree: sizes have 64 bits, a level spans 8.
pub(crate) const TILE_LEVELS: u8 = 8;

/// The identity of a tile. At level 0 its hashes are leaf hashes, at level L roots of the full
/// tiles of level L - 1.
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
    /// Its identity.
    pub id: TileId,
    /// Root of its 256 hashes.
    pub root: Hash,
    /// The 256 hashes.
    pub hashes: Vec<Hash>,
}

/// The hashes of one tile (1 ..= 256) with the Merkle tree over them, ready for proofs ("decoded":
/// 16 KiB when full).
#[derive(Clone, PartialEq, Eq)]
pub struct TileTree {
    // The layers of the tree that rs_merkle built, one behind the other: layer 0 has the hashes,
    // each further one half as many nodes, a lone left node passed up; so every perfect subtree has
    // its RFC 6962 hash at its place. Its own tree would keep each node with its index and each
    // layer apart, which is a quarter more.
    nodes: Box<[[u8; 32]]>,
    width: usize,
}

/// A tile cannot have that many hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a tile has 1 to 256 hashes, not {0}")]
pub struct TileWidthError(pub usize);

/// The hashing of RFC 6962 for rs_merkle, whose own default hasher has no prefixes.
#[derive(Clone)]
struct Rfc6962;

impl TileId {
    /// Returns the number of hashes that this tile has in a tree of `size`: 0 (absent) to 256
    /// (full).
    pub fn width_at(self, size: TreeSize) -> usize {
        let width = TILE_WIDTH as u64;
        let nodes = nodes_at(size, self.level);
        let before = self.index.saturating_mul(width);
        nodes.saturating_sub(before).min(width) as usize
    }
}

impl TileTree {
    /// Builds the tree over 1 to 256 hashes.
    pub fn new(hashes: &[Hash]) -> Result<Self, TileWidthError> {
        if hashes.is_empty() || hashes.len() > TILE_WIDTH {
            return Err(TileWidthError(hashes.len()));
        }
        let leaves = hashes.iter().map(|hash| hash.0).enumerate().collect();
        let tree = PartialTree::<Rfc6962>::build(vec![leaves], tree_depth(hashes.len()))
            .map_err(|_| TileWidthError(hashes.len()))?;
        let nodes = tree
            .layers()
            .iter()
            .flatten()
            .map(|(_, hash)| *hash)
            .collect();
        Ok(Self {
            nodes,
            width: hashes.len(),
        })
    }

    /// Returns the tile with more hashes after its own, together at most 256. Only the nodes above
    /// the new hashes are computed.
    pub(crate) fn extended(&self, new: &[Hash]) -> Result<Self, TileWidthError> {
        let width = self.width + new.len();
        if new.is_empty() || width > TILE_WIDTH {
            return Err(TileWidthError(width));
        }
        let mut layers = vec![
            (self.width..)
                .zip(new.iter().map(|hash| hash.0))
                .collect::<Vec<_>>(),
        ];
        for height in 0..TILE_HEIGHT {
            let first_new = self.width >> height;
            if first_new % 2 == 1 {
                // A right node, whose left sibling is known: everything below that sibling was
                // complete.
                layers.resize_with(layers.len().max(height as usize + 1), Vec::new);
                let sibling = self.layer(height).get(first_new - 1);
                layers[height as usize].extend(sibling.map(|hash| (first_new - 1, *hash)));
            }
        }
        let new = PartialTree::<Rfc6962>::build(layers, tree_depth(width))
            .map_err(|_| TileWidthError(width))?;
        let mut nodes = Vec::with_capacity(2 * width);
        for (height, layer) in (0..).zip(new.layers()) {
            // The nodes to the left of the new ones are complete, and stay.
            let kept = layer.first().map_or(0, |(index, _)| *index);
            nodes.extend(self.layer(height).iter().take(kept));
            nodes.extend(layer.iter().map(|(_, hash)| *hash));
        }
        Ok(Self {
            nodes: nodes.into(),
            width,
        })
    }

    /// Returns the number of hashes, 1 to 256.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Returns the hashes, in order.
    pub fn hashes(&self) -> impl ExactSizeIterator<Item = Hash> + '_ {
        self.layer(0).iter().map(|hash| Hash(*hash))
    }

    /// Returns the hashes, in order, 32 bytes each: the tile in the form of C2SP tlog-tiles.
    pub fn bytes(&self) -> &[u8] {
        self.layer(0).as_flattened()
    }

    /// Returns the root of the hashes, by look-up.
    pub fn root(&self) -> Hash {
        self.nodes
            .last()
            .map_or(crate::EMPTY_ROOT, |root| Hash(*root))
    }

    /// Returns the root of the `position`th perfect subtree of 2^`height` hashes, by look-up;
    /// `None` if the tile does not have all of them.
    pub fn subtree_root(&self, height: u32, position: usize) -> Option<Hash> {
        let end = position
            .checked_add(1)?
            .checked_mul(1_usize.checked_shl(height)?)?;
        if end > self.width {
            return None;
        }
        self.layer(height).get(position).map(|hash| Hash(*hash))
    }

    /// Returns the nodes of a height; none above the root.
    fn layer(&self, height: u32) -> &[[u8; 32]] {
        let length = |height: u32| self.width.div_ceil(1 << height);
        if height > TILE_HEIGHT || (height > 0 && length(height - 1) == 1) {
            return &[];
        }
        let start: usize = (0..height).map(length).sum();
        self.nodes
            .get(start..start + length(height))
            .unwrap_or_default()
    }
}

impl fmt::Debug for TileTree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TileTree")
            .field("width", &self.width())
            .field("root", &self.root())
            .finish()
    }
}

impl Hasher for Rfc6962 {
    type Hash = [u8; 32];

    fn hash(data: &[u8]) -> [u8; 32] {
        sha256(data).0
    }

    fn concat_and_hash(left: &[u8; 32], right: Option<&[u8; 32]>) -> [u8; 32] {
        match right {
            Some(right) => node_hash(&Hash(*left), &Hash(*right)).0,
            None => *left,
        }
    }
}

/// Returns the number of full tiles below `level` (leaf hashes for 0) in a tree of `size`.
pub(crate) fn nodes_at(size: TreeSize, level: u8) -> u64 {
    size.0
        .checked_shr(u32::from(level) * TILE_HEIGHT)
        .unwrap_or(0)
}

/// Returns the root of a full tile without building its tree, which would take a tenth of the time
/// of a batch of 4,096 leaves.
pub(crate) fn full_tile_root(hashes: &[Hash; TILE_WIDTH]) -> Hash {
    let mut layer = *hashes;
    let mut width = TILE_WIDTH;
    while width > 1 {
        width /= 2;
        for place in 0..width {
            layer[place] = node_hash(&layer[2 * place], &layer[2 * place + 1]);
        }
    }
    layer[0]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::leaf_hash;

    #[test]
    fn an_extended_tile_is_the_one_built_at_once() {
        let hashes: Vec<Hash> = (0..=TILE_WIDTH)
            .map(|index| leaf_hash(&index.to_be_bytes()))
            .collect();
        let built: Vec<_> = (1..=TILE_WIDTH)
            .map(|width| TileTree::new(&hashes[..width]).expect("1 to 256"))
            .collect();
        for (width, tile) in (1..).zip(&built) {
            for new in [1, 2, 3, 5, 8, 64, 100, 127, 128, TILE_WIDTH - width] {
                let extended = tile.extended(hashes.get(width..width + new).unwrap_or_default());
                let expected = built.get(width + new - 1).filter(|_| new > 0);
                assert_eq!(extended.ok().as_ref(), expected, "{width} and {new}");
            }
            assert_eq!(
                tile.extended(&hashes[width..]),
                Err(TileWidthError(TILE_WIDTH + 1))
            );
        }
    }
}
