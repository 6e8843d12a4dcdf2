//! The logs of a ledger keep apart: no key signs for two of them, and damage to one hides nothing
//! of another.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails there")]

#[path = "support/both.rs"]
mod both;
#[path = "support/mod.rs"]
mod support;

use std::sync::Arc;
use std::time::Duration;

use both::Keys;
use ledger::rotation::{self, RotateError};
use ledger::store::Store as _;
use ledger::store::sqlite::SqliteStore;
use ledger::{
    DEFAULT_NAME, EntryClaims, KeyRing, NewEntry, NewLog, OpenError, Settings, V1, V2,
    WitnessAnswer, WitnessTransport, Witnessing, create_logs,
};
use ring::rand::SystemRandom;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, SqliteConnection};
use support::{OneLog, checkpoint_key, key, new_v1, open_v1, settings};
use tempfile::TempDir;
use tlog::{SigningKey, VerifyingKey, WitnessPolicy};

async fn database() -> (SqliteStore, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("log.sqlite")).await;
    (store.unwrap(), folder)
}

fn public(pkcs8: &[u8]) -> VerifyingKey {
    key(pkcs8).verifying_key().clone()
}

fn new_v2(log_key: VerifyingKey) -> NewLog {
    NewLog {
        api: &V2,
        origin: None,
        log_key,
        checkpoint_key: None,
    }
}

/// With one ECDSA key, both logs would have one log ID.
#[tokio::test]
async fn no_new_log_has_a_key_of_another() {
    let (store, _folder) = database().await;
    let pkcs8 = SigningKey::generate_p256_pkcs8(&SystemRandom::new()).unwrap();
    let create =
        async |logs: &[NewLog]| create_logs(&store, DEFAULT_NAME, logs, &SystemRandom::new()).await;
    for used in [public(&pkcs8), checkpoint_key().verifying_key().clone()] {
        let refused = create(&[new_v1(&pkcs8), new_v2(used)]).await;
        assert!(matches!(refused, Err(OpenError::UsedKey(_))), "{refused:?}");
    }
    assert_eq!(store.trees().await.unwrap(), []);

    let v1: OneLog = open_v1(settings(store.clone(), &pkcs8), &pkcs8)
        .await
        .unwrap();
    v1.stop().await;
    for used in [public(&pkcs8), checkpoint_key().verifying_key().clone()] {
        let refused = create(&[new_v2(used)]).await;
        assert!(matches!(refused, Err(OpenError::UsedKey(_))), "{refused:?}");
    }
    assert!(!create(&[new_v1(&pkcs8)]).await.unwrap(), "it is there");
}

#[tokio::test]
async fn a_key_is_registered_for_one_log() {
    let (store, _folder) = database().await;
    let (keys, rng) = (Keys::new(), SystemRandom::new());
    create_logs(&store, DEFAULT_NAME, &keys.logs(), &rng)
        .await
        .unwrap();
    let next = public(&keys.v1[1]);
    let trees = store.trees().await.unwrap();
    rotation::register(&store, &trees[0], &next).await.unwrap();
    let refused = rotation::register(&store, &trees[1], &next).await;
    assert!(
        matches!(refused, Err(RotateError::UsedKey(_))),
        "{refused:?}"
    );
    assert_eq!(rotation::registered(&store, &trees[1]).await.unwrap(), None);

    // A tree that got the key some other way is noticed at the freeze.
    let other = [new_v2(next.clone())];
    assert!(create_logs(&store, "other", &other, &rng).await.unwrap());
    let refused = rotation::freeze(&store, &trees[0], &next, None, &rng).await;
    assert!(
        matches!(refused, Err(RotateError::Overtaken)),
        "{refused:?}"
    );
}

/// A run that comes late would otherwise leave a key that begins the next rotation.
#[tokio::test]
async fn a_run_that_was_overtaken_leaves_no_key_registered() {
    let (store, _folder) = database().await;
    let (keys, rng) = (Keys::new(), SystemRandom::new());
    create_logs(&store, DEFAULT_NAME, &keys.logs(), &rng)
        .await
        .unwrap();
    let tree = store.trees().await.unwrap().remove(0);
    let (first, late) = (public(&keys.v1[1]), public(&Keys::new().v1[0]));
    rotation::register(&store, &tree, &first).await.unwrap();
    let freeze = |key| rotation::freeze(&store, &tree, key, None, &rng);
    let (next, _) = freeze(&first).await.unwrap();
    rotation::mark_reported(&store, &next).await.unwrap();

    rotation::register(&store, &tree, &late).await.unwrap();
    let refused = freeze(&late).await;
    assert!(
        matches!(refused, Err(RotateError::Overtaken)),
        "{refused:?}"
    );
    assert_eq!(rotation::registered(&store, &next).await.unwrap(), None);
}

#[tokio::test]
async fn the_key_that_is_absent_is_named() {
    let (store, _folder) = database().await;
    let keys = Keys::new();
    let rng = SystemRandom::new();
    create_logs(&store, DEFAULT_NAME, &keys.logs(), &rng)
        .await
        .unwrap();
    let settings = Settings {
        keys: KeyRing::new([key(&keys.v1[0]), key(&keys.v2[0])]),
        ..settings(store, &keys.v1[0])
    };
    let refused = support::open(settings).await.map(|_| ()).unwrap_err();
    let refused = refused.to_string();
    assert!(refused.contains("needs its checkpoint key"), "{refused}");
}

/// Asks no witness: the policy names none.
struct NoWitness;

#[async_trait::async_trait]
impl WitnessTransport for NoWitness {
    async fn add_checkpoint(&self, _: &str, _: String) -> Result<WitnessAnswer, String> {
        Err("there is no witness".to_owned())
    }
}

#[tokio::test]
async fn a_log_that_went_back_is_noticed_beside_a_damaged_one() {
    let (store, folder) = database().await;
    let keys = Keys::new();
    let ledger = keys
        .open(Settings {
            witnessing: Some(Witnessing {
                policy: WitnessPolicy::parse("quorum none\n").unwrap(),
                transport: Arc::new(NoWitness),
                fail_open_after: None,
            }),
            ..settings(store, &keys.v1[0])
        })
        .await
        .unwrap();
    for log in ledger.logs() {
        let entry = NewEntry {
            leaf_bytes: b"leaf".to_vec(),
            kind: "test:1".to_owned(),
            index_keys: Vec::new(),
            attestation: None,
            claims: EntryClaims::default(),
        };
        log.append(entry).await.unwrap();
    }
    let [v1, v2] = [&V1, &V2].map(|api| ledger.log(api).unwrap());

    let file = folder.path().join("log.sqlite");
    let mut connection = SqliteConnection::connect(&format!("sqlite:{}", file.display()))
        .await
        .unwrap();
    let damage = format!(
        "PRAGMA ignore_check_constraints = ON;
        UPDATE publication SET size = -7 WHERE tree_id = {};
        DELETE FROM head WHERE tree_id = {}",
        v1.tree().id,
        v2.tree().id
    );
    connection.execute(AssertSqlSafe(damage)).await.unwrap();
    let noticed = async {
        while v2.halted().is_none() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), noticed)
        .await
        .unwrap();
    assert_eq!(v1.halted(), None);
}
