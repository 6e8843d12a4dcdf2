//! Failures of a commit, after which all of a round is stored or nothing.

use std::task::Poll;

use ledger::store::{AuditCounts, Commit, StoreError};
use tlog::TreeSize;

use crate::database::Database;
use crate::samples::{attestation, entries, entry_of, full_tile, grow, one_tree, round, timestamp};

/// One of a round's last rows meets a row that should not be there.
pub(crate) async fn a_round_that_fails_half_way_stores_nothing(database: &Database) {
    let store = &*database.store;
    let (tree, mut writer) = one_tree(store).await;
    grow(store, &mut *writer, tree, 0, 2).await;
    database
        .execute(
            "INSERT INTO attestation (tree_id, leaf_index, digest, data)
             SELECT tree_id, 3, leaf_hash, leaf_hash FROM entry WHERE leaf_index = 0",
        )
        .await;
    let mut sent = round(store, tree, 2, entries("more", 2)).await;
    entry_of(&mut sent, 1).attestation = Some(attestation("in the way"));
    sent.full_tiles = vec![full_tile(0, 0)];
    sent.timestamps = vec![timestamp(0, "of an earlier round")];

    for exclusive in [false, true] {
        let mut writer = store.writer().await.unwrap();
        if exclusive {
            writer.begin_exclusive(tree).await.unwrap();
        }
        assert!(matches!(
            writer.commit(&sent).await,
            Err(StoreError::Damaged(_))
        ));
        let counts = store.audit_counts(tree, TreeSize(2)).await.unwrap();
        let before = AuditCounts {
            entries: 2,
            bodies: 2,
            leaves: 2,
            index_keys: 4,
            ..AuditCounts::default()
        };
        assert_eq!(
            counts,
            AuditCounts {
                beyond_newest_head: 1,
                ..before
            }
        );
        assert_eq!(store.heads(tree, TreeSize(0), 10).await.unwrap().len(), 1);
        assert_eq!(store.audit_tiles(tree, 0, 0, 10).await.unwrap(), []);
    }
    entry_of(&mut sent, 1).attestation = None;
    assert_eq!(
        store.writer().await.unwrap().commit(&sent).await.unwrap(),
        Commit::Done
    );
}

pub(crate) async fn a_malformed_round_is_refused(database: &Database) {
    let store = &*database.store;
    let (tree, _) = one_tree(store).await;
    let good = round(store, tree, 0, entries("entry", 2)).await;

    let mut narrow_tile = good.clone();
    narrow_tile.full_tiles = vec![full_tile(0, 0)];
    narrow_tile.full_tiles[0].hashes.pop();
    let mut too_few = good.clone();
    too_few.entries.pop();
    let mut empty = good.clone();
    empty.entries.clear();
    let mut too_high = good.clone();
    too_high.head.prev_size = TreeSize(u64::MAX - 2);
    too_high.head.size = TreeSize(u64::MAX);
    for bad in [narrow_tile, too_few, empty, too_high] {
        let mut writer = store.writer().await.unwrap();
        assert!(matches!(
            writer.commit(&bad).await,
            Err(StoreError::Data(_))
        ));
        assert_eq!(store.reader().newest_head(tree).await.unwrap(), None);
    }
    grow(store, &mut *store.writer().await.unwrap(), tree, 0, 2).await;
}

pub(crate) async fn missing_rows_are_damage(database: &Database) {
    let store = &*database.store;
    let (tree, mut writer) = one_tree(store).await;
    let mut sent = round(store, tree, 0, entries("entry", 4)).await;
    sent.full_tiles = vec![full_tile(0, 0), full_tile(0, 1)];
    writer.commit(&sent).await.unwrap();
    database
        .execute("DELETE FROM entry WHERE leaf_index = 2")
        .await;
    database
        .execute("DELETE FROM body WHERE leaf_index = 1")
        .await;
    database.execute("DELETE FROM tile WHERE level = 0").await;

    let mut reader = store.reader();
    assert_eq!(reader.leaf_hashes(tree, 0..2).await.unwrap().len(), 2);
    assert_damaged("entry 2", reader.leaf_hashes(tree, 0..4).await);
    assert_damaged("entry 4", reader.leaf_hashes(tree, 3..5).await);
    assert_damaged(
        "tile level 0 index 0",
        reader.tile_roots(tree, 0, 0..2).await,
    );
    assert_damaged(
        "tile level 0 index 1",
        reader.full_tiles(tree, &[full_tile(0, 1).id]).await,
    );
    assert_damaged("body 1", store.bodies(tree, 1..2).await);
    assert_damaged("body 1", store.body_lengths(tree, 0..2).await);
    assert_eq!(reader.leaf_hashes(tree, 2..2).await.unwrap(), []);
}

fn assert_damaged<T: std::fmt::Debug>(what: &str, answer: Result<T, StoreError>) {
    match answer {
        Err(StoreError::Damaged(text)) => assert!(text.contains(what), "{text} instead of {what}"),
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn a_writer_is_spent_after_an_error(database: &Database) {
    let store = &*database.store;
    let (tree, mut writer) = one_tree(store).await;
    assert!(writer.leaf_hashes(tree, 0..1).await.is_err());
    assert!(matches!(
        writer.newest_head(tree).await,
        Err(StoreError::Unavailable(_))
    ));
    let sent = round(store, tree, 0, entries("entry", 1)).await;
    assert!(matches!(
        writer.commit(&sent).await,
        Err(StoreError::Unavailable(_))
    ));
    assert_eq!(store.reader().newest_head(tree).await.unwrap(), None);
}

/// A task that is cancelled in a commit leaves no connection in an unknown state behind.
pub(crate) async fn a_dropped_commit_spends_the_writer(database: &Database) {
    let store = &*database.store;
    let (tree, mut writer) = one_tree(store).await;
    // A fast database may answer within the first poll; then that round is stored, and the next one
    // is tried.
    let mut size = 0;
    loop {
        let sent = round(store, tree, size, entries(&format!("entry {size}"), 1)).await;
        let mut commit = writer.commit(&sent);
        match std::future::poll_fn(|context| Poll::Ready(commit.as_mut().poll(context))).await {
            Poll::Pending => break,
            Poll::Ready(outcome) => assert!(matches!(outcome, Ok(Commit::Done)), "{outcome:?}"),
        }
        size += 1;
        assert!(size < 100, "no commit was ever waited for");
    }
    assert!(matches!(
        writer.newest_head(tree).await,
        Err(StoreError::Unavailable(_))
    ));

    let mut next = store.writer().await.unwrap();
    next.begin_exclusive(tree).await.unwrap();
    let size = next
        .newest_head(tree)
        .await
        .unwrap()
        .map_or(0, |head| head.size.0);
    grow(store, &mut *next, tree, size, 1).await;
}
