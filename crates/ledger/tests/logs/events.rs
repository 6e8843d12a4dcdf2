//! Readers of events on SQLite: what they see, what they share, and damage.

use futures_util::future::join_all;
use ledger::events::{Event, Filter, Position, Reader};
use ledger::store::sqlite::SqliteStore;
use ledger::store::{Store as _, StoreError};
use ledger::{
    DEFAULT_NAME, EntryClaims, KeyRing, Ledger, Log, LoggedEntry, NewEntry, ReadError, Search,
    Settings, V1, V2, create_logs, rotation,
};
use prometheus::{Registry, TextEncoder};
use ring::rand::SystemRandom;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, SqliteConnection};
use tempfile::TempDir;
use tlog::{Hash, LeafIndex, SigningKey};

use crate::both::Keys;
use crate::support::{self, checkpoint_key, key, settings};

struct World {
    ledger: Ledger,
    metrics: Registry,
    folder: TempDir,
}

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&folder.path().join("log.sqlite")).await;
        let (keys, metrics) = (Keys::new(), Registry::new());
        let settings = Settings {
            metrics: metrics.clone(),
            ..settings(store.unwrap(), &keys.v1[0])
        };
        Self {
            ledger: keys.open(settings).await.unwrap(),
            metrics,
            folder,
        }
    }

    fn log(&self, api: &ledger::Api) -> &Log {
        self.ledger.log(api).unwrap()
    }

    async fn reader(&self, after: Position) -> Reader {
        let reader = self.ledger.events().reader(after, Filter::default()).await;
        reader.unwrap()
    }

    /// How often a page of v1 was read from the database.
    fn reads(&self) -> u64 {
        let text = TextEncoder::new()
            .encode_to_string(&self.metrics.gather())
            .unwrap();
        let name = "treehead_event_page_cache_total{log=\"v1\",result=\"miss\"} ";
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap().parse().unwrap()
    }

    async fn entry(&self, log: &Log, index: u64) -> LoggedEntry {
        let entries = log.entries(&log.head(), &[LeafIndex(index)]).await;
        entries.unwrap().remove(0)
    }

    /// Stores a leaf hash in the row of an entry, with the checksum of that row.
    async fn put_leaf_hash(&self, entry: &LoggedEntry, leaf_hash: Hash) {
        let index = entry.leaf_index.0;
        let (tree, time) = (entry.tree.0.to_be_bytes(), entry.time.to_be_bytes());
        let row: [&[u8]; 7] = [
            b"entry\0",
            &tree,
            &index.to_be_bytes(),
            &time,
            &leaf_hash.0,
            &[0],
            entry.kind.as_bytes(),
        ];
        let checksum = &tlog::sha256(&row.concat()).to_string()[..32];
        self.sql(&format!(
            "UPDATE entry SET leaf_hash = x'{leaf_hash}', checksum = x'{checksum}'
             WHERE tree_id = {} AND leaf_index = {index}",
            entry.tree
        ))
        .await;
    }

    async fn sql(&self, sql: &str) {
        let file = self.folder.path().join("log.sqlite");
        let url = format!("sqlite:{}", file.display());
        let mut connection = SqliteConnection::connect(&url).await.unwrap();
        let sql = AssertSqlSafe(sql.to_owned());
        connection.execute(sql).await.unwrap();
    }
}

/// Appends entries of these numbers. Each has its number as a key, and whether it is even.
async fn fill(log: &Log, numbers: std::ops::Range<u16>) {
    let entry = |n: u16| NewEntry {
        leaf_bytes: n.to_be_bytes().to_vec(),
        kind: format!("test:{}", n % 3),
        index_keys: vec![
            format!("of {n}"),
            ["even", "odd"][usize::from(n % 2)].into(),
        ],
        attestation: None,
        claims: EntryClaims::default(),
    };
    for appended in join_all(numbers.map(|n| log.append(entry(n)))).await {
        appended.unwrap();
    }
}

/// Reads all that there is, in pages of `limit`.
async fn read_all(reader: &mut Reader, limit: usize) -> Vec<Event> {
    let mut all = Vec::new();
    loop {
        let page = reader.read(limit).await.unwrap();
        assert!(page.events.len() <= limit);
        all.extend(page.events);
        if !page.more {
            return all;
        }
    }
}

