//! Finding entries.

use ledger::store::{Commit, EntryRef, MAX_BODY_BYTES_TOGETHER};
use tlog::{Hash, LeafIndex, TreeSize, sha256};

use crate::database::Database;
use crate::samples::{SPKI, entries, entry_of, grow, one_tree, round, tree};
use crate::searches::found as found_by_keys;

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
    let at = |index, leaf_hash| EntryRef {
        leaf_index: LeafIndex(index),
        leaf_hash,
    };
    let original = sent.entries[0].leaf_hash;
    for (wanted, expected) in [
        (vec![twin], vec![at(2, twin)]),
        (vec![original], vec![at(0, original)]),
        (
            vec![original, twin, original, stranger],
            vec![at(0, original), at(2, twin)],
        ),
        (vec![stranger], vec![]),
        (vec![], vec![]),
    ] {
        let mut found = writer
            .find_leaves(tree, &wanted, TreeSize(3))
            .await
            .unwrap();
        found.sort_unstable();
        assert_eq!(found, expected);
    }
    let many: Vec<Hash> = (0..1023)
        .map(|number| sha256(format!("{number}").as_bytes()))
        .chain([original])
        .collect();
    assert_eq!(
        store
            .reader()
            .find_leaves(tree, &many, TreeSize(3))
            .await
            .unwrap(),
        [at(0, original)]
    );
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
        assert_eq!(
            shown
                .iter()
                .map(|entry| entry.leaf_index.0)
                .collect::<Vec<_>>(),
            expected
        );
        let mut found = store
            .reader()
            .find_leaves(tree, &hashes, size)
            .await
            .unwrap();
        found.sort_unstable();
        assert_eq!(
            found
                .iter()
                .map(|entry| entry.leaf_index.0)
                .collect::<Vec<_>>(),
            expected
        );
        let mut found = found_by_keys(store, tree, &everybody, size.0, 10).await;
        found.reverse();
        assert_eq!(found, expected);
    }
}

pub(crate) async fn two_trees_do_not_see_each_other(database: &Database) {
    let store = &*database.store;
    let (one, mut writer) = one_tree(store).await;
    let row = tree(2, "b");
    let other = row.tree_id;
    assert!(store.create_trees(&[row]).await.unwrap());
    let sent = grow(store, &mut *writer, one, 0, 3).await;
    let hashes: Vec<Hash> = sent.entries.iter().map(|entry| entry.leaf_hash).collect();
    let everybody = ["someone@example.com".to_owned()];

    assert_eq!(writer.newest_head(other).await.unwrap(), None);
    assert!(writer.leaf_hashes(other, 0..3).await.is_err());
    let mut reader = store.reader();
    assert_eq!(
        reader
            .find_leaves(other, &hashes, TreeSize(9))
            .await
            .unwrap(),
        []
    );
    assert_eq!(
        store
            .entries(other, &[LeafIndex(0)], TreeSize(9))
            .await
            .unwrap(),
        []
    );
    assert!(
        found_by_keys(store, other, &everybody, 9, 10)
            .await
            .is_empty()
    );
    assert_eq!(store.heads(other, TreeSize(0), 10).await.unwrap(), []);

    // Equal entries have a place in each, and an exclusive section of one tree still ends for both.
    let mut writer = store.writer().await.unwrap();
    let mut same = round(
        store,
        other,
        0,
        sent.entries.iter().map(|entry| (**entry).clone()).collect(),
    )
    .await;
    same.log_key_spki = SPKI.to_vec();
    writer.begin_exclusive(other).await.unwrap();
    assert_eq!(writer.commit(&same).await.unwrap(), Commit::Done);
    grow(store, &mut *writer, one, 3, 1).await;
    assert_eq!(
        store
            .audit_counts(other, TreeSize(3))
            .await
            .unwrap()
            .entries,
        3
    );
    assert_eq!(
        reader
            .find_leaves(one, &hashes, TreeSize(9))
            .await
            .unwrap()
            .len(),
        3
    );
}

pub(crate) async fn large_bodies_are_read_alone(database: &Database) {
    let store = &*database.store;
    let (tree, mut writer) = one_tree(store).await;
    let mut sent = round(store, tree, 0, entries("entry", 3)).await;
    entry_of(&mut sent, 0).body = vec![7; MAX_BODY_BYTES_TOGETHER];
    entry_of(&mut sent, 1).body = vec![7; MAX_BODY_BYTES_TOGETHER + 1];
    assert_eq!(writer.commit(&sent).await.unwrap(), Commit::Done);

    let indexes: Vec<LeafIndex> = (0..3).map(LeafIndex).collect();
    let stored = store.entries(tree, &indexes, TreeSize(3)).await.unwrap();
    let bodies: Vec<_> = stored.into_iter().map(|entry| entry.body).collect();
    let body = |index: usize| Some(sent.entries[index].body.clone());
    assert_eq!(bodies, [body(0), None, body(2)]);
    let alone = store.bodies(tree, 1..2).await.unwrap().pop();
    assert_eq!(alone, body(1), "it is there");
    let lengths: Vec<u64> = sent
        .entries
        .iter()
        .map(|entry| entry.body.len() as u64)
        .collect();
    assert_eq!(store.body_lengths(tree, 0..3).await.unwrap(), lengths);
}
