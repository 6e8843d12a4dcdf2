//! Reads that share queries, and what is kept of them.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails there")]

#[path = "support/mod.rs"]
mod support;

use std::path::Path;

use futures_util::future::join_all;
use ledger::store::Attestation;
use ledger::store::sqlite::SqliteStore;
use ledger::{EntryClaims, Log, LoggedEntry, NewEntry, ReadError, Search};
use prometheus::Registry;
use ring::rand::SystemRandom;
use sqlx::{ConnectOptions, Executor};
use support::{OneLog, open_v1, settings};
use tlog::{LeafIndex, SigningKey};

async fn open(file: &Path, key: &[u8]) -> (OneLog, Registry) {
    let settings = settings(SqliteStore::open(file).await.unwrap(), key);
    let metrics = settings.metrics.clone();
    (open_v1(settings, key).await.unwrap(), metrics)
}

/// Ten entries; the last one has an attestation, and all but the first have stored signed entry
/// timestamps.
async fn fill(file: &Path, key: &[u8]) {
    let (ledger, _) = open(file, key).await;
    for number in 0..10 {
        let data = b"attestation".to_vec();
        let attestation = (number == 9).then(|| Attestation {
            digest: tlog::sha256(&data),
            data,
        });
        let index_keys = vec!["all".to_owned(), format!("of {number}")];
        let entry = NewEntry {
            leaf_bytes: leaf(number),
            kind: "test:1".into(),
            index_keys,
            attestation,
            claims: EntryClaims::default(),
        };
        ledger.append(entry).await.unwrap();
    }
    let indexes: Vec<LeafIndex> = (1..10).map(LeafIndex).collect();
    for entry in ledger.entries(&ledger.head(), &indexes).await.unwrap() {
        ledger.signed_entry_timestamp(&entry).unwrap();
    }
    ledger.stop().await;
}

fn leaf(number: u64) -> Vec<u8> {
    format!("leaf {number}").into_bytes()
}

fn key() -> Vec<u8> {
    SigningKey::generate_p256_pkcs8(&SystemRandom::new()).unwrap()
}

async fn entry(ledger: &Log, index: u64) -> Result<LoggedEntry, ReadError> {
    Ok(ledger
        .entries(&ledger.head(), &[LeafIndex(index)])
        .await?
        .remove(0))
}

/// Look-ups that were hits and misses.
fn counted(metrics: &Registry) -> (u64, u64) {
    let families = metrics.gather();
    let cache = families
        .iter()
        .find(|family| family.name() == "treehead_entry_cache_total")
        .unwrap();
    let of = |result: &str| {
        let mut metrics = cache.get_metric().iter();
        let metric = metrics.find(|metric| {
            let mut labels = metric.get_label().iter();
            labels.any(|label| label.value() == result)
        });
        metric.map_or(0.0, |metric| metric.get_counter().get_value()) as u64
    };
    (of("hit"), of("miss"))
}

#[tokio::test]
async fn the_use_of_the_database_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let (file, key) = (folder.path().join("log.sqlite"), key());
    fill(&file, &key).await;
    let (ledger, metrics) = open(&file, &key).await;
    entry(&ledger, 0).await.unwrap();
    let families = metrics.gather();
    let values = |name: &str| -> Vec<i64> {
        let family = families.iter().find(|family| family.name() == name);
        let samples = family.unwrap().get_metric().iter();
        samples
            .map(|sample| sample.get_gauge().get_value() as i64)
            .collect()
    };
    // By pool and state: reads busy and idle, searches busy and idle.
    let connections = values("treehead_database_connections");
    assert_eq!(connections.len(), 4);
    let of_reads = connections[0] + connections[1];
    assert!(of_reads >= 1, "a read was made: {connections:?}");
    assert_eq!(values("treehead_database_connections_limit"), [4, 3]);
    assert!(values("treehead_sqlite_wal_bytes")[0] > 0);
}

