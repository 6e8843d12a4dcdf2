//! RFC 6962 trees, C2SP tiles, proofs, signed notes and checkpoints.
//!
//! Pure: no I/O, no clock, no async, no JSON, nothing of Rekor. Randomness for signatures is an
//! argument. Absent: entry bundles, other digests than SHA-256, other tile heights than 8.
//!
//! # A log
//!
//! [`Edge`] appends leaves. It returns each tile that becomes full, which the caller stores, and
//! keeps the partial tiles at the right edge. Proofs are computed from tiles:
//!
//! ```
//! use std::collections::HashMap;
//! use std::sync::Arc;
//!
//! use tlog::*;
//!
//! let leaves: Vec<Hash> = (0..300_u32).map(|n| leaf_hash(&n.to_be_bytes())).collect();
//! let mut edge = Edge::empty();
//! let full = edge.append(&leaves);
//! assert_eq!(full.len(), 1);
//!
//! let mut tiles = HashMap::from([(full[0].id, Arc::new(TileTree::new(&full[0].hashes).unwrap()))]);
//! tiles.extend(edge.tiles());
//! let (index, size) = (LeafIndex(7), edge.size());
//! let proof = inclusion_proof(index, size, &tiles).unwrap();
//! verify_inclusion(&leaves[7], index, size, &edge.root(), &proof).unwrap();
//! ```
//!
//! # A checkpoint
//!
//! ```
//! use ring::rand::SystemRandom;
//! use tlog::*;
//!
//! let rng = SystemRandom::new();
//! let pkcs8 = SigningKey::generate_p256_pkcs8(&rng).unwrap();
//! let key = SigningKey::from_pkcs8(&pkcs8, &rng).unwrap();
//!
//! let checkpoint = Checkpoint::new("log.example.org", TreeSize(0), EMPTY_ROOT);
//! let note = checkpoint.sign("log.example.org", &key, &rng).unwrap();
//!
//! let public = NoteKey::new("log.example.org", key.verifying_key().clone()).unwrap();
//! let opened = Checkpoint::open(&note, "log.example.org", &[public]).unwrap();
//! assert_eq!(opened, checkpoint);
//! ```

mod add_checkpoint;
mod audit;
mod checkpoint;
mod cosignature;
mod edge;
mod hash;
mod key;
mod note;
mod path;
mod proof;
mod receipt;
mod tile;
mod tlog_proof;
mod verify;
mod witness_policy;

pub use add_checkpoint::*;
pub use audit::*;
pub use checkpoint::*;
pub use cosignature::*;
pub use edge::*;
pub use hash::*;
pub use key::*;
pub use note::*;
pub use path::*;
pub use proof::*;
pub use receipt::*;
pub use tile::*;
pub use tlog_proof::*;
pub use verify::*;
pub use witness_policy::*;
