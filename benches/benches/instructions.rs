//! The hashing core once more, for counting its instructions: `instructions CASE TIMES` does the
//! work of a case so many times.
//!
//! Everything is the same in each run, so the difference of two runs is the work alone. Run by
//! scripts/instructions; without arguments, as `cargo bench` runs it, it does each case once.

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::Arc;

use tlog::{
    Edge, Hash, LeafIndex, TILE_WIDTH, TileId, TileTree, TreeSize, consistency_proof,
    inclusion_proof, leaf_hash, tiles_for_consistency, tiles_for_inclusion,
};

/// As in the criterion benches.
const LEAF_BYTES: usize = 600;
const BATCH: usize = 4096;
/// Leaves before the batch: enough for a partial tile at each of two levels.
const LOG: u64 = 10_000;
const LARGE_LOG: TreeSize = TreeSize(1_000_000);
/// Proofs at a time, so that short and long ones are among them.
const PROOFS: u64 = 64;
const STRIDE: u64 = 611_953;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [case, times] if !case.starts_with('-') => run(case, times.parse().unwrap_or(0)),
        _ => ["append", "inclusion", "consistency", "tile"]
            .into_iter()
            .for_each(|case| run(case, 1)),
    }
}

fn run(case: &str, times: u32) {
    match case {
        "append" => append(times),
        "inclusion" => {
            let tiles = tiles(|at| tiles_for_inclusion(LeafIndex(at), LARGE_LOG));
            repeat(times, || {
                places()
                    .map(|at| inclusion_proof(LeafIndex(at), LARGE_LOG, &tiles))
                    .for_each(discard)
            });
        }
        "consistency" => {
            let tiles = tiles(|at| tiles_for_consistency(TreeSize(at), LARGE_LOG));
            repeat(times, || {
                places()
                    .map(|at| consistency_proof(TreeSize(at), LARGE_LOG, &tiles))
                    .for_each(discard)
            });
        }
        "tile" => {
            let hashes: Vec<Hash> = (0..TILE_WIDTH as u64).map(hash).collect();
            repeat(times, || {
                discard(TileTree::new(black_box(&hashes)).map(|tile| tile.root()))
            });
        }
        other => panic!("no case {other}"),
    }
}

/// From leaf bytes to the new root and the tiles that became full.
fn append(times: u32) {
    let mut edge = Edge::empty();
    edge.append(&(0..LOG).map(hash).collect::<Vec<_>>());
    let leaves: Vec<Vec<u8>> = (0..BATCH as u64).map(leaf).collect();
    repeat(times, || {
        let mut edge = edge.clone();
        let hashes: Vec<Hash> = leaves.iter().map(|leaf| leaf_hash(leaf)).collect();
        discard((edge.append(&hashes), edge.root()));
    });
}

fn repeat(times: u32, work: impl Fn()) {
    (0..times).for_each(|_| work());
}

fn discard<T>(value: T) {
    black_box(value);
}

/// Steps through the log so that no two proofs in a row share a tile.
fn places() -> impl Iterator<Item = u64> {
    (1..=PROOFS).map(|number| number * STRIDE % LARGE_LOG.0)
}

/// The tiles of all proofs. What is in them is made up: a proof does not look.
fn tiles(needed: impl Fn(u64) -> Vec<TileId>) -> HashMap<TileId, Arc<TileTree>> {
    let ids = places().flat_map(needed);
    ids.filter_map(|id| {
        let hashes: Vec<Hash> = (0..id.width_at(LARGE_LOG) as u64).map(hash).collect();
        Some((id, Arc::new(TileTree::new(&hashes).ok()?)))
    })
    .collect()
}

fn hash(index: u64) -> Hash {
    tlog::sha256(&index.to_be_bytes())
}

fn leaf(index: u64) -> Vec<u8> {
    index
        .to_be_bytes()
        .into_iter()
        .cycle()
        .take(LEAF_BYTES)
        .collect()
}
