//! A log with leaves of 1 MiB: nothing reads many of them at once, and each is shown. One test,
//! because it measures the memory of its process.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails there")]

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use futures_util::future::join_all;
use ledger::fsck::fsck;
use ledger::store::sqlite::SqliteStore;
use ledger::store::{Rotation as _, Store as _};
use ledger::{
    EntryClaims, Head, KeyRing, Log, NewEntry, ReadError, Search, Settings, V1, rotation,
};
use prometheus::Registry;
use ring::rand::SystemRandom;
use support::{OneLog, checkpoint_key, key, open_v1, settings};
use tlog::{LeafIndex, SigningKey, TilePath};

mod support;

const LARGE: usize = 1 << 20;
const LARGE_LEAVES: u64 = 300;
/// Every third large leaf has an index key of this length.
const LONG_KEY: usize = 1 << 19;

struct World {
    log: OneLog,
    store: SqliteStore,
    metrics: Registry,
    next_key: SigningKey,
    rng: SystemRandom,
}

async fn open(file: &Path) -> World {
    let rng = SystemRandom::new();
    let [pkcs8, next] = [(); 2].map(|()| SigningKey::generate_p256_pkcs8(&rng).unwrap());
    let store = SqliteStore::open(file).await.unwrap();
    let metrics = Registry::new();
    let settings = Settings {
        keys: KeyRing::new([key(&pkcs8), key(&next), checkpoint_key()]),
        metrics: metrics.clone(),
        ..settings(store.clone(), &pkcs8)
    };
    World {
        log: open_v1(settings, &pkcs8).await.unwrap(),
        store,
        metrics,
        next_key: key(&next),
        rng,
    }
}

/// Leaf 0 is small.
fn leaf(number: u64) -> Vec<u8> {
    let length = if number == 0 { 8 } else { LARGE };
    number.to_be_bytes().repeat(length / 8)
}

async fn append(log: &Log, number: u64) {
    let mut index_keys = vec!["all".to_owned()];
    if number % 3 == 1 {
        index_keys.push(format!("{number} {}", "k".repeat(LONG_KEY)));
    }
    let entry = NewEntry {
        leaf_bytes: leaf(number),
        kind: "test:1".into(),
        index_keys,
        attestation: None,
        claims: EntryClaims::default(),
    };
    log.append(entry).await.unwrap();
}

/// Watches the memory of this process.
struct Watch {
    most: Arc<AtomicU64>,
    ended: Arc<AtomicBool>,
    before: u64,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    fn begin() -> Self {
        let before = anonymous_bytes();
        let (most, ended) = (Arc::new(AtomicU64::new(before)), Arc::default());
        let thread = {
            let (most, ended) = (Arc::clone(&most), Arc::clone(&ended));
            std::thread::spawn(move || {
                let ended: Arc<AtomicBool> = ended;
                while !ended.load(Ordering::Relaxed) {
                    most.fetch_max(anonymous_bytes(), Ordering::Relaxed);
                    std::thread::sleep(Duration::from_millis(1));
                }
            })
        };
        Self {
            most,
            ended,
            before,
            thread: Some(thread),
        }
    }

    fn assert_bounded(mut self, work: &str, most_mib: u64) {
        self.ended.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
        let more = (self.most.load(Ordering::Relaxed) - self.before) >> 20;
        assert!(more <= most_mib, "{work} took {more} MiB");
    }
}

/// Resident memory that is not of a file. Without /proc nothing is measured.
fn anonymous_bytes() -> u64 {
    let statm = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: Vec<u64> = statm
        .split(' ')
        .filter_map(|pages| pages.parse().ok())
        .collect();
    pages
        .get(1)
        .zip(pages.get(2))
        .map_or(0, |(all, shared)| (all - shared) * 4096)
}

fn cache_hits(metrics: &Registry) -> u64 {
    let families = metrics.gather();
    let cache = families
        .iter()
        .find(|family| family.name() == "treehead_entry_cache_total");
    let hits = cache.into_iter().flat_map(|family| family.get_metric());
    let hits = hits.filter(|metric| {
        let labels = metric.get_label().iter();
        labels.clone().any(|label| label.value() == "hit")
    });
    hits.map(|metric| metric.get_counter().get_value() as u64)
        .sum()
}

