//! Reads of one tree: entries, proofs, tiles and searches, each as of a head that the caller names.

mod batched;
pub(crate) mod entries;
pub(crate) mod proofs;
pub(crate) mod search;
pub(crate) mod tile_bytes;
pub(crate) mod tiles;
