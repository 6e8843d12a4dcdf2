use std::collections::HashMap;
use std::num::NonZeroU8;
use std::sync::Arc;

use ring::rand::SystemRandom;
use serde_json::json;
use tlog::{Checkpoint, Edge, SigningKey, TilePath};

use super::*;
use crate::fetch::{Answer, Ask, FetchError};
use crate::key::LogKey;

/// Answers of a server by path.
#[derive(Clone, Default)]
struct Paths(Arc<HashMap<String, Vec<u8>>>);

impl Fetch for Paths {
    async fn fetch(&self, ask: &Ask) -> Result<Answer, FetchError> {
        let path = ask.url.strip_prefix("http://log").unwrap_or_default();
        Ok(match self.0.get(path) {
            Some(body) => Answer {
                status: 200,
                body: body.clone(),
            },
            None => Answer {
                status: 404,
                body: Vec::new(),
            },
        })
    }
}

/// A tree of this size: its head, its leaves, and what a server of tiles shows.
fn tree(size: usize) -> (SignedHead, Vec<Vec<u8>>, HashMap<String, Vec<u8>>) {
    let leaves: Vec<_> = (0..size)
        .map(|leaf| format!("leaf {leaf}").into_bytes())
        .collect();
    let hashes: Vec<_> = leaves.iter().map(|leaf| tlog::leaf_hash(leaf)).collect();
    let mut edge = Edge::empty();
    let full = edge.append(&hashes);
    let mut tiles: Vec<_> = edge.tiles();
    tiles.extend(full.iter().map(|tile| {
        let tree = TileTree::new(&tile.hashes).unwrap();
        (tile.id, Arc::new(tree))
    }));
    let mut paths = HashMap::new();
    for (id, tile) in tiles {
        let partial = u8::try_from(tile.width()).ok().and_then(NonZeroU8::new);
        let path = |resource| format!("/{}", TilePath { resource, partial });
        paths.insert(path(TileResource::Tile(id)), tile.bytes().to_vec());
        if id.level == 0 {
            let first = id.index as usize * TILE_WIDTH;
            let mut bundle = Vec::new();
            for leaf in &leaves[first..first + tile.width()] {
                bundle.extend_from_slice(&(leaf.len() as u16).to_be_bytes());
                bundle.extend_from_slice(leaf);
            }
            paths.insert(path(TileResource::Entries(id.index)), bundle);
        }
    }
    let rng = SystemRandom::new();
    let pkcs8 = SigningKey::generate_ed25519_pkcs8(&rng).unwrap();
    let key = SigningKey::from_pkcs8(&pkcs8, &rng).unwrap();
    let note = Checkpoint::new("log", edge.size(), edge.root()).sign("log", &key, &rng);
    let keys = [LogKey::new(key.verifying_key().clone())];
    let head = SignedHead::open(&keys, &note.unwrap()).unwrap();
    (head, leaves, paths)
}

async fn open(
    head: &SignedHead,
    paths: HashMap<String, Vec<u8>>,
) -> Result<TreeReader<Paths>, BulkError> {
    let log = TiledLog::new("http://log", Vec::new(), Paths(Arc::new(paths)));
    TreeReader::open(log, head.clone()).await
}

async fn read(reader: &mut TreeReader<Paths>, number: u64) -> Result<Vec<Vec<u8>>, BulkError> {
    let wanted = reader.want(number).await?;
    let bundle = reader.read(&wanted).await?;
    for (place, (index, hash, leaf)) in bundle.entries().enumerate() {
        assert_eq!(index.0, number * 256 + place as u64);
        assert_eq!(hash, tlog::leaf_hash(leaf));
    }
    Ok(bundle.entries().map(|(_, _, leaf)| leaf.to_vec()).collect())
}

#[tokio::test]
async fn every_entry_is_read() {
    for size in [1, 255, 256, 257, 512, 700, 65_536, 66_000] {
        let (head, leaves, paths) = tree(size);
        let mut reader = open(&head, paths).await.unwrap();
        let mut got = Vec::new();
        for number in 0..(size as u64).div_ceil(256) {
            got.extend(read(&mut reader, number).await.unwrap());
        }
        assert!(got == leaves, "{size}");
    }
}

#[tokio::test]
async fn entries_that_a_bundle_cannot_hold_are_read_one_by_one() {
    let (head, leaves, mut paths) = tree(700);
    let absent = "/tile/entries/001";
    paths.remove(absent).unwrap();
    let mut reader = open(&head, paths.clone()).await.unwrap();
    let error = read(&mut reader, 1).await.unwrap_err();
    assert!(matches!(error, BulkError::Read(ReadError::Absent(_))));
    for (index, leaf) in leaves.iter().enumerate().skip(256).take(256) {
        let entry = json!({"canonicalizedBody": STANDARD.encode(leaf)});
        paths.insert(format!("/entries/{index}"), entry.to_string().into_bytes());
    }
    let mut reader = open(&head, paths.clone()).await.unwrap();
    assert!(read(&mut reader, 1).await.unwrap() == leaves[256..512]);
    let other = json!({"canonicalizedBody": STANDARD.encode("other")});
    paths.insert("/entries/300".to_owned(), other.to_string().into_bytes());
    let mut reader = open(&head, paths).await.unwrap();
    match read(&mut reader, 1).await {
        Err(BulkError::Entry(bad)) => assert_eq!(bad.inclusion.leaf_index.0, 300),
        other => panic!("{other:?}"),
    }
}
