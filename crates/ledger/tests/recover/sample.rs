//! A v1 log that grows, and what is stored of it.

use std::ops::Range;
use std::sync::Arc;

use ledger::fsck::fsck;
use ledger::guard::memory::MemoryGuard;
use ledger::guard::{GuardedHead, GuardedTexts};
use ledger::recover::Derived;
use ledger::store::sqlite::SqliteStore;
use ledger::store::{
    Attestation, AuditEntry, ClaimValues, FinalCheckpoint, HeadRow, LogName, Store, TreeRow,
};
use ledger::{
    Appended, DEFAULT_NAME, EntryClaims, KeyRing, NewClaim, NewEntry, Settings, V1, rotation,
};
use ring::rand::SystemRandom;
use tempfile::TempDir;
use tlog::{Checkpoint, Edge, Hash, SigningKey, TreeSize, VerifyingKey};
use tokio::sync::Mutex;

use crate::support::{checkpoint_key, key, new_v1, open, settings};

pub(crate) const LOG: LogName<'_> = LogName {
    name: DEFAULT_NAME,
    api: "v1",
};

/// A log in a database of its own.
pub(crate) struct Sample {
    pub(crate) store: Arc<dyn Store>,
    sqlite: SqliteStore,
    keys: Vec<Vec<u8>>,
    /// The log keys that are used.
    used: Mutex<usize>,
    guard: Arc<MemoryGuard>,
    _folder: TempDir,
}

impl Sample {
    pub(crate) async fn sqlite() -> Self {
        let rng = SystemRandom::new();
        let keys = (0..4).map(|_| SigningKey::generate_p256_pkcs8(&rng).unwrap());
        let sample = Self::empty(keys.collect()).await;
        let (store, first) = (sample.store.as_ref(), new_v1(&sample.keys[0]));
        assert!(
            ledger::create_logs(store, DEFAULT_NAME, &[first], &rng)
                .await
                .unwrap()
        );
        sample
    }

    async fn empty(keys: Vec<Vec<u8>>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let sqlite = SqliteStore::open(&folder.path().join("log.sqlite"))
            .await
            .unwrap();
        Self {
            store: Arc::new(sqlite.clone()),
            sqlite,
            keys,
            used: Mutex::new(1),
            guard: Arc::new(MemoryGuard::new(DEFAULT_NAME)),
            _folder: folder,
        }
    }

    /// Another database of the same tree, as it is now.
    pub(crate) async fn fork(&self) -> Self {
        let fork = Self::empty(self.keys.clone()).await;
        let (store, source) = (fork.store.as_ref(), self.store.as_ref());
        crate::begin(store, source).await;
        crate::recover(store, &crate::copy_of(&self.store), None)
            .await
            .unwrap();
        fork
    }

    fn settings(&self) -> Settings {
        let keys = self.keys.iter().map(|pkcs8| key(pkcs8));
        Settings {
            keys: KeyRing::new(keys.chain([checkpoint_key()])),
            guard: self.guard.clone(),
            ..settings(self.sqlite.clone(), &self.keys[0])
        }
    }

    /// Returns the key of the next tree.
    pub(crate) async fn next_key(&self) -> VerifyingKey {
        let mut used = self.used.lock().await;
        *used += 1;
        key(&self.keys[*used - 1]).verifying_key().clone()
    }

    /// Appends entries one after the other, and gives each its timestamp.
    pub(crate) async fn append(&self, numbers: Range<u64>) {
        let ledger = open(self.settings()).await.unwrap();
        let log = ledger.log(&V1).unwrap();
        for number in numbers {
            let appended = log.append(entry(number)).await.unwrap();
            let (Appended::Sequenced(logged) | Appended::Duplicate(logged)) = appended;
            if !number.is_multiple_of(7) {
                log.signed_entry_timestamp(&logged).unwrap();
            }
        }
        ledger.stop().await;
    }

    /// Freezes the active tree, opens the next one and finishes the frozen one.
    pub(crate) async fn rotate(&self) {
        let store = self.store.as_ref();
        let next = self.next_key().await;
        let active = store.trees().await.unwrap().pop().unwrap();
        rotation::register(store, &active, &next).await.unwrap();
        let rng = SystemRandom::new();
        let (opened, _) = rotation::freeze(store, &active, &next, None, &rng)
            .await
            .unwrap();
        rotation::mark_reported(store, &opened).await.unwrap();
        let trees = store.trees().await.unwrap();
        let frozen = &trees[trees.len() - 2];
        rotation::finish(self.settings(), frozen).await.unwrap();
    }

