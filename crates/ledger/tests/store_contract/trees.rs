//! Creating trees.

use std::slice;

use ledger::TreeId;
use ledger::store::{Commit, Standing, StoreError, TreeRow, TreeState};
use tlog::TreeSize;

use crate::database::Database;
use crate::samples::{START, entries, grow, round, tree};

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

fn of_api(id: i64, name: &str, api: &str) -> TreeRow {
    TreeRow {
        api: api.to_owned(),
        ..tree(id, name)
    }
}

pub(crate) async fn a_name_has_one_active_tree_of_each_api(database: &Database) {
    let store = &*database.store;
    let both = [of_api(1, "log", "v1"), of_api(2, "log", "v2")];
    assert!(store.create_trees(&both).await.unwrap());
    for row in [
        of_api(3, "log", "v1"),
        of_api(3, "log", "v2"),
        of_api(1, "another", "v1"),
    ] {
        assert!(!store.create_trees(&[row]).await.unwrap());
    }
    // The store takes any API, because a later release may know more of them.
    let others = [of_api(3, "log", "ct"), of_api(4, "another", "v1")];
    assert!(store.create_trees(&others).await.unwrap());
    let all = [both, others].concat();
    assert_eq!(store.trees().await.unwrap(), all);
}

/// Whichever of the trees cannot be created, and whatever the reason.
pub(crate) async fn trees_are_created_together_or_not_at_all(database: &Database) {
    let store = &*database.store;
    let held = of_api(1, "log", "v1");
    assert!(store.create_trees(slice::from_ref(&held)).await.unwrap());
    let good = of_api(2, "log", "v2");
    let same_log = of_api(3, "log", "v1");
    let same_id = of_api(1, "another", "v1");
    let same_origin = TreeRow {
        origin: held.origin.clone(),
        ..of_api(3, "another", "v1")
    };
    for (bad, refused) in [(&same_log, false), (&same_id, false), (&same_origin, true)] {
        for rows in [[&good, bad], [bad, &good]] {
            let created = store.create_trees(&rows.map(TreeRow::clone)).await;
            match created {
                Ok(false) => assert!(!refused),
                Err(StoreError::Data(text)) => assert!(refused, "{text}"),
                other => panic!("{other:?}"),
            }
            assert_eq!(store.trees().await.unwrap(), slice::from_ref(&held));
        }
    }
    // Two of one call that exclude each other.
    let twins = [good.clone(), of_api(3, "log", "v2")];
    assert!(!store.create_trees(&twins).await.unwrap());
    assert_eq!(store.trees().await.unwrap(), slice::from_ref(&held));
    assert!(store.create_trees(&[good]).await.unwrap());
}

pub(crate) async fn the_standings_of_trees_come_in_the_order_asked_for(database: &Database) {
    let store = &*database.store;
    let rows = [1, 2, 3].map(|id| of_api(id, "log", &format!("api {id}")));
    assert!(store.create_trees(&rows).await.unwrap());
    let mut writer = store.writer().await.unwrap();
    let three = grow(store, &mut *writer, TreeId(3), 0, 2).await;
    let three = grow(store, &mut *writer, TreeId(3), three.head.size.0, 1).await;
    let one = grow(store, &mut *writer, TreeId(1), 0, 5).await;
    let active = |head| {
        Some(Standing {
            state: TreeState::Active,
            head,
        })
    };
    let asked = [3, 77, 2, 1].map(TreeId);
    let expected = [
        active(Some(three.head)),
        None,
        active(None),
        active(Some(one.head)),
    ];
    assert_eq!(store.reader().standings(&asked).await.unwrap(), expected);
    assert_eq!(writer.standings(&asked).await.unwrap(), expected);
    assert_eq!(store.reader().standings(&[]).await.unwrap(), []);
}

/// A round of one log loses no race against a round of the other one.
pub(crate) async fn two_logs_of_a_name_take_rounds_at_once(database: &Database) {
    let store = &*database.store;
    let rows = [of_api(1, "log", "v1"), of_api(2, "log", "v2")];
    assert!(store.create_trees(&rows).await.unwrap());
    let (mut one, mut other) = (store.writer().await.unwrap(), store.writer().await.unwrap());
    for size in 0..20 {
        let commit = tokio::join!(
            round(store, TreeId(1), size, entries(&format!("one {size}:"), 1)),
            round(store, TreeId(2), size, entries(&format!("one {size}:"), 1))
        );
        let done = tokio::join!(one.commit(&commit.0), other.commit(&commit.1));
        assert_eq!(
            (done.0.unwrap(), done.1.unwrap()),
            (Commit::Done, Commit::Done),
            "size {size}"
        );
    }
    for tree in [TreeId(1), TreeId(2)] {
        let head = store.reader().newest_head(tree).await.unwrap().unwrap();
        assert_eq!(head.size, TreeSize(20));
    }
}
