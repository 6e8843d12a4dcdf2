//! Gives each leaf one index, durably, and signs the tree.
//!
//! Leaf bytes are opaque here: which kinds exist, who may submit and how an answer looks is somebody else's business.

use std::fmt;

pub mod key_file;
pub mod store;

/// Identity of one tree (shard): 1 ..= i63. Decimal in checkpoints, 16 hex digits in entry IDs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TreeId(pub i64);

impl fmt::Display for TreeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// First 16 bytes of the SHA-256 of a lower-cased index key: what the search table is keyed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IndexKeyHash(pub [u8; 16]);

impl IndexKeyHash {
    /// Hash of a key text that is already lower-cased.
    pub fn of(key: &str) -> Self {
        let digest = ring::digest::digest(&ring::digest::SHA256, key.as_bytes());
        let mut prefix = [0; 16];
        prefix.copy_from_slice(&digest.as_ref()[..16]);
        Self(prefix)
    }
}

mod active;
mod apis;
mod append;
mod clock;
mod core;
mod entries;
mod finish;
mod follow;
pub mod fsck;
mod gather;
mod head;
mod keys;
mod ledger;
mod log;
mod metrics;
mod names;
mod presence;
mod publish;
mod read;
pub mod rotation;
mod seal;
mod search;
mod sequencer;
mod shards;
mod tasks;
mod tile_bytes;
mod tiles;
mod timestamps;
mod trees;
mod witnesses;

pub use apis::Apis;
pub use append::{AppendError, Appended, NewEntry};
pub use clock::{Clock, SystemClock};
pub use head::{Head, SigningError, Tree};
pub use keys::{KeyRing, key_files};
pub use ledger::{Ledger, OpenError, Settings};
pub use names::{check_name, check_new_name};
pub use publish::{MAX_UNPUBLISHED_ENTRIES, MAX_UNPUBLISHED_TIME, Witnessing};
pub use read::{InclusionProof, LoggedEntry, ReadError};
pub use search::{Hit, Hits, Search};
pub use sequencer::{
    MAX_QUEUE_WAIT, MAX_QUEUED_BYTES, MAX_QUEUED_ENTRIES, MAX_ROUND_BYTES, MAX_ROUND_ENTRIES, MAX_ROUND_INDEX_KEYS,
    MAX_WAITING_BYTES,
};
pub use shards::Shards;
pub use tasks::Fatal;
pub use trees::{DEFAULT_NAME, MAX_LEAF_BYTES, MAX_V1_LEAF_BYTES, active_trees, check_cosigner, create_tree, find_log};
pub use witnesses::{WITNESS_TIMEOUT, WitnessAnswer, WitnessTransport};
