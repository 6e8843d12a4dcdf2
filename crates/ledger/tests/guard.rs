//! A database that does not extend the guard, at a start: the log is read-only, signs nothing, and
//! shows what it let out.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails there")]

#[path = "support/mod.rs"]
mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ledger::guard::memory::MemoryGuard;
use ledger::guard::{FilePlace, Guard, Keeper, Place};
use ledger::store::sqlite::SqliteStore;
use ledger::{
    AppendError, DEFAULT_NAME, EntryClaims, Head, Ledger, Log, LoggedEntry, NewEntry, OpenError,
    ReadError, Settings,
};
use prometheus::Registry;
use ring::rand::SystemRandom;
use support::{OneLog, new_v1, open_v1, settings};
use tempfile::TempDir;
use tlog::{LeafIndex, SigningKey};

/// A log in a file, with a guard that lasts while the file is replaced.
struct World {
    folder: TempDir,
    pkcs8: Vec<u8>,
    guard: Arc<MemoryGuard>,
}

impl World {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            pkcs8: SigningKey::generate_p256_pkcs8(&SystemRandom::new()).unwrap(),
            guard: Arc::new(MemoryGuard::new(DEFAULT_NAME)),
        }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("log.sqlite")
    }

    async fn settings(&self) -> Settings {
        let store = SqliteStore::open(&self.file()).await.unwrap();
        Settings {
            guard: Arc::clone(&self.guard) as Arc<dyn Guard>,
            ..settings(store, &self.pkcs8)
        }
    }

    async fn open(&self) -> OneLog {
        open_v1(self.settings().await, &self.pkcs8).await.unwrap()
    }

    /// Copies the database as it is now.
    async fn copy(&self, name: &str) -> PathBuf {
        let copy = self.folder.path().join(name);
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(self.file());
        let mut connection = sqlx::ConnectOptions::connect(&options).await.unwrap();
        let query = sqlx::query("VACUUM INTO ?").bind(copy.to_str().unwrap());
        query.execute(&mut connection).await.unwrap();
        copy
    }

    /// Puts a copy in the place of the database, which no server has open.
    async fn put_back(&self, copy: &Path) {
        // A pool closes its connections after it is dropped.
        let is_open = || {
            let mut files = fs::read_dir("/proc/self/fd").unwrap().flatten();
            files.any(|file| fs::read_link(file.path()).is_ok_and(|to| to == self.file()))
        };
        while is_open() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        for leftover in ["log.sqlite-wal", "log.sqlite-shm"] {
            drop(fs::remove_file(self.folder.path().join(leftover)));
        }
        fs::copy(copy, self.file()).unwrap();
    }

    /// Adds entries and returns the head that covers them.
    async fn fill(&self, ledger: &Log, range: std::ops::Range<u32>) -> Arc<Head> {
        for n in range {
            ledger.append(entry(n)).await.unwrap();
        }
        ledger.head()
    }
}

fn entry(n: u32) -> NewEntry {
    NewEntry {
        leaf_bytes: format!("leaf {n}").into_bytes(),
        kind: "test:1".into(),
        index_keys: vec!["key".into()],
        attestation: None,
        claims: EntryClaims::default(),
    }
}

async fn stop(ledger: OneLog) {
    ledger.stop().await;
    drop(ledger);
}

/// Reads an entry and proves it in the published head.
async fn proved(log: &Log, index: u64) -> Result<LoggedEntry, ReadError> {
    let head = log.head();
    let read = log.entries(&head, &[LeafIndex(index)]).await?;
    let entry = read.into_iter().next().unwrap();
    log.inclusion_proof(&head, entry.leaf_index, &entry.leaf_hash)
        .await?;
    Ok(entry)
}

