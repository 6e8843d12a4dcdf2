use tlog::{
    LeafIndex, TileId, TilePath, TileResource, TreeSize, consistency_proof, inclusion_proof,
};
use tlog_tiles as other;

use crate::reference::{Tree, critical_sizes, leaves};

/// The hashes of `tlog_tiles`, in its own storage order.
struct Stored(Vec<other::Hash>);

impl other::HashReader for Stored {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<other::Hash>, other::Error> {
        Ok(indexes
            .iter()
            .map(|index| self.0[*index as usize])
            .collect())
    }
}

#[test]
fn roots_and_proofs_are_those_of_tlog_tiles() {
    const LARGEST: u64 = 65_536 + 257;
    let leaves = leaves(LARGEST);
    let tree = Tree::new(&leaves);
    let mut stored = Stored(Vec::new());
    for (index, leaf) in leaves.iter().enumerate() {
        let new = other::stored_hashes_for_record_hash(index as u64, other::Hash(leaf.0), &stored)
            .expect("stored");
        stored.0.extend(new);
    }
    let sizes = critical_sizes(LARGEST);
    for size in sizes.iter().copied().filter(|size| *size > 0) {
        let cut = Tree::new(&leaves[..size as usize]);
        let root = other::tree_hash(size, &stored).expect("root");
        assert_eq!(cut.root().0, root.0, "size {size}");
        for index in sizes.iter().copied().filter(|index| *index < size) {
            let proof =
                inclusion_proof(LeafIndex(index), TreeSize(size), &tree.tiles).expect("proof");
            let proof: Vec<_> = proof.iter().map(|hash| other::Hash(hash.0)).collect();
            let leaf = other::Hash(leaves[index as usize].0);
            assert_eq!(
                other::prove_record(size, index, &stored).expect("proof"),
                proof,
                "{index} of {size}"
            );
            assert!(other::check_record(&proof, size, root, index, leaf).is_ok());
        }
        for first in sizes
            .iter()
            .copied()
            .filter(|first| (1..=size).contains(first))
        {
            let proof =
                consistency_proof(TreeSize(first), TreeSize(size), &tree.tiles).expect("proof");
            let proof: Vec<_> = proof.iter().map(|hash| other::Hash(hash.0)).collect();
            let first_root = other::tree_hash(first, &stored).expect("root");
            assert_eq!(
                other::prove_tree(size, first, &stored).expect("proof"),
                proof,
                "{first} to {size}"
            );
            assert!(other::check_tree(&proof, size, root, first, first_root).is_ok());
        }
    }
}

#[test]
fn tile_paths_are_those_of_tlog_tiles() {
    for index in [0, 1, 255, 999, 1000, 1_234_067, 1 << 40, 1 << 54] {
        for (level, width) in [(0, 256), (1, 17), (5, 255), (7, 1)] {
            let partial = u8::try_from(width).ok().and_then(std::num::NonZeroU8::new);
            let resource = TileResource::Tile(TileId { level, index });
            let path = TilePath { resource, partial }.to_string();
            // That crate's paths begin with the tile height, ours have it fixed.
            let theirs = other::Tile::new(8, level, index, width, false).path();
            assert_eq!(theirs.replacen("tile/8/", "tile/", 1), path);
        }
    }
}
