//! Several logs of one name.

use std::slice;

use ledger::TreeId;
use ledger::store::{Commit, Freeze, LogName, Standing, StoreError, TreeRow, TreeState};
use tlog::TreeSize;

use crate::database::Database;
use crate::rotation::{NEXT_SPKI, next_tree};
use crate::samples::{LOG, entries, grow, one_tree, round, tree};

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

fn other_log() -> TreeRow {
    TreeRow {
        api: "v2".to_owned(),
        ..tree(3, "a")
    }
}

pub(crate) async fn each_log_has_a_next_key(database: &Database) {
    let store = &*database.store;
    let (old, _) = one_tree(store).await;
    let (other_api, other_name) = (LogName { api: "v2", ..LOG }, LogName { name: "b", ..LOG });
    assert!(store.create_trees(&[other_log()]).await.unwrap());
    store.register_next_key(LOG, NEXT_SPKI).await.unwrap();
    for (log, key) in [(other_api, b"two"), (other_name, b"sub")] {
        assert_eq!(store.next_key(log).await.unwrap(), None);
        store.forget_next_key(log, NEXT_SPKI).await.unwrap();
        assert!(!store.withdraw_next_key(old, log, NEXT_SPKI).await.unwrap());
        store.register_next_key(log, key).await.unwrap();
        assert_eq!(
            store.next_key(log).await.unwrap().as_deref(),
            Some(&key[..])
        );
    }
    assert!(
        !store.register_next_key(other_api, NEXT_SPKI).await.unwrap(),
        "it is registered for another log"
    );
    assert_eq!(
        store.next_key(LOG).await.unwrap().as_deref(),
        Some(NEXT_SPKI)
    );
}

/// The key of one log opens no tree of the other one, whose rounds go on.
pub(crate) async fn a_log_is_frozen_alone(database: &Database) {
    let store = &*database.store;
    let (old, mut writer) = one_tree(store).await;
    let other = other_log();
    assert!(
        store
            .create_trees(std::slice::from_ref(&other))
            .await
            .unwrap()
    );
    grow(store, &mut *writer, other.tree_id, 0, 1).await;
    let other_name = LogName { api: "v2", ..LOG };
    store
        .register_next_key(other_name, NEXT_SPKI)
        .await
        .unwrap();
    let refused = store.freeze(old, &next_tree()).await.unwrap();
    assert_eq!(refused, Freeze::Refused);

    assert!(
        store
            .withdraw_next_key(other.tree_id, other_name, NEXT_SPKI)
            .await
            .unwrap()
    );
    store.register_next_key(LOG, NEXT_SPKI).await.unwrap();
    assert!(matches!(
        store.freeze(old, &next_tree()).await,
        Ok(Freeze::Done(_))
    ));
    grow(store, &mut *writer, other.tree_id, 1, 1).await;
    let trees = store.trees().await.unwrap();
    let states = trees.iter().map(|tree| (tree.tree_id.0, tree.state));
    assert_eq!(
        states.collect::<Vec<_>>(),
        [
            (1, TreeState::Frozen),
            (3, TreeState::Active),
            (2, TreeState::Active)
        ]
    );
}
