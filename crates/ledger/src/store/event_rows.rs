//! Reads rows of `entry` as events need them.

use std::ops::Range;

use sqlx::FromRow;
use tlog::LeafIndex;

use super::checksum::EntryFacts;
use super::encoding::hash;
use super::error::StoreResult;
use super::event_row::EventRow;
use super::index_keys::key_hashes;
use super::numbers::{dense, from_sql};
use super::packed_keys::unpack_keys;
use crate::TreeId;

/// Bytes of key texts that are read one by one, after which a read ends. The largest entry has as
/// many, so a read holds at most twice of it.
pub(crate) const MAX_LONG_KEY_BYTES: usize = 1 << 20;

/// The columns of such a row.
#[derive(FromRow)]
pub(crate) struct EventRecord {
    pub(crate) leaf_index: i64,
    leaf_hash: Vec<u8>,
    time: i64,
    kind: String,
    attested: bool,
    checksum: Vec<u8>,
    /// `None` where they are too long to be read with those of other entries.
    pub(crate) index_keys: Option<Vec<u8>>,
}

impl EventRecord {
    fn into_event(self, tree: TreeId) -> StoreResult<EventRow> {
        let index = from_sql(self.leaf_index, "entry.leaf_index")?;
        let leaf_hash = hash(&self.leaf_hash, "entry.leaf_hash")?;
        let facts = EntryFacts {
            tree,
            leaf_index: self.leaf_index,
            time: self.time,
            leaf_hash: &leaf_hash,
            attested: self.attested,
            kind: &self.kind,
        };
        facts.check(&self.checksum)?;
        let texts = unpack_keys(&self.index_keys.unwrap_or_default(), index)?;
        Ok(EventRow {
            leaf_index: LeafIndex(index),
            leaf_hash,
            time: self.time,
            kind: self.kind.into(),
            keys: key_hashes(&texts),
        })
    }
}

/// Returns the rows of `range`, which MUST all be there, each with its key texts.
pub(crate) fn into_events(
    tree: TreeId,
    range: &Range<u64>,
    records: Vec<EventRecord>,
) -> StoreResult<Vec<EventRow>> {
    let indexed = records.into_iter().map(|row| (row.leaf_index, row));
    let records = dense(range, indexed.collect(), "entry")?;
    let events = records.into_iter().map(|record| record.into_event(tree));
    events.collect()
}
