use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use tlog::{
    EMPTY_ROOT, Hash, LeafIndex, MAX_CONSISTENCY_PROOF, MAX_INCLUSION_PROOF, MAX_TREE_SIZE,
    ProofError, TileId, TileTree, Tiles, TreeSize, consistency_proof, inclusion_proof, root_at,
    tiles_for_consistency, tiles_for_inclusion, tiles_for_root, verify_consistency,
    verify_inclusion,
};

use crate::reference::{self, Tree, critical_sizes, leaves};

#[test]
fn all_inclusion_proofs_to_300() {
    let leaves = leaves(300);
    // Tiles wider than the size in question: their first hashes count.
    let tree = Tree::new(&leaves);
    for size in 1..=leaves.len() {
        let root = reference::root(&leaves[..size]);
        for (index, leaf) in leaves[..size].iter().enumerate() {
            let (at, size) = (LeafIndex(index as u64), TreeSize(size as u64));
            let proof = inclusion_proof(at, size, &tree.tiles).expect("proof");
            assert_eq!(
                proof,
                reference::path(index, &leaves[..size.0 as usize]),
                "{index} of {size}"
            );
            assert_eq!(
                verify_inclusion(leaf, at, size, &root, &proof),
                Ok(()),
                "{index} of {size}"
            );
        }
    }
}

#[test]
fn all_consistency_proofs_to_300() {
    let leaves = leaves(300);
    let tree = Tree::new(&leaves);
    let roots: Vec<_> = (0..=leaves.len())
        .map(|size| reference::root(&leaves[..size]))
        .collect();
    for second in 0..=leaves.len() {
        for first in 0..=second {
            let (m, n) = (TreeSize(first as u64), TreeSize(second as u64));
            let proof = consistency_proof(m, n, &tree.tiles).expect("proof");
            let expected = if first == 0 {
                vec![]
            } else {
                reference::subproof(first, &leaves[..second], true)
            };
            assert_eq!(proof, expected, "{first} to {second}");
            assert_eq!(
                verify_consistency(m, &roots[first], n, &roots[second], &proof),
                Ok(()),
                "{first} to {second}"
            );
        }
    }
}

#[test]
fn roots_of_smaller_trees_come_from_the_tiles_named() {
    let leaves = leaves(66_000);
    let tree = Tree::new(&leaves);
    for size in critical_sizes(66_000) {
        let (root, read) = reading(&tree, |tiles| root_at(TreeSize(size), tiles));
        assert_eq!(
            root,
            Ok(Tree::new(&leaves[..size as usize]).root()),
            "{size}"
        );
        assert_eq!(
            read,
            HashSet::from_iter(tiles_for_root(TreeSize(size))),
            "{size}"
        );
    }
    for size in [MAX_TREE_SIZE.0 + 1, u64::MAX].map(TreeSize) {
        assert!(matches!(
            root_at(size, &tree.tiles),
            Err(ProofError::OutOfRange(_))
        ));
        assert_eq!(tiles_for_root(size), []);
    }
}

#[test]
fn proofs_at_critical_sizes_read_the_tiles_they_name_and_no_other() {
    const LARGEST: u64 = 2 * 65_536 + 300;
    let leaves = leaves(LARGEST);
    let sizes = critical_sizes(LARGEST);
    let wide = Tree::new(&leaves);
    let cut_roots: HashMap<u64, Hash> = sizes
        .iter()
        .map(|size| (*size, Tree::new(&leaves[..*size as usize]).root()))
        .collect();
    for size in sizes.iter().copied().filter(|size| *size > 0) {
        let narrow = Tree::new(&leaves[..size as usize]);
        let indexes = sizes
            .iter()
            .copied()
            .chain([size / 3, size - 1])
            .filter(|index| *index < size);
        for index in indexes.map(LeafIndex) {
            let (proof, read) = reading(&narrow, |tiles| {
                inclusion_proof(index, TreeSize(size), tiles)
            });
            assert_eq!(
                read,
                HashSet::from_iter(tiles_for_inclusion(index, TreeSize(size))),
                "{index} of {size}"
            );
            assert_eq!(inclusion_proof(index, TreeSize(size), &wide.tiles), proof);
            let leaf = &leaves[index.0 as usize];
            let verified = proof.and_then(|proof| {
                verify_inclusion(leaf, index, TreeSize(size), &cut_roots[&size], &proof)
            });
            assert_eq!(verified, Ok(()), "{index} of {size}");
        }
        for first in sizes.iter().copied().filter(|first| *first <= size) {
            let (m, n) = (TreeSize(first), TreeSize(size));
            let (proof, read) = reading(&narrow, |tiles| consistency_proof(m, n, tiles));
            assert_eq!(
                read,
                HashSet::from_iter(tiles_for_consistency(m, n)),
                "{first} to {size}"
            );
            assert_eq!(consistency_proof(m, n, &wide.tiles), proof);
            let verified = proof.and_then(|proof| {
                verify_consistency(m, &cut_roots[&first], n, &cut_roots[&size], &proof)
            });
            assert_eq!(verified, Ok(()), "{first} to {size}");
        }
    }
}

