//! A piece of a page of events in memory.

use std::ops::Range;
use std::sync::Arc;

use crate::store::EventRow;

/// Bytes from which on a piece does not grow. Pages of entries with few and short search keys have a
/// tenth of it. With the largest read that comes on top, a piece still fits in the cache.
const MAX_BYTES: usize = 1 << 20;

/// Entries of a page that follow each other: the whole page, unless it has very many search keys.
pub(crate) struct EventRows {
    /// Leaf index of the first one.
    pub(super) first: u64,
    /// In the order of the tree.
    pub(super) rows: Vec<Arc<EventRow>>,
}

impl EventRows {
    /// Returns the leaf index after the last one.
    pub(super) fn end(&self) -> u64 {
        self.first + self.rows.len() as u64
    }

    /// Returns the entries of a range as far as they are here. `wanted` MUST begin in this piece.
    pub(super) fn of(&self, wanted: &Range<u64>) -> Vec<Arc<EventRow>> {
        let (from, to) = (
            wanted.start - self.first,
            self.end().min(wanted.end) - self.first,
        );
        self.rows[from as usize..to as usize].to_vec()
    }

    /// Returns whether it has all of a range that it will ever have, and that is something.
    pub(super) fn answers(&self, wanted: &Range<u64>) -> bool {
        let begins_here = (self.first..self.end()).contains(&wanted.start);
        begins_here && (wanted.end <= self.end() || self.is_full())
    }

    /// Returns whether a read of what follows it, up to the end of a range, leads to an answer.
    pub(super) fn leads_to(&self, wanted: &Range<u64>) -> bool {
        (self.first..=self.end()).contains(&wanted.start) && !self.is_full()
    }

    fn is_full(&self) -> bool {
        self.bytes() >= MAX_BYTES
    }

    /// Returns the bytes that it holds, about.
    pub(super) fn bytes(&self) -> usize {
        let of = |row: &Arc<EventRow>| {
            size_of::<EventRow>() + row.kind.len() + size_of_val(row.keys.as_slice())
        };
        self.rows.iter().map(of).sum()
    }
}

#[cfg(test)]
mod tests {
    use tlog::{Hash, LeafIndex};

    use super::*;
    use crate::ids::IndexKeyHash;

    /// Three entries from index 10 on, with so many keys each.
    fn piece(keys: usize) -> EventRows {
        let row = |index| EventRow {
            leaf_index: LeafIndex(index),
            leaf_hash: Hash([0; 32]),
            time: 0,
            kind: "k:1".into(),
            keys: vec![IndexKeyHash([0; 16]); keys],
        };
        EventRows {
            first: 10,
            rows: (10..13).map(row).map(Arc::new).collect(),
        }
    }

    #[test]
    fn a_piece_grows_until_it_is_full() {
        let (light, heavy) = (piece(8), piece(30_000));
        for (wanted, light_answers, light_leads, heavy_answers) in [
            (10..13, true, true, true),
            (12..13, true, true, true),
            (11..20, false, true, true),
            (13..20, false, true, false),
            (9..13, false, false, false),
            (14..20, false, false, false),
        ] {
            assert_eq!(light.answers(&wanted), light_answers, "{wanted:?}");
            assert_eq!(light.leads_to(&wanted), light_leads, "{wanted:?}");
            assert_eq!(heavy.answers(&wanted), heavy_answers, "{wanted:?}");
            assert!(!heavy.leads_to(&wanted), "{wanted:?}");
        }
        let indexes = |wanted| {
            let rows = light.of(&wanted).into_iter();
            rows.map(|row| row.leaf_index.0).collect::<Vec<_>>()
        };
        assert_eq!(indexes(11..12), [11]);
        assert_eq!(indexes(12..20), [12]);
    }
}
