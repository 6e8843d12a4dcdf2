//! The hashing core: leaves, nodes, batch appends, tiles, proofs.
//!
//! Each `ring` line is plain SHA-256 over exactly the inputs that the line beside it hashes,
//! prefixes included and laid out beforehand: what is above it is our own cost.

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::Arc;

use criterion::{
    BatchSize, BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group, criterion_main,
};
use ring::digest::{SHA256, digest};
use rs_merkle::{Hasher, MerkleTree};
use tlog::{
    Edge, Hash, LeafIndex, TILE_WIDTH, TileId, TileTree, TreeSize, consistency_proof,
    inclusion_proof, leaf_hash, node_hash, verify_consistency, verify_inclusion,
};

/// A `hashedrekord` entry with a P-256 key has 557 bytes, so this is a usual leaf.
const LEAF_BYTES: usize = 600;
/// Leaves before the batch, within a tile at every level.
const LOG: u64 = 100_000;
/// Leaves of the log whose proofs are made.
const LARGE_LOG: u64 = 1_000_000;
/// Steps through a log so that no two proofs in a row share a tile.
const STRIDE: u64 = 611_953;

fn hashes(c: &mut Criterion) {
    let mut group = c.benchmark_group("hash");
    let leaf = leaf(0);
    let leaf_input = [&[0], leaf.as_slice()].concat();
    group.bench_function("leaf of 600 bytes/ring", |b| {
        b.iter(|| digest(&SHA256, black_box(&leaf_input)))
    });
    group.bench_function("leaf of 600 bytes/tlog", |b| {
        b.iter(|| leaf_hash(black_box(&leaf)))
    });
    let (left, right) = (
        leaf_hash(&leaf),
        node_hash(&leaf_hash(&leaf), &leaf_hash(&leaf)),
    );
    let node_input = node_input(&left, &right);
    group.bench_function("node/ring", |b| {
        b.iter(|| digest(&SHA256, black_box(&node_input)))
    });
    group.bench_function("node/tlog", |b| {
        b.iter(|| node_hash(black_box(&left), black_box(&right)))
    });
    group.finish();
}

/// From leaf bytes to the new root and the tiles that became full.
fn append(c: &mut Criterion) {
    let mut log = Log::default();
    let before: Vec<Hash> = (0..LOG).map(|index| leaf_hash(&leaf(index))).collect();
    before.iter().for_each(|leaf| log.push(*leaf));
    let mut edge = Edge::empty();
    edge.append(&before);

    let mut group = c.benchmark_group("append leaves of 600 bytes");
    // One batch a sample: on a busy machine the fastest ones are those that nothing interrupted
    // (scripts/hashing).
    group
        .sampling_mode(SamplingMode::Flat)
        .sample_size(1000)
        .nresamples(1000);
    for count in [1, 256, 4096] {
        let leaves: Vec<Vec<u8>> = (LOG..LOG + count).map(leaf).collect();
        let leaf_inputs: Vec<Vec<u8>> = leaves
            .iter()
            .map(|leaf| [&[0], leaf.as_slice()].concat())
            .collect();
        let (root, node_inputs) = log.clone().appended(&leaves);
        group.throughput(Throughput::Elements(count));
        group.bench_function(BenchmarkId::new("ring", count), |b| {
            b.iter(|| {
                leaf_inputs.iter().for_each(|input| ring(input));
                node_inputs.iter().for_each(|input| ring(input));
            });
        });
        group.bench_function(BenchmarkId::new("tlog", count), |b| {
            b.iter(|| {
                let mut edge = edge.clone();
                let hashes: Vec<Hash> = leaves.iter().map(|leaf| leaf_hash(leaf)).collect();
                let full = edge.append(&hashes);
                assert_eq!(edge.root(), root);
                full
            });
        });
    }
    group.sample_size(10);
    let tree =
        MerkleTree::<Rfc6962>::from_leaves(&before.iter().map(|hash| hash.0).collect::<Vec<_>>());
    for count in [1, 256, 4096] {
        let leaves: Vec<Vec<u8>> = (LOG..LOG + count).map(leaf).collect();
        let (root, _) = log.clone().appended(&leaves);
        group.throughput(Throughput::Elements(count));
        group.bench_function(
            BenchmarkId::new("rs_merkle over the whole log", count),
            |b| {
                let append = |mut tree: MerkleTree<Rfc6962>| {
                    tree.append(&mut leaves.iter().map(|leaf| leaf_hash(leaf).0).collect());
                    tree.commit();
                    assert_eq!(tree.root(), Some(root.0));
                    tree
                };
                b.iter_batched(|| tree.clone(), append, BatchSize::PerIteration);
            },
        );
    }
    group.finish();
}

