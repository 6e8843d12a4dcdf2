//! RFC 6962 section 2.1 as it is written, over all leaf hashes, and the ways to get them.

use std::collections::HashMap;
use std::sync::Arc;

use tlog::{Edge, FullTile, Hash, TileId, TileTree, TreeSize, leaf_hash, node_hash, sha256};

/// MTH(D[n]).
pub(crate) fn root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => sha256(&[]),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(split(leaves));
            node_hash(&root(left), &root(right))
        }
    }
}

/// PATH(m, D[n]).
pub(crate) fn path(m: usize, leaves: &[Hash]) -> Vec<Hash> {
    if leaves.len() == 1 {
        return vec![];
    }
    let k = split(leaves);
    let (left, right) = leaves.split_at(k);
    if m < k {
        [path(m, left), vec![root(right)]].concat()
    } else {
        [path(m - k, right), vec![root(left)]].concat()
    }
}

/// SUBPROOF(m, D[n], whole).
pub(crate) fn subproof(m: usize, leaves: &[Hash], whole: bool) -> Vec<Hash> {
    if m == leaves.len() {
        return if whole { vec![] } else { vec![root(leaves)] };
    }
    let k = split(leaves);
    let (left, right) = leaves.split_at(k);
    if m <= k {
        [subproof(m, left, whole), vec![root(right)]].concat()
    } else {
        [subproof(m - k, right, false), vec![root(left)]].concat()
    }
}

fn split(leaves: &[Hash]) -> usize {
    leaves.len().next_power_of_two() / 2
}

/// Distinct leaves.
pub(crate) fn leaves(count: u64) -> Vec<Hash> {
    (0..count)
        .map(|index| leaf_hash(&index.to_be_bytes()))
        .collect()
}

/// A tree as a store has it: its edge, and every tile, the partial ones included.
pub(crate) struct Tree {
    pub(crate) edge: Edge,
    pub(crate) full: Vec<FullTile>,
    pub(crate) tiles: HashMap<TileId, Arc<TileTree>>,
}

impl Tree {
    pub(crate) fn new(leaves: &[Hash]) -> Self {
        let mut edge = Edge::empty();
        let full = edge.append(leaves);
        let decoded = full.iter().map(|tile| {
            (
                tile.id,
                Arc::new(TileTree::new(&tile.hashes).expect("full tile")),
            )
        });
        let tiles = decoded.chain(edge.tiles()).collect();
        Self { edge, full, tiles }
    }

    pub(crate) fn root(&self) -> Hash {
        self.edge.root()
    }

    pub(crate) fn size(&self) -> TreeSize {
        self.edge.size()
    }
}

/// Sizes at which something changes: around every power of two up to 2^9, around full tiles of
/// levels 0 and 1.
pub(crate) fn critical_sizes(limit: u64) -> Vec<u64> {
    let powers = (0..=20).flat_map(|bit| [(1_u64 << bit) - 1, 1 << bit, (1 << bit) + 1]);
    let tiles = [
        3 * 256 - 1,
        3 * 256,
        3 * 256 + 1,
        65_536 + 255,
        65_536 + 256,
        65_536 + 257,
        2 * 65_536 + 300,
    ];
    let mut sizes: Vec<_> = powers
        .chain(tiles)
        .chain([300, 70_000])
        .filter(|size| *size <= limit)
        .collect();
    sizes.sort_unstable();
    sizes.dedup();
    sizes
}
