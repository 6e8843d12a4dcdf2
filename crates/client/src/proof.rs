//! Verified proofs, and the paths that they walk.

use tlog::{Hash, LeafIndex, ProofError, TlogProof, TreeSize, node_hash};

use crate::error::{Result, require};
use crate::head::SignedHead;

/// An inclusion proof that was verified up to a signed head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inclusion {
    /// The leaf hash.
    pub leaf_hash: Hash,
    /// The index in the tree.
    pub leaf_index: LeafIndex,
    /// The proof, leaf to root.
    pub hashes: Vec<Hash>,
    /// The head.
    pub head: SignedHead,
}

/// A consistency proof between two heads that was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consistency {
    /// Size of the earlier tree.
    pub first: TreeSize,
    /// Its root.
    pub first_root: Hash,
    /// The proof, as RFC 6962 orders it.
    pub hashes: Vec<Hash>,
    /// The later head.
    pub head: SignedHead,
}

/// One step of a path: a hash of the proof is joined with the node so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The side on which the hash of the proof stands.
    pub side: Side,
    /// The hash of the proof.
    pub sibling: Hash,
    /// The hash of both.
    pub node: Hash,
}

/// One step of the path of a consistency proof: a hash of the proof is joined with the roots so
/// far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConsistencyStep {
    /// The side on which the hash of the proof stands. Only a hash on the left belongs to both
    /// trees.
    pub side: Side,
    /// The hash of the proof.
    pub sibling: Hash,
    /// The node in the earlier tree, which a hash on the right does not change.
    pub first: Hash,
    /// The node in the later tree.
    pub second: Hash,
}

/// A side of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The sibling comes first.
    Left,
    /// The sibling comes second.
    Right,
}

impl Inclusion {
    /// Verifies that the leaf is in the tree of `head`.
    ///
    /// # Errors
    ///
    /// The proof does not lead to the root.
    pub fn verify(
        leaf_hash: Hash,
        leaf_index: LeafIndex,
        hashes: Vec<Hash>,
        head: SignedHead,
    ) -> Result<Self> {
        tlog::verify_inclusion(&leaf_hash, leaf_index, head.size(), head.root(), &hashes)?;
        Ok(Self {
            leaf_hash,
            leaf_index,
            hashes,
            head,
        })
    }

    /// Returns the steps from the leaf to the root.
    pub fn steps(&self) -> Vec<Step> {
        let last = self.head.size().0.saturating_sub(1);
        let mut node = self.leaf_hash;
        let mut steps = Vec::with_capacity(self.hashes.len());
        for (sibling, side) in self.hashes.iter().zip(sides(self.leaf_index.0, last)) {
            node = join(side, sibling, &node);
            steps.push(Step {
                side,
                sibling: *sibling,
                node,
            });
        }
        steps
    }

    /// Returns the proof as C2SP tlog-proof.
    pub fn to_tlog_proof(&self) -> TlogProof {
        TlogProof {
            extra: None,
            index: self.leaf_index,
            hashes: self.hashes.clone(),
            checkpoint: self.head.note.clone(),
        }
    }
}

impl Consistency {
    /// Verifies that the tree of `first` leaves and `first_root` is the beginning of that of
    /// `head`.
    ///
    /// # Errors
    ///
    /// The proof does not lead from one root to the other.
    pub fn verify(
        first: TreeSize,
        first_root: Hash,
        hashes: Vec<Hash>,
        head: SignedHead,
    ) -> Result<Self> {
        tlog::verify_consistency(first, &first_root, head.size(), head.root(), &hashes)?;
        Ok(Self {
            first,
            first_root,
            hashes,
            head,
        })
    }

    /// Verifies a proof from an earlier tree whose root the caller does not know. The root follows
    /// from the proof.
    ///
    /// This says that a tree of `first` leaves is the beginning of that of `head`. It does not say
    /// that the log ever published that tree. A caller that knows its root MUST use
    /// [`Consistency::verify`].
    ///
    /// # Errors
    ///
    /// The proof does not lead to the root of `head`, or `first` is a power of two: then the proof
    /// leaves out the earlier root.
    pub fn derive(first: TreeSize, hashes: Vec<Hash>, head: SignedHead) -> Result<Self> {
        if first == head.size() {
            let root = *head.root();
            return Self::verify(first, root, hashes, head);
        }
        require(!first.0.is_power_of_two(), || {
            format!("{first} is a power of two, so the proof leaves out the earlier root: give it")
        })?;
        let verify =
            |root: &Hash| tlog::verify_consistency(first, root, head.size(), head.root(), &hashes);
        // No tree with leaves has the empty root, so the first root is what differs first.
        let first_root = match verify(&tlog::EMPTY_ROOT) {
            Err(ProofError::RootMismatch { computed, .. }) => computed,
            Err(error) => return Err(error.into()),
            Ok(()) => tlog::EMPTY_ROOT,
        };
        Self::verify(first, first_root, hashes, head)
    }