fn indexes(events: &[Event], log: &str) -> Vec<u64> {
    let of_log = events.iter().filter(|event| event.log == log);
    of_log.map(|event| event.leaf_index).collect()
}

#[tokio::test]
async fn a_reader_continues_after_its_position_in_both_logs() {
    let world = World::new().await;
    let (v1, v2) = (world.log(&V1), world.log(&V2));
    fill(v1, 0..300).await;
    let mut reader = world.reader(world.ledger.events().now()).await;
    assert_eq!(read_all(&mut reader, 100).await, []);
    fill(v1, 300..320).await;
    fill(v2, 0..20).await;
    reader.wait().await;
    let first = reader.read(10).await.unwrap();
    assert_eq!((first.events.len(), first.more), (10, true));
    // A reader that left after the third event sees the fourth one next.
    let mut position = first.before;
    first.events[..3]
        .iter()
        .for_each(|event| position.pass(event));
    let mut again = world.reader(position.to_string().parse().unwrap()).await;
    let mut rest = first.events[..3].to_vec();
    rest.extend(read_all(&mut again, 7).await);
    assert_eq!(indexes(&rest, "v1"), (300..320).collect::<Vec<_>>());
    assert_eq!(indexes(&rest, "v2"), (0..20).collect::<Vec<_>>());
    assert_eq!(rest.len(), 40);
    let entry = v1.entries(&v1.head(), &[tlog::LeafIndex(300)]).await;
    let entry = entry.unwrap().remove(0);
    assert_eq!(
        (rest[0].leaf_hash, rest[0].time, &*rest[0].kind),
        (entry.leaf_hash, entry.time, entry.kind.as_str())
    );
    let uuid = format!("{:016x}{}", v1.tree().id.0, entry.leaf_hash);
    assert_eq!(rest[0].uuid(), uuid);

    let elsewhere = World::new().await;
    let of_other = elsewhere.ledger.events().now();
    let refused = world
        .ledger
        .events()
        .reader(of_other, Filter::default())
        .await;
    assert!(matches!(refused.map(|_| ()), Err(ReadError::OutOfRange(_))));
}

#[tokio::test]
async fn a_filter_lets_through_what_a_search_would_find() {
    let world = World::new().await;
    fill(world.log(&V1), 0..600).await;
    fill(world.log(&V2), 0..30).await;
    let search = Search {
        keys: vec![
            vec!["EVEN".to_owned()],
            vec!["of 4".to_owned(), "of 595".to_owned(), "of 598".to_owned()],
        ],
        kinds: vec!["test:1".to_owned()],
        ..Search::default()
    };
    let events = world.ledger.events();
    let mut reader = events
        .reader(Position::START, Filter::of(&search))
        .await
        .unwrap();
    let found = read_all(&mut reader, 1).await;
    assert_eq!(indexes(&found, "v1"), [4, 598]);
    assert_eq!(indexes(&found, "v2"), [4]);
    // It passed the others too.
    assert_eq!((reader.behind(), reader.position()), (0, &events.now()));
}

#[tokio::test]
async fn readers_at_one_place_share_reads() {
    let world = World::new().await;
    let log = world.log(&V1);
    fill(log, 0..300).await;
    let mut readers = Vec::new();
    for _ in 0..50 {
        readers.push(world.reader(Position::START).await);
    }
    for (begin, end, reads) in [(0, 300, 2), (300, 310, 3), (310, 530, 5)] {
        fill(log, begin.max(300)..end).await;
        let read = readers.iter_mut().map(|reader| read_all(reader, 40));
        for events in join_all(read).await {
            let wanted: Vec<u64> = (u64::from(begin)..u64::from(end)).collect();
            assert_eq!(indexes(&events, "v1"), wanted);
        }
        assert_eq!(world.reads(), reads, "of all readers together");
    }
}

