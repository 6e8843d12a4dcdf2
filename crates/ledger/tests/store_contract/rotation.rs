//! Freezing a tree, and what goes with it.

use std::slice;
use std::time::Duration;

use ledger::TreeId;
use ledger::store::{
    Commit, FORGOTTEN_AFTER, FinalCheckpoint, Freeze, HeadRow, KeyRole, KeyRow, ServerRow,
    Standing, StoreError, TreeRow, TreeState,
};
use tlog::{EMPTY_ROOT, LeafIndex, TreeSize, sha256};

use crate::database::Database;
use crate::samples::{LOG, SPKI, START, entries, grow, one_tree, round, timestamp, tree};

pub(crate) const NEXT_SPKI: &[u8] = b"der of the next key";

pub(crate) fn next_tree() -> TreeRow {
    TreeRow {
        created_at: START + 9,
        keys: vec![KeyRow {
            role: KeyRole::Log,
            spki: NEXT_SPKI.to_vec(),
        }],
        ..tree(2, "a")
    }
}

pub(crate) async fn a_freeze_ends_the_tree_and_opens_the_next(database: &Database) {
    let store = &*database.store;
    let (old, mut writer) = one_tree(store).await;
    let sent = grow(store, &mut *writer, old, 0, 3).await;
    let mut late = round(store, old, 3, entries("late", 1)).await;
    assert_eq!(
        store.freeze(old, &next_tree()).await.unwrap(),
        Freeze::Refused,
        "no key is registered"
    );
    store.register_next_key(LOG, b"another").await.unwrap();
    assert_eq!(
        store.freeze(old, &next_tree()).await.unwrap(),
        Freeze::Refused,
        "another key is registered"
    );
    store.register_next_key(LOG, NEXT_SPKI).await.unwrap();
    assert_eq!(
        store.next_key(LOG).await.unwrap().as_deref(),
        Some(NEXT_SPKI)
    );

    let last = HeadRow {
        prev_size: TreeSize(3),
        ..sent.head
    };
    assert_eq!(
        store.freeze(old, &next_tree()).await.unwrap(),
        Freeze::Done(last)
    );
    let standing = store.reader().standing(old).await.unwrap();
    assert_eq!(
        standing,
        Some(Standing {
            state: TreeState::Frozen,
            head: Some(last)
        })
    );
    assert_eq!(writer.commit(&late).await.unwrap(), Commit::NotOurs);
    let trees = store.trees().await.unwrap();
    assert_eq!(trees[0].frozen_at, Some(START + 9));
    assert_eq!(
        trees[1],
        TreeRow {
            first_log_index: tree(1, "a").first_log_index + 3,
            ..next_tree()
        }
    );
    assert_eq!(
        store.freeze(old, &next_tree()).await.unwrap(),
        Freeze::Refused,
        "once"
    );
    store.forget_next_key(LOG, b"another").await.unwrap();
    assert_eq!(
        store.next_key(LOG).await.unwrap().as_deref(),
        Some(NEXT_SPKI),
        "not reported yet"
    );
    store.forget_next_key(LOG, NEXT_SPKI).await.unwrap();
    assert_eq!(store.next_key(LOG).await.unwrap(), None);

    (late.tree_id, late.head.prev_size, late.head.size) = (TreeId(2), TreeSize(0), TreeSize(1));
    (late.prev_root, late.log_key_spki) = (EMPTY_ROOT, NEXT_SPKI.to_vec());
    assert_eq!(writer.commit(&late).await.unwrap(), Commit::Done);
}

