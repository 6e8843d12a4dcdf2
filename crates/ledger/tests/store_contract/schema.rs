//! Migrations.

use std::path::Path;

use ledger::store::postgres::PostgresStore;
use ledger::store::sqlite::SqliteStore;
use ledger::store::{StoreError, StoreResult};

use crate::database::{Database, drop_postgres_database, new_postgres_database};
use crate::samples::{grow, one_tree};

/// Servers that start at once on an empty database.
const SERVERS: usize = 6;

pub(crate) async fn migrations_run_twice_and_at_once(database: &Database) {
    let (tree, mut writer) = one_tree(&*database.store).await;
    grow(&*database.store, &mut *writer, tree, 0, 1).await;
    let again = database.open_again().await;
    assert_eq!(again.trees().await.unwrap().len(), 1);

    if database.store.backend() == "sqlite" {
        let folder = tempfile::tempdir().unwrap();
        open_at_once("sqlite", folder.path().join("log.sqlite").to_str().unwrap()).await;
    } else {
        let (address, base, name) = new_postgres_database().await.unwrap();
        open_at_once("postgres", &address).await;
        drop_postgres_database(&base, &name).await;
    }
}

async fn open_at_once(backend: &'static str, address: &str) {
    let servers = (0..SERVERS).map(|_| {
        let address = address.to_owned();
        tokio::spawn(async move { open(backend, &address).await })
    });
    for server in servers.collect::<Vec<_>>() {
        server.await.unwrap().unwrap();
    }
}

pub(crate) async fn a_newer_schema_is_refused(database: &Database) {
    database
        .execute(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
             SELECT 9999, 'of the future', success, checksum, 0 FROM _sqlx_migrations WHERE version = 1",
        )
        .await;
    match open(database.store.backend(), database.address()).await {
        Err(StoreError::Unusable(text)) => assert!(text.contains("9999"), "{text}"),
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn the_schema_of_a_development_version_is_refused(database: &Database) {
    database
        .execute("UPDATE _sqlx_migrations SET checksum = '' WHERE version = 1")
        .await;
    match open(database.store.backend(), database.address()).await {
        Err(StoreError::Unusable(text)) => assert!(text.contains("start a new log"), "{text}"),
        other => panic!("{other:?}"),
    }
}

async fn open(backend: &str, address: &str) -> StoreResult<()> {
    match backend {
        "sqlite" => SqliteStore::open(Path::new(address)).await.map(|_| ()),
        _ => PostgresStore::connect(address).await.map(|_| ()),
    }
}
