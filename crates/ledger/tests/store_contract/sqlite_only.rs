//! Failures that only a file can have.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use ledger::store::StoreError;
use ledger::store::sqlite::SqliteStore;

use crate::database::Database;
use crate::samples::{grow, one_tree};

#[tokio::test(flavor = "multi_thread")]
async fn the_files_are_private() {
    let database = Database::sqlite().await;
    let (tree, mut writer) = one_tree(&*database.store).await;
    grow(&*database.store, &mut *writer, tree, 0, 1).await;
    for suffix in ["", "-wal", "-shm"] {
        let path = format!("{}{suffix}", database.address());
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_not_a_database_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.sqlite");
    std::fs::write(
        &path,
        "no database, but long enough to have a header ".repeat(40),
    )
    .unwrap();
    assert!(matches!(
        SqliteStore::open(&path).await,
        Err(StoreError::Unusable(_))
    ));
    let nowhere = Path::new("/nonexistent/log.sqlite");
    assert!(matches!(
        SqliteStore::open(nowhere).await,
        Err(StoreError::Unusable(_))
    ));
}

/// Nobody but the sequencer writes: a reader cannot, whatever it is asked to do.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_is_not_shared() {
    let database = Database::sqlite().await;
    assert_eq!(
        (database.store.backend(), database.store.is_shared()),
        ("sqlite", false)
    );
}

/// A probe costs what a round costs: it is written to the disk.
#[tokio::test(flavor = "multi_thread")]
async fn a_probe_is_a_commit() {
    let database = Database::sqlite().await;
    let written = || database.store.usage().wal_bytes.unwrap();
    database.store.check().await.unwrap();
    let before = written();
    database.store.probe().await.unwrap();
    assert!(written() > before, "{} bytes", written());
}