/// The run of a rotation that another run did meanwhile comes late with the same key.
pub(crate) async fn the_key_of_a_tree_is_not_registered_again(database: &Database) {
    let store = &*database.store;
    let (old, _) = one_tree(store).await;
    assert!(store.register_next_key(LOG, NEXT_SPKI).await.unwrap());
    assert!(
        store.register_next_key(LOG, NEXT_SPKI).await.unwrap(),
        "begun again"
    );
    assert!(matches!(
        store.freeze(old, &next_tree()).await,
        Ok(Freeze::Done(_))
    ));
    for registered in [Some(NEXT_SPKI), None] {
        for used in [NEXT_SPKI, SPKI] {
            assert!(!store.register_next_key(LOG, used).await.unwrap());
            assert_eq!(store.next_key(LOG).await.unwrap().as_deref(), registered);
        }
        store.forget_next_key(LOG, NEXT_SPKI).await.unwrap();
    }
    assert!(store.register_next_key(LOG, b"another").await.unwrap());
}

/// After the freeze the registered key says that it was not reported yet.
pub(crate) async fn a_registered_key_is_withdrawn_until_the_freeze(database: &Database) {
    let store = &*database.store;
    let (old, _) = one_tree(store).await;
    assert!(!store.withdraw_next_key(old, LOG, NEXT_SPKI).await.unwrap());
    store.register_next_key(LOG, NEXT_SPKI).await.unwrap();
    assert!(!store.withdraw_next_key(old, LOG, b"another").await.unwrap());
    assert!(store.withdraw_next_key(old, LOG, NEXT_SPKI).await.unwrap());
    assert_eq!(store.next_key(LOG).await.unwrap(), None);
    let refused = store.freeze(old, &next_tree()).await.unwrap();
    assert_eq!(refused, Freeze::Refused);

    store.register_next_key(LOG, NEXT_SPKI).await.unwrap();
    assert!(matches!(
        store.freeze(old, &next_tree()).await,
        Ok(Freeze::Done(_))
    ));
    assert!(!store.withdraw_next_key(old, LOG, NEXT_SPKI).await.unwrap());
    assert_eq!(
        store.next_key(LOG).await.unwrap().as_deref(),
        Some(NEXT_SPKI)
    );
}

/// A client believes an entry only within the times of its tree.
pub(crate) async fn a_round_that_came_while_the_freeze_waited_is_within_the_times_of_its_tree(
    database: &Database,
) {
    let store = &*database.store;
    let (old, mut writer) = one_tree(store).await;
    let sent = grow(store, &mut *writer, old, 0, 3).await;
    store.register_next_key(LOG, NEXT_SPKI).await.unwrap();
    let earlier = TreeRow {
        created_at: sent.head.time - 5,
        ..next_tree()
    };
    assert!(matches!(
        store.freeze(old, &earlier).await,
        Ok(Freeze::Done(_))
    ));
    let trees = store.trees().await.unwrap();
    assert_eq!(
        (trees[0].frozen_at, trees[1].created_at),
        (Some(sent.head.time), sent.head.time - 5)
    );
}

pub(crate) async fn an_empty_tree_is_frozen_too(database: &Database) {
    let store = &*database.store;
    let (old, _) = one_tree(store).await;
    assert_eq!(
        store.reader().standing(old).await.unwrap(),
        Some(Standing {
            state: TreeState::Active,
            head: None
        })
    );
    assert_eq!(store.reader().standing(TreeId(77)).await.unwrap(), None);
    store.register_next_key(LOG, NEXT_SPKI).await.unwrap();
    let last = HeadRow {
        prev_size: TreeSize(0),
        size: TreeSize(0),
        root: EMPTY_ROOT,
        time: 0,
    };
    assert_eq!(
        store.freeze(old, &next_tree()).await.unwrap(),
        Freeze::Done(last)
    );
}

pub(crate) async fn a_freeze_that_fails_changes_nothing(database: &Database) {
    let store = &*database.store;
    let (old, mut writer) = one_tree(store).await;
    grow(store, &mut *writer, old, 0, 1).await;
    store.register_next_key(LOG, NEXT_SPKI).await.unwrap();
    let taken = TreeRow {
        origin: tree(1, "a").origin,
        ..next_tree()
    };
    assert!(matches!(
        store.freeze(old, &taken).await,
        Err(StoreError::Data(_))
    ));
    assert_eq!(store.trees().await.unwrap(), [tree(1, "a")]);
    grow(store, &mut *writer, old, 1, 1).await;
    assert!(matches!(
        store.freeze(old, &next_tree()).await,
        Ok(Freeze::Done(_))
    ));
}

