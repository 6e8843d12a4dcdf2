//! A database that went back is brought forward again, or goes on without what it lost.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on fails there, one that is passed over says so"
)]

#[path = "recover/claims.rs"]
mod claims;
#[expect(dead_code, reason = "another suite uses the rest")]
#[path = "store_contract/database.rs"]
mod database;
#[path = "recover/flaky.rs"]
mod flaky;
#[path = "recover/loss.rs"]
mod loss;
#[path = "recover/sample.rs"]
mod sample;
#[expect(dead_code, reason = "other suites use the rest")]
#[path = "support/mod.rs"]
mod support;

use database::Database;
use flaky::Flaky;
use ledger::V1;
use ledger::guard::GuardedHead;
use ledger::recover::{DatabaseCopy, Forward, RecoverError, Source};
use ledger::store::{LogName, Store, TreeRow, TreeState};
use sample::{LOG, Sample, derive, edge_of, fsck_all, rows_of};
use std::sync::Arc;
use tlog::{EMPTY_ROOT, TreeSize};

/// Makes a test of each case for each backend of the database that is recovered.
macro_rules! on_every_backend {
    ($($case:path as $name:ident),* $(,)?) => {
        mod on_sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                let database = crate::database::Database::sqlite().await;
                $case(&database).await;
                database.remove().await;
            })*
        }
        mod on_postgres {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                let Some(database) = crate::database::Database::postgres().await else { return };
                $case(&database).await;
                database.remove().await;
            })*
        }
    };
}

on_every_backend! {
    crate::from_an_older_copy as a_copy_brings_every_row_back,
    crate::from_nothing_but_a_tree as a_tree_that_is_lacking_comes_with_its_rotation,
    crate::killed_at_every_step as a_run_that_ends_half_way_is_continued,
    crate::another_history as another_history_is_refused,
    crate::claims::a_wrong_one_is_refused as a_claim_that_its_entry_does_not_make_is_refused,
    crate::a_floor_that_the_source_lacks as a_source_below_the_floor_is_refused,
    crate::loss::the_gap as a_loss_leaves_a_gap,
    crate::loss::forks as a_fork_below_the_floor_is_not_frozen,
    crate::loss::a_lost_tree as a_tree_may_be_lost_whole,
}

/// Begins a log as the source began it.
async fn begin(store: &dyn Store, source: &dyn Store) {
    let first = source.trees().await.unwrap().remove(0);
    let first = TreeRow {
        state: TreeState::Active,
        frozen_at: None,
        ..first
    };
    assert!(store.create_trees(&[first]).await.unwrap());
}

fn copy_of(store: &Arc<dyn Store>) -> DatabaseCopy {
    DatabaseCopy::new(Arc::clone(store), "the copy".into())
}

/// Brings the v1 log forward; the number of steps that it took.
async fn recover(
    store: &dyn Store,
    source: &dyn Source,
    floor: Option<&GuardedHead>,
) -> Result<usize, RecoverError> {
    let forward = Forward {
        store,
        source,
        derive: &derive,
    };
    let plan = forward.plan(LOG, &V1, floor, &mut |_| {}).await?;
    forward.carry_out(&plan, &mut |_| {}).await?;
    Ok(plan.steps.len())
}

async fn assert_same(store: &dyn Store, source: &dyn Store) {
    assert_eq!(store.trees().await.unwrap(), source.trees().await.unwrap());
    for tree in source.trees().await.unwrap() {
        assert_eq!(rows_of(store, &tree).await, rows_of(source, &tree).await);
    }
    fsck_all(store).await;
}

async fn from_an_older_copy(database: &Database) {
    let store = database.store.as_ref();
    let sample = Sample::sqlite().await;
    sample.append(0..300).await;
    begin(store, sample.store.as_ref()).await;
    assert_eq!(
        recover(store, &copy_of(&sample.store), None).await.unwrap(),
        1
    );
    assert_same(store, sample.store.as_ref()).await;
    // The older copy of the source that this is now.
    sample.append(300..700).await;
    let floor = sample.head().await;
    assert_eq!(
        recover(store, &copy_of(&sample.store), Some(&floor))
            .await
            .unwrap(),
        1
    );
    assert_same(store, sample.store.as_ref()).await;
    // There is nothing to do any more.
    let again = recover(store, &copy_of(&sample.store), Some(&floor)).await;
    assert_eq!(again.unwrap(), 0);
    let older = copy_of(&database.store);
    assert_eq!(recover(store, &older, None).await.unwrap(), 0);
}