/// The cost of a round of one entry at the right edge, by how full the tile is; and of a cached
/// tile costs once.
fn tiles(c: &mut Criterion) {
    let hashes: Vec<Hash> = (0..TILE_WIDTH as u64)
        .map(|index| leaf_hash(&leaf(index)))
        .collect();
    let mut log = Log::default();
    hashes.iter().for_each(|leaf| log.push(*leaf));
    let mut group = c.benchmark_group("tile");
    group.bench_function("decode 256/ring", |b| {
        b.iter(|| log.nodes.iter().for_each(|input| ring(input)));
    });
    group.bench_function("decode 256/tlog", |b| {
        b.iter(|| TileTree::new(black_box(&hashes)))
    });
    for width in [1, 128, 254] {
        let mut edge = Edge::empty();
        edge.append(&hashes[..width]);
        group.bench_function(BenchmarkId::new("round of one entry after", width), |b| {
            b.iter(|| {
                let mut edge = edge.clone();
                edge.append(&hashes[width..=width]);
                edge.root()
            });
        });
    }
    group.finish();
}

fn proofs(c: &mut Criterion) {
    let leaves: Vec<Hash> = (0..LARGE_LOG)
        .map(|index| tlog::sha256(&index.to_be_bytes()))
        .collect();
    let mut edge = Edge::empty();
    let full = edge.append(&leaves);
    let decoded = full
        .iter()
        .filter_map(|tile| Some((tile.id, Arc::new(TileTree::new(&tile.hashes).ok()?))));
    let cached: HashMap<TileId, Arc<TileTree>> = decoded.chain(edge.tiles()).collect();
    let (size, root) = (edge.size(), edge.root());

    let mut group = c.benchmark_group("proof in 1,000,000 leaves");
    let mut at = 0;
    let mut next = || {
        at = (at + STRIDE) % LARGE_LOG;
        at
    };
    group.bench_function("make inclusion", |b| {
        b.iter(|| inclusion_proof(LeafIndex(next()), size, &cached))
    });
    group.bench_function("make consistency", |b| {
        b.iter(|| consistency_proof(TreeSize(next()), size, &cached))
    });

    let index = LeafIndex(STRIDE);
    let proof = inclusion_proof(index, size, &cached).unwrap_or_default();
    let leaf = leaves[STRIDE as usize];
    assert_eq!(verify_inclusion(&leaf, index, size, &root, &proof), Ok(()));
    group.bench_function(format!("verify inclusion of {} hashes", proof.len()), |b| {
        b.iter(|| verify_inclusion(black_box(&leaf), index, size, &root, &proof));
    });

    let mut first = Edge::empty();
    first.append(&leaves[..STRIDE as usize]);
    let (first, first_root) = (first.size(), first.root());
    let proof = consistency_proof(first, size, &cached).unwrap_or_default();
    assert_eq!(
        verify_consistency(first, &first_root, size, &root, &proof),
        Ok(())
    );
    group.bench_function(
        format!("verify consistency of {} hashes", proof.len()),
        |b| {
            b.iter(|| verify_consistency(first, black_box(&first_root), size, &root, &proof));
        },
    );
    group.finish();
}

/// Plain SHA-256.
fn ring(input: &[u8]) {
    black_box(digest(&SHA256, input));
}

fn leaf(index: u64) -> Vec<u8> {
    index
        .to_be_bytes()
        .into_iter()
        .cycle()
        .take(LEAF_BYTES)
        .collect()
}

fn node_input(left: &Hash, right: &Hash) -> [u8; 65] {
    let mut input = [1; 65];
    input[1..33].copy_from_slice(&left.0);
    input[33..].copy_from_slice(&right.0);
    input
}

/// The least that an append can hash: each perfect subtree once when it is complete, and for the
/// root one node less than there are perfect subtrees. Keeps what it hashed.
#[derive(Clone, Default)]
struct Log {
    subtrees: Vec<(u32, Hash)>,
    nodes: Vec<[u8; 65]>,
}

impl Log {
    fn push(&mut self, leaf: Hash) {
        self.subtrees.push((0, leaf));
        while let [.., (left_height, left), (height, right)] = self.subtrees[..]
            && left_height == height
        {
            let node = self.node(&left, &right);
            self.subtrees.truncate(self.subtrees.len() - 2);
            self.subtrees.push((height + 1, node));
        }
    }

    /// Root and node inputs of one batch.
    fn appended(mut self, leaves: &[Vec<u8>]) -> (Hash, Vec<[u8; 65]>) {
        self.nodes.clear();
        leaves.iter().for_each(|leaf| self.push(leaf_hash(leaf)));
        let subtrees: Vec<Hash> = self.subtrees.iter().map(|(_, hash)| *hash).collect();
        let root = subtrees
            .into_iter()
            .rev()
            .reduce(|right, left| self.node(&left, &right));
        (root.unwrap_or(tlog::EMPTY_ROOT), self.nodes)
    }

    fn node(&mut self, left: &Hash, right: &Hash) -> Hash {
        self.nodes.push(node_input(left, right));
        node_hash(left, right)
    }
}

#[derive(Clone)]
struct Rfc6962;

impl Hasher for Rfc6962 {
    type Hash = [u8; 32];

    fn hash(data: &[u8]) -> [u8; 32] {
        leaf_hash(data).0
    }

    fn concat_and_hash(left: &[u8; 32], right: Option<&[u8; 32]>) -> [u8; 32] {
        right.map_or(*left, |right| node_hash(&Hash(*left), &Hash(*right)).0)
    }
}

criterion_group!(benches, hashes, append, tiles, proofs);
criterion_main!(benches);