    /// The newest head, as a guard has it.
    pub(crate) async fn head(&self) -> GuardedHead {
        let tree = self.store.trees().await.unwrap().pop().unwrap();
        let mut reader = self.store.reader();
        let newest = reader.newest_head(tree.tree_id).await.unwrap();
        let size = newest.map_or(0, |head| head.size.0);
        let mut edge = Edge::empty();
        for start in (0..size).step_by(256) {
            let end = size.min(start + 256);
            edge.append(&reader.leaf_hashes(tree.tree_id, start..end).await.unwrap());
        }
        let begin = GuardedHead {
            time: newest.map_or(0, |head| head.time),
            ..GuardedHead::begin(&tree)
        };
        self.guarded(&begin, edge)
    }

    /// Signs another head of the tree of a head.
    pub(crate) fn guarded(&self, head: &GuardedHead, edge: Edge) -> GuardedHead {
        let (size, root, tree) = (edge.size(), edge.root(), head.tree);
        let rng = SystemRandom::new();
        let origin = format!("{DEFAULT_NAME}/trees/{tree}");
        let checkpoint = Checkpoint::new(origin.as_str(), size, root);
        let checkpoint = checkpoint.sign(&origin, &checkpoint_key(), &rng).unwrap();
        let rekor = Checkpoint::new(format!("{DEFAULT_NAME} - {tree}"), size, root);
        // The key of the newest tree.
        let used = *self.used.try_lock().unwrap();
        let rekor = rekor
            .sign(DEFAULT_NAME, &key(&self.keys[used - 1]), &rng)
            .unwrap();
        GuardedHead {
            texts: Some(GuardedTexts {
                checkpoint,
                rekor_checkpoint: Some(rekor),
            }),
            edge,
            ..head.clone()
        }
    }
}

fn keys_of(number: u64) -> Vec<String> {
    vec![
        format!("key-{number}"),
        format!("group-{}", number % 5),
        format!("value-{number:04x}"),
    ]
}

fn body(number: u64) -> Vec<u8> {
    format!("leaf {number}").into_bytes()
}

fn entry(number: u64) -> NewEntry {
    let data = number.to_be_bytes().to_vec();
    let attestation = number.is_multiple_of(10).then(|| Attestation {
        digest: tlog::sha256(&data),
        data,
    });
    NewEntry {
        leaf_bytes: body(number),
        kind: "test:1".into(),
        index_keys: keys_of(number),
        attestation,
        claims: EntryClaims {
            list: vec![claim(number)],
            ..EntryClaims::default()
        },
    }
}

/// The first entry of a group gives it a value, and some entries name themselves.
fn claim(number: u64) -> NewClaim {
    let value = (number as u16).to_be_bytes().to_vec();
    match number % 3 {
        0 => NewClaim {
            name: format!("Key-{number}"),
            values: ClaimValues::new(),
        },
        _ => NewClaim {
            name: format!("group-{}", number % 5),
            values: ClaimValues::from([(1, value)]),
        },
    }
}

/// The right edge of a tree of these entries.
pub(crate) fn edge_of(numbers: Range<u64>) -> Edge {
    let hashes: Vec<Hash> = numbers
        .map(|number| tlog::leaf_hash(&body(number)))
        .collect();
    let mut edge = Edge::empty();
    edge.append(&hashes);
    edge
}

fn number_of(leaf_bytes: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(leaf_bytes).ok()?;
    text.strip_prefix("leaf ")?.parse().ok()
}

/// Kind and keys follow from the leaf bytes.
pub(crate) fn derive(leaf_bytes: &[u8]) -> Option<Derived> {
    let number = number_of(leaf_bytes)?;
    Some(Derived {
        kind: "test:1".into(),
        index_keys: Some(keys_of(number)),
    })
}

/// Everything that is stored of a tree, but for its own row.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Rows {
    heads: Vec<HeadRow>,
    entries: Vec<AuditEntry>,
    last: Option<FinalCheckpoint>,
}

pub(crate) async fn rows_of(store: &dyn Store, tree: &TreeRow) -> Rows {
    let heads = store
        .heads(tree.tree_id, TreeSize(0), 10_000)
        .await
        .unwrap();
    let size = heads.last().map_or(0, |head| head.size.0);
    let mut entries = Vec::new();
    for start in (0..size).step_by(64) {
        let end = size.min(start + 64);
        entries.extend(store.audit_entries(tree.tree_id, start..end).await.unwrap());
    }
    Rows {
        heads,
        entries,
        last: store.final_checkpoint(tree.tree_id).await.unwrap(),
    }
}

/// Every tree is in order.
pub(crate) async fn fsck_all(store: &dyn Store) {
    let derive = |_: &str, leaf_bytes: &[u8]| {
        let number = number_of(leaf_bytes).ok_or("no number")?;
        Ok::<_, String>(Some(keys_of(number)))
    };
    for tree in store.trees().await.unwrap() {
        let report = fsck(store, &tree, &V1, &derive, &|_| Vec::new(), &mut |_| {})
            .await
            .unwrap();
        assert_eq!(report.findings, Vec::<String>::new());
    }
}
