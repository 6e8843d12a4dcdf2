//! Two writers on one tree.

use ledger::store::Commit;
use tlog::{LeafIndex, TreeSize};

use crate::database::Database;
use crate::samples::{entries, grow, one_tree, round};

/// Rounds of the race; each may be decided otherwise.
const TURNS: u64 = 20;

pub(crate) async fn one_of_two_writers_wins(database: &Database) {
    let store = &*database.store;
    let other_store = database.open_again().await;
    let (tree, mut one) = one_tree(store).await;
    let mut other = other_store.writer().await.unwrap();
    for size in 0..TURNS {
        let (left, right) = (
            round(store, tree, size, entries(&format!("left {size}"), 1)).await,
            round(store, tree, size, entries(&format!("right {size}"), 1)).await,
        );
        let outcomes = tokio::join!(one.commit(&left), other.commit(&right));
        let winner = match (outcomes.0.unwrap(), outcomes.1.unwrap()) {
            (Commit::Done, Commit::LostRace) => &left,
            (Commit::LostRace, Commit::Done) => &right,
            neither => panic!("{neither:?}"),
        };
        let stored = store
            .entries(tree, &[LeafIndex(size)], TreeSize(size + 1))
            .await
            .unwrap();
        assert_eq!(stored[0].body.as_ref(), Some(&winner.entries[0].body));
    }
    let counts = store.audit_counts(tree, TreeSize(TURNS)).await.unwrap();
    assert_eq!(
        (counts.entries, counts.bodies, counts.leaves),
        (TURNS, TURNS, TURNS)
    );
    assert_eq!(
        (counts.index_keys, counts.beyond_newest_head),
        (2 * TURNS, 0)
    );
}

pub(crate) async fn an_exclusive_section_keeps_others_out(database: &Database) {
    let store = &*database.store;
    let (tree, mut one) = one_tree(store).await;
    let mut other = store.writer().await.unwrap();
    let (left, right) = (
        round(store, tree, 0, entries("left", 1)).await,
        round(store, tree, 0, entries("right", 1)).await,
    );
    one.begin_exclusive(tree).await.unwrap();
    // SQLite lets the other one wait, Postgres turns it away.
    let outcomes = tokio::join!(other.commit(&right), one.commit(&left));
    assert_eq!(
        (outcomes.0.unwrap(), outcomes.1.unwrap()),
        (Commit::LostRace, Commit::Done)
    );
    // The section ended with the commit.
    grow(store, &mut *other, tree, 1, 1).await;
    grow(store, &mut *one, tree, 2, 1).await;
}

pub(crate) async fn an_exclusive_section_sees_what_came_before(database: &Database) {
    let store = &*database.store;
    let (tree, mut one) = one_tree(store).await;
    let mut other = store.writer().await.unwrap();
    other.begin_exclusive(tree).await.unwrap();
    let first = round(store, tree, 0, entries("first", 1)).await;
    let (waited, committed) = tokio::join!(one.begin_exclusive(tree), other.commit(&first));
    assert_eq!((waited.unwrap(), committed.unwrap()), ((), Commit::Done));

    assert_eq!(one.newest_head(tree).await.unwrap(), Some(first.head));
    let found = one
        .find_leaves(tree, &[first.entries[0].leaf_hash], TreeSize(1))
        .await
        .unwrap();
    assert_eq!(found.len(), 1);
    grow(store, &mut *one, tree, 1, 1).await;
}

pub(crate) async fn an_abandoned_section_lets_others_in(database: &Database) {
    let store = &*database.store;
    let (tree, mut one) = one_tree(store).await;
    let mut other = store.writer().await.unwrap();
    one.abandon().await.unwrap();
    one.begin_exclusive(tree).await.unwrap();
    one.begin_exclusive(tree).await.unwrap();
    one.abandon().await.unwrap();
    grow(store, &mut *other, tree, 0, 1).await;
    // A section that is lost (the round was made for an older head) ends too.
    one.begin_exclusive(tree).await.unwrap();
    let late = round(store, tree, 0, entries("late", 1)).await;
    assert_eq!(one.commit(&late).await.unwrap(), Commit::LostRace);
    grow(store, &mut *other, tree, 1, 1).await;
    // So does one whose writer is gone.
    one.begin_exclusive(tree).await.unwrap();
    drop(one);
    other.begin_exclusive(tree).await.unwrap();
    grow(store, &mut *other, tree, 2, 1).await;
}
