//! Rounds: the rows that they store, and the cases in which they store nothing.

use std::sync::Arc;

use ledger::TreeId;
use ledger::store::{Commit, EntryRef, HeadRow, IndexKeys, MAX_CLOCK_SKEW_MILLIS};
use tlog::{LeafIndex, TreeSize, sha256};
use tokio::time::Instant;

use crate::database::Database;
use crate::samples::{
    attestation, entries, entry, entry_of, full_tile, grow, one_tree, root, round, timestamp,
};
use crate::searches::found as found_by_keys;

pub(crate) async fn a_round_comes_back_whole(database: &Database) {
    let store = &*database.store;
    let (tree, mut writer) = one_tree(store).await;
    assert_eq!(writer.newest_head(tree).await.unwrap(), None);

    let mut sent = round(store, tree, 0, entries("entry", 3)).await;
    entry_of(&mut sent, 1).attestation = Some(attestation("statement"));
    sent.full_tiles = vec![full_tile(0, 0), full_tile(0, 1), full_tile(1, 0)];
    sent.timestamps = vec![timestamp(2, "signature")];
    assert_eq!(writer.commit(&sent).await.unwrap(), Commit::Done);

    for mut read in [
        store.reader(),
        database.open_again().await.reader(),
        writer as Box<dyn ledger::store::Read>,
    ] {
        assert_eq!(read.newest_head(tree).await.unwrap(), Some(sent.head));
        let hashes = read.leaf_hashes(tree, 1..3).await.unwrap();
        assert_eq!(
            hashes,
            [sent.entries[1].leaf_hash, sent.entries[2].leaf_hash]
        );
        assert_eq!(
            read.tile_roots(tree, 0, 0..2).await.unwrap(),
            [full_tile(0, 0).root, full_tile(0, 1).root]
        );
        let tiles = read
            .full_tiles(tree, &[full_tile(1, 0).id, full_tile(0, 1).id])
            .await
            .unwrap();
        assert_eq!(tiles, [full_tile(1, 0).hashes, full_tile(0, 1).hashes]);
    }

    let stored = store
        .entries(tree, &[LeafIndex(2), LeafIndex(1)], TreeSize(3))
        .await
        .unwrap();
    assert_eq!(
        stored
            .iter()
            .map(|entry| entry.leaf_index.0)
            .collect::<Vec<_>>(),
        [1, 2]
    );
    for entry in &stored {
        let sent_entry = &sent.entries[usize::try_from(entry.leaf_index.0).unwrap()];
        assert_eq!(
            (entry.leaf_hash, &entry.kind, entry.body.as_ref()),
            (
                sent_entry.leaf_hash,
                &sent_entry.kind,
                Some(&sent_entry.body)
            )
        );
        assert_eq!(
            (entry.time, &entry.attestation),
            (sent.head.time, &sent_entry.attestation)
        );
    }
    assert_eq!(stored[0].signed_entry_timestamp, None);
    assert_eq!(
        stored[1].signed_entry_timestamp.as_deref(),
        Some(&b"signature"[..])
    );
}

/// A round with leaves that are stored already stores nothing, and its outcome lists them.
pub(crate) async fn the_duplicates_of_a_round_are_listed(database: &Database) {
    let store = &*database.store;
    let (tree, mut writer) = one_tree(store).await;
    let mut other = store.writer().await.unwrap();
    let first = grow(store, &mut *writer, tree, 0, 3).await;
    let again = |number: usize| (*first.entries[number]).clone();
    // Another leaf hash with the same first 16 bytes is no duplicate.
    let mut twin = again(0);
    twin.leaf_hash.0[16] ^= 1;
    let sent = round(
        store,
        tree,
        3,
        vec![entry("new"), again(2), twin.clone(), again(1)],
    )
    .await;
    let at = |number: usize| EntryRef {
        leaf_index: LeafIndex(number as u64),
        leaf_hash: first.entries[number].leaf_hash,
    };
    let before = store.audit_counts(tree, TreeSize(3)).await.unwrap();
    for exclusive in [false, true] {
        if exclusive {
            writer.begin_exclusive(tree).await.unwrap();
        }
        let Commit::Duplicates(mut stored) = writer.commit(&sent).await.unwrap() else {
            panic!("stored twice")
        };
        stored.sort_unstable();
        assert_eq!(stored, [at(1), at(2)]);
        let counts = store.audit_counts(tree, TreeSize(3)).await.unwrap();
        assert_eq!(counts, before);
    }
    // An exclusive section goes on.
    let rest = round(store, tree, 3, vec![entry("new"), twin]).await;
    let others = round(store, tree, 3, vec![entry("other")]).await;
    let outcomes = tokio::join!(other.commit(&others), writer.commit(&rest));
    assert_eq!(
        (outcomes.0.unwrap(), outcomes.1.unwrap()),
        (Commit::LostRace, Commit::Done)
    );
    // Leaves of a tree that is not the round's are no duplicates.
    let mut forked = round(store, tree, 5, vec![again(0)]).await;
    forked.prev_root = sha256(b"another tree");
    assert_eq!(other.commit(&forked).await.unwrap(), Commit::LostRace);
    let mut foreign = round(store, tree, 5, vec![again(0)]).await;
    foreign.log_key_spki = b"another key".to_vec();
    assert_eq!(other.commit(&foreign).await.unwrap(), Commit::NotOurs);
}

