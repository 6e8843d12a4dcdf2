//! fsck names what differs, table by table.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails there")]

#[path = "support/mod.rs"]
mod support;

use std::path::Path;

use ledger::fsck::{Report, fsck};
use ledger::store::sqlite::SqliteStore;
use ledger::store::{Attestation, Store};
use ledger::{
    Api, Appended, DEFAULT_NAME, EntryClaims, KeyRing, Log, NewEntry, NewLog, Settings, V1, V2,
    create_logs, rotation,
};
use ring::rand::SystemRandom;
use sqlx::{ConnectOptions, Executor};
use support::{checkpoint_key, key, open_v1, settings};
use tlog::SigningKey;

const ENTRIES: u64 = 600;

fn keys(n: u64) -> Vec<String> {
    vec![format!("key-{n}"), format!("group-{}", n % 5)]
}

/// The keys of these leaves follow from their text, `leaf <n>`.
fn derive(_: &str, leaf_bytes: &[u8]) -> Result<Option<Vec<String>>, String> {
    let text = std::str::from_utf8(leaf_bytes).map_err(|error| error.to_string())?;
    let number = text.strip_prefix("leaf ").and_then(|n| n.parse().ok());
    number
        .map(|n| Some(keys(n)))
        .ok_or_else(|| "no number".into())
}

async fn check(store: &SqliteStore) -> Report {
    check_as(store, &V1).await
}

/// Checks the oldest tree, which is of a log of this API.
async fn check_as(store: &SqliteStore, api: &'static Api) -> Report {
    let tree = store.trees().await.unwrap().remove(0);
    let mut reached = 0;
    let report = fsck(
        store,
        &tree,
        api,
        &derive,
        &|_| Vec::new(),
        &mut |progress| reached = progress.done,
    )
    .await
    .unwrap();
    assert_eq!(reached, report.size.0);
    report
}

async fn append(ledger: Log, n: u64) {
    let data = n.to_be_bytes().to_vec();
    let attestation = n.is_multiple_of(10).then(|| Attestation {
        digest: tlog::sha256(&data),
        data,
    });
    let leaf_bytes = format!("leaf {n}").into_bytes();
    let entry = NewEntry {
        leaf_bytes,
        kind: "test:1".into(),
        index_keys: keys(n),
        attestation,
        claims: EntryClaims::default(),
    };
    let (Appended::Sequenced(logged) | Appended::Duplicate(logged)) =
        ledger.append(entry).await.unwrap();
    ledger.signed_entry_timestamp(&logged).unwrap();
}

/// A log of 600 entries with tiles, timestamps and attestations, damaged by `sql`; what fsck says
/// of it.
async fn findings_after(sql: &'static str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("log.sqlite");
    let store = SqliteStore::open(&file).await.unwrap();
    let pkcs8 = SigningKey::generate_p256_pkcs8(&SystemRandom::new()).unwrap();
    let ledger = open_v1(settings(store.clone(), &pkcs8), &pkcs8);
    let ledger = ledger.await.unwrap();
    // Two waves, so two rounds at least.
    for wave in [0..ENTRIES / 3, ENTRIES / 3..ENTRIES] {
        let writers = wave.map(|n| tokio::spawn(append(Log::clone(&ledger), n)));
        for writer in writers.collect::<Vec<_>>() {
            writer.await.unwrap();
        }
    }
    ledger.stop().await;
    assert_eq!(
        check(&store).await.findings,
        Vec::<String>::new(),
        "before the damage"
    );
    damage(&file, sql).await;
    check(&store).await.findings
}

async fn damage(file: &Path, sql: &'static str) {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file);
    let mut connection = options.connect().await.unwrap();
    connection.execute(sql).await.unwrap();
}

