//! Failures of a commit that only a server can cause.

use std::sync::Arc;
use std::time::Duration;

use ledger::store::postgres::PostgresStore;
use ledger::store::{Commit, Condition, MAX_CLOCK_SKEW_MILLIS, Store, StoreError};
use sqlx::{Connection, Executor, PgConnection};
use tlog::{LeafIndex, TreeSize};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::database::Database;
use crate::proxy::{Options, Proxy};
use crate::rotation;
use crate::samples::{self, entries, entry_of, grow, one_tree, round};

#[tokio::test(flavor = "multi_thread")]
async fn clocks_that_differ_commit_nothing() {
    let Some(database) = Database::postgres().await else {
        return;
    };
    let store = &*database.store;
    let (tree, mut writer) = one_tree(store).await;
    let mut sent = round(store, tree, 0, entries("entry", 1)).await;
    let now = sent.local_millis;
    for (off, sign) in [(60_000, -1), (-60_000, 1)] {
        sent.local_millis = now + off;
        match writer.commit(&sent).await.unwrap() {
            Commit::ClockSkew(millis) => assert!(millis * sign > MAX_CLOCK_SKEW_MILLIS, "{millis}"),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(writer.newest_head(tree).await.unwrap(), None);
    // A round that waited here before it was sent: the clock went on meanwhile.
    sent.local_millis = store.now_millis().await.unwrap() + MAX_CLOCK_SKEW_MILLIS / 2 - 60_000;
    sent.read_at = Instant::now() - Duration::from_secs(60);
    assert_eq!(writer.commit(&sent).await.unwrap(), Commit::Done);
    assert!(store.is_shared());
    database.remove().await;
}

/// A hundred searches, none of which gets on: reads, heads and the look of a probe go by other
/// connections.
#[tokio::test(flavor = "multi_thread")]
async fn reads_wait_for_no_search() {
    let Some(database) = Database::postgres().await else {
        return;
    };
    let store = Arc::clone(&database.store);
    let (tree, mut writer) = one_tree(&*store).await;
    grow(&*store, &mut *writer, tree, 0, 3).await;
    let mut blocker = PgConnection::connect(database.address()).await.unwrap();
    blocker
        .execute("BEGIN; LOCK TABLE index_key IN ACCESS EXCLUSIVE MODE")
        .await
        .unwrap();
    let mut searches = JoinSet::new();
    for _ in 0..100 {
        let store = Arc::clone(&store);
        let someone = Condition::Keys(vec![samples::SOMEONE.to_owned()]);
        searches.spawn(async move { store.newest(tree, &someone, 0..3, 10).await });
    }
    let reads = async {
        for index in 0..3 {
            store.now_millis().await.unwrap();
            assert_eq!(
                store
                    .reader()
                    .newest_head(tree)
                    .await
                    .unwrap()
                    .unwrap()
                    .size,
                TreeSize(3)
            );
            assert_eq!(
                store
                    .entries(tree, &[LeafIndex(index)], TreeSize(3))
                    .await
                    .unwrap()
                    .len(),
                1
            );
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(2), reads)
        .await
        .expect("reads are answered");
    assert!(
        searches.try_join_next().is_none(),
        "and the searches are not"
    );
    blocker.execute("ROLLBACK").await.unwrap();
    for found in searches.join_all().await {
        assert_eq!(found.unwrap(), [2, 1, 0]);
    }
    database.remove().await;
}

/// The connection dies while the statement waits for another transaction on the same head.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_killed_in_a_commit_leaves_the_outcome_unknown() {
    let Some(database) = Database::postgres().await else {
        return;
    };
    let store = &*database.store;
    let (tree, mut writer) = one_tree(store).await;
    let sent = round(store, tree, 0, entries("entry", 1)).await;
    let mut rival = PgConnection::connect(database.address()).await.unwrap();
    let mut killer = PgConnection::connect(database.address()).await.unwrap();
    rival
        .execute("BEGIN; INSERT INTO head SELECT 1, 0, 5, 5, sha256('x')")
        .await
        .unwrap();

    let (outcome, ()) = tokio::join!(writer.commit(&sent), kill_waiting(&mut killer));
    assert!(
        matches!(outcome, Err(StoreError::UnknownOutcome(_))),
        "{outcome:?}"
    );
    assert!(matches!(
        writer.newest_head(tree).await,
        Err(StoreError::Unavailable(_))
    ));

    rival.execute("ROLLBACK").await.unwrap();
    let mut writer = store.writer().await.unwrap();
    writer.begin_exclusive(tree).await.unwrap();
    assert_eq!(writer.newest_head(tree).await.unwrap(), None);
    assert_eq!(
        writer
            .find_leaves(tree, &[sent.entries[0].leaf_hash], TreeSize(1))
            .await
            .unwrap(),
        []
    );
    assert_eq!(writer.commit(&sent).await.unwrap(), Commit::Done);
    database.remove().await;
}

/// The same failure inside an exclusive section, before its COMMIT was sent: nothing can be stored,
/// and the caller may know.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_killed_before_commit_stored_nothing() {
    let Some(database) = Database::postgres().await else {
        return;
    };
    let store = &*database.store;
    let (tree, mut writer) = one_tree(store).await;
    let sent = round(store, tree, 0, entries("entry", 1)).await;
    let mut rival = PgConnection::connect(database.address()).await.unwrap();
    let mut killer = PgConnection::connect(database.address()).await.unwrap();
    rival
        .execute("BEGIN; INSERT INTO head SELECT 1, 0, 5, 5, sha256('x')")
        .await
        .unwrap();
    writer.begin_exclusive(tree).await.unwrap();
    let (outcome, ()) = tokio::join!(writer.commit(&sent), kill_waiting(&mut killer));
    assert!(
        matches!(outcome, Err(StoreError::Unavailable(_))),
        "{outcome:?}"
    );
    rival.execute("ROLLBACK").await.unwrap();
    assert_eq!(store.reader().newest_head(tree).await.unwrap(), None);
    database.remove().await;
}

/// Ends the backend that waits for another's transaction, as soon as there is one.
async fn kill_waiting(killer: &mut PgConnection) {
    let mut killed = 0;
    while killed == 0 {
        let kill = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
            WHERE datname = current_database() AND wait_event_type = 'Lock' AND pid <> pg_backend_pid()";
        let row: (i64,) = sqlx::query_as(kill).fetch_one(&mut *killer).await.unwrap();
        killed = row.0;
    }
}

/// A cancelled wait for a synchronous standby: the commit succeeds, with a warning.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_with_a_warning_is_unknown() {
    let Some(database) = Database::postgres().await else {
        return;
    };
    let store = &*database.store;
    let (tree, _) = one_tree(store).await;
    database
        .execute(
            "CREATE FUNCTION warn() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN RAISE WARNING 'the transaction may not have been replicated'; RETURN NULL; END $$;
             CREATE CONSTRAINT TRIGGER warn AFTER INSERT ON head DEFERRABLE INITIALLY DEFERRED
             FOR EACH ROW EXECUTE FUNCTION warn();",
        )
        .await;
    for (prev_size, exclusive) in [(0, false), (1, true)] {
        let mut writer = store.writer().await.unwrap();
        if exclusive {
            writer.begin_exclusive(tree).await.unwrap();
        }
        let sent = round(
            store,
            tree,
            prev_size,
            entries(&format!("entry {prev_size}"), 1),
        )
        .await;
        match writer.commit(&sent).await {
            Err(StoreError::UnknownOutcome(text)) => {
                assert!(text.contains("may not have been replicated"), "{text}")
            }
            other => panic!("{other:?}"),
        }
        // Here it is durable; the caller has to look.
        assert_eq!(
            store.reader().newest_head(tree).await.unwrap(),
            Some(sent.head)
        );
    }
    database.remove().await;
}