    /// Returns the node that both paths begin with, and the steps from it to both roots.
    pub fn steps(&self) -> (Hash, Vec<ConsistencyStep>) {
        let is_power_of_two = self.first.0.is_power_of_two();
        let (start, path) = match self.hashes.split_first() {
            Some((start, path)) if !is_power_of_two => (*start, path),
            _ => (self.first_root, self.hashes.as_slice()),
        };
        // The perfect subtree at the right edge of the earlier tree, at its own height.
        let height = self.first.0.trailing_zeros();
        let shifted = |size: TreeSize| size.0.saturating_sub(1).checked_shr(height).unwrap_or(0);
        let sides = sides(shifted(self.first), shifted(self.head.size()));
        let (mut first, mut second) = (start, start);
        let mut steps = Vec::with_capacity(path.len());
        for (sibling, side) in path.iter().zip(sides) {
            if side == Side::Left {
                first = join(side, sibling, &first);
            }
            second = join(side, sibling, &second);
            steps.push(ConsistencyStep {
                side,
                sibling: *sibling,
                first,
                second,
            });
        }
        (start, steps)
    }
}

fn join(side: Side, sibling: &Hash, node: &Hash) -> Hash {
    match side {
        Side::Left => node_hash(sibling, node),
        Side::Right => node_hash(node, sibling),
    }
}

/// Returns the sides on which the hashes of an inclusion proof stand, from the leaf up. `last` is
/// the index of the tree's last leaf. These are steps 4.b and 4.c of RFC 9162 section 2.1.3.2.
fn sides(index: u64, last: u64) -> impl Iterator<Item = Side> {
    let (mut node, mut last) = (index, last);
    std::iter::from_fn(move || {
        if last == 0 {
            return None;
        }
        let side = if node & 1 == 1 || node == last {
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
            Side::Left
        } else {
            Side::Right
        };
        node >>= 1;
        last >>= 1;
        Some(side)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::Arc;

    use ring::rand::SystemRandom;
    use tlog::{Checkpoint, Edge, SigningKey, TileId, TileTree};

    use super::*;
    use crate::key::LogKey;

    fn leaves() -> Vec<Hash> {
        (0_u8..70).map(|leaf| tlog::leaf_hash(&[leaf])).collect()
    }

    /// The heads of a log as it grew from one leaf to many, each with its tiles.
    fn heads(leaves: &[Hash]) -> Vec<(SignedHead, HashMap<TileId, Arc<TileTree>>)> {
        let rng = SystemRandom::new();
        let pkcs8 = SigningKey::generate_ed25519_pkcs8(&rng).unwrap();
        let key = SigningKey::from_pkcs8(&pkcs8, &rng).unwrap();
        let keys = [LogKey::new(key.verifying_key().clone())];
        let sizes = 1..=leaves.len();
        let head = |size| {
            let mut edge = Edge::empty();
            edge.append(&leaves[..size]);
            let checkpoint = Checkpoint::new("log.example", edge.size(), edge.root());
            let note = checkpoint.sign("log.example", &key, &rng).unwrap();
            let tile = Arc::new(TileTree::new(&leaves[..size]).unwrap());
            let tiles = HashMap::from([(TileId { level: 0, index: 0 }, tile)]);
            (SignedHead::open(&keys, &note).unwrap(), tiles)
        };
        sizes.map(head).collect()
    }

    #[test]
    fn steps_of_inclusion_lead_to_the_root() {
        let leaves = leaves();
        for (head, tiles) in heads(&leaves) {
            let size = head.size().0 as usize;
            for (index, leaf) in (0..).zip(&leaves[..size]) {
                let index = LeafIndex(index);
                let hashes = tlog::inclusion_proof(index, head.size(), &tiles).unwrap();
                let proof = Inclusion::verify(*leaf, index, hashes, head.clone()).unwrap();
                let steps = proof.steps();
                assert_eq!(steps.len(), proof.hashes.len());
                let last = steps.last().map_or(*leaf, |step| step.node);
                assert_eq!(last, *head.root(), "{index} of {size}");
                let keys = [head.signer.clone()];
                let tlog_proof = proof.to_tlog_proof();
                tlog_proof.verify(leaf, "log.example", &keys).unwrap();
            }
        }
    }

    #[test]
    fn steps_of_consistency_lead_to_both_roots() {
        let leaves = leaves();
        let heads = heads(&leaves);
        for (later, tiles) in &heads {
            let earlier = heads.iter().take(later.size().0 as usize);
            for (first, _) in earlier {
                let (size, root) = (first.size(), *first.root());
                let hashes = tlog::consistency_proof(size, later.size(), tiles).unwrap();
                let proof = Consistency::verify(size, root, hashes.clone(), later.clone());
                let proof = proof.unwrap();
                let (start, steps) = proof.steps();
                let roots = steps.last().map(|step| (step.first, step.second));
                assert_eq!(roots.unwrap_or((start, start)), (root, *later.root()));
                let derived = Consistency::derive(size, hashes, later.clone());
                if !size.0.is_power_of_two() || size == later.size() {
                    assert_eq!(derived.unwrap(), proof);
                } else {
                    derived.unwrap_err();
                }
            }
        }
    }
}