async fn from_nothing_but_a_tree(database: &Database) {
    let store = database.store.as_ref();
    let sample = Sample::sqlite().await;
    sample.append(0..5).await;
    begin(store, sample.store.as_ref()).await;
    recover(store, &copy_of(&sample.store), None).await.unwrap();
    sample.append(5..9).await;
    sample.rotate().await;
    sample.append(9..20).await;
    sample.rotate().await;
    let floor = sample.head().await;
    assert_eq!(
        recover(store, &copy_of(&sample.store), Some(&floor))
            .await
            .unwrap(),
        3
    );
    assert_same(store, sample.store.as_ref()).await;
    assert_eq!(store.next_key(LOG).await.unwrap(), None);
}

/// The log itself may be newer than the copy.
#[tokio::test]
async fn a_log_that_is_lacking_comes_with_its_trees() {
    let sample = Sample::sqlite().await;
    sample.append(0..5).await;
    sample.rotate().await;
    let database = Database::sqlite().await;
    let store = database.store.as_ref();
    recover(store, &copy_of(&sample.store), None).await.unwrap();
    assert_same(store, sample.store.as_ref()).await;
}

async fn killed_at_every_step(database: &Database) {
    let store = database.store.as_ref();
    let sample = Sample::sqlite().await;
    sample.append(0..20).await;
    sample.rotate().await;
    sample.append(20..30).await;
    begin(store, sample.store.as_ref()).await;
    let (copy, mut ends) = (copy_of(&sample.store), 0);
    loop {
        let source = Flaky::new(&copy, ends);
        match recover(store, &source, None).await {
            Ok(_) if !source.has_failed() => break,
            outcome => assert!(matches!(outcome, Err(RecoverError::Source(_)))),
        }
        fsck_all(store).await;
        ends += 1;
    }
    assert!(ends > 10, "{ends}");
    assert_same(store, sample.store.as_ref()).await;
}

async fn another_history(database: &Database) {
    let store = database.store.as_ref();
    let sample = Sample::sqlite().await;
    sample.append(0..5).await;
    begin(store, sample.store.as_ref()).await;
    recover(store, &copy_of(&sample.store), None).await.unwrap();
    // The same tree goes on in two ways.
    let fork = sample.fork().await;
    sample.append(5..9).await;
    fork.append(105..112).await;
    recover(store, &copy_of(&sample.store), None).await.unwrap();
    let tree = sample.store.trees().await.unwrap().remove(0);
    let before = rows_of(store, &tree).await;
    let refused = recover(store, &copy_of(&fork.store), None).await;
    assert!(matches!(refused, Err(RecoverError::OtherHistory(_))));
    assert_eq!(rows_of(store, &tree).await, before);
    // A log of another ledger.
    let other = Sample::sqlite().await;
    other.append(0..20).await;
    let refused = recover(store, &copy_of(&other.store), None).await;
    assert!(matches!(refused, Err(RecoverError::OtherLedger(_))));
}

async fn a_floor_that_the_source_lacks(database: &Database) {
    let store = database.store.as_ref();
    let sample = Sample::sqlite().await;
    sample.append(0..5).await;
    begin(store, sample.store.as_ref()).await;
    let tree = sample.store.trees().await.unwrap().remove(0);
    let floor = sample.head().await;
    let beyond = sample.guarded(&floor, edge_of(0..9));
    let other = sample.guarded(&floor, edge_of(100..103));
    let copy = copy_of(&sample.store);
    let refused = recover(store, &copy, Some(&beyond)).await;
    assert!(matches!(refused, Err(RecoverError::Behind(_))));
    let refused = recover(store, &copy, Some(&other)).await;
    assert!(matches!(refused, Err(RecoverError::OtherHistory(_))));
    let head = store.reader().newest_head(tree.tree_id).await.unwrap();
    assert_eq!(head, None, "nothing was added");
    // A tree that only the guard knows.
    let unknown = GuardedHead {
        tree: ledger::TreeId(5),
        ..floor
    };
    let refused = recover(store, &copy, Some(&unknown)).await;
    assert!(matches!(refused, Err(RecoverError::Behind(_))));
    assert_eq!(edge_of(0..0).size(), TreeSize(0));
    assert_eq!(edge_of(0..0).root(), EMPTY_ROOT);
}

#[tokio::test]
async fn a_copy_without_the_log_has_nothing_to_give() {
    let sample = Sample::sqlite().await;
    sample.append(0..3).await;
    let empty = Database::sqlite().await;
    let name = LogName { api: "v2", ..LOG };
    let source = copy_of(&empty.store);
    let forward = Forward {
        store: sample.store.as_ref(),
        source: &source,
        derive: &derive,
    };
    let plan = forward.plan(name, &ledger::V2, None, &mut |_| {}).await;
    assert!(plan.unwrap().steps.is_empty());
}
