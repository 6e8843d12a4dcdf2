//! Reads of one tree: entries, proofs, tiles and searches, each as of a head that the caller
//! passes.

mod batched;
pub(crate) mod caches;
mod entries;
pub(crate) mod entry;
pub(crate) mod event_rows;
pub(crate) mod events;
pub(crate) mod reader;
pub(crate) mod search;
mod tile_bytes;
mod tiles;