/// A failure at the very end of the transaction is still a rollback.
#[tokio::test(flavor = "multi_thread")]
async fn an_error_at_commit_is_certain() {
    let Some(database) = Database::postgres().await else {
        return;
    };
    let store = &*database.store;
    let (tree, _) = one_tree(store).await;
    database
        .execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN RAISE EXCEPTION 'serialize' USING ERRCODE = '40001'; END $$;
             CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON head DEFERRABLE INITIALLY DEFERRED
             FOR EACH ROW EXECUTE FUNCTION refuse();",
        )
        .await;
    for exclusive in [false, true] {
        let mut writer = store.writer().await.unwrap();
        if exclusive {
            writer.begin_exclusive(tree).await.unwrap();
        }
        let sent = round(store, tree, 0, entries("entry", 1)).await;
        assert!(matches!(
            writer.commit(&sent).await,
            Err(StoreError::Conflict(_))
        ));
        assert_eq!(store.reader().newest_head(tree).await.unwrap(), None);
    }
    database.remove().await;
}

/// U+0000 in a text that is ours: Postgres has no such text. Others' rounds go on.
#[tokio::test(flavor = "multi_thread")]
async fn text_that_postgres_cannot_hold_is_data() {
    let Some(database) = Database::postgres().await else {
        return;
    };
    let store = &*database.store;
    let (tree, mut writer) = one_tree(store).await;
    let mut sent = round(store, tree, 0, entries("entry", 1)).await;
    entry_of(&mut sent, 0).kind = "a\0b".to_owned();
    assert!(matches!(
        writer.commit(&sent).await,
        Err(StoreError::Data(_))
    ));
    grow(store, &mut *store.writer().await.unwrap(), tree, 0, 1).await;
    database.remove().await;
}