#[tokio::test]
async fn an_older_copy_is_noticed_at_each_start_until_the_newer_one_is_back() {
    let world = World::new();
    let log = world.open().await;
    world.fill(&log, 0..100).await;
    let older = world.copy("older").await;
    let let_out = world.fill(&log, 100..150).await;
    let newer = world.copy("newer").await;
    stop(log).await;

    world.put_back(&older).await;
    for _ in 0..3 {
        let log = world.open().await;
        let reason = log.halted().unwrap();
        assert!(reason.contains("went back by 50 entries"), "{reason}");
        let known = format!("size 150 root {}", let_out.root);
        assert!(reason.contains(&known), "{reason}");
        assert!(reason.contains("size 100 root"), "{reason}");
        let refused = log.append(entry(1_000)).await;
        assert!(
            matches!(refused, Err(AppendError::ReadOnly(_))),
            "{refused:?}"
        );
        // The very texts that were let out, and no other signature.
        let shown = log.newest_head().await.unwrap();
        assert_eq!(shown.checkpoint, let_out.checkpoint);
        assert_eq!(shown.rekor_checkpoint, let_out.rekor_checkpoint);
        // What is there is proved in the head that was let out.
        for index in [0, 57, 99] {
            let body = format!("leaf {index}").into_bytes();
            assert_eq!(&*proved(&log, index).await.unwrap().body, body);
        }
        stop(log).await;
    }

    world.put_back(&newer).await;
    let log = world.open().await;
    assert_eq!(log.halted(), None);
    assert_eq!(world.fill(&log, 150..151).await.size.0, 151);
    stop(log).await;
}

#[tokio::test]
async fn another_history_of_the_same_size_is_no_extension() {
    let world = World::new();
    let log = world.open().await;
    world.fill(&log, 0..2).await;
    let older = world.copy("older").await;
    let let_out = world.fill(&log, 2..4).await;
    stop(log).await;
    world.put_back(&older).await;
    // A server without the guard writes to the older copy.
    let unguarded = Settings {
        guard: Arc::new(MemoryGuard::new(DEFAULT_NAME)),
        ..world.settings().await
    };
    let log = open_v1(unguarded, &world.pkcs8).await.unwrap();
    let forked = world.fill(&log, 7..9).await;
    assert_eq!(forked.size, let_out.size);
    stop(log).await;

    let log = world.open().await;
    let reason = log.halted().unwrap();
    assert!(reason.contains("does not continue"), "{reason}");
    assert!(reason.contains(&forked.root.to_string()), "{reason}");
    assert!(reason.contains(&let_out.root.to_string()), "{reason}");
    assert_eq!(log.newest_head().await.unwrap().root, let_out.root);
    assert!(proved(&log, 1).await.is_ok());
    assert!(
        proved(&log, 3).await.is_err(),
        "the entry of another history"
    );
    stop(log).await;
}

