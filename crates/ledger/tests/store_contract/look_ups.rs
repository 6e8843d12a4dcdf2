//! Finding entries.

use std::sync::Arc;

use ledger::IndexKeyHash;
use ledger::store::{Commit, EntryRef};
use tlog::{Hash, LeafIndex, TreeSize, sha256};

use crate::database::Database;
use crate::samples::{SPKI, entries, entry, entry_of, grow, one_tree, round, tree};

pub(crate) async fn leaves_are_found_by_their_full_hash(database: &Database) {
    let store = &*database.store;
    let (tree, mut writer) = one_tree(store).await;
    let mut sent = round(store, tree, 0, entries("entry", 3)).await;
    // Another leaf hash with the same first 16 bytes.
    let mut twin = sent.entries[0].leaf_hash;
    twin.0[16] ^= 1;
    entry_of(&mut sent, 2).leaf_hash = twin;
    assert_eq!(writer.commit(&sent).await.unwrap(), Commit::Done);

    let mut stranger = twin;
    stranger.0[31] ^= 1;
    let at = |index, leaf_hash| EntryRef { leaf_index: LeafIndex(index), leaf_hash };
    let original = sent.entries[0].leaf_hash;
    for (wanted, expected) in [
        (vec![twin], vec![at(2, twin)]),
        (vec![original], vec![at(0, original)]),
        (vec![original, twin, original, stranger], vec![at(0, original), at(2, twin)]),
        (vec![stranger], vec![]),
        (vec![], vec![]),
    ] {
        let mut found = writer.find_leaves(tree, &wanted, TreeSize(3)).await.unwrap();
        found.sort_unstable();
        assert_eq!(found, expected);
    }
    let many: Vec<Hash> = (0..1023).map(|number| sha256(format!("{number}").as_bytes())).chain([original]).collect();
    assert_eq!(store.reader().find_leaves(tree, &many, TreeSize(3)).await.unwrap(), [at(0, original)]);
}

pub(crate) async fn keys_are_found_all_together_newest_first(database: &Database) {
    let store = &*database.store;
    let (tree, mut writer) = one_tree(store).await;
    let mut sent = round(store, tree, 0, entries("entry", 9)).await;
    for (number, entry) in sent.entries.iter_mut().map(Arc::make_mut).enumerate() {
        entry.index_keys = vec!["all".to_owned()];
        entry.index_keys.extend((number % 2 == 0).then(|| "even".to_owned()));
        entry.index_keys.extend((number % 3 == 0).then(|| "third".to_owned()));
    }
    assert_eq!(writer.commit(&sent).await.unwrap(), Commit::Done);

    for (keys, size, limit, expected) in [
        (&["all"][..], 9, 100, &[8, 7, 6, 5, 4, 3, 2, 1, 0][..]),
        (&["all"], 9, 2, &[8, 7]),
        (&["even"], 9, 100, &[8, 6, 4, 2, 0]),
        (&["even"], 5, 2, &[4, 2]),
        (&["even", "third"], 9, 100, &[6, 0]),
        (&["third", "even", "all", "all"], 9, 1, &[6]),
        (&["all", "none"], 9, 100, &[]),
        (&["none"], 9, 100, &[]),
        (&["ALL"], 9, 100, &[]),
        (&["all"], 9, 0, &[]),
        (&[], 9, 100, &[]),
    ] {
        let keys: Vec<String> = keys.iter().map(|&key| key.to_owned()).collect();
        let found = store.find_by_keys(tree, &keys, TreeSize(size), limit).await.unwrap();
        let indexes: Vec<u64> = found.iter().map(|entry| entry.leaf_index.0).collect();
        assert_eq!(indexes, expected, "{keys:?} below {size}, at most {limit}");
        assert!(found.iter().all(|found| found.leaf_hash == entry(&format!("entry {}", found.leaf_index)).leaf_hash));
    }
}

/// Two keys that are both too frequent to be counted, and a walk along the one that is on every entry.
pub(crate) async fn frequent_keys_are_found_together(database: &Database) {
    const ROUNDS: u64 = 11;
    const WITH_BOTH: u64 = 1_100;
    let store = &*database.store;
    let (tree, mut writer) = one_tree(store).await;
    // Of keys that are equally frequent, the one with the smaller hash is walked along.
    let other = "on the first entries".to_owned();
    let smaller = |key: &String| IndexKeyHash::of(key) < IndexKeyHash::of(&other);
    let everywhere = (0..).map(|number| format!("on every entry {number}")).find(smaller).unwrap();
    for prev_size in (0..ROUNDS).map(|number| number * 1024) {
        let mut sent = round(store, tree, prev_size, entries(&format!("from {prev_size}:"), 1024)).await;
        for (index, entry) in (prev_size..).zip(sent.entries.iter_mut().map(Arc::make_mut)) {
            entry.index_keys = vec![everywhere.clone()];
            entry.index_keys.extend((index < WITH_BOTH).then(|| other.clone()));
        }
        assert_eq!(writer.commit(&sent).await.unwrap(), Commit::Done);
    }
    let found = store.find_by_keys(tree, &[other, everywhere], TreeSize(ROUNDS * 1024), 500).await.unwrap();
    let expected: Vec<u64> = (WITH_BOTH - 500..WITH_BOTH).rev().collect();
    assert_eq!(found.iter().map(|entry| entry.leaf_index.0).collect::<Vec<_>>(), expected);
}