#[test]
fn a_missing_or_narrow_tile_is_named() {
    let leaves = leaves(1000);
    let tree = Tree::new(&leaves);
    let (index, size) = (LeafIndex(700), TreeSize(1000));
    let (first, second) = (TreeSize(700), TreeSize(1000));
    let needed = tiles_for_inclusion(index, size);
    assert_eq!(
        needed,
        [(0, 2), (0, 3), (1, 0)].map(|(level, index)| TileId { level, index })
    );
    assert_eq!(tiles_for_consistency(first, second), needed);
    for id in needed {
        let mut tiles = tree.tiles.clone();
        let tile = tiles.remove(&id).expect("there");
        assert_eq!(
            inclusion_proof(index, size, &tiles),
            Err(ProofError::MissingTile(id))
        );
        assert_eq!(
            consistency_proof(first, second, &tiles),
            Err(ProofError::MissingTile(id))
        );
        let narrow: Vec<_> = tile.hashes().take(1).collect();
        tiles.insert(id, Arc::new(TileTree::new(&narrow).expect("one hash")));
        assert_eq!(
            inclusion_proof(index, size, &tiles),
            Err(ProofError::MissingTile(id))
        );
        assert_eq!(
            consistency_proof(first, second, &tiles),
            Err(ProofError::MissingTile(id))
        );
    }
}

#[test]
fn out_of_range_is_refused_everywhere() {
    let tiles = HashMap::<TileId, Arc<TileTree>>::new();
    let hash = EMPTY_ROOT;
    let beyond = MAX_TREE_SIZE.0 + 1;
    for (index, size) in [
        (0, 0),
        (1, 1),
        (5, 4),
        (u64::MAX, 3),
        (u64::MAX, u64::MAX),
        (0, beyond),
        (0, u64::MAX),
    ] {
        let (index, size) = (LeafIndex(index), TreeSize(size));
        assert!(tiles_for_inclusion(index, size).is_empty());
        assert!(
            matches!(
                inclusion_proof(index, size, &tiles),
                Err(ProofError::OutOfRange(_))
            ),
            "{index} of {size}"
        );
        assert!(matches!(
            verify_inclusion(&hash, index, size, &hash, &[]),
            Err(ProofError::OutOfRange(_))
        ));
    }
    for (first, second) in [
        (1, 0),
        (5, 4),
        (u64::MAX, 3),
        (0, beyond),
        (beyond, beyond),
        (u64::MAX, u64::MAX),
    ] {
        let (first, second) = (TreeSize(first), TreeSize(second));
        assert!(tiles_for_consistency(first, second).is_empty());
        assert!(
            matches!(
                consistency_proof(first, second, &tiles),
                Err(ProofError::OutOfRange(_))
            ),
            "{first} to {second}"
        );
        assert!(matches!(
            verify_consistency(first, &hash, second, &hash, &[]),
            Err(ProofError::OutOfRange(_))
        ));
    }
}

#[test]
fn the_longest_proofs_have_the_length_stated() {
    // Only the first leaf's tiles are there, so the lengths show in the verifier alone.
    let hash = EMPTY_ROOT;
    let proof = vec![hash; 100];
    let length = |result| match result {
        Err(ProofError::Length { want, got: 100 }) => want,
        other => panic!("{other:?}"),
    };
    let indexes = [0, 1, 1 << 62, (1 << 62) - 1, MAX_TREE_SIZE.0 - 1];
    let longest = indexes.map(|index| {
        length(verify_inclusion(
            &hash,
            LeafIndex(index),
            MAX_TREE_SIZE,
            &hash,
            &proof,
        ))
    });
    assert_eq!(longest.into_iter().max(), Some(MAX_INCLUSION_PROOF));
    let firsts = [1, 3, (1 << 62) - 1, (1 << 62) + 1, MAX_TREE_SIZE.0 - 1];
    let longest = firsts.map(|first| {
        length(verify_consistency(
            TreeSize(first),
            &hash,
            MAX_TREE_SIZE,
            &hash,
            &proof,
        ))
    });
    assert!(
        longest
            .into_iter()
            .all(|length| length <= MAX_CONSISTENCY_PROOF)
    );
    assert_eq!(
        length(verify_consistency(
            TreeSize(3),
            &hash,
            MAX_TREE_SIZE,
            &hash,
            &proof
        )),
        MAX_CONSISTENCY_PROOF
    );
}