async fn body(log: &Log, head: &Head, index: u64) -> Vec<u8> {
    let mut entries = log.entries(head, &[LeafIndex(index)]).await.unwrap();
    entries.remove(0).body.to_vec()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_leaves_are_read_within_a_bound() {
    let folder = tempfile::tempdir().unwrap();
    let world = open(&folder.path().join("log.sqlite")).await;
    let log = &world.log;
    append(log, 0).await;
    for few in (1..=LARGE_LEAVES).collect::<Vec<_>>().chunks(6) {
        join_all(few.iter().map(|number| append(log, *number))).await;
    }

    // In this order, because memory that was freed hides what is taken next: the least first. Each
    // bound is twice to three times what the work takes. Without pages bounded in bytes it took 50,
    // 80 and 240 MiB.
    let watch = Watch::begin();
    search_for_all(log).await;
    watch.assert_bounded("a search", 24);

    let tree = world.store.trees().await.unwrap().remove(0);
    let watch = Watch::begin();
    let report = fsck(
        &world.store,
        &tree,
        &V1,
        &|_, _| Ok(None),
        &|_| Vec::new(),
        &mut |_| (),
    )
    .await;
    let report = report.unwrap();
    watch.assert_bounded("fsck", 48);
    assert_eq!(report.findings, Vec::<String>::new());
    assert_eq!(report.size.0, 1 + LARGE_LEAVES);

    let watch = Watch::begin();
    rotate(&world).await;
    // A slow machine may keep the look-up waiting for a connection.
    while !matches!(
        world.store.final_checkpoint(tree.tree_id).await,
        Ok(Some(_))
    ) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    watch.assert_bounded("finishing a frozen tree", 80);

    bundles_hold_small_leaves_only(log, tree.tree_id).await;
    large_leaves_are_not_cached(&world, tree.tree_id).await;
    log.stop().await;
}

async fn rotate(world: &World) {
    let active = world.store.trees().await.unwrap().remove(0);
    let key = world.next_key.verifying_key();
    rotation::register(&world.store, &active, key)
        .await
        .unwrap();
    rotation::freeze(&world.store, &active, key, None, &world.rng)
        .await
        .unwrap();
}

/// By the key of all, in one query with others and alone, and by a long one.
async fn search_for_all(log: &Log) {
    let long = format!("1 {}", "k".repeat(LONG_KEY));
    for (key, expected) in [("all".to_owned(), 1 + LARGE_LEAVES), (long, 1)] {
        let search = Search {
            keys: vec![vec![key]],
            ..Search::default()
        };
        let (mut found, mut below) = (0, None);
        loop {
            let hits = log
                .search(&log.shards(), &search, below, 1_000)
                .await
                .unwrap();
            found += hits.entries.len() as u64;
            below = hits.rest;
            if below.is_none() {
                break;
            }
        }
        assert_eq!(found, expected);
    }
}

async fn bundles_hold_small_leaves_only(log: &Log, tree: ledger::TreeId) {
    let head = log.head_of(tree).unwrap();
    let bundle = async |path: &str| {
        let path: TilePath = path.parse().unwrap();
        log.tile_resource(&head, path).await
    };
    let small = bundle("tile/entries/000.p/1").await.unwrap().unwrap();
    assert_eq!(small[2..], leaf(0));
    for path in ["tile/entries/000.p/2", "tile/entries/000"] {
        let refused = bundle(path).await;
        let is_named = matches!(refused, Err(ReadError::NotBundled { leaf_index: 1, .. }));
        assert!(is_named, "{path}: {refused:?}");
    }
}

async fn large_leaves_are_not_cached(world: &World, frozen: ledger::TreeId) {
    let log = &world.log;
    let head = log.head_of(frozen).unwrap();
    for _ in 0..2 {
        assert_eq!(body(log, &head, 5).await.len(), LARGE);
    }
    assert_eq!(cache_hits(&world.metrics), 0);
    for _ in 0..2 {
        assert_eq!(body(log, &head, 0).await, leaf(0));
    }
    assert_eq!(cache_hits(&world.metrics), 1);
    // The trees share the cache, but not their entries.
    append(log, 1_000).await;
    assert_eq!(body(log, &log.head(), 0).await, leaf(1_000));
}
