//! The reads of fsck.

use ledger::store::{AuditCounts, Audited, Commit, IndexKeys};
use tlog::{LeafIndex, TreeSize};

use crate::database::Database;
use crate::samples::{attestation, entries, entry_of, full_tile, one_tree, round, timestamp};

pub(crate) async fn everything_stored_is_shown_to_fsck(database: &Database) {
    let store = &*database.store;
    let (tree, mut writer) = one_tree(store).await;
    let mut sent = round(store, tree, 0, entries("entry", 3)).await;
    entry_of(&mut sent, 2).attestation = Some(attestation("statement"));
    sent.full_tiles = vec![full_tile(0, 0), full_tile(0, 1), full_tile(1, 0)];
    sent.timestamps = vec![timestamp(1, "signature")];
    assert_eq!(writer.commit(&sent).await.unwrap(), Commit::Done);

    let shown = store.audit_entries(tree, 1..9).await.unwrap();
    assert_eq!(
        shown
            .iter()
            .map(|entry| entry.leaf_index)
            .collect::<Vec<_>>(),
        [LeafIndex(1), LeafIndex(2)]
    );
    for (entry, sent_entry) in shown.iter().zip(&sent.entries[1..]) {
        assert_eq!(
            (entry.leaf_hash, entry.body.as_ref()),
            (sent_entry.leaf_hash, Some(&sent_entry.body))
        );
        assert_eq!(
            (entry.time, &entry.kind),
            (sent.head.time, &sent_entry.kind)
        );
        assert_eq!(IndexKeys::of(&entry.index_keys), sent_entry.index_keys);
        assert_eq!(entry.index_key_rows, sent_entry.index_keys.hashes());
        assert_eq!(entry.leaf_rows.concat(), sent_entry.leaf_hash.0[..16]);
        assert_eq!(entry.attestation, sent_entry.attestation);
    }
    assert_eq!(
        shown[0].signed_entry_timestamp.as_deref(),
        Some(&b"signature"[..])
    );

    let row = Audited::whole(sent.head);
    assert_eq!(
        store.audited_heads(tree, TreeSize(0), 9).await.unwrap(),
        std::slice::from_ref(&row)
    );
    assert_eq!(store.audited_last_heads(tree, 9).await.unwrap(), [row]);
    assert_eq!(
        store.audited_last_index(tree).await.unwrap(),
        Some(LeafIndex(2))
    );
    let trees = store.trees().await.unwrap().into_iter();
    let trees: Vec<_> = trees.map(Audited::whole).collect();
    assert_eq!(store.audited_trees().await.unwrap(), trees);
    assert_eq!(store.audited_publications(tree, None, 9).await.unwrap(), []);
    assert_eq!(store.audited_final(tree).await.unwrap(), None);
    assert_eq!(store.audited_orphans().await.unwrap(), []);
    assert_eq!(store.audited_outside(tree).await.unwrap(), []);

    assert_eq!(
        store.audit_tiles(tree, 0, 0, 1).await.unwrap(),
        [full_tile(0, 0)]
    );
    assert_eq!(
        store.audit_tiles(tree, 0, 1, 9).await.unwrap(),
        [full_tile(0, 1)]
    );
    assert_eq!(
        store.audit_tiles(tree, 1, 0, 9).await.unwrap(),
        [full_tile(1, 0)]
    );
    let counts = store.audit_counts(tree, TreeSize(2)).await.unwrap();
    let expected = AuditCounts {
        entries: 2,
        bodies: 2,
        leaves: 2,
        index_keys: 4,
        timestamps: 1,
        ..AuditCounts::default()
    };
    assert_eq!(counts, expected);
    assert_eq!(
        store
            .audit_counts(tree, TreeSize(3))
            .await
            .unwrap()
            .attestations,
        1
    );
}

pub(crate) async fn missing_and_stray_rows_show(database: &Database) {
    let store = &*database.store;
    let (tree, mut writer) = one_tree(store).await;
    let sent = round(store, tree, 0, entries("entry", 2)).await;
    assert_eq!(writer.commit(&sent).await.unwrap(), Commit::Done);
    for sql in [
        "DELETE FROM body WHERE leaf_index = 1",
        "DELETE FROM leaf WHERE leaf_index = 0",
        // A row under another entry's keys: the look-ups of entry 1 and the count tell.
        "UPDATE index_key SET leaf_index = 5 WHERE leaf_index = 0",
        "INSERT INTO signed_entry_timestamp (tree_id, leaf_index, signature, checksum)
         SELECT tree_id, 7, leaf_hash, checksum FROM entry WHERE leaf_index = 0",
    ] {
        database.execute(sql).await;
    }
    let shown = store.audit_entries(tree, 0..2).await.unwrap();
    assert!(
        shown[0].leaf_rows.is_empty()
            && shown[0].index_key_rows.is_empty()
            && shown[0].body.is_some()
    );
    assert!(
        shown[1].leaf_rows.len() == 1 && shown[1].body.is_none() && !shown[1].index_keys.is_empty()
    );
    let counts = store.audit_counts(tree, TreeSize(2)).await.unwrap();
    let expected = AuditCounts {
        entries: 2,
        bodies: 1,
        leaves: 1,
        index_keys: 2,
        ..AuditCounts::default()
    };
    assert_eq!(
        counts,
        AuditCounts {
            beyond_newest_head: 3,
            ..expected
        }
    );
    assert_eq!(
        store.audited_outside(tree).await.unwrap(),
        [("index_key", 2), ("signed_entry_timestamp", 1)]
    );
    database
        .execute("UPDATE body SET tree_id = 7 WHERE leaf_index = 0")
        .await;
    assert_eq!(store.audited_orphans().await.unwrap(), [("body", 7)]);
}

pub(crate) async fn sizes_are_known_before_rows_are_read(database: &Database) {
    let store = &*database.store;
    let (tree, mut writer) = one_tree(store).await;
    let mut sent = round(store, tree, 0, entries("entry", 3)).await;
    entry_of(&mut sent, 1).body = vec![7; 1 << 20];
    entry_of(&mut sent, 2).attestation = Some(attestation("statement"));
    assert_eq!(writer.commit(&sent).await.unwrap(), Commit::Done);
    let mut sizes = Vec::new();
    for (index, entry) in (0..).zip(&sent.entries) {
        let attestation = entry.attestation.as_ref();
        let attestation = attestation.map_or(0, |stored| stored.data.len());
        let bytes = entry.body.len() + entry.index_keys.packed().len() + attestation;
        sizes.push((index, bytes as u64));
    }
    assert_eq!(store.audit_sizes(tree, 0..9).await.unwrap(), sizes);
}
