//! A SQLite file that is put back to an older copy under a running log.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails there")]

#[path = "support/mod.rs"]
mod support;

use ledger::store::sqlite::SqliteStore;
use ledger::{AppendError, Appended, EntryClaims, Log, NewEntry};
use ring::rand::SystemRandom;
use support::{open_v1, settings};
use tlog::SigningKey;

async fn append(ledger: &Log, n: u32) -> Result<Appended, AppendError> {
    let leaf_bytes = format!("leaf {n}").into_bytes();
    let entry = NewEntry {
        leaf_bytes,
        kind: "test:1".into(),
        index_keys: vec!["key".into()],
        attestation: None,
        claims: EntryClaims::default(),
    };
    ledger.append(entry).await
}

#[tokio::test]
async fn nothing_is_written_to_a_replaced_file_and_the_older_copy_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("log.sqlite");
    let pkcs8 = SigningKey::generate_p256_pkcs8(&SystemRandom::new()).unwrap();
    let store = SqliteStore::open(&file).await.unwrap();
    let ledger = open_v1(settings(store, &pkcs8), &pkcs8).await.unwrap();
    for n in 0..3 {
        append(&ledger, n).await.unwrap();
    }
    let backup = folder.path().join("backup.sqlite");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&file);
    let mut connection = sqlx::ConnectOptions::connect(&options).await.unwrap();
    sqlx::query("VACUUM INTO ?")
        .bind(backup.to_str().unwrap())
        .execute(&mut connection)
        .await
        .unwrap();
    for n in 3..5 {
        append(&ledger, n).await.unwrap();
    }
    let published = ledger.head();
    std::fs::rename(&backup, &file).unwrap();
    for leftover in ["log.sqlite-wal", "log.sqlite-shm"] {
        std::fs::remove_file(folder.path().join(leftover)).unwrap();
    }
    // The first write finds the file replaced, or already the older head in it; no write is
    // acknowledged from here on.
    let mut last = append(&ledger, 5).await.unwrap_err();
    if matches!(last, AppendError::Unavailable(_)) {
        last = append(&ledger, 5).await.unwrap_err();
    }
    let AppendError::ReadOnly(reason) = last else {
        panic!("{last:?}")
    };
    assert!(reason.contains("went back by 2 entries"), "{reason}");
    assert!(
        reason.contains(&format!("size 5 root {}", published.root)),
        "{reason}"
    );
    assert!(reason.contains("size 3 root"), "{reason}");
    ledger.stop().await;
}