#[tokio::test]
async fn every_kind_of_damage_is_named() {
    let cases = [
        (
            "UPDATE body SET body = CAST('leaf 1000' AS BLOB) WHERE leaf_index = 7",
            "table entry: leaf index 7 has leaf hash",
        ),
        (
            "DELETE FROM body WHERE leaf_index = 8",
            "table body: leaf index 8 is missing",
        ),
        (
            "DELETE FROM entry WHERE leaf_index = 9",
            "table entry: leaf indexes 9 to 9 are missing",
        ),
        (
            "DELETE FROM entry WHERE leaf_index = 599",
            "table entry: leaf indexes 599 to 599 are missing",
        ),
        (
            "UPDATE entry SET time = time - 100 WHERE leaf_index = 10",
            "table entry: leaf index 10 and the head of its round",
        ),
        (
            "UPDATE entry SET kind = 'test:2' WHERE leaf_index = 16",
            "table entry: the row of leaf index 16 does not have its checksum",
        ),
        (
            "DELETE FROM leaf WHERE leaf_index = 11",
            "table leaf: leaf index 11",
        ),
        (
            "INSERT INTO leaf SELECT tree_id, zeroblob(16), 12 FROM tree",
            "table leaf: 601 rows",
        ),
        (
            "DELETE FROM index_key WHERE leaf_index = 13",
            "table index_key: the rows of leaf index 13",
        ),
        (
            "INSERT INTO index_key SELECT tree_id, zeroblob(16), 14 FROM tree",
            "table index_key: 1201 rows",
        ),
        (
            "UPDATE signed_entry_timestamp SET signature = zeroblob(70) WHERE leaf_index = 15",
            "table signed_entry_timestamp: leaf index 15 does not verify",
        ),
        (
            "UPDATE signed_entry_timestamp SET checksum = zeroblob(16) WHERE leaf_index = 17",
            "table signed_entry_timestamp: the row of leaf index 17 does not have its checksum",
        ),
        (
            "UPDATE attestation SET data = x'00' WHERE leaf_index = 20",
            "table attestation: the digest of leaf index 20",
        ),
        (
            "DELETE FROM attestation WHERE leaf_index = (SELECT max(leaf_index) FROM attestation)",
            " is missing",
        ),
        (
            "UPDATE entry SET attested = 0 WHERE leaf_index = (SELECT min(leaf_index) FROM attestation)",
            "was stored without one",
        ),
        (
            "DELETE FROM tile WHERE level = 0 AND \"index\" = 1",
            "table tile: level 0 index 1 is missing",
        ),
        (
            "UPDATE tile SET hashes = zeroblob(8192) WHERE level = 0 AND \"index\" = 0",
            "table tile: level 0 index 0 has other hashes",
        ),
        (
            "UPDATE tile SET root = zeroblob(32) WHERE \"index\" = 0",
            "table tile: level 0 index 0 has another root",
        ),
        (
            "INSERT INTO tile SELECT tree_id, level, 7, root, hashes FROM tile WHERE \"index\" = 0",
            "table tile: level 0 index 7 is beyond the newest head",
        ),
        (
            "UPDATE head SET root = zeroblob(32) WHERE size = (SELECT max(size) FROM head)",
            "but its entries give root",
        ),
        (
            "INSERT INTO head SELECT tree_id, 1, 10000, time, root FROM head WHERE prev_size = 0",
            "begins below the newest head and ends beyond it",
        ),
        (
            "DELETE FROM head WHERE prev_size = 0",
            "table head: the head after size 0 is missing",
        ),
        (
            "INSERT INTO leaf SELECT tree_id, zeroblob(16), 900 FROM tree",
            "table leaf: 1 rows have a leaf index below 0 or beyond the newest head",
        ),
        (
            "UPDATE body SET leaf_index = -9 WHERE leaf_index = 9",
            "table body: 1 rows have a leaf index below 0",
        ),
        (
            "UPDATE entry SET kind = CAST(x'ff' AS TEXT) WHERE leaf_index = 4",
            "table entry: column kind of leaf index 4 cannot be read",
        ),
        (
            "UPDATE entry SET index_keys = x'02' WHERE leaf_index = 3",
            "table entry: column index_keys of leaf index 3 cannot be read",
        ),
        (
            "PRAGMA ignore_check_constraints = ON; UPDATE entry SET attested = 3 WHERE leaf_index = 5",
            "table entry: column attested of leaf index 5 cannot be read",
        ),
        (
            "PRAGMA ignore_check_constraints = ON; UPDATE head SET root = x'00' WHERE prev_size = 0",
            "table head: column root of the head after size 0 cannot be read",
        ),
        (
            "UPDATE head SET size = size + 1099511627776 WHERE size = (SELECT max(size) FROM head)",
            "table head: the newest size is 1099511628376, and the entries end at 600",
        ),
        (
            "PRAGMA ignore_check_constraints = ON;
             UPDATE head SET prev_size = prev_size + 1099511627776 WHERE prev_size = 0",
            "ends before it begins",
        ),
        (
            "INSERT INTO publication (tree_id, prev_size, size, time, root, checkpoint, checksum)
             SELECT tree_id, -1, size, time, root, 'no note', zeroblob(16) FROM head
             ORDER BY size DESC LIMIT 1",
            "table publication: the checkpoint of size 600 does not verify",
        ),
        (
            "INSERT INTO publication (tree_id, prev_size, size, time, root, checkpoint, checksum)
             SELECT tree_id, -1, size, time + 1, root, 'no note', zeroblob(16) FROM head
             ORDER BY size DESC LIMIT 1",
            "table publication: the time of size 600 is not that of its head",
        ),
        (
            "INSERT INTO publication (tree_id, prev_size, size, time, root, checkpoint, checksum)
             SELECT tree_id, -1, 17, time, root, 'no note', zeroblob(16) FROM head LIMIT 1",
            "is no stored head",
        ),
        ("DELETE FROM tree_key WHERE role = 'log'", "has no log key"),
        (
            "DELETE FROM tree_key WHERE role = 'checkpoint'",
            "has no checkpoint key",
        ),
    ];
    for (sql, expected) in cases {
        let findings = findings_after(sql).await;
        assert!(
            findings.iter().any(|finding| finding.contains(expected)),
            "{sql}: {findings:?}"
        );
    }
}

