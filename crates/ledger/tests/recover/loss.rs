//! A log that cannot be brought forward.

use ledger::guard::GuardedHead;
use ledger::recover::{self, RecoverError};
use ledger::store::{Store, TreeRow};
use ledger::{TreeId, V1, rotation};
use ring::rand::SystemRandom;
use tlog::Edge;

use crate::database::Database;
use crate::sample::{LOG, Sample, edge_of, fsck_all};
use crate::{begin, copy_of};

/// A database with `size` entries of a log of more, whose newest head is the result.
async fn behind(database: &Database, size: u64, more: u64) -> (Sample, GuardedHead) {
    let store = database.store.as_ref();
    let sample = Sample::sqlite().await;
    sample.append(0..size).await;
    begin(store, sample.store.as_ref()).await;
    crate::recover(store, &copy_of(&sample.store), None)
        .await
        .unwrap();
    sample.append(size..size + more).await;
    let floor = sample.head().await;
    (sample, floor)
}

async fn freeze(store: &dyn Store, sample: &Sample, floor: &GuardedHead) -> (TreeRow, TreeRow) {
    let loss = recover::assess(store, LOG, &V1, floor)
        .await
        .unwrap()
        .unwrap();
    let key = sample.next_key().await;
    rotation::register(store, &loss.tree, &key).await.unwrap();
    let rng = SystemRandom::new();
    let (next, last) = recover::freeze(store, &loss, &key, None, &rng)
        .await
        .unwrap();
    assert_eq!((last.size, last.root), (loss.size, loss.root));
    rotation::mark_reported(store, &next).await.unwrap();
    let trees = store.trees().await.unwrap();
    assert_eq!(trees.last(), Some(&next));
    (trees[trees.len() - 2].clone(), next)
}

pub(crate) async fn the_gap(database: &Database) {
    let store = database.store.as_ref();
    let (sample, floor) = behind(database, 300, 20).await;
    let loss = recover::assess(store, LOG, &V1, &floor)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((loss.lost(), loss.lost_tree()), (300..320, false));
    let (frozen, next) = freeze(store, &sample, &floor).await;
    assert_eq!(frozen.tree_id, floor.tree);
    assert_eq!(next.first_log_index, 320);
    fsck_all(store).await;
    // A place that still has the old floor finds it given up.
    assert!(
        recover::assess(store, LOG, &V1, &floor)
            .await
            .unwrap()
            .is_none()
    );
    // The next freeze ends where the tree does.
    let key = sample.next_key().await;
    rotation::register(store, &next, &key).await.unwrap();
    let rng = SystemRandom::new();
    let (third, _) = rotation::freeze(store, &next, &key, None, &rng)
        .await
        .unwrap();
    assert_eq!(third.first_log_index, 320);
    assert_eq!(store.trees().await.unwrap().last(), Some(&third));
}

pub(crate) async fn forks(database: &Database) {
    let store = database.store.as_ref();
    let (sample, floor) = behind(database, 300, 20).await;
    let guarded = |edge: Edge| sample.guarded(&floor, edge);
    let mut other_leaf = edge_of(0..290);
    other_leaf.append(&[tlog::leaf_hash(b"other")]);
    other_leaf.append(&[tlog::EMPTY_ROOT; 19]);
    let mut other_tile = edge_of(1_000..1_256);
    other_tile.append(&[tlog::EMPTY_ROOT; 250]);
    for edge in [
        other_leaf,
        other_tile,
        edge_of(1_000..1_290),
        edge_of(1_000..1_300),
    ] {
        let size = edge.size();
        let refused = recover::assess(store, LOG, &V1, &guarded(edge)).await;
        assert!(matches!(refused, Err(RecoverError::Forked(_))), "{size}");
    }
    let extended = recover::assess(store, LOG, &V1, &guarded(edge_of(0..300))).await;
    assert!(extended.unwrap().is_none());
}

pub(crate) async fn a_lost_tree(database: &Database) {
    let store = database.store.as_ref();
    let (sample, floor) = behind(database, 5, 0).await;
    let of_lost = GuardedHead {
        tree: TreeId(77),
        first_log_index: 9,
        edge: edge_of(0..4),
        ..floor.clone()
    };
    let loss = recover::assess(store, LOG, &V1, &of_lost)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((loss.lost(), loss.lost_tree()), (5..13, true));
    let within = GuardedHead {
        first_log_index: 4,
        ..of_lost.clone()
    };
    let refused = recover::assess(store, LOG, &V1, &within).await;
    assert!(matches!(refused, Err(RecoverError::Forked(_))));
    let (_, next) = freeze(store, &sample, &of_lost).await;
    assert_eq!(next.first_log_index, 13);
    assert!(
        recover::assess(store, LOG, &V1, &of_lost)
            .await
            .unwrap()
            .is_none()
    );
}