/// The largest round: 1,024 entries with 8 MiB of bodies.
pub(crate) async fn a_full_round_comes_back_whole(database: &Database) {
    let store = &*database.store;
    let (tree, mut writer) = one_tree(store).await;
    let mut sent = round(store, tree, 0, entries("entry", 1024)).await;
    for (number, entry) in sent.entries.iter_mut().map(Arc::make_mut).enumerate() {
        let block = sha256(format!("{number}").as_bytes()).0;
        entry.body = block.iter().copied().cycle().take(8 * 1024).collect();
        entry.leaf_hash = sha256(&entry.body);
        entry.index_keys = IndexKeys::of(&[0, 1, 2, 3].map(|key| format!("key {number} {key}")));
    }
    sent.full_tiles = (0..4).map(|index| full_tile(0, index)).collect();
    let mut outcome = writer.commit(&sent).await.unwrap();
    // On a busy machine the eight megabytes may be under way for longer than clocks may differ.
    while matches!(outcome, Commit::ClockSkew(millis) if millis <= MAX_CLOCK_SKEW_MILLIS) {
        sent.local_millis = store.now_millis().await.unwrap();
        sent.read_at = Instant::now();
        outcome = writer.commit(&sent).await.unwrap();
    }
    assert_eq!(outcome, Commit::Done);

    let indexes: Vec<LeafIndex> = (0..1024).map(LeafIndex).collect();
    let stored = store.entries(tree, &indexes, TreeSize(1024)).await.unwrap();
    assert_eq!(stored.len(), 1024);
    assert!(
        stored
            .iter()
            .zip(&sent.entries)
            .all(|(stored, sent)| stored.body.as_ref() == Some(&sent.body))
    );
    let hashes: Vec<_> = sent.entries.iter().map(|entry| entry.leaf_hash).collect();
    let mut found = writer
        .find_leaves(tree, &hashes, TreeSize(1024))
        .await
        .unwrap();
    found.sort_unstable();
    assert!(found.iter().map(|entry| entry.leaf_hash).eq(hashes));
    assert_eq!(
        found_by_keys(store, tree, &["key 1023 3".to_owned()], 1024, 10).await,
        [1023]
    );
}

pub(crate) async fn heads_are_the_history(database: &Database) {
    let store = &*database.store;
    let (tree, mut writer) = one_tree(store).await;
    let mut history: Vec<HeadRow> = Vec::new();
    for prev_size in [0, 1, 3, 6] {
        let count = usize::try_from(prev_size / 2 + 1).unwrap()
            + usize::from(prev_size == 1 || prev_size == 3);
        history.push(grow(store, &mut *writer, tree, prev_size, count).await.head);
    }
    assert_eq!(store.heads(tree, TreeSize(0), 100).await.unwrap(), history);
    assert_eq!(
        store.heads(tree, TreeSize(1), 2).await.unwrap(),
        history[1..3]
    );
    assert_eq!(store.heads(tree, TreeSize(7), 2).await.unwrap(), []);
    assert_eq!(
        writer.newest_head(tree).await.unwrap().as_ref(),
        history.last()
    );
}