#[tokio::test]
async fn the_last_texts_of_a_frozen_tree_have_their_own_form() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("log.sqlite");
    let store = SqliteStore::open(&file).await.unwrap();
    let rng = SystemRandom::new();
    let [pkcs8, next] = [(); 2].map(|()| SigningKey::generate_p256_pkcs8(&rng).unwrap());
    let ledger = open_v1(settings(store.clone(), &pkcs8), &pkcs8);
    let ledger = ledger.await.unwrap();
    append(Log::clone(&ledger), 0).await;
    ledger.stop().await;
    let tree = store.trees().await.unwrap().remove(0);
    let next_key = key(&next);
    let next_key = next_key.verifying_key();
    rotation::register(&store, &tree, next_key).await.unwrap();
    let frozen = rotation::freeze(&store, &tree, next_key, None, &rng).await;
    frozen.unwrap();
    let tree = store.trees().await.unwrap().remove(0);
    let finished = rotation::finish(settings(store.clone(), &pkcs8), &tree).await;
    finished.unwrap();
    assert_eq!(check(&store).await.findings, Vec::<String>::new());

    damage(
        &file,
        "UPDATE final_checkpoint SET checkpoint = freeze_note, freeze_note = checkpoint",
    )
    .await;
    let origin = format!("{:?}", tree.origin);
    assert_eq!(
        check(&store).await.findings,
        [
            format!("table final_checkpoint: the checkpoint of {origin} has an extension line"),
            format!("table final_checkpoint: the freeze note of {origin} has no extension line"),
        ]
    );
    let checked = store.clone();
    let keys = KeyRing::new([key(&pkcs8), key(&next), checkpoint_key()]);
    let refused = support::open(Settings {
        keys,
        ..settings(store, &pkcs8)
    });
    let refused = refused.await.map(drop).unwrap_err().to_string();
    assert!(refused.contains("extension line"), "{refused}");

    // Nobody can tell this from a rotation whose last step is still to come.
    damage(&file, "DELETE FROM final_checkpoint").await;
    assert_eq!(check(&checked).await.findings, Vec::<String>::new());
    let entries = "INSERT INTO head (tree_id, prev_size, size, time, root)
        SELECT tree_id, 0, 1, 0, zeroblob(32) FROM tree WHERE state = 'active'";
    damage(&file, entries).await;
    let findings = check(&checked).await.findings;
    assert!(
        matches!(&findings[..], [lost] if lost.contains("row of the frozen tree is missing")),
        "{findings:?}"
    );
}

