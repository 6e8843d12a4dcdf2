//! Attestations that are not what was stored any more.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails there")]

#[path = "support/mod.rs"]
mod support;

use ledger::store::Attestation;
use ledger::store::sqlite::SqliteStore;
use ledger::{EntryClaims, Log, NewEntry};
use prometheus::Registry;
use ring::rand::SystemRandom;
use sqlx::{ConnectOptions, Executor};
use support::{open_v1, settings};
use tlog::{LeafIndex, SigningKey};

/// As OPERATING says how to erase one, and as a database may lose them.
const CHANGES: &str = "
    UPDATE attestation SET data = x'' WHERE leaf_index = 1;
    UPDATE attestation SET data = CAST('another' AS BLOB) WHERE leaf_index = 2;
    UPDATE attestation SET digest = zeroblob(32) WHERE leaf_index = 3;
    DELETE FROM attestation WHERE leaf_index = 4;";

#[tokio::test]
async fn an_entry_is_shown_without_an_attestation_that_is_not_the_stored_one() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("log.sqlite");
    let pkcs8 = SigningKey::generate_p256_pkcs8(&SystemRandom::new()).unwrap();
    let settings = settings(SqliteStore::open(&file).await.unwrap(), &pkcs8);
    let metrics = settings.metrics.clone();
    let ledger = open_v1(settings, &pkcs8).await.unwrap();
    // The last has none.
    for n in 0..6 {
        let attestation = (n < 5).then(|| attestation(n));
        let leaf_bytes = format!("leaf {n}").into_bytes();
        ledger
            .append(NewEntry {
                leaf_bytes,
                kind: "test:1".into(),
                index_keys: Vec::new(),
                attestation,
                claims: EntryClaims::default(),
            })
            .await
            .unwrap();
    }
    let shown = shown(&ledger).await;
    assert_eq!(
        shown,
        [
            Some(attestation(0)),
            Some(attestation(1)),
            Some(attestation(2)),
            Some(attestation(3)),
            Some(attestation(4)),
            None
        ]
    );
    let counted = [("damaged", 0), ("erased", 0), ("missing", 0)];
    assert_eq!(
        unavailable(&metrics),
        counted.map(|(reason, count)| (reason.to_owned(), count))
    );

    let mut connection = sqlx::sqlite::SqliteConnectOptions::new()
        .filename(&file)
        .connect()
        .await
        .unwrap();
    connection.execute(CHANGES).await.unwrap();
    assert_eq!(
        self::shown(&ledger).await,
        [Some(attestation(0)), None, None, None, None, None]
    );
    let counted = [("damaged", 2), ("erased", 1), ("missing", 1)];
    assert_eq!(
        unavailable(&metrics),
        counted.map(|(reason, count)| (reason.to_owned(), count))
    );
    ledger.stop().await;
}

fn attestation(n: u64) -> Attestation {
    let data = format!("attestation {n}").into_bytes();
    Attestation {
        digest: tlog::sha256(&data),
        data,
    }
}

/// The attestations of all six entries, which show either way.
async fn shown(ledger: &Log) -> Vec<Option<Attestation>> {
    let indexes: Vec<LeafIndex> = (0..6).map(LeafIndex).collect();
    let entries = ledger.entries(&ledger.head(), &indexes).await.unwrap();
    entries.into_iter().map(|entry| entry.attestation).collect()
}

/// The counter, by reason.
fn unavailable(metrics: &Registry) -> Vec<(String, u64)> {
    let families = metrics.gather();
    let family = families
        .iter()
        .find(|family| family.name() == "treehead_attestations_unavailable_total");
    let counters = family.into_iter().flat_map(|family| family.get_metric());
    counters
        .map(|counter| {
            let mut labels = counter.get_label().iter();
            let reason = labels.find(|label| label.name() == "reason").unwrap();
            let count = counter.get_counter().get_value() as u64;
            (reason.value().to_owned(), count)
        })
        .collect()
}