pub(crate) async fn keys_of_any_text_are_kept(database: &Database) {
    let store = &*database.store;
    let (tree, mut writer) = one_tree(store).await;
    let odd: Vec<String> = ["", "\0", "a\0b", "żółć 漢字 🦀", "'; --", &"k".repeat(10_000), &"\0".repeat(30_000)]
        .map(str::to_owned)
        .to_vec();
    let mut sent = round(store, tree, 0, entries("entry", 2)).await;
    entry_of(&mut sent, 1).index_keys = odd.clone();
    assert_eq!(writer.commit(&sent).await.unwrap(), Commit::Done);

    for key in &odd {
        let found = store.find_by_keys(tree, std::slice::from_ref(key), TreeSize(2), 10).await.unwrap();
        assert_eq!(found.iter().map(|entry| entry.leaf_index.0).collect::<Vec<_>>(), [1], "{key:.20?}");
    }
    assert_eq!(store.find_by_keys(tree, &odd, TreeSize(2), 10).await.unwrap().len(), 1);
    assert_eq!(store.audit_entries(tree, 1..2).await.unwrap()[0].index_keys, odd);
}

pub(crate) async fn nothing_at_or_beyond_the_size_is_shown(database: &Database) {
    let store = &*database.store;
    let (tree, mut writer) = one_tree(store).await;
    let sent = grow(store, &mut *writer, tree, 0, 4).await;
    let indexes: Vec<LeafIndex> = [3, 0, 2, 1, 2, u64::MAX].map(LeafIndex).to_vec();
    let hashes: Vec<Hash> = sent.entries.iter().map(|entry| entry.leaf_hash).collect();
    let everybody = ["someone@example.com".to_owned()];
    for size in 0..=4 {
        let expected: Vec<u64> = (0..size).collect();
        let size = TreeSize(size);
        let shown = store.entries(tree, &indexes, size).await.unwrap();
        assert_eq!(shown.iter().map(|entry| entry.leaf_index.0).collect::<Vec<_>>(), expected);
        let mut found = store.reader().find_leaves(tree, &hashes, size).await.unwrap();
        found.sort_unstable();
        assert_eq!(found.iter().map(|entry| entry.leaf_index.0).collect::<Vec<_>>(), expected);
        let found = store.find_by_keys(tree, &everybody, size, 10).await.unwrap();
        assert_eq!(found.iter().rev().map(|entry| entry.leaf_index.0).collect::<Vec<_>>(), expected);
    }
}

pub(crate) async fn two_trees_do_not_see_each_other(database: &Database) {
    let store = &*database.store;
    let (one, mut writer) = one_tree(store).await;
    let row = tree(2, "b");
    let other = row.tree_id;
    assert!(store.create_tree(&row).await.unwrap());
    let sent = grow(store, &mut *writer, one, 0, 3).await;
    let hashes: Vec<Hash> = sent.entries.iter().map(|entry| entry.leaf_hash).collect();
    let everybody = ["someone@example.com".to_owned()];

    assert_eq!(writer.newest_head(other).await.unwrap(), None);
    assert!(writer.leaf_hashes(other, 0..3).await.is_err());
    let mut reader = store.reader();
    assert_eq!(reader.find_leaves(other, &hashes, TreeSize(9)).await.unwrap(), []);
    assert_eq!(store.entries(other, &[LeafIndex(0)], TreeSize(9)).await.unwrap(), []);
    assert_eq!(store.find_by_keys(other, &everybody, TreeSize(9), 10).await.unwrap(), []);
    assert_eq!(store.heads(other, TreeSize(0), 10).await.unwrap(), []);

    // Equal entries have a place in each, and an exclusive section of one tree still ends for both.
    let mut writer = store.writer().await.unwrap();
    let mut same = round(store, other, 0, sent.entries.iter().map(|entry| (**entry).clone()).collect()).await;
    same.log_key_spki = SPKI.to_vec();
    writer.begin_exclusive(other).await.unwrap();
    assert_eq!(writer.commit(&same).await.unwrap(), Commit::Done);
    grow(store, &mut *writer, one, 3, 1).await;
    assert_eq!(store.audit_counts(other, TreeSize(3)).await.unwrap().entries, 3);
    assert_eq!(reader.find_leaves(one, &hashes, TreeSize(9)).await.unwrap().len(), 3);
}
