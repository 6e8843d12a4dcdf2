//! Creating trees.

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
        assert!(store.create_tree(row).await.unwrap());
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
    let created = tokio::join!(store.create_tree(&one), other_store.create_tree(&other));
    let winner = match (created.0.unwrap(), created.1.unwrap()) {
        (true, false) => one.clone(),
        (false, true) => other.clone(),
        neither => panic!("{neither:?}"),
    };
    assert_eq!(store.trees().await.unwrap(), std::slice::from_ref(&winner));
    // An ID is taken for ever, under whatever name.
    assert!(
        !store
            .create_tree(&tree(winner.tree_id.0, "another"))
            .await
            .unwrap()
    );
    assert_eq!(store.trees().await.unwrap(), [winner]);
}

pub(crate) async fn an_origin_belongs_to_one_tree(database: &Database) {
    let store = &*database.store;
    let mut first = tree(1, "log");
    first.state = TreeState::Frozen;
    assert!(store.create_tree(&first).await.unwrap());
    let mut second = tree(2, "log");
    second.origin_v2 = first.origin_v2.clone();
    assert!(matches!(
        store.create_tree(&second).await,
        Err(StoreError::Data(_))
    ));
    assert_eq!(store.trees().await.unwrap(), [first]);
}
