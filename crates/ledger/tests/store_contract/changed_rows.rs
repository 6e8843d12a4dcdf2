//! A row that was changed behind the store's back is not shown.

use ledger::store::{Commit, KeyQuery, StoreError, StoreResult};
use tlog::LeafIndex;

use crate::database::Database;
use crate::samples::{entries, one_tree, round};

/// A change of each column that a checksum binds, and of the checksum, in a row of its own.
const CHANGES: [&str; 5] = [
    "time = time + 1",
    "kind = 'hashedrekord:0.0.2'",
    "attested = NOT attested",
    "leaf_hash = (SELECT leaf_hash FROM entry WHERE leaf_index = 0)",
    "checksum = (SELECT checksum FROM entry WHERE leaf_index = 0)",
];

pub(crate) async fn an_entry_whose_row_was_changed_is_not_shown(database: &Database) {
    let store = &*database.store;
    let (tree, mut writer) = one_tree(store).await;
    let sent = round(store, tree, 0, entries("entry", CHANGES.len() + 1)).await;
    assert_eq!(writer.commit(&sent).await.unwrap(), Commit::Done);
    for (index, change) in (1..).zip(CHANGES) {
        let sql = format!("UPDATE entry SET {change} WHERE leaf_index = {index}");
        database.execute(&sql).await;
    }

    let shown = store.audit_entries(tree, 0..sent.head.size.0).await;
    let whole = shown.unwrap().into_iter().map(|entry| entry.has_checksum);
    assert_eq!(
        whole.collect::<Vec<_>>(),
        [true, false, false, false, false, false]
    );
    for index in 0..sent.head.size.0 {
        let what = match index {
            0 => "nothing",
            changed => CHANGES[changed as usize - 1],
        };
        let is_changed = index > 0;
        let look_up = [LeafIndex(index)];
        let read = store.entries(tree, &look_up, sent.head.size).await;
        assert_eq!(is_damaged(&read), is_changed, "{what}: {read:?}");
        let events = store.events(tree, index..index + 1).await;
        assert_eq!(is_damaged(&events), is_changed, "{what}: {events:?}");
        let query = KeyQuery {
            key: format!("sha256:entry {index}"),
            range: 0..sent.head.size.0,
        };
        let found = store.search_each(tree, &[query], 9).await;
        assert_eq!(is_damaged(&found), is_changed, "{what}: {found:?}");
    }
}

fn is_damaged<T>(read: &StoreResult<T>) -> bool {
    matches!(read, Err(StoreError::Damaged(reason)) if reason.contains("checksum"))
}