pub(crate) async fn servers_show_that_they_live(database: &Database) {
    let store = &*database.store;
    let server = |id: &str, keys: &[&str]| ServerRow {
        server_id: id.to_owned(),
        name: "a".to_owned(),
        place: format!("place of {id}"),
        keys: keys.iter().map(|key| sha256(key.as_bytes())).collect(),
        vouches: false,
        seen: 0,
    };
    // The database sets the time.
    let servers = async |age: Duration| {
        let mut servers = store.servers("a", age).await.unwrap();
        for server in &mut servers {
            assert!(server.seen > 0, "{server:?}");
            server.seen = 0;
        }
        servers
    };
    let (one, two) = (server("1", &["x"]), server("2", &["x", "y"]));
    for row in [
        &two,
        &one,
        &ServerRow {
            name: "b".into(),
            ..server("3", &[])
        },
    ] {
        store.note_server(row).await.unwrap();
    }
    let minute = Duration::from_secs(60);
    assert_eq!(servers(minute).await, [one, two.clone()]);
    let one = ServerRow {
        vouches: true,
        ..server("1", &["x", "y"])
    };
    store.note_server(&one).await.unwrap();
    assert_eq!(servers(minute).await, [one, two.clone()]);
    store.forget_server("1").await.unwrap();
    assert_eq!(servers(minute).await, slice::from_ref(&two));
    database
        .execute("UPDATE server SET seen = seen - 61000")
        .await;
    assert_eq!(servers(minute).await, []);
    // A look with a short age takes nothing from a longer one.
    assert_eq!(servers(2 * minute).await, slice::from_ref(&two));
    let forgotten = FORGOTTEN_AFTER.as_millis();
    database
        .execute(&format!("UPDATE server SET seen = seen - {forgotten}"))
        .await;
    servers(minute).await;
    assert_eq!(servers(2 * FORGOTTEN_AFTER).await, []);
}

pub(crate) async fn the_first_last_checkpoints_are_kept(database: &Database) {
    let store = &*database.store;
    let (old, mut writer) = one_tree(store).await;
    grow(store, &mut *writer, old, 0, 3).await;
    store
        .put_timestamps(old, &[timestamp(1, "one")])
        .await
        .unwrap();
    assert_eq!(
        store.unsigned(old, 0..3).await.unwrap(),
        [LeafIndex(0), LeafIndex(2)]
    );
    assert_eq!(store.unsigned(old, 1..2).await.unwrap(), []);
    let texts = |text: &str| FinalCheckpoint {
        // A log of Rekor v2 has none.
        rekor_checkpoint: (text != "none").then(|| text.to_owned()),
        checkpoint: format!("c2sp {text}"),
        freeze_note: format!("frozen {text}"),
        receipt_signature: vec![7; 64],
    };
    store.keep_final(old, &texts("early")).await.unwrap();
    assert_eq!(
        store.final_checkpoint(old).await.unwrap(),
        None,
        "the tree is active"
    );
    store.register_next_key(LOG, NEXT_SPKI).await.unwrap();
    store.freeze(old, &next_tree()).await.unwrap();
    for text in ["first", "second"] {
        store.keep_final(old, &texts(text)).await.unwrap();
    }
    assert_eq!(
        store.final_checkpoint(old).await.unwrap(),
        Some(texts("first"))
    );
    let mut last = tree(4, "a");
    last.keys[0].spki = b"another".to_vec();
    store.register_next_key(LOG, b"another").await.unwrap();
    store.freeze(TreeId(2), &last).await.unwrap();
    store.keep_final(TreeId(2), &texts("none")).await.unwrap();
    assert_eq!(
        store.final_checkpoint(TreeId(2)).await.unwrap(),
        Some(texts("none"))
    );
}
