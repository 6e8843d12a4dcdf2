//! Creating trees.

use std::slice;

use ledger::store::{StoreError, TreeState};

use crate::database::Database;
use crate::samples::{START, tree};

pub(crate) async fn trees_come_back_whole_oldest_first(database: &Database) {
    let store = &*database.store;
    assert_eq!(store.trees().await.unwrap(), []);
    let mut frozen = tree(i64::MAX, "log");
    frozen.state = TreeState::Frozen;
    frozen.frozen_at = Some(START + 1);
    let active = tree(1, "log");
    let mut keyless = tree(5, "other");
    keyless.keys.clear();
    for row in [&frozen, &active, &keyless] {
        assert!(store.create_trees(slice::from_ref(row)).await.unwrap());
    }
    assert_eq!(
        database.open_again().await.trees().await.unwrap(),
        [frozen, active, keyless]
    );
}

pub(crate) async fn one_of_two_creators_wins(database: &Database) {
    let store = &*database.store;
    let other_store = database.open_again().await;
    let (one, mut other) = (tree(1, "log"), tree(2, "log"));
    other.keys.truncate(1);
    let created = tokio::join!(
        store.create_trees(slice::from_ref(&one)),
        other_store.create_trees(slice::from_ref(&other))
    );
    let winner = match (created.0.unwrap(), created.1.unwrap()) {
        (true, false) => one.clone(),
        (false, true) => other.clone(),
        neither => panic!("{neither:?}"),
    };
    assert_eq!(store.trees().await.unwrap(), slice::from_ref(&winner));
    // An ID is taken for ever, under whatever name.
    let another = tree(winner.tree_id.0, "another");
    assert!(!store.create_trees(&[another]).await.unwrap());
    assert_eq!(store.trees().await.unwrap(), [winner]);
}

pub(crate) async fn an_origin_belongs_to_one_tree(database: &Database) {
    let store = &*database.store;
    let mut first = tree(1, "log");
    first.state = TreeState::Frozen;
    assert!(store.create_trees(slice::from_ref(&first)).await.unwrap());
    let mut second = tree(2, "log");
    second.origin = first.origin.clone();
    assert!(matches!(
        store.create_trees(&[second]).await,
        Err(StoreError::Data(_))
    ));
    assert_eq!(store.trees().await.unwrap(), [first]);
}