pub(crate) async fn the_first_timestamp_stored_wins(database: &Database) {
    let store = &*database.store;
    let (tree, mut writer) = one_tree(store).await;
    grow(store, &mut *writer, tree, 0, 3).await;
    store
        .put_timestamps(tree, &[timestamp(1, "by a reader")])
        .await
        .unwrap();

    let mut second = round(store, tree, 3, entries("more", 1)).await;
    second.timestamps = vec![
        timestamp(2, "by the round"),
        timestamp(1, "too late"),
        timestamp(0, "by the round"),
    ];
    assert_eq!(writer.commit(&second).await.unwrap(), Commit::Done);
    store
        .put_timestamps(tree, &[timestamp(2, "too late"), timestamp(0, "too late")])
        .await
        .unwrap();
    store.put_timestamps(tree, &[]).await.unwrap();
    // No entry is there yet: a server whose entry 4 went away with an older copy must not sign the
    // next one's.
    store
        .put_timestamps(tree, &[timestamp(4, "of an entry that is gone")])
        .await
        .unwrap();
    assert_eq!(
        store
            .audit_counts(tree, TreeSize(4))
            .await
            .unwrap()
            .beyond_newest_head,
        0
    );

    let stored = store
        .entries(tree, &[0, 1, 2, 3].map(LeafIndex), TreeSize(4))
        .await
        .unwrap();
    let signatures: Vec<_> = stored
        .iter()
        .map(|entry| entry.signed_entry_timestamp.as_deref())
        .collect();
    assert_eq!(
        signatures,
        [
            Some(&b"by the round"[..]),
            Some(b"by a reader"),
            Some(b"by the round"),
            None
        ]
    );
}

pub(crate) async fn a_foreign_key_does_not_commit(database: &Database) {
    let store = &*database.store;
    let (tree, mut writer) = one_tree(store).await;
    let mut foreign = round(store, tree, 0, entries("entry", 1)).await;
    // The tree's other key does not sign heads of v1.
    for key in [&b"der of an impostor"[..], b"der of another"] {
        foreign.log_key_spki = key.to_vec();
        assert_eq!(writer.commit(&foreign).await.unwrap(), Commit::NotOurs);
    }
    let elsewhere = round(store, TreeId(2), 0, entries("entry", 1)).await;
    assert_eq!(writer.commit(&elsewhere).await.unwrap(), Commit::NotOurs);
    assert_eq!(writer.newest_head(tree).await.unwrap(), None);
    grow(store, &mut *writer, tree, 0, 1).await;
}

pub(crate) async fn a_frozen_tree_takes_nothing(database: &Database) {
    let store = &*database.store;
    let (tree, mut writer) = one_tree(store).await;
    let first = grow(store, &mut *writer, tree, 0, 1).await;
    database.execute("UPDATE tree SET state = 'frozen'").await;
    let second = round(store, tree, 1, entries("more", 1)).await;
    assert_eq!(writer.commit(&second).await.unwrap(), Commit::NotOurs);
    writer.begin_exclusive(tree).await.unwrap();
    assert_eq!(writer.commit(&second).await.unwrap(), Commit::NotOurs);
    assert_eq!(writer.newest_head(tree).await.unwrap(), Some(first.head));
}

/// A restored backup: the head that the round was made for is not there, or another one of that
/// size is.
pub(crate) async fn a_database_that_went_back_takes_nothing(database: &Database) {
    let store = &*database.store;
    let (tree, mut writer) = one_tree(store).await;
    grow(store, &mut *writer, tree, 0, 2).await;
    grow(store, &mut *writer, tree, 2, 2).await;
    let mut next = round(store, tree, 4, vec![entry("next")]).await;

    next.prev_root = root(99);
    assert_eq!(writer.commit(&next).await.unwrap(), Commit::LostRace);
    next.prev_root = root(4);
    database
        .execute("DELETE FROM head WHERE prev_size = 2")
        .await;
    assert_eq!(writer.commit(&next).await.unwrap(), Commit::LostRace);
    database.execute("DELETE FROM head").await;
    assert_eq!(writer.commit(&next).await.unwrap(), Commit::LostRace);
    assert_eq!(store.heads(tree, TreeSize(0), 10).await.unwrap(), []);
}
