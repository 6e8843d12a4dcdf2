//! Inclusion and consistency proofs (RFC 6962 section 2.1.1 and 2.1.2), made from tiles.
//!
//! A proof takes two steps, so that the reads between them are left to the caller: `tiles_for_…`
//! lists the tiles, `…_proof` computes the proof from them.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use crate::{
    EMPTY_ROOT, Hash, LeafIndex, MAX_TREE_SIZE, TILE_HEIGHT, TileId, TileTree, TreeSize, node_hash,
};

/// Longest inclusion proof: a leaf index fits in 63 bits.
pub const MAX_INCLUSION_PROOF: usize = 63;
/// Longest consistency proof.
pub const MAX_CONSISTENCY_PROOF: usize = 64;

/// Tiles by identity. A tile may be wider than it is in the tree of the proof; then its first
/// hashes count.
pub trait Tiles {
    /// Returns the tile, if it is there.
    fn tile(&self, id: TileId) -> Option<&TileTree>;
}

impl Tiles for HashMap<TileId, Arc<TileTree>> {
    fn tile(&self, id: TileId) -> Option<&TileTree> {
        self.get(&id).map(Arc::as_ref)
    }
}

/// The reason why a proof could not be made or does not verify.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// Leaf index or sizes out of range.
    #[error("{0}")]
    OutOfRange(String),
    /// A tile that the proof needs is absent or too narrow.
    #[error("tile level {} index {} is missing or too narrow", .0.level, .0.index)]
    MissingTile(TileId),
    /// The proof has a wrong number of hashes.
    #[error("the proof has {got} hashes instead of {want}")]
    Length {
        /// Expected.
        want: usize,
        /// Found.
        got: usize,
    },
    /// The proof leads to another root.
    #[error("the proof leads to root {computed}, not to {expected}")]
    RootMismatch {
        /// From the proof.
        computed: Hash,
        /// From the tree head.
        expected: Hash,
    },
}

/// Lists every tile that [`inclusion_proof`] reads, each once, with the partial tiles of `size`.
/// The list is empty for an index or size out of range. Each tile must be at least as wide as
/// [`TileId::width_at`] of `size`.
pub fn tiles_for_inclusion(index: LeafIndex, size: TreeSize) -> Vec<TileId> {
    check_inclusion_range(index, size).map_or_else(
        |_| Vec::new(),
        |()| tiles_of(&inclusion_ranges(index, size)),
    )
}

/// Lists every tile that [`consistency_proof`] reads, each once, with the partial tiles of
/// `second`. The list is empty for sizes out of range.
pub fn tiles_for_consistency(first: TreeSize, second: TreeSize) -> Vec<TileId> {
    check_consistency_range(first, second).map_or_else(
        |_| Vec::new(),
        |()| tiles_of(&consistency_ranges(first, second)),
    )
}

/// Lists every tile that [`root_at`] reads, each once. The list is empty for a size out of range.
pub fn tiles_for_root(size: TreeSize) -> Vec<TileId> {
    if size > MAX_TREE_SIZE {
        Vec::new()
    } else {
        tiles_of(std::slice::from_ref(&(0..size.0)))
    }
}

/// Returns the inclusion proof, leaf to root (RFC 6962 section 2.1.1).
pub fn inclusion_proof(
    index: LeafIndex,
    size: TreeSize,
    tiles: &impl Tiles,
) -> Result<Vec<Hash>, ProofError> {
    check_inclusion_range(index, size)?;
    range_roots(inclusion_ranges(index, size), tiles)
}

/// Returns the consistency proof in the order of RFC 6962 section 2.1.2; empty when `first` is 0 or
/// equals `second`.
pub fn consistency_proof(
    first: TreeSize,
    second: TreeSize,
    tiles: &impl Tiles,
) -> Result<Vec<Hash>, ProofError> {
    check_consistency_range(first, second)?;
    range_roots(consistency_ranges(first, second), tiles)
}

/// Returns the root of the tree of `size`, from its tiles or those of a larger tree (RFC 6962
/// section 2.1).
pub fn root_at(size: TreeSize, tiles: &impl Tiles) -> Result<Hash, ProofError> {
    match size {
        TreeSize(0) => Ok(EMPTY_ROOT),
        size if size > MAX_TREE_SIZE => Err(too_large(size)),
        size => range_root(0..size.0, &mut LastTile::of(tiles)),
    }
}

pub(crate) fn check_inclusion_range(index: LeafIndex, size: TreeSize) -> Result<(), ProofError> {
    if size > MAX_TREE_SIZE {
        return Err(too_large(size));
    }
    if index.0 >= size.0 {
        return Err(ProofError::OutOfRange(format!(
            "leaf index {index} is not below tree size {size}"
        )));
    }
    Ok(())
}

pub(crate) fn check_consistency_range(first: TreeSize, second: TreeSize) -> Result<(), ProofError> {
    if second > MAX_TREE_SIZE {
        return Err(too_large(second));
    }
    if first > second {
        return Err(ProofError::OutOfRange(format!(
            "first tree size {first} is above second tree size {second}"
        )));
    }
    Ok(())
}