#[tokio::test]
async fn a_tree_of_v2_has_no_signed_entry_timestamps() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("log.sqlite");
    let store = SqliteStore::open(&file).await.unwrap();
    let pkcs8 = SigningKey::generate_ed25519_pkcs8(&SystemRandom::new()).unwrap();
    let log = NewLog {
        api: &V2,
        origin: None,
        log_key: key(&pkcs8).verifying_key().clone(),
        checkpoint_key: None,
    };
    let (logs, rng) = ([log], SystemRandom::new());
    let created = create_logs(&store, DEFAULT_NAME, &logs, &rng).await;
    assert!(created.unwrap());
    let ledger = support::open(settings(store.clone(), &pkcs8))
        .await
        .unwrap();
    let entry = NewEntry {
        leaf_bytes: b"leaf 0".to_vec(),
        kind: "test:1".into(),
        index_keys: keys(0),
        attestation: None,
        claims: EntryClaims::default(),
    };
    ledger.logs()[0].append(entry).await.unwrap();
    ledger.stop().await;
    assert_eq!(check_as(&store, &V2).await.findings, Vec::<String>::new());

    damage(
        &file,
        "INSERT INTO signed_entry_timestamp SELECT tree_id, 0, zeroblob(70), zeroblob(16) FROM tree",
    )
    .await;
    let found = "table signed_entry_timestamp: leaf index 0 is in a tree of the API v2, which has \
                 none";
    let findings = check_as(&store, &V2).await.findings;
    assert!(
        findings.iter().any(|finding| finding == found),
        "{findings:?}"
    );
}

/// Erased as OPERATING says.
#[tokio::test]
async fn an_erased_attestation_is_not_reported() {
    let findings = findings_after("UPDATE attestation SET data = x'' WHERE leaf_index > 100").await;
    assert_eq!(findings, Vec::<String>::new());
}

#[tokio::test]
async fn one_missing_entry_hides_no_other_damage() {
    let damage = "DELETE FROM entry WHERE leaf_index = 3; UPDATE tile SET root = zeroblob(32) WHERE \"index\" = 1";
    let findings = findings_after(damage).await;
    let of = |table: &str| findings.iter().filter(|of| of.starts_with(table)).count();
    assert_eq!(
        (of("table head:"), of("table tile:")),
        (0, 1),
        "{findings:?}"
    );
    assert!(
        findings[0].contains("leaf indexes 3 to 3 are missing"),
        "{findings:?}"
    );
}

#[tokio::test]
async fn rows_of_no_tree_and_trees_that_cannot_be_read_are_shown() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("log.sqlite");
    let store = SqliteStore::open(&file).await.unwrap();
    let pkcs8 = SigningKey::generate_p256_pkcs8(&SystemRandom::new()).unwrap();
    let ledger = open_v1(settings(store.clone(), &pkcs8), &pkcs8);
    let ledger = ledger.await.unwrap();
    append(Log::clone(&ledger), 0).await;
    ledger.stop().await;
    assert_eq!(store.audited_orphans().await.unwrap(), []);
    assert!(store.audited_structure().await.unwrap().is_empty());
    damage(
        &file,
        "PRAGMA ignore_check_constraints = ON; UPDATE tree SET state = 'activf', name = CAST(x'ff' AS TEXT);
         INSERT INTO leaf VALUES (7, zeroblob(16), 0)",
    )
    .await;
    assert_eq!(store.audited_orphans().await.unwrap(), [("leaf", 7)]);
    let trees = store.audited_trees().await.unwrap();
    let columns = trees[0].unreadable.iter().map(|value| value.column);
    assert_eq!(columns.collect::<Vec<_>>(), ["name", "state"]);
    store.trees().await.unwrap_err();
}

#[tokio::test]
async fn lost_key_texts_are_one_finding_per_table() {
    let findings = findings_after("UPDATE entry SET index_keys = x'01' WHERE leaf_index = 3").await;
    assert_eq!(findings.len(), 2, "{findings:?}");
}
