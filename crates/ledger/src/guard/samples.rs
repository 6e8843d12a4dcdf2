//! Heads for the tests of the guard.

use std::sync::LazyLock;

use ring::rand::SystemRandom;
use tlog::{Checkpoint, Edge, SigningKey, leaf_hash};

use super::kept::{GuardedHead, GuardedHeads, GuardedTexts};
use crate::ids::TreeId;

const ORIGIN: &str = "log.example.org";

/// A signature of Ed25519 is the same each time.
static KEY: LazyLock<SigningKey> = LazyLock::new(|| {
    let rng = SystemRandom::new();
    let pkcs8 = SigningKey::generate_ed25519_pkcs8(&rng).unwrap();
    SigningKey::from_pkcs8(&pkcs8, &rng).unwrap()
});

/// Returns the signed head of a tree of so many leaves.
pub(super) fn guarded_head(api: &str, size: usize) -> GuardedHead {
    let leaves: Vec<_> = (0..size).map(|n| leaf_hash(&n.to_be_bytes())).collect();
    let mut edge = Edge::empty();
    edge.append(&leaves);
    head_of(api, &edge)
}

/// Returns the signed head of the tree with that right edge.
pub(super) fn head_of(api: &str, edge: &Edge) -> GuardedHead {
    let checkpoint = Checkpoint::new(ORIGIN, edge.size(), edge.root());
    let note = checkpoint.sign(ORIGIN, &KEY, &SystemRandom::new()).unwrap();
    GuardedHead {
        api: api.to_owned(),
        tree: TreeId(7),
        first_log_index: 0,
        time: 1_790_000_000,
        texts: Some(GuardedTexts {
            rekor_checkpoint: (api == "v1").then(|| note.clone()),
            checkpoint: note,
        }),
        edge: edge.clone(),
    }
}

/// Returns the heads of a log of each API.
pub(super) fn two_logs(v1: usize, v2: usize) -> GuardedHeads {
    GuardedHeads {
        ledger: ORIGIN.to_owned(),
        heads: vec![guarded_head("v1", v1), guarded_head("v2", v2)],
    }
}