fn too_large(size: TreeSize) -> ProofError {
    ProofError::OutOfRange(format!("tree size {size} is larger than any can be"))
}

/// Returns PATH(m, D[n]) of RFC 6962 section 2.1.1 as the leaf ranges whose roots it lists.
fn inclusion_ranges(LeafIndex(index): LeafIndex, TreeSize(size): TreeSize) -> Vec<Range<u64>> {
    let mut path = Vec::with_capacity(MAX_INCLUSION_PROOF);
    let mut tree = 0..size;
    while tree.end - tree.start > 1 {
        let middle = middle(&tree);
        if index < middle {
            path.push(middle..tree.end);
            tree.end = middle;
        } else {
            path.push(tree.start..middle);
            tree.start = middle;
        }
    }
    path.reverse();
    path
}

/// Returns SUBPROOF(m, D[n], true) of RFC 6962 section 2.1.2 as the leaf ranges whose roots it
/// lists.
fn consistency_ranges(TreeSize(first): TreeSize, TreeSize(second): TreeSize) -> Vec<Range<u64>> {
    let mut path = Vec::with_capacity(MAX_CONSISTENCY_PROOF);
    if first == 0 {
        return path;
    }
    let mut tree = 0..second;
    while first < tree.end {
        let middle = middle(&tree);
        if first <= middle {
            path.push(middle..tree.end);
            tree.end = middle;
        } else {
            path.push(tree.start..middle);
            tree.start = middle;
        }
    }
    // A range that begins at the left edge is the first tree itself, whose root the verifier has.
    if tree.start > 0 {
        path.push(tree);
    }
    path.reverse();
    path
}

/// Returns the size of the left part into which RFC 6962 splits a tree of at least two leaves: the
/// largest power of two below its size.
fn middle(tree: &Range<u64>) -> u64 {
    tree.start + (1 << (tree.end - tree.start - 1).ilog2())
}

/// Returns the perfect subtrees of a range that [`middle`] made, right to left, each as its height
/// and its position at that height.
fn perfect_subtrees(range: &Range<u64>) -> impl Iterator<Item = (u32, u64)> + use<> {
    let start = range.start;
    let mut left = range.end - range.start;
    // They are the set bits of the width, the smallest on the right.
    std::iter::from_fn(move || {
        let height = left.trailing_zeros();
        left &= left.checked_sub(1)?;
        Some((height, (start + left) >> height))
    })
}

/// Returns the place of the root of a perfect subtree: the tile, and the height and position within
/// it.
fn tile_place(height: u32, position: u64) -> (TileId, u32, usize) {
    let within = height % TILE_HEIGHT;
    let bits = TILE_HEIGHT - within;
    let level = (height / TILE_HEIGHT) as u8;
    let place = position & ((1 << bits) - 1);
    (
        TileId {
            level,
            index: position >> bits,
        },
        within,
        place as usize,
    )
}

fn tiles_of(ranges: &[Range<u64>]) -> Vec<TileId> {
    let subtrees = ranges.iter().flat_map(perfect_subtrees);
    let mut tiles: Vec<_> = subtrees
        .map(|(height, position)| tile_place(height, position).0)
        .collect();
    tiles.sort_unstable();
    tiles.dedup();
    tiles
}

/// The tile that was looked up last: a path climbs through eight nodes of a tile before it needs
/// another one.
struct LastTile<'t, T> {
    tiles: &'t T,
    last: Option<(TileId, &'t TileTree)>,
}

impl<'t, T: Tiles> LastTile<'t, T> {
    fn of(tiles: &'t T) -> Self {
        Self { tiles, last: None }
    }

    fn tile(&mut self, id: TileId) -> Option<&'t TileTree> {
        match self.last {
            Some((last, tile)) if last == id => Some(tile),
            _ => {
                let tile = self.tiles.tile(id)?;
                self.last = Some((id, tile));
                Some(tile)
            }
        }
    }
}

fn range_roots(ranges: Vec<Range<u64>>, tiles: &impl Tiles) -> Result<Vec<Hash>, ProofError> {
    let mut tiles = LastTile::of(tiles);
    ranges
        .into_iter()
        .map(|range| range_root(range, &mut tiles))
        .collect()
}

/// Returns MTH of a leaf range, folded from its perfect subtrees.
fn range_root(range: Range<u64>, tiles: &mut LastTile<'_, impl Tiles>) -> Result<Hash, ProofError> {
    let mut root = None;
    for (height, position) in perfect_subtrees(&range) {
        let (id, height, position) = tile_place(height, position);
        let left = tiles
            .tile(id)
            .and_then(|tile| tile.subtree_root(height, position))
            .ok_or(ProofError::MissingTile(id))?;
        root = Some(root.map_or(left, |right| node_hash(&left, &right)));
    }
    // No range of a proof is empty.
    root.ok_or_else(|| ProofError::OutOfRange("a proof over no leaves".to_owned()))
}