#[test]
fn tiles_of_huge_trees_are_few() {
    let few = |tiles: Vec<TileId>| tiles.len() <= 2 * 8 && tiles.iter().all(|id| id.level < 8);
    for index in [0, 1, 255, 256, 1 << 40, MAX_TREE_SIZE.0 - 1] {
        for size in [MAX_TREE_SIZE.0, (1 << 62) + 1, 1 << 62] {
            assert!(
                index >= size || few(tiles_for_inclusion(LeafIndex(index), TreeSize(size))),
                "{index} of {size}"
            );
            assert!(
                few(tiles_for_consistency(TreeSize(index), TreeSize(size))),
                "{index} to {size}"
            );
        }
    }
}

#[test]
fn mutated_inclusion_proofs_fail() {
    let leaves = leaves(260);
    let tree = Tree::new(&leaves);
    for size in [1, 2, 3, 4, 5, 7, 8, 9, 100, 255, 256, 257, 260] {
        let root = reference::root(&leaves[..size]);
        for (index, leaf) in leaves[..size].iter().enumerate() {
            let (at, of) = (LeafIndex(index as u64), TreeSize(size as u64));
            let proof = inclusion_proof(at, of, &tree.tiles).expect("proof");
            for mutant in mutants(&proof) {
                assert!(
                    verify_inclusion(leaf, at, of, &root, &mutant).is_err(),
                    "{index} of {size}"
                );
            }
            for wrong in flips(leaf) {
                assert!(
                    verify_inclusion(&wrong, at, of, &root, &proof).is_err(),
                    "{index} of {size}"
                );
            }
            for wrong in flips(&root) {
                assert!(
                    verify_inclusion(leaf, at, of, &wrong, &proof).is_err(),
                    "{index} of {size}"
                );
            }
            for wrong in (0..size as u64 + 2).filter(|wrong| *wrong != at.0) {
                assert!(
                    verify_inclusion(leaf, LeafIndex(wrong), of, &root, &proof).is_err(),
                    "{index} as {wrong} of {size}"
                );
            }
        }
    }
}

#[test]
fn an_inclusion_proof_is_bound_to_its_size_where_the_way_up_differs() {
    // For other sizes of which the leaf has the same way up, the same hashes lead to the same root:
    // there RFC 9162 accepts.
    let leaves = leaves(40);
    let tree = Tree::new(&leaves);
    for size in 1..=40 {
        for index in 0..size {
            let proof =
                inclusion_proof(LeafIndex(index), TreeSize(size), &tree.tiles).expect("proof");
            let sides = sides(index, size);
            for wrong in (0..=80).filter(|wrong| *wrong != size) {
                let leaf = &leaves[index as usize];
                let root = reference::root(&leaves[..size as usize]);
                let verified =
                    verify_inclusion(leaf, LeafIndex(index), TreeSize(wrong), &root, &proof)
                        .is_ok();
                assert_eq!(
                    verified,
                    index < wrong && self::sides(index, wrong) == sides,
                    "{index} of {size} as of {wrong}"
                );
            }
        }
    }
}

#[test]
fn mutated_consistency_proofs_fail() {
    let leaves = leaves(130);
    let tree = Tree::new(&leaves);
    let roots: Vec<_> = (0..=leaves.len())
        .map(|size| reference::root(&leaves[..size]))
        .collect();
    for second in [1, 2, 3, 4, 5, 8, 9, 64, 100, 127, 128, 130] {
        for first in 1..=second {
            let (m, n) = (TreeSize(first as u64), TreeSize(second as u64));
            let (first_root, second_root) = (&roots[first], &roots[second]);
            let proof = consistency_proof(m, n, &tree.tiles).expect("proof");
            for mutant in mutants(&proof) {
                assert!(
                    verify_consistency(m, first_root, n, second_root, &mutant).is_err(),
                    "{first} to {second}"
                );
            }
            for wrong in flips(first_root) {
                assert!(
                    verify_consistency(m, &wrong, n, second_root, &proof).is_err(),
                    "{first} to {second}"
                );
            }
            for wrong in flips(second_root) {
                assert!(
                    verify_consistency(m, first_root, n, &wrong, &proof).is_err(),
                    "{first} to {second}"
                );
            }
            for wrong in (0..=leaves.len()).filter(|wrong| *wrong != first) {
                let other = TreeSize(wrong as u64);
                assert!(
                    verify_consistency(other, first_root, n, second_root, &proof).is_err(),
                    "{first} as {wrong} to {second}"
                );
                assert!(
                    verify_consistency(other, &roots[wrong], n, first_root, &proof).is_err()
                        || first == second
                );
            }
        }
    }
}

