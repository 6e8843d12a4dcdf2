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
    Apis, Head, KeyRing, Ledger, NewEntry, ReadError, Search, Settings, SystemClock, rotation,
};
use prometheus::Registry;
use ring::rand::SystemRandom;
use tlog::{LeafIndex, SigningKey, TilePath};

const LARGE: usize = 1 << 20;
const LARGE_LEAVES: u64 = 300;
/// Every third large leaf has an index key of this length.
const LONG_KEY: usize = 1 << 19;

struct Log {
    ledger: Ledger,
    store: SqliteStore,
    metrics: Registry,
    next_key: SigningKey,
    rng: SystemRandom,
}

async fn open(file: &Path) -> Log {
    let rng = SystemRandom::new();
    let [key, next_key] = [(); 2].map(|()| {
        let pkcs8 = SigningKey::generate_p256_pkcs8(&rng).unwrap();
        [(); 2].map(|()| SigningKey::from_pkcs8(&pkcs8, &rng).unwrap())
    });
    let ([key, held], [next_key, next_held]) = (key, next_key);
    let store = SqliteStore::open(file).await.unwrap();
    ledger::create_tree(&store, "large", Apis::V1, key.verifying_key(), None, &rng)
        .await
        .unwrap();
    let metrics = Registry::new();
    let ledger = Ledger::open(Settings {
        store: Arc::new(store.clone()),
        name: None,
        keys: KeyRing::new([held, next_held]),
        place: "test".into(),
        cosigner: None,
        witnessing: None,
        clock: Arc::new(SystemClock),
        rng: rng.clone(),
        metrics: metrics.clone(),
    })
    .await
    .unwrap();
    Log {
        ledger,
        store,
        metrics,
        next_key,
        rng,
    }
}

/// Leaf 0 is small.
fn leaf(number: u64) -> Vec<u8> {
    let length = if number == 0 { 8 } else { LARGE };
    number.to_be_bytes().repeat(length / 8)
}

async fn append(ledger: &Ledger, number: u64) {
    let mut index_keys = vec!["all".to_owned()];
    if number % 3 == 1 {
        index_keys.push(format!("{number} {}", "k".repeat(LONG_KEY)));
    }
    let entry = NewEntry {
        leaf_bytes: leaf(number),
        kind: "test:1".into(),
        index_keys,
        attestation: None,
    };
    ledger.append(entry).await.unwrap();
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

async fn body(ledger: &Ledger, head: &Head, index: u64) -> Vec<u8> {
    let mut entries = ledger.entries(head, &[LeafIndex(index)]).await.unwrap();
    entries.remove(0).body.to_vec()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_leaves_are_read_within_a_bound() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(&folder.path().join("log.sqlite")).await;
    let ledger = &log.ledger;
    append(ledger, 0).await;
    for few in (1..=LARGE_LEAVES).collect::<Vec<_>>().chunks(6) {
        join_all(few.iter().map(|number| append(ledger, *number))).await;
    }

    // In this order, because memory that was freed hides what is taken next: the least first. Each
    // bound is twice to three times what the work takes. Without pages bounded in bytes it took 50,
    // 80 and 240 MiB.
    let watch = Watch::begin();
    search_for_all(ledger).await;
    watch.assert_bounded("a search", 24);

    let tree = log.store.trees().await.unwrap().remove(0);
    let watch = Watch::begin();
    let report = fsck(&log.store, &tree, &|_, _| Ok(None), &mut |_| ()).await;
    let report = report.unwrap();
    watch.assert_bounded("fsck", 48);
    assert_eq!(report.findings, Vec::<String>::new());
    assert_eq!(report.size.0, 1 + LARGE_LEAVES);

    let watch = Watch::begin();
    rotate(&log).await;
    // A slow machine may keep the look-up waiting for a connection.
    while !matches!(log.store.final_checkpoint(tree.tree_id).await, Ok(Some(_))) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    watch.assert_bounded("finishing a frozen tree", 80);

    bundles_hold_small_leaves_only(ledger, tree.tree_id).await;
    large_leaves_are_not_cached(&log, tree.tree_id).await;
    ledger.stop().await;
}

async fn rotate(log: &Log) {
    let active = log.store.trees().await.unwrap().remove(0);
    let key = log.next_key.verifying_key();
    rotation::register(&log.store, &active.name, key)
        .await
        .unwrap();
    rotation::freeze(&log.store, &active, key, "large.second.example", &log.rng)
        .await
        .unwrap();
}

/// By the key of all, in one query with others and alone, and by a long one.
async fn search_for_all(ledger: &Ledger) {
    let long = format!("1 {}", "k".repeat(LONG_KEY));
    for (key, expected) in [("all".to_owned(), 1 + LARGE_LEAVES), (long, 1)] {
        let search = Search {
            keys: vec![vec![key]],
            ..Search::default()
        };
        let (mut found, mut below) = (0, None);
        loop {
            let hits = ledger
                .search(&ledger.shards(), &search, below, 1_000)
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

async fn bundles_hold_small_leaves_only(ledger: &Ledger, tree: ledger::TreeId) {
    let head = ledger.head_of(tree).unwrap();
    let bundle = async |path: &str| {
        let path: TilePath = path.parse().unwrap();
        ledger.tile_resource(&head, path).await
    };
    let small = bundle("tile/entries/000.p/1").await.unwrap().unwrap();
    assert_eq!(small[2..], leaf(0));
    for path in ["tile/entries/000.p/2", "tile/entries/000"] {
        let refused = bundle(path).await;
        let is_named = matches!(refused, Err(ReadError::LargeLeaf(LeafIndex(first))) if first > 0);
        assert!(is_named, "{path}: {refused:?}");
    }
}

async fn large_leaves_are_not_cached(log: &Log, frozen: ledger::TreeId) {
    let ledger = &log.ledger;
    let head = ledger.head_of(frozen).unwrap();
    for _ in 0..2 {
        assert_eq!(body(ledger, &head, 5).await.len(), LARGE);
    }
    assert_eq!(cache_hits(&log.metrics), 0);
    for _ in 0..2 {
        assert_eq!(body(ledger, &head, 0).await, leaf(0));
    }
    assert_eq!(cache_hits(&log.metrics), 1);
    // The trees share the cache, but not their entries.
    append(ledger, 1_000).await;
    assert_eq!(body(ledger, &ledger.head(), 0).await, leaf(1_000));
}
