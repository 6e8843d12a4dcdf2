//! A run of entries that lie side by side in one tree, with one proof for all of them.
//!
//! The inclusion proofs of the first and the last entry have all that is needed: the subtrees on
//! the left of the run are in the first, those on the right of it in the last. Whoever has the
//! leaves between them computes the root. So no entry is missing, and none is in another place.

use tlog::{Hash, node_hash};

use crate::error::{Result, require};
use crate::head::SignedHead;
use crate::proof::{Inclusion, Side};

/// The proof of a run of entries. The leaves are not in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// The head of the tree.
    pub head: SignedHead,
    /// The index of the first entry in the tree.
    pub first: u64,
    /// How many entries the run has.
    pub count: u64,
    /// Roots of the subtrees on its left, from the leaves to the root.
    pub left: Vec<Hash>,
    /// Roots of the subtrees on its right, from the leaves to the root.
    pub right: Vec<Hash>,
}

impl Run {
    /// Makes the proof of the entries from `first` to `last`, both among them.
    ///
    /// # Errors
    ///
    /// The proofs are of two heads, or the last entry comes before the first.
    pub fn between(first: &Inclusion, last: &Inclusion) -> Result<Self> {
        require(first.head.states_the_same_as(&last.head), || {
            "the proofs of the first and the last entry are of two heads".to_owned()
        })?;
        let (start, end) = (first.leaf_index.0, last.leaf_index.0);
        require(start <= end, || {
            format!("the last entry {end} comes before the first, {start}")
        })?;
        let on = |inclusion: &Inclusion, side| {
            let steps = inclusion.steps().into_iter();
            let steps = steps.filter(|step| step.side == side);
            steps.map(|step| step.sibling).collect()
        };
        Ok(Self {
            head: first.head.clone(),
            first: start,
            count: (end - start).saturating_add(1),
            left: on(first, Side::Left),
            right: on(last, Side::Right),
        })
    }

    /// Verifies that these are the leaf hashes of the run.
    ///
    /// # Errors
    ///
    /// They are too many or too few, or do not lead to the root.
    pub fn verify(&self, leaves: &[Hash]) -> Result<()> {
        require(leaves.len() as u64 == self.count, || {
            format!("{} entries instead of {}", leaves.len(), self.count)
        })?;
        let mut walk = Walk {
            first: self.first,
            leaves,
            left: self.left.iter(),
            right: self.right.iter(),
        };
        let root = walk.root(0, self.head.size().0);
        let is_used = walk.left.next().is_none() && walk.right.next().is_none();
        require(is_used && root == Some(*self.head.root()), || {
            format!(
                "the {} entries from {} are not those of the head with root {}",
                self.count,
                self.first,
                self.head.root()
            )
        })
    }
}

/// Computes roots, taking those of whole subtrees outside the run from the proof.
struct Walk<'a> {
    first: u64,
    leaves: &'a [Hash],
    left: std::slice::Iter<'a, Hash>,
    right: std::slice::Iter<'a, Hash>,
}

impl Walk<'_> {
    /// Returns the root of the leaves from `start` to `end`, of which there is one at least. The
    /// depth is at most 64.
    fn root(&mut self, start: u64, end: u64) -> Option<Hash> {
        let run_end = self.first.checked_add(self.leaves.len() as u64)?;
        if end <= self.first {
            // Met from the root down, so the largest comes first.
            return self.left.next_back().copied();
        }
        if start >= run_end {
            return self.right.next().copied();
        }
        if end - start == 1 {
            let place = usize::try_from(start - self.first).ok()?;
            return self.leaves.get(place).copied();
        }
        let half = (end - start - 1).checked_ilog2().map(|log| 1_u64 << log)?;
        let left = self.root(start, start + half)?;
        let right = self.root(start + half, end)?;
        Some(node_hash(&left, &right))
    }
}

#[cfg(test)]
mod tests {
    use ring::rand::SystemRandom;
    use tlog::{Checkpoint, LeafIndex, SigningKey, TreeSize};

    use super::*;
    use crate::key::LogKey;

    fn root(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => tlog::EMPTY_ROOT,
            [leaf] => *leaf,
            _ => {
                let (left, right) = leaves.split_at(1 << (leaves.len() - 1).ilog2());
                node_hash(&root(left), &root(right))
            }
        }
    }

    fn path(leaves: &[Hash], index: usize) -> Vec<Hash> {
        if leaves.len() == 1 {
            return Vec::new();
        }
        let half = 1 << (leaves.len() - 1).ilog2();
        let (left, right) = leaves.split_at(half);
        let (mut path, sibling) = match index < half {
            true => (path(left, index), root(right)),
            false => (path(right, index - half), root(left)),
        };
        path.push(sibling);
        path
    }

    #[test]
    fn every_run_of_every_small_tree_is_proved() {
        let rng = SystemRandom::new();
        let key = SigningKey::generate_p256_pkcs8(&rng).unwrap();
        let key = SigningKey::from_pkcs8(&key, &rng).unwrap();
        let keys = [LogKey::new(key.verifying_key().clone())];
        for size in 1..=17_usize {
            let leaves: Vec<Hash> = (0..size).map(|n| tlog::leaf_hash(&[n as u8])).collect();
            let head = Checkpoint::new("log.example", TreeSize(size as u64), root(&leaves));
            let proof = |index: usize| {
                let (leaf, at) = (leaves[index], LeafIndex(index as u64));
                // Signed anew each time, as Rekor v1 does.
                let note = head.sign("log.example", &key, &rng).unwrap();
                let head = SignedHead::open(&keys, &note).unwrap();
                Inclusion::verify(leaf, at, path(&leaves, index), head).unwrap()
            };
            for first in 0..size {
                for last in first..size {
                    let run = Run::between(&proof(first), &proof(last)).unwrap();
                    run.verify(&leaves[first..=last]).unwrap();
                    assert!(run.verify(&leaves[first..last]).is_err());
                    let mut changed = leaves[first..=last].to_vec();
                    changed[0] = tlog::leaf_hash(b"other");
                    assert!(run.verify(&changed).is_err());
                    if first > 0 {
                        assert!(Run::between(&proof(first), &proof(first - 1)).is_err());
                        let shifted = Run {
                            first: run.first - 1,
                            ..run.clone()
                        };
                        assert!(shifted.verify(&leaves[first..=last]).is_err());
                    }
                }
            }
        }
    }
}