#[test]
fn size_zero_is_consistent_with_everything_and_nothing_else_is_with_its_root() {
    let hash = leaves(1)[0];
    let verify = |first, first_root, second, second_root, proof: &[Hash]| {
        verify_consistency(
            TreeSize(first),
            &first_root,
            TreeSize(second),
            &second_root,
            proof,
        )
        .is_ok()
    };
    assert!(verify(0, EMPTY_ROOT, 0, EMPTY_ROOT, &[]));
    assert!(verify(0, EMPTY_ROOT, 9, hash, &[]));
    assert!(!verify(0, EMPTY_ROOT, 0, hash, &[]));
    assert!(!verify(0, hash, 0, hash, &[]));
    assert!(!verify(0, hash, 9, hash, &[]));
    assert!(!verify(0, EMPTY_ROOT, 9, hash, &[hash]));
    assert!(verify(9, hash, 9, hash, &[]));
    assert!(!verify(9, hash, 9, hash, &[hash]));
    assert!(!verify(9, hash, 9, EMPTY_ROOT, &[]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn verifiers_take_anything_and_believe_nothing(index: u64, size: u64, count in 0..70_usize, seed: u64) {
        let proof = leaves(seed % 7 + count as u64);
        let hash = tlog::leaf_hash(b"no such leaf");
        prop_assert!(verify_inclusion(&hash, LeafIndex(index), TreeSize(size), &EMPTY_ROOT, &proof).is_err());
        prop_assert!(verify_consistency(TreeSize(index), &hash, TreeSize(size), &EMPTY_ROOT, &proof).is_err());
    }

    #[test]
    fn proofs_of_random_trees(size in 1..3000_u64, at in 0.0..1.0, cut in 0.0..1.0) {
        let all = leaves(size);
        let tree = Tree::new(&all);
        let index = ((size as f64 * at) as u64).min(size - 1);
        let first = (size as f64 * cut) as u64;
        let (index, first, size) = (LeafIndex(index), TreeSize(first), TreeSize(size));
        let proof = inclusion_proof(index, size, &tree.tiles).expect("proof");
        prop_assert_eq!(&proof, &reference::path(index.0 as usize, &all));
        prop_assert_eq!(verify_inclusion(&all[index.0 as usize], index, size, &tree.root(), &proof), Ok(()));
        let proof = consistency_proof(first, size, &tree.tiles).expect("proof");
        let first_root = reference::root(&all[..first.0 as usize]);
        prop_assert_eq!(verify_consistency(first, &first_root, size, &tree.root(), &proof), Ok(()));
    }
}

/// Notes which tiles are asked for.
struct Reading<'a>(&'a Tree, Mutex<HashSet<TileId>>);

impl Tiles for Reading<'_> {
    fn tile(&self, id: TileId) -> Option<&TileTree> {
        self.1.lock().expect("one thread").insert(id);
        self.0.tiles.tile(id)
    }
}

fn reading<T>(tree: &Tree, make: impl FnOnce(&Reading<'_>) -> T) -> (T, HashSet<TileId>) {
    let reading = Reading(tree, Mutex::default());
    let made = make(&reading);
    (made, reading.1.into_inner().expect("one thread"))
}

/// Every hash flipped, dropped, doubled, swapped with each other one; hashes added at both ends;
/// cut short and emptied.
fn mutants(proof: &[Hash]) -> Vec<Vec<Hash>> {
    let mut mutants = Vec::new();
    for at in 0..proof.len() {
        for flipped in flips(&proof[at]) {
            let mut mutant = proof.to_vec();
            mutant[at] = flipped;
            mutants.push(mutant);
        }
        let mut dropped = proof.to_vec();
        dropped.remove(at);
        mutants.push(dropped);
        let mut doubled = proof.to_vec();
        doubled.insert(at, proof[at]);
        mutants.push(doubled);
        for other in 0..at {
            let mut swapped = proof.to_vec();
            swapped.swap(at, other);
            mutants.push(swapped);
        }
        mutants.push(proof[..at].to_vec());
    }
    for added in [EMPTY_ROOT, Hash([0; 32])] {
        mutants.push([&[added], proof].concat());
        mutants.push([proof, &[added]].concat());
    }
    mutants
}

fn flips(hash: &Hash) -> [Hash; 3] {
    [0, 13, 31].map(|byte| {
        let mut flipped = *hash;
        flipped.0[byte] ^= 0x10;
        flipped
    })
}

/// On which side the siblings of a leaf stand, by the definition of PATH.
fn sides(index: u64, size: u64) -> Vec<bool> {
    if size <= 1 {
        return vec![];
    }
    let split = size.next_power_of_two() / 2;
    if index < split {
        [sides(index, split), vec![true]].concat()
    } else {
        [sides(index - split, size - split), vec![false]].concat()
    }
}