/// Readers in the same page and at other places of it.
#[tokio::test]
async fn entries_with_very_many_keys_are_read_in_pieces() {
    let world = World::new().await;
    let log = world.log(&V1);
    fill(log, 0..3).await;
    for n in 0..12_u8 {
        let long = NewEntry {
            leaf_bytes: vec![n],
            kind: "test:1".into(),
            index_keys: vec![format!("{n}: {}", "x".repeat(400 << 10))],
            attestation: None,
            claims: EntryClaims::default(),
        };
        log.append(long).await.unwrap();
    }
    fill(log, 3..6).await;
    let mut early = world.reader(Position::START).await;
    let mut late = world.reader(Position::START).await;
    let first = late.read(10).await.unwrap();
    assert_eq!(indexes(&first.events, "v1"), (0..10).collect::<Vec<_>>());
    let (early, late) = (read_all(&mut early, 1).await, read_all(&mut late, 2).await);
    assert_eq!(indexes(&early, "v1"), (0..18).collect::<Vec<_>>());
    assert_eq!(indexes(&late, "v1"), (10..18).collect::<Vec<_>>());
    // Three of the long entries end a piece, and the pieces are shared.
    assert!((4..=6).contains(&world.reads()), "{}", world.reads());
}

/// A reader from the beginning on needs no more of a position than the oldest unread tree.
#[tokio::test]
async fn a_log_may_have_more_trees_than_a_position_names() {
    const TREES: usize = 130;
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("log.sqlite")).await;
    let (store, keys, rng) = (store.unwrap(), Keys::new(), SystemRandom::new());
    let next: Vec<Vec<u8>> = (0..TREES)
        .map(|_| SigningKey::generate_ed25519_pkcs8(&rng).unwrap())
        .collect();
    let ring = next
        .iter()
        .chain(&keys.v2)
        .chain(&keys.v1)
        .map(|pkcs8| key(pkcs8));
    let settings = Settings {
        keys: KeyRing::new(ring.chain([checkpoint_key()])),
        ..settings(store.clone(), &keys.v1[0])
    };
    let logs = keys.logs();
    let created = create_logs(&store, DEFAULT_NAME, &logs, &rng).await;
    assert!(created.unwrap());
    let ledger = support::open(settings).await.unwrap();
    let log = ledger.log(&V2).unwrap();
    for (n, pkcs8) in (0..).zip(&next) {
        fill(log, n..n + 1).await;
        let active = log.tree().id;
        let mut trees = store.trees().await.unwrap();
        trees.retain(|tree| tree.tree_id == active);
        let (key, tree) = (key(pkcs8), trees.remove(0));
        let next = key.verifying_key();
        rotation::register(&store, &tree, next).await.unwrap();
        let origin = format!("log-{n}.example");
        let frozen = rotation::freeze(&store, &tree, next, Some(&origin), &rng).await;
        frozen.unwrap();
        while log.tree().id == active {
            log.newest_shards().await.unwrap();
        }
    }
    let reader = async |after| {
        let reader = ledger.events().reader(after, Filter::default()).await;
        reader.unwrap()
    };
    let mut after = Position::START;
    for read in 0..TREES {
        let page = reader(after).await.read(10).await.unwrap();
        assert_eq!(page.events.len(), 1, "tree {read}");
        let mut position = page.before;
        position.pass(&page.events[0]);
        after = position.to_string().parse().unwrap();
    }
    assert_eq!(reader(after).await.behind(), 0);
}

#[tokio::test]
async fn an_entry_that_the_tree_does_not_have_is_no_event() {
    let world = World::new().await;
    for log in world.ledger.logs() {
        fill(log, 0..300).await;
    }
    // One below a full tile, then one below the partial one.
    for (index, before) in [(7, 0), (299, 256)] {
        let entry = world.entry(world.log(&V1), index).await;
        world.put_leaf_hash(&entry, Hash([0; 32])).await;
        let mut reader = world.reader(Position::START).await;
        let mut seen = Vec::new();
        let error = loop {
            match reader.read(100).await {
                Ok(page) => seen.extend(page.events),
                Err(error) => break error,
            }
        };
        let is_damaged = matches!(
            error,
            ReadError::Damaged(_) | ReadError::Store(StoreError::Damaged(_))
        );
        assert!(is_damaged, "{error}");
        assert_eq!(indexes(&seen, "v1").len(), before);
        assert_eq!(indexes(&seen, "v2").len(), 300, "the other log goes on");
        world.put_leaf_hash(&entry, entry.leaf_hash).await;
    }
    let mut reader = world.reader(Position::START).await;
    assert_eq!(read_all(&mut reader, 1_000).await.len(), 600);
}
