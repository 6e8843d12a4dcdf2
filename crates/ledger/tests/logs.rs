//! The logs of a ledger: which there can be, what the keys of each sign, and another kind of log.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails there")]

#[path = "support/both.rs"]
mod both;
#[path = "logs/claims.rs"]
mod claims;
#[path = "logs/events.rs"]
mod events;
#[path = "support/mod.rs"]
mod support;
#[path = "logs/third_kind.rs"]
mod third_kind;

use both::Keys;
use futures_util::future::join_all;
use ledger::fsck::fsck;
use ledger::rotation;
use ledger::store::sqlite::SqliteStore;
use ledger::store::{Audit as _, Store, TreeRow, TreeState};
use ledger::{
    Api, Appended, DEFAULT_NAME, EntryClaims, HeadForm, KeyRing, Log, NewEntry, NewLog, OpenError,
    ReadError, Settings, V1, V2, create_logs,
};
use ring::rand::SystemRandom;
use support::{OneLog, checkpoint_key, key, open_v1, settings};
use tlog::{Audit, Checkpoint, LeafIndex, Note, NoteKey, TreeSize};

/// A database, and the keys of its logs.
struct World {
    store: SqliteStore,
    keys: Keys,
    folder: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("log.sqlite");
        Self {
            store: SqliteStore::open(&file).await.unwrap(),
            keys: Keys::new(),
            folder,
        }
    }

    fn settings(&self) -> Settings {
        Settings {
            keys: self.keys.ring(),
            ..settings(self.store.clone(), &self.keys.v1[0])
        }
    }

    async fn create(&self, logs: &[NewLog]) -> Result<bool, OpenError> {
        create_logs(&self.store, DEFAULT_NAME, logs, &SystemRandom::new()).await
    }

    async fn tree_of(&self, api: &Api, state: TreeState) -> TreeRow {
        let mut trees = self.store.trees().await.unwrap();
        trees.retain(|tree| tree.api == api.name && tree.state == state);
        trees.remove(0)
    }

    async fn assert_clean(&self, tree: &TreeRow, api: &'static Api) {
        let report = fsck(
            &self.store,
            tree,
            api,
            &|_, _| Ok(None),
            &|_| Vec::new(),
            &mut |_| {},
        )
        .await
        .unwrap();
        assert_eq!(report.findings, Vec::<String>::new());
    }
}

/// Leaves of no known format.
fn leaf(n: u16) -> Vec<u8> {
    [&n.to_be_bytes()[..], &[0, 0xff, 0xfe, b'\n']].concat()
}

async fn append(log: &Log, n: u16) -> Appended {
    let entry = NewEntry {
        leaf_bytes: leaf(n),
        kind: "test:1".into(),
        index_keys: vec![format!("of {n}")],
        attestation: None,
        claims: EntryClaims::default(),
    };
    log.append(entry).await.unwrap()
}

/// Appends the leaves of 0 to `count` in this order, some at once so that they share a round.
async fn fill(log: &Log, count: u16) {
    for start in (0..count).step_by(50) {
        let end = count.min(start + 50);
        for appended in join_all((start..end).map(|n| append(log, n))).await {
            assert!(matches!(appended, Appended::Sequenced(_)), "{appended:?}");
        }
    }
}

/// The head of a log verifies, and states the tree of these leaves.
fn assert_head(log: &Log, count: u16) {
    let (head, tree) = (log.head(), log.tree());
    let mut audit = Audit::new();
    for n in 0..count {
        audit.push(tlog::leaf_hash(&leaf(n)));
    }
    let key = NoteKey::new(&tree.origin, tree.checkpoint_key.clone()).unwrap();
    let stated = Checkpoint::open(&head.checkpoint, &tree.origin, &[key]).unwrap();
    assert_eq!((stated.size, stated.root), (audit.size(), audit.root()));
    assert!(stated.extensions.is_empty());
    assert_eq!(Note::parse(&head.checkpoint).unwrap().signatures().len(), 1);
}

#[tokio::test]
async fn a_log_of_rekor_v2_has_no_entry_timestamps_and_is_frozen_without_any() {
    let world = World::new().await;
    let ledger = world.keys.open(world.settings()).await.unwrap();
    for log in ledger.logs() {
        fill(log, 5).await;
        let indexes: Vec<LeafIndex> = (0..5).map(LeafIndex).collect();
        for entry in log.entries(&log.head(), &indexes).await.unwrap() {
            let signed = log.signed_entry_timestamp(&entry);
            match log.api().heads {
                HeadForm::RekorV1 => assert!(signed.is_ok(), "{signed:?}"),
                HeadForm::Checkpoint => {
                    assert!(matches!(signed, Err(ReadError::Signing(_))), "{signed:?}")
                }
            }
        }
    }
    ledger.stop().await;

    let rng = SystemRandom::new();
    for (api, next) in [(&V1, &world.keys.v1[1]), (&V2, &world.keys.v2[1])] {
        let (tree, next) = (world.tree_of(api, TreeState::Active).await, key(next));
        let next = next.verifying_key();
        rotation::register(&world.store, &tree, next).await.unwrap();
        let origin = rotation::default_origin(&tree.origin, 2);
        let freeze = rotation::freeze(&world.store, &tree, next, Some(&origin), &rng);
        let (opened, last) = freeze.await.unwrap();
        assert_eq!((opened.first_log_index, last.size), (5, TreeSize(5)));
        let frozen = world.tree_of(api, TreeState::Frozen).await;
        let texts = rotation::finish(world.settings(), &frozen).await.unwrap();
        assert_eq!(texts.rekor_checkpoint.is_some(), api == &V1);
        let lines = |text: &str| {
            let note = Note::parse(text).unwrap();
            assert_eq!(note.signatures().len(), 1, "{note}");
            Checkpoint::parse(note.text()).unwrap().extensions
        };
        for text in texts.rekor_checkpoint.iter().chain([&texts.checkpoint]) {
            assert_eq!(lines(text), Vec::<String>::new());
        }
        let said = lines(&texts.freeze_note);
        assert!(
            said.len() == 1 && said[0].starts_with("Log frozen \u{2014} "),
            "{said:?}"
        );
        let counts = world
            .store
            .audit_counts(tree.tree_id, last.size)
            .await
            .unwrap();
        assert_eq!(counts.timestamps, if api == &V1 { 5 } else { 0 });
        world.assert_clean(&frozen, api).await;

        let ledger = support::open(world.settings()).await.unwrap();
        let log = ledger.log(api).unwrap();
        let shown = log.head_of(tree.tree_id).unwrap();
        assert_eq!(shown.checkpoint, texts.checkpoint);
        assert_eq!(shown.rekor_checkpoint, texts.rekor_checkpoint);
        assert_eq!(shown.freeze_note, Some(texts.freeze_note));
        // The next tree takes what the frozen one has.
        fill(log, 1).await;
        ledger.stop().await;
    }
}