#[tokio::test]
async fn an_entry_is_kept_once_nothing_about_it_changes() {
    let folder = tempfile::tempdir().unwrap();
    let (file, key) = (folder.path().join("log.sqlite"), key());
    fill(&file, &key).await;
    let (ledger, metrics) = open(&file, &key).await;
    for index in [0, 1, 9] {
        entry(&ledger, index).await.unwrap();
    }
    assert_eq!(counted(&metrics), (0, 3));
    let before = entry(&ledger, 1).await.unwrap();
    assert_eq!(counted(&metrics), (1, 3));

    // One without a stored signed entry timestamp gets one; one with an attestation may lose that.
    let mut connection = sqlx::sqlite::SqliteConnectOptions::new()
        .filename(&file)
        .connect()
        .await
        .unwrap();
    let changes =
        "UPDATE attestation SET data = x''; UPDATE body SET body = x'00' WHERE leaf_index = 1";
    connection.execute(changes).await.unwrap();
    assert_eq!(
        entry(&ledger, 0).await.unwrap().signed_entry_timestamp,
        None
    );
    assert_eq!(entry(&ledger, 9).await.unwrap().attestation, None);
    assert_eq!(counted(&metrics), (1, 5));
    let after = entry(&ledger, 1).await.unwrap();
    assert_eq!(
        (&after.body, &after.signed_entry_timestamp),
        (&before.body, &before.signed_entry_timestamp)
    );
    assert_eq!(counted(&metrics), (2, 5));
}

#[tokio::test]
async fn damaged_data_is_not_shown_and_fails_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (file, key) = (folder.path().join("log.sqlite"), key());
    fill(&file, &key).await;
    let mut connection = sqlx::sqlite::SqliteConnectOptions::new()
        .filename(&file)
        .connect()
        .await
        .unwrap();
    let changes =
        "UPDATE body SET body = x'00' WHERE leaf_index = 3; DELETE FROM body WHERE leaf_index = 5";
    connection.execute(changes).await.unwrap();
    let (ledger, _) = open(&file, &key).await;
    // Twice, so that nothing damaged was kept.
    for _ in 0..2 {
        let entries = join_all((0..10).map(|index| entry(&ledger, index))).await;
        for (index, found) in (0..).zip(entries) {
            match index {
                3 | 5 => assert!(found.is_err(), "{index}"),
                _ => assert_eq!(&*found.unwrap().body, &leaf(index)),
            }
        }
    }
    let hashes: Vec<_> = (0..11)
        .map(|number| tlog::leaf_hash(&leaf(number)))
        .collect();
    let head = ledger.head();
    let places = join_all(hashes.chunks(1).map(|hash| ledger.find_leaves(&head, hash))).await;
    let places: Vec<Option<u64>> = places
        .into_iter()
        .map(|places| places.unwrap().first().map(|place| place.leaf_index.0))
        .collect();
    assert_eq!(places, (0..10).map(Some).chain([None]).collect::<Vec<_>>());
}

#[tokio::test]
async fn searches_that_come_together_are_answered_as_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (file, key) = (folder.path().join("log.sqlite"), key());
    fill(&file, &key).await;
    let (ledger, _) = open(&file, &key).await;
    let shards = ledger.shards();
    let searches: Vec<Search> = (0..11)
        .map(|number| format!("OF {number}"))
        .chain(["all".to_owned()])
        .map(|key| Search {
            keys: vec![vec![key]],
            ..Search::default()
        })
        .collect();
    let hits = join_all(
        searches
            .iter()
            .map(|search| ledger.search(&shards, search, None, 100)),
    )
    .await;
    let hits: Vec<Vec<u64>> = hits
        .into_iter()
        .map(|hits| {
            hits.unwrap()
                .entries
                .iter()
                .map(|hit| hit.log_index)
                .collect()
        })
        .collect();
    let mut expected: Vec<Vec<u64>> = (0..10).map(|index| vec![index]).collect();
    expected.extend([vec![], (0..10).rev().collect()]);
    assert_eq!(hits, expected);
}
