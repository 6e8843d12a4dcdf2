//! A primary and its standby: what is shown, confirmed and refused while one takes the place of the
//! other.

use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::time::Duration;

use ledger::TreeId;
use ledger::store::postgres::PostgresStore;
use ledger::store::{Commit, HeadRow, Store, StoreError, StoreResult};
use tlog::TreeSize;
use tokio::task::JoinHandle;

use crate::cluster::{self, Cluster};
use crate::samples::{entries, grow, one_tree, round};

/// Sessions that wait for a standby.
const WAITING: &str = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";

/// The address leads to a standby that lags for a moment, before that is promoted. What it lacks is
/// no loss.
#[tokio::test(flavor = "multi_thread")]
async fn a_standby_is_waited_for() {
    let Some(primary) = Cluster::primary() else {
        return;
    };
    let standby = primary.standby();
    let place = tempfile::tempdir().unwrap();
    let address = place.path().join("a");
    symlink(primary.folder(), &address).unwrap();
    let url = cluster::url(&[&address]);
    let store = PostgresStore::connect(&url).await.unwrap();
    let (tree, mut writer) = one_tree(&store).await;
    grow(&store, &mut *writer, tree, 0, 3).await;
    standby.wait_for("SELECT max(size) FROM head", "3");
    standby.sql("SELECT pg_wal_replay_pause()");
    standby.wait_for("SELECT pg_get_wal_replay_pause_state()", "paused");
    grow(&store, &mut *writer, tree, 3, 2).await;
    let written = primary.sql("SELECT pg_current_wal_flush_lsn()");
    let received = format!("SELECT pg_last_wal_receive_lsn() >= '{written}'");
    standby.wait_for(&received, "t");

    primary.crash();
    std::fs::remove_file(&address).unwrap();
    symlink(standby.folder(), &address).unwrap();
    assert_eq!(standby.sql("SELECT max(size) FROM head"), "3");
    assert!(matches!(
        PostgresStore::connect(&url).await.map(drop),
        Err(StoreError::Unavailable(text)) if text.contains("standby")
    ));
    let standby = Arc::new(standby);
    let promoted = tokio::task::spawn_blocking({
        let standby = Arc::clone(&standby);
        move || standby.promote()
    });
    assert_eq!(newest(&store, tree).await.unwrap().size, TreeSize(5));
    promoted.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_primary_of_several_hosts_is_found() {
    let Some(primary) = Cluster::primary() else {
        return;
    };
    let standby = primary.standby();
    primary.set("synchronous_standby_names", "*");
    let url = cluster::url(&[standby.folder(), primary.folder()]);
    let store = PostgresStore::connect(&url).await.unwrap();
    let (tree, mut writer) = one_tree(&store).await;
    grow(&store, &mut *writer, tree, 0, 3).await;

    let sent = round(&store, tree, 3, entries("after", 1)).await;
    primary.crash();
    standby.promote();
    assert!(matches!(
        writer.commit(&sent).await,
        Err(StoreError::UnknownOutcome(_))
    ));
    assert_eq!(newest(&store, tree).await.unwrap().size, TreeSize(3));
    let sent = round(&store, tree, 3, entries("after", 1)).await;
    let mut writer = store.writer().await.unwrap();
    assert_eq!(writer.commit(&sent).await.unwrap(), Commit::Done);
    assert_eq!(newest(&store, tree).await, Some(sent.head));
    store.probe().await.unwrap();
}

/// A primary whose standby is away, and a store that knows both.
struct Alone {
    primary: Cluster,
    standby: Cluster,
    store: PostgresStore,
    tree: TreeId,
    /// A head of size 2, which both have.
    before: HeadRow,
    /// A head of size 3, whose commit waits for the standby.
    head: HeadRow,
    commit: JoinHandle<StoreResult<Commit>>,
}

impl Alone {
    async fn with_a_waiting_commit() -> Option<Self> {
        let primary = Cluster::primary()?;
        let standby = primary.standby();
        primary.set("synchronous_standby_names", "*");
        let url = cluster::url(&[primary.folder(), standby.folder()]);
        let store = PostgresStore::connect(&url).await.unwrap();
        let (tree, mut writer) = one_tree(&store).await;
        grow(&store, &mut *writer, tree, 0, 2).await;
        let before = store.reader().newest_head(tree).await.unwrap().unwrap();
        confirm(&store, tree, &before).await.unwrap();
        standby.crash();
        let sent = round(&store, tree, 2, entries("waits", 1)).await;
        let head = sent.head;
        let commit = tokio::spawn(async move { writer.commit(&sent).await });
        primary.wait_for(WAITING, "1");
        Some(Self {
            primary,
            standby,
            store,
            tree,
            before,
            head,
            commit,
        })
    }

    async fn newest(&self) -> Option<HeadRow> {
        newest(&self.store, self.tree).await
    }

    async fn confirm(&self) -> StoreResult<()> {
        confirm(&self.store, self.tree, &self.head).await
    }
}

/// Reads the newest head. The first read after a crash may meet a connection that has ended.
async fn newest(store: &dyn Store, tree: TreeId) -> Option<HeadRow> {
    loop {
        match store.reader().standing(tree).await {
            Ok(standing) => return standing.unwrap().head,
            Err(StoreError::Unavailable(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

async fn confirm(store: &dyn Store, tree: TreeId, head: &HeadRow) -> StoreResult<()> {
    store.confirm(tree, head.size, &head.root).await
}

/// The primary restarts alone and shows the head, and is then lost: the head is on no other server.
#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_only_a_restarted_primary_has_is_not_confirmed() {
    let Some(mut alone) = Alone::with_a_waiting_commit().await else {
        return;
    };
    alone.primary.crash();
    alone.primary.start();
    let outcome = (&mut alone.commit).await.unwrap();
    assert!(
        matches!(outcome, Err(StoreError::UnknownOutcome(_))),
        "{outcome:?}"
    );
    assert_eq!(alone.newest().await, Some(alone.head), "it can be read");
    let confirmed = alone.confirm().await;
    assert!(
        matches!(confirmed, Err(StoreError::Unavailable(_))),
        "{confirmed:?}"
    );

    alone.primary.crash();
    alone.standby.start();
    alone.standby.promote();
    match alone.confirm().await {
        Err(StoreError::Unavailable(text)) => assert!(text.contains("any more"), "{text}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(alone.newest().await, Some(alone.before));
    confirm(&alone.store, alone.tree, &alone.before)
        .await
        .unwrap();
}

/// The session that waits for the standby is ended, so its commit is visible. Any number of
/// confirmations then occupies one session of the server.
#[tokio::test(flavor = "multi_thread")]
async fn a_head_whose_wait_was_ended_is_confirmed_once_the_standby_is_back() {
    let Some(mut alone) = Alone::with_a_waiting_commit().await else {
        return;
    };
    alone
        .primary
        .sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'");
    let outcome = (&mut alone.commit).await.unwrap();
    assert!(
        matches!(outcome, Err(StoreError::UnknownOutcome(_))),
        "{outcome:?}"
    );
    assert_eq!(alone.newest().await, Some(alone.head), "it can be read");
    for _ in 0..3 {
        let confirmed = alone.confirm().await;
        assert!(
            matches!(confirmed, Err(StoreError::Unavailable(_))),
            "{confirmed:?}"
        );
        let probed = alone.store.probe().await;
        assert!(
            matches!(probed, Err(StoreError::Unavailable(_))),
            "{probed:?}"
        );
    }
    assert_eq!(alone.primary.sql(WAITING), "1");

    alone.standby.start();
    alone.primary.wait_for(WAITING, "0");
    alone.confirm().await.unwrap();
    alone.store.probe().await.unwrap();
}

/// Each is noticed within a minute, stops writes with one line, and is over once it is mended.
#[tokio::test]
async fn a_server_that_keeps_less_than_it_says_stops_writes() {
    let Some(primary) = Cluster::primary() else {
        return;
    };
    let store = PostgresStore::connect(&primary.url()).await.unwrap();
    let (tree, mut writer) = one_tree(&store).await;
    let settings = ["fsync", "full_page_writes", "default_transaction_read_only"];
    for (size, setting) in (0..).zip(settings) {
        let (strong, weak) = match setting {
            "default_transaction_read_only" => ("off", "on"),
            _ => ("on", "off"),
        };
        primary.set(setting, weak);
        let sent = round(&store, tree, size, entries(setting, 1)).await;
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(61)).await;
        tokio::time::resume();
        for refused in [
            writer.commit(&sent).await.map(drop),
            store.writer().await.map(drop),
            store.publisher().await.map(drop),
            store.check().await,
            store.probe().await,
        ] {
            match refused {
                Err(StoreError::Unusable(text)) => {
                    let name = setting.trim_start_matches("default_transaction_");
                    assert!(text.replace('-', "_").contains(name), "{text}");
                }
                other => panic!("{setting}: {other:?}"),
            }
        }
        assert!(
            store.reader().newest_head(tree).await.is_ok(),
            "reads go on"
        );
        primary.set(setting, strong);
        store.check().await.unwrap();
        store.probe().await.unwrap();
        writer = store.writer().await.unwrap();
        // Its clock was read in this moment.
        let sent = round(&store, tree, size, entries(setting, 1)).await;
        assert_eq!(writer.commit(&sent).await.unwrap(), Commit::Done);
    }
}

/// Whatever the server's default is, and becomes while the session lives.
#[tokio::test(flavor = "multi_thread")]
async fn commits_wait_for_the_disk_and_the_standbys() {
    let Some(primary) = Cluster::primary() else {
        return;
    };
    let store = PostgresStore::connect(&primary.url()).await.unwrap();
    let (tree, mut writer) = one_tree(&store).await;
    primary.sql(
        "CREATE TABLE used (value text);
         CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN INSERT INTO used VALUES (current_setting('synchronous_commit')); RETURN NULL; END $$;
         CREATE TRIGGER note AFTER INSERT ON head FOR EACH ROW EXECUTE FUNCTION note()",
    );
    let mut size = 0;
    for value in ["off", "local", "remote_write", "remote_apply"] {
        primary.set("synchronous_commit", value);
        grow(&store, &mut *writer, tree, size, 1).await;
        // A session that begins now.
        writer = store.writer().await.unwrap();
        grow(&store, &mut *writer, tree, size + 1, 1).await;
        size += 2;
    }
    let used = primary.sql("SELECT string_agg(value, ' ') FROM used");
    assert_eq!(used, "on on on on on on on remote_apply");
}

/// Standbys that are named while a server runs count within a minute, though no connection is made.
#[tokio::test]
async fn standbys_that_are_named_later_are_waited_for() {
    let Some(primary) = Cluster::primary() else {
        return;
    };
    let store = PostgresStore::connect(&primary.url()).await.unwrap();
    let (tree, mut writer) = one_tree(&store).await;
    grow(&store, &mut *writer, tree, 0, 1).await;
    let head = newest(&store, tree).await.unwrap();
    confirm(&store, tree, &head).await.unwrap();
    primary.set("synchronous_standby_names", "nobody");
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(61)).await;
    tokio::time::resume();
    let confirmed = confirm(&store, tree, &head).await;
    assert!(
        matches!(confirmed, Err(StoreError::Unavailable(_))),
        "{confirmed:?}"
    );
}
