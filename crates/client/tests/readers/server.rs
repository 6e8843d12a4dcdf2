//! Servers in memory: answers by path, as an honest log gives them, to be falsified by the tests.

use std::cell::RefCell;
use std::collections::HashMap;
use std::future::Future;
use std::pin::pin;
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};

use client::{Answer, Ask, Fetch, FetchError, LogKey};
use ring::rand::SystemRandom;
use tlog::{Checkpoint, Edge, Hash, SigningKey, TILE_WIDTH, TileId, TilePath, TileResource};

pub(crate) const URL: &str = "http://log.example";
pub(crate) const ORIGIN: &str = "log.example";

/// Answers by path. A path that is not there is 404.
#[derive(Debug, Default)]
pub(crate) struct Server {
    pub answers: HashMap<String, Answer>,
    /// The paths that were asked for, in order.
    pub asked: Mutex<Vec<String>>,
}

impl Server {
    pub(crate) fn put(&mut self, path: impl Into<String>, body: impl Into<Vec<u8>>) {
        let body = body.into();
        let answer = Answer { status: 200, body };
        self.answers.insert(path.into(), answer);
    }
}

impl Fetch for &Server {
    async fn fetch(&self, ask: &Ask) -> Result<Answer, FetchError> {
        let path = ask.url.strip_prefix(URL).unwrap().to_owned();
        let absent = || Answer {
            status: 404,
            body: Vec::new(),
        };
        let answer = self.answers.get(&path).cloned().unwrap_or_else(absent);
        assert!(answer.body.len() <= ask.limit, "{path}");
        self.asked.lock().unwrap().push(path);
        Ok(answer)
    }
}

/// The key of the log.
pub(crate) fn key() -> SigningKey {
    thread_local! { static PKCS8: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) }; }
    let rng = SystemRandom::new();
    let generate = || SigningKey::generate_p256_pkcs8(&rng).unwrap();
    let pkcs8 = PKCS8.with_borrow_mut(|pkcs8| pkcs8.get_or_insert_with(generate).clone());
    SigningKey::from_pkcs8(&pkcs8, &rng).unwrap()
}

/// What a client of the log trusts.
pub(crate) fn trusted() -> Vec<LogKey> {
    vec![LogKey::new(key().verifying_key().clone())]
}

/// The leaf bytes of the entries.
pub(crate) fn leaf(prefix: &str, index: usize) -> Vec<u8> {
    format!("{prefix} {index}").into_bytes()
}

/// The hashes of the first `size` leaves.
pub(crate) fn leaf_hashes(prefix: &str, size: usize) -> Vec<Hash> {
    let leaves = (0..size).map(|index| leaf(prefix, index));
    leaves.map(|leaf| tlog::leaf_hash(&leaf)).collect()
}

/// The signed head of a tree of such leaves.
pub(crate) fn signed(origin: &str, name: &str, hashes: &[Hash]) -> String {
    let mut edge = Edge::empty();
    edge.append(hashes);
    let head = Checkpoint::new(origin, edge.size(), edge.root());
    head.sign(name, &key(), &SystemRandom::new()).unwrap()
}

/// A log with tiles below `prefix`.
pub(crate) fn tiled(prefix: &str, leaves: &str, size: usize) -> Server {
    let mut server = Server::default();
    let hashes = leaf_hashes(leaves, size);
    server.put(
        format!("{prefix}/checkpoint"),
        signed(ORIGIN, ORIGIN, &hashes),
    );
    let mut put = |resource, width: usize, body: Vec<u8>| {
        let partial = u8::try_from(width).ok().and_then(std::num::NonZeroU8::new);
        server.put(format!("{prefix}/{}", TilePath { resource, partial }), body);
    };
    let mut level = 0;
    let mut nodes = hashes;
    while !nodes.is_empty() {
        let mut above = Vec::new();
        for (index, tile) in (0..).zip(nodes.chunks(TILE_WIDTH)) {
            let bytes = tile.iter().flat_map(|hash| hash.0).collect();
            put(
                TileResource::Tile(TileId { level, index }),
                tile.len(),
                bytes,
            );
            if tile.len() == TILE_WIDTH {
                above.push(tlog::TileTree::new(tile).unwrap().root());
            }
        }
        nodes = above;
        level += 1;
    }
    for index in 0..size.div_ceil(TILE_WIDTH) {
        let entries = index * TILE_WIDTH..size.min((index + 1) * TILE_WIDTH);
        let width = entries.len();
        let mut bundle = Vec::new();
        for entry in entries.map(|index| leaf(leaves, index)) {
            bundle.extend(u16::try_from(entry.len()).unwrap().to_be_bytes());
            bundle.extend(entry);
        }
        put(TileResource::Entries(index as u64), width, bundle);
    }
    server
}

/// Runs what never waits.
pub(crate) fn now<T>(future: impl Future<Output = T>) -> T {
    let mut context = Context::from_waker(Waker::noop());
    match pin!(future).poll(&mut context) {
        Poll::Ready(result) => result,
        Poll::Pending => panic!("a server in memory waits for nothing"),
    }
}