/// A connection that is alive, and through which no answer comes any more: a round and a read are
/// given up within 5 s, and what became of the round is read back by the next connection.
#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_connection_is_given_up() {
    let Some(database) = Database::postgres().await else {
        return;
    };
    let (proxy, url) = Proxy::before(database.address(), Options::Kept).await;
    let store = PostgresStore::connect(&url).await.unwrap();
    let (tree, mut writer) = one_tree(&store).await;
    let sent = round(&store, tree, 0, entries("entry", 1)).await;
    let mut reader = store.reader();
    reader.newest_head(tree).await.unwrap();
    proxy.freeze();
    let began = Instant::now();
    let (outcome, read) = tokio::join!(writer.commit(&sent), reader.newest_head(tree));
    assert!(
        matches!(outcome, Err(StoreError::UnknownOutcome(_))),
        "{outcome:?}"
    );
    assert!(matches!(read, Err(StoreError::Unavailable(_))), "{read:?}");
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );

    let mut writer = store.writer().await.unwrap();
    writer.begin_exclusive(tree).await.unwrap();
    assert_eq!(writer.newest_head(tree).await.unwrap(), Some(sent.head));
    assert_eq!(reader.newest_head(tree).await.unwrap(), Some(sent.head));
    assert!(
        began.elapsed() < Duration::from_secs(8),
        "{:?}",
        began.elapsed()
    );
    database.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pooler_that_ignores_options_is_refused() {
    let Some(database) = Database::postgres().await else {
        return;
    };
    let (_proxy, url) = Proxy::before(database.address(), Options::Ignored).await;
    match PostgresStore::connect(&url).await {
        Err(StoreError::Unusable(text)) => assert!(text.contains("pooler"), "{text}"),
        other => panic!("{other:?}"),
    }
    database.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_server_is_unavailable() {
    let (url, word) = ("postgres://postgres@127.0.0.1:1/none", "refused");
    match PostgresStore::connect(url).await {
        Err(StoreError::Unavailable(text)) => assert!(text.contains(word), "{text}"),
        other => panic!("{other:?}"),
    }
    assert!(matches!(
        PostgresStore::connect("not a url").await,
        Err(StoreError::Unusable(_))
    ));
}

/// A round decides on a snapshot that may be older than the lock it then gets: to it the tree is
/// active for ever.
#[tokio::test(flavor = "multi_thread")]
async fn an_older_snapshot_finds_its_place_taken_after_a_freeze() {
    let Some(database) = Database::postgres().await else {
        return;
    };
    let store = &*database.store;
    let (tree, mut writer) = one_tree(store).await;
    grow(store, &mut *writer, tree, 0, 2).await;
    let mut late = PgConnection::connect(database.address()).await.unwrap();
    late.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT state FROM tree")
        .await
        .unwrap();
    let next = rotation::next_tree();
    let next_key = &next.keys[0].spki;
    store
        .register_next_key(samples::LOG, next_key)
        .await
        .unwrap();
    assert!(matches!(
        store.freeze(tree, &next).await,
        Ok(ledger::store::Freeze::Done(_))
    ));

    let seen =
        "SELECT state = 'active', pg_try_advisory_xact_lock_shared(-1) FROM tree WHERE tree_id = 1";
    let seen: (bool, bool) = sqlx::query_as(seen).fetch_one(&mut late).await.unwrap();
    assert_eq!(
        seen,
        (true, true),
        "neither the state nor the lock stops it"
    );
    let place = late
        .execute("INSERT INTO head VALUES (1, 2, 3, 0, sha256('x'))")
        .await;
    assert!(place.is_err(), "the primary key does");
    database.remove().await;
}
