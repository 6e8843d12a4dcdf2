//! A row that was changed behind the store's back is not shown.

use ledger::store::{Commit, KeyQuery, PublicationRow, StoreError, StoreResult};
use tlog::{LeafIndex, TreeSize};

use crate::database::Database;
use crate::samples::{START, entries, one_tree, root, round, timestamp};

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

pub(crate) async fn a_changed_timestamp_is_not_shown(database: &Database) {
    let store = &*database.store;
    let (tree, mut writer) = one_tree(store).await;
    let mut sent = round(store, tree, 0, entries("entry", 4)).await;
    sent.timestamps = vec![timestamp(0, "first")];
    assert_eq!(writer.commit(&sent).await.unwrap(), Commit::Done);
    let outside = [1, 2, 3].map(|index| timestamp(index, "another"));
    store.put_timestamps(tree, &outside).await.unwrap();
    let other = "SELECT signature FROM signed_entry_timestamp WHERE leaf_index = 0";
    for sql in [
        format!("UPDATE signed_entry_timestamp SET signature = ({other}) WHERE leaf_index = 2"),
        "UPDATE signed_entry_timestamp SET checksum = (SELECT checksum FROM entry WHERE leaf_index = 3)
         WHERE leaf_index = 3"
            .to_owned(),
    ] {
        database.execute(&sql).await;
    }

    let shown = store.audit_entries(tree, 0..4).await.unwrap();
    for (index, audited) in (0..).zip(shown) {
        let is_changed = index > 1;
        let look_up = [LeafIndex(index)];
        let read = store.entries(tree, &look_up, sent.head.size).await;
        assert_eq!(is_damaged(&read), is_changed, "{index}: {read:?}");
        assert_eq!(audited.timestamp_has_checksum, !is_changed, "{index}");
    }
}

/// Each change in a row of its own, the newest one.
pub(crate) async fn a_changed_publication_is_not_shown(database: &Database) {
    let store = &*database.store;
    let (tree, _) = one_tree(store).await;
    let mut publisher = store.publisher().await.unwrap();
    assert!(publisher.claim(tree).await.unwrap());
    let changes = [
        "checkpoint = 'another'",
        "time = time + 1",
        "root = (SELECT root FROM publication WHERE size = 1)",
        "size = size + 1",
    ];
    let mut prev_size = None;
    for (size, change) in (1..)
        .step_by(2)
        .zip([None].into_iter().chain(changes.map(Some)))
    {
        let row = PublicationRow {
            prev_size,
            size: TreeSize(size),
            root: root(size),
            time: START,
            checkpoint: format!("size {size}"),
        };
        assert!(publisher.publish(tree, &row).await.unwrap());
        let whole = store.reader().newest_publication(tree).await;
        assert_eq!(whole.unwrap().as_ref(), Some(&row));
        let Some(change) = change else {
            prev_size = Some(row.size);
            continue;
        };
        let sql = format!("UPDATE publication SET {change} WHERE size = {size}");
        database.execute(&sql).await;
        let newest = store.reader().newest_publication(tree).await;
        assert!(is_damaged(&newest), "{change}: {newest:?}");
        let page = store.publications(tree, prev_size, 9).await;
        assert!(is_damaged(&page), "{change}: {page:?}");
        let sql = "DELETE FROM publication WHERE size > 1";
        database.execute(sql).await;
    }
}

fn is_damaged<T>(read: &StoreResult<T>) -> bool {
    matches!(read, Err(StoreError::Damaged(reason)) if reason.contains("checksum"))
}
