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
const MAX_LONG_KEY_BYTES: usize = 1 << 20;

/// The columns of such a row.
#[derive(FromRow)]
pub(crate) struct EventRecord {
    leaf_index: i64,
    leaf_hash: Vec<u8>,
    time: i64,
    kind: String,
    attested: bool,
    checksum: Vec<u8>,
    /// `None` where they are too long to be read with those of other entries.
    index_keys: Option<Vec<u8>>,
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

/// The rows of a range, of which long key texts are still to be read.
pub(crate) struct EventRead {
    range: Range<u64>,
    rows: Vec<EventRecord>,
    /// Rows that have their key texts, from the first on.
    complete: usize,
    long_bytes: usize,
}

impl EventRead {
    pub(crate) fn new(range: Range<u64>, rows: Vec<EventRecord>) -> Self {
        Self {
            range,
            rows,
            complete: 0,
            long_bytes: 0,
        }
    }

    /// Returns the leaf index of the next entry whose key texts are to be read. Where enough were
    /// read, the rows end before it.
    pub(crate) fn next_long(&mut self) -> Option<i64> {
        let mut rest = self.rows[self.complete..].iter();
        self.complete += rest.position(|row| row.index_keys.is_none())?;
        if self.long_bytes >= MAX_LONG_KEY_BYTES {
            self.rows.truncate(self.complete);
            self.range.end = self.range.start + self.complete as u64;
            return None;
        }
        Some(self.rows[self.complete].leaf_index)
    }

    /// Adds the key texts of the entry that [`EventRead::next_long`] returned last.
    pub(crate) fn put_keys(&mut self, keys: Vec<u8>) {
        self.long_bytes += keys.len();
        self.rows[self.complete].index_keys = Some(keys);
    }

    /// Returns the rows of the range, which MUST all be there, each with its key texts.
    pub(crate) fn into_events(self, tree: TreeId) -> StoreResult<Vec<EventRow>> {
        let indexed = self.rows.into_iter().map(|row| (row.leaf_index, row));
        let records = dense(&self.range, indexed.collect(), "entry")?;
        let events = records.into_iter().map(|record| record.into_event(tree));
        events.collect()
    }
}