#[tokio::test]
async fn a_missing_key_is_told_with_its_log() {
    let world = World::new().await;
    let [v1, v2] = [&world.keys.v1[0], &world.keys.v2[0]].map(|pkcs8| key(pkcs8));
    let wanted = [&v1, &v2, &checkpoint_key()].map(|key| tlog::sha256(key.verifying_key().spki()));
    world.create(&world.keys.logs()).await.unwrap();
    let rings = [
        (&V1, KeyRing::new([v2, checkpoint_key()]), wanted[0]),
        (&V2, KeyRing::new([v1, checkpoint_key()]), wanted[1]),
        (
            &V1,
            KeyRing::new(world.keys.v1.iter().map(|pkcs8| key(pkcs8))),
            wanted[2],
        ),
    ];
    for (api, keys, wanted) in rings {
        let settings = Settings {
            keys,
            ..world.settings()
        };
        let refused = support::open(settings).await.map(|_| ()).unwrap_err();
        let text = refused.to_string();
        assert!(
            text.contains(&format!("the {api} log of \"localhost\"")),
            "{text}"
        );
        assert!(text.contains(&format!("SHA-256 {wanted}")), "{text}");
    }
}

#[tokio::test]
async fn logs_are_created_with_keys_and_origins_of_their_form_or_not_at_all() {
    let world = World::new().await;
    let p256 = || key(&world.keys.v1[1]).verifying_key().clone();
    let ed25519 = || key(&world.keys.v2[0]).verifying_key().clone();
    let v1 = || support::new_v1(&world.keys.v1[0]);
    let v2 = || NewLog {
        api: &V2,
        origin: None,
        log_key: ed25519(),
        checkpoint_key: None,
    };
    let refusals = [
        (
            NewLog {
                log_key: ed25519(),
                ..v1()
            },
            "the log key of a v1 log is not an ECDSA P-256 key",
        ),
        (
            NewLog {
                checkpoint_key: None,
                ..v1()
            },
            "a v1 log needs an Ed25519 key besides",
        ),
        (
            NewLog {
                checkpoint_key: Some(p256()),
                ..v1()
            },
            "a v1 log needs an Ed25519 key besides",
        ),
        (
            NewLog {
                origin: Some("https://log.example".to_owned()),
                ..v2()
            },
            "it has a scheme",
        ),
    ];
    for (bad, reason) in refusals {
        let good = if bad.api == &V1 { v2() } else { v1() };
        let refused = world.create(&[good, bad]).await.unwrap_err().to_string();
        assert!(refused.contains(reason), "{refused}");
        assert_eq!(world.store.trees().await.unwrap(), []);
    }
}

#[tokio::test]
async fn a_log_is_added_to_a_ledger_of_one() {
    let world = World::new().await;
    let one: OneLog = open_v1(world.settings(), &world.keys.v1[0]).await.unwrap();
    fill(&one, 3).await;
    let added = key(&world.keys.v1[1]).verifying_key().clone();
    let v2 = |origin: &str| NewLog {
        api: &V2,
        origin: Some(origin.to_owned()),
        log_key: added.clone(),
        checkpoint_key: None,
    };
    let again = support::new_v1(&world.keys.v1[1]);
    assert!(!world.create(&[v2("v2.example"), again]).await.unwrap());
    assert!(world.create(&[v2("v2.example")]).await.unwrap());
    assert!(!world.create(&[v2("another.example")]).await.unwrap());
    // A server that runs goes on with the logs that it has.
    assert!(matches!(append(&one, 3).await, Appended::Sequenced(_)));
    assert_eq!(one.whole.logs().len(), 1);
    one.stop().await;

    let ledger = support::open(world.settings()).await.unwrap();
    let tree = ledger.log(&V2).unwrap().tree();
    assert_eq!(
        (tree.origin.as_str(), tree.first_log_index),
        ("v2.example", 0)
    );
    // Of an ECDSA key the note key hash does not have the origin.
    assert_eq!(tree.log_id, tlog::sha256(added.spki()));
    fill(ledger.log(&V2).unwrap(), 4).await;
    for log in ledger.logs() {
        assert_head(log, 4);
    }
    ledger.stop().await;
}
