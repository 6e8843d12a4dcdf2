//! Inclusion and consistency proofs (RFC 6962 section 2.1.1 and 2.1.2), made from tiles; verified as in RFC 9162 section 2.1.3.2 and 2.1.4.2.

use std::collections::HashMap;
use std::sync::Arc;

use crate::{Hash, LeafIndex, TileId, TileTree, TreeSize};

/// Longest inclusion proof: a leaf index fits in 63 bits.
pub const MAX_INCLUSION_PROOF: usize = 63;
/// Longest consistency proof.
pub const MAX_CONSISTENCY_PROOF: usize = 64;

/// Tiles by identity. A tile may be wider than the tree size in question asks for: its first hashes count.
pub trait Tiles {
    /// The tile, if it is there.
    fn tile(&self, id: TileId) -> Option<&TileTree>;
}

impl Tiles for HashMap<TileId, Arc<TileTree>> {
    fn tile(&self, id: TileId) -> Option<&TileTree> {
        self.get(&id).map(Arc::as_ref)
    }
}

/// Why a proof could not be made or does not verify.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// Leaf index or sizes out of range.
    #[error("{0}")]
    OutOfRange(String),
    /// A tile that the proof needs is absent or too narrow.
    #[error("tile level {} index {} is missing or too narrow", .0.level, .0.index)]
    MissingTile(TileId),
    /// Wrong number of hashes.
    #[error("the proof has {got} hashes instead of {want}")]
    Length {
        /// Expected.
        want: usize,
        /// Found.
        got: usize,
    },
    /// The computed root is another.
    #[error("the proof leads to root {computed}, not to {expected}")]
    RootMismatch {
        /// From the proof.
        computed: Hash,
        /// From the tree head.
        expected: Hash,
    },
}

/// Every tile that [`inclusion_proof`] reads, the partial ones of `size` included.
pub fn tiles_for_inclusion(_index: LeafIndex, _size: TreeSize) -> Vec<TileId> {
    todo!()
}

/// Every tile that [`consistency_proof`] reads, the partial ones of `second` included.
pub fn tiles_for_consistency(_first: TreeSize, _second: TreeSize) -> Vec<TileId> {
    todo!()
}

/// Inclusion proof, leaf to root (RFC 6962 section 2.1.1).
pub fn inclusion_proof(_index: LeafIndex, _size: TreeSize, _tiles: &impl Tiles) -> Result<Vec<Hash>, ProofError> {
    todo!()
}

/// Consistency proof in RFC 6962 order (section 2.1.2); empty when `first` is 0 or equals `second`.
pub fn consistency_proof(_first: TreeSize, _second: TreeSize, _tiles: &impl Tiles) -> Result<Vec<Hash>, ProofError> {
    todo!()
}

/// Verifies an inclusion proof (RFC 9162 section 2.1.3.2).
pub fn verify_inclusion(_leaf_hash: &Hash, _index: LeafIndex, _size: TreeSize, _root: &Hash, _proof: &[Hash]) -> Result<(), ProofError> {
    todo!()
}

/// Verifies a consistency proof (RFC 9162 section 2.1.4.2). `first` of 0 is consistent with everything if its root is [`crate::EMPTY_ROOT`] and the proof is empty.
pub fn verify_consistency(_first: TreeSize, _first_root: &Hash, _second: TreeSize, _second_root: &Hash, _proof: &[Hash]) -> Result<(), ProofError> {
    todo!()
}
