//! Entries as events need them.

use std::sync::Arc;

use ledger::store::{Commit, IndexKeys, StoreError};

use crate::database::Database;
use crate::samples::{entries, one_tree, round};

/// Also of texts that are too long to be read with others.
pub(crate) async fn rows_have_the_hashes_of_all_their_keys(database: &Database) {
    let store = &*database.store;
    let (tree, mut writer) = one_tree(store).await;
    let mut sent = round(store, tree, 0, entries("entry", 5)).await;
    let long: Vec<String> = (0..3_000).map(|number| format!("key {number}")).collect();
    let entry = Arc::make_mut(&mut sent.entries[2]);
    (entry.index_keys, entry.kind) = (IndexKeys::of(&long), "other:1".to_owned());
    assert_eq!(writer.commit(&sent).await.unwrap(), Commit::Done);

    let rows = store.events(tree, 1..4).await.unwrap();
    assert_eq!(rows.len(), 3);
    for (index, row) in (1..).zip(rows) {
        let sent_entry = &sent.entries[index];
        assert_eq!(row.leaf_index.0, index as u64);
        assert_eq!(row.leaf_hash, sent_entry.leaf_hash);
        assert_eq!(&*row.kind, sent_entry.kind);
        assert_eq!(row.time, sent.head.time);
        assert_eq!(row.keys, sent_entry.index_keys.hashes());
    }
    let missing = store.events(tree, 3..6).await;
    assert!(
        matches!(missing, Err(StoreError::Damaged(_))),
        "{missing:?}"
    );
}

pub(crate) async fn a_read_ends_after_a_megabyte_of_long_keys(database: &Database) {
    let store = &*database.store;
    let (tree, mut writer) = one_tree(store).await;
    let mut sent = round(store, tree, 0, entries("entry", 8)).await;
    for place in 1..7 {
        let key = format!("{place}: {}", "x".repeat(400 << 10));
        Arc::make_mut(&mut sent.entries[place]).index_keys = IndexKeys::of(&[key]);
    }
    assert_eq!(writer.commit(&sent).await.unwrap(), Commit::Done);

    for (from, end) in [(0, 4), (1, 4), (4, 8), (7, 8)] {
        let rows = store.events(tree, from..8).await.unwrap();
        let found: Vec<u64> = rows.iter().map(|row| row.leaf_index.0).collect();
        assert_eq!(found, (from..end).collect::<Vec<_>>());
        let last = rows.last().unwrap();
        let sent_entry = &sent.entries[last.leaf_index.0 as usize];
        assert_eq!(last.keys, sent_entry.index_keys.hashes());
    }
}