#[tokio::test]
async fn a_ledger_without_any_floor_does_not_open() {
    let world = World::new();
    let log = world.open().await;
    world.fill(&log, 0..1).await;
    stop(log).await;
    let unguarded = Settings {
        guard: Arc::new(MemoryGuard::new(DEFAULT_NAME)),
        ..world.settings().await
    };
    let refused = Ledger::open(unguarded).await.map(|_| ());
    assert!(
        matches!(refused, Err(OpenError::NoFloor { .. })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_guard_of_another_ledger_is_refused() {
    let world = World::new();
    stop(world.open().await).await;
    let other = MemoryGuard::new("other");
    for head in world.guard.heads().heads {
        other.keep(head).await.unwrap();
    }
    let settings = Settings {
        guard: Arc::new(other),
        ..world.settings().await
    };
    let refused = Ledger::open(settings).await.map(|_| ()).unwrap_err();
    assert!(refused.to_string().contains("\"other\""), "{refused}");
}

/// The place that cannot be read may have the newest heads.
#[tokio::test]
async fn a_start_needs_every_place_of_the_guard() {
    let world = World::new();
    let file = world.folder.path().join("guard");
    let keeper = || {
        let place = FilePlace::open(&file).unwrap();
        let places: Vec<Box<dyn Place>> = vec![Box::new(place)];
        Keeper::start(DEFAULT_NAME, places, Vec::new(), &Registry::new()).unwrap()
    };
    let with_keeper = async || Settings {
        guard: keeper(),
        ..world.settings().await
    };
    let log = open_v1(with_keeper().await, &world.pkcs8).await.unwrap();
    world.fill(&log, 0..1).await;
    stop(log).await;
    let log = Ledger::open(with_keeper().await).await.unwrap();
    assert_eq!(log.logs()[0].head().size.0, 1);
    log.stop().await;
    drop(log);
    fs::write(&file, "not a guard").unwrap();
    let refused = Ledger::open(with_keeper().await).await.map(|_| ());
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("cannot be read"), "{refused}");
    assert!(refused.contains(file.to_str().unwrap()), "{refused}");
}

#[tokio::test]
async fn a_database_without_the_guarded_tree_went_back() {
    let world = World::new();
    let log = world.open().await;
    world.fill(&log, 0..3).await;
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty");
    fs::write(&empty, "").unwrap();
    stop(log).await;
    world.put_back(&empty).await;
    // Another tree of the same ledger, with the same keys.
    let log = world.open().await;
    let reason = log.halted().unwrap();
    assert!(reason.contains("does not have the tree"), "{reason}");
    // No head is known that the guard extends, so nothing is shown.
    let shown = log.newest_head().await.map(|_| ());
    assert!(matches!(shown, Err(ReadError::WentBack(_))), "{shown:?}");
    let refused = log.append(entry(0)).await;
    assert!(
        matches!(refused, Err(AppendError::ReadOnly(_))),
        "{refused:?}"
    );
    stop(log).await;
}

#[tokio::test]
async fn no_head_leaves_while_no_guard_can_be_written() {
    let world = World::new();
    let log = world.open().await;
    let let_out = world.fill(&log, 0..2).await;
    world
        .guard
        .set_fault(Some("no space left on device".into()));
    let refused = log.append(entry(2)).await.unwrap_err();
    assert!(matches!(refused, AppendError::NotLetOut(_)), "{refused:?}");
    assert!(refused.to_string().contains("no space left"), "{refused}");
    assert_eq!(log.head().size, let_out.size);
    // Refused before it is stored.
    let refused = log.append(entry(3)).await;
    assert!(
        matches!(refused, Err(AppendError::NotLetOut(_))),
        "{refused:?}"
    );
    world.guard.set_fault(None);
    // What was stored before is let out without a write.
    let mut waited = 0;
    while log.head().size.0 < 3 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        waited += 1;
        assert!(waited < 100, "{}", log.head().size);
    }
    assert_eq!(world.fill(&log, 3..4).await.size.0, 4);
    stop(log).await;
}

/// The one that is empty may be new, but not if its guard says more.
#[tokio::test]
async fn a_log_that_was_just_added_needs_no_floor() {
    let world = World::new();
    let log = world.open().await;
    world.fill(&log, 0..1).await;
    stop(log).await;
    let settings = world.settings().await;
    let rng = SystemRandom::new();
    let v2 = SigningKey::generate_ed25519_pkcs8(&rng).unwrap();
    let v2 = support::key(&v2);
    let added = ledger::NewLog {
        api: &ledger::V2,
        log_key: v2.verifying_key().clone(),
        checkpoint_key: None,
        ..new_v1(&world.pkcs8)
    };
    let store = settings.store.as_ref();
    ledger::create_logs(store, DEFAULT_NAME, &[added], &rng)
        .await
        .unwrap();
    let keys = [support::key(&world.pkcs8), support::checkpoint_key(), v2];
    let settings = Settings {
        keys: ledger::KeyRing::new(keys),
        ..settings
    };
    let opened = Ledger::open(settings).await.unwrap();
    assert_eq!(opened.logs().len(), 2);
    assert_eq!(world.guard.heads().heads.len(), 2);
    assert_eq!(opened.trees().await.unwrap().len(), 2);
    opened.stop().await;
}
