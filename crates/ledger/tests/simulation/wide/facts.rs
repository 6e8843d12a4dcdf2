//! The facts that clients have seen. They must stay true for ever.

use std::collections::{BTreeMap, BTreeSet};

use ledger::store::TreeRow;
use ledger::{Appended, Log, LoggedEntry, Shards, TreeId};
use tlog::{Hash, LeafIndex};

use crate::store::SimStore;

/// Acknowledged entries of a tree that each look asks for.
const ASKED_FOR: usize = 12;

#[derive(Default)]
pub(crate) struct Facts {
    roots: BTreeMap<(TreeId, u64), Hash>,
    places: BTreeMap<(TreeId, LeafIndex), Hash>,
    /// The size of a log that a server has shown, by its number and the log's.
    shown: BTreeMap<(u64, usize), u64>,
}

impl Facts {
    /// Notes the heads that a server shows.
    pub(crate) fn see_heads(&mut self, server: u64, place: usize, shards: &Shards) {
        for head in shards.active_first() {
            let known = (head.tree.id, head.size.0);
            let root = *self.roots.entry(known).or_insert(head.root);
            assert_eq!(root, head.root, "two roots for {known:?}");
        }
        let active = shards.active();
        let size = active.tree.first_log_index + active.size.0;
        let before = self.shown.entry((server, place)).or_default();
        assert!(*before <= size, "a head went back from {before} to {size}");
        *before = size;
    }

    /// Notes the place of an entry that was acknowledged.
    pub(crate) fn see_answer(&mut self, n: u64, answer: Appended) {
        let (Appended::Sequenced(logged) | Appended::Duplicate(logged)) = answer;
        let LoggedEntry {
            tree,
            leaf_index,
            leaf_hash,
            ..
        } = logged;
        assert_eq!(leaf_hash, tlog::leaf_hash(format!("leaf {n}").as_bytes()));
        let place = (tree, leaf_index);
        let seen = *self.places.entry(place).or_insert(leaf_hash);
        assert_eq!(seen, leaf_hash, "two entries at {place:?}");
    }

    /// A server that answers finds the entries that were acknowledged last, and some others.
    pub(crate) async fn assert_found(&self, log: &Log, shards: &Shards) {
        for head in shards.active_first() {
            let of_tree = (head.tree.id, LeafIndex(0))..=(head.tree.id, LeafIndex(u64::MAX));
            let all: Vec<_> = self.places.range(of_tree).collect();
            let last = all.iter().rev().take(ASKED_FOR / 2);
            let others = all.iter().step_by(all.len() / (ASKED_FOR / 2) + 1);
            let asked: BTreeMap<LeafIndex, Hash> = last
                .chain(others)
                .map(|((_, index), hash)| (*index, **hash))
                .collect();
            let hashes: Vec<Hash> = asked.values().copied().collect();
            // The database may fail.
            let Ok(found) = log.find_leaves(head, &hashes).await else {
                continue;
            };
            let found: BTreeSet<_> = found
                .iter()
                .map(|found| (found.leaf_index, found.leaf_hash))
                .collect();
            for place in asked {
                assert!(found.contains(&place), "{place:?} is absent");
            }
        }
    }

    /// Everything that was seen of a tree is in it.
    pub(crate) fn check(&self, store: &SimStore, tree: &TreeRow) {
        let rows = store.with(|state| state.tables.of(tree.tree_id).clone());
        let leaves = rows.entries.iter().map(|(row, _)| row.leaf_hash);
        let leaves: Vec<Hash> = leaves.collect();
        let distinct: BTreeSet<_> = leaves.iter().collect();
        assert_eq!(distinct.len(), leaves.len(), "equal leaves have one index");
        let places = self
            .places
            .iter()
            .filter(|((of, _), _)| *of == tree.tree_id);
        for ((_, index), leaf_hash) in places {
            let found = leaves.get(index.0 as usize);
            assert_eq!(found, Some(leaf_hash), "acknowledged entry {index} is lost");
        }
        assert!(rows.entries.is_sorted_by_key(|(_, time)| *time));
        let mut audit = tlog::Audit::new();
        for leaf in leaves {
            audit.push(leaf);
            let shown = self.roots.get(&(tree.tree_id, audit.size().0));
            if let Some(root) = shown {
                assert_eq!(
                    *root,
                    audit.root(),
                    "a head of {} is not of it",
                    audit.size()
                );
            }
        }
        let largest = self
            .roots
            .range((tree.tree_id, 0)..=(tree.tree_id, u64::MAX));
        let largest = largest.last().map_or(0, |((_, size), _)| *size);
        assert!(largest <= rows.entries.len() as u64, "a head is lost");
    }
}
