//! A page of events in memory.

use std::sync::Arc;

use crate::store::EventRow;

/// The entries of a page, from its first one on.
pub(crate) struct EventRows {
    /// In the order of the tree.
    pub(crate) rows: Vec<Arc<EventRow>>,
}

impl EventRows {
    /// Returns the bytes that it holds, about.
    pub(super) fn bytes(&self) -> usize {
        let of = |row: &Arc<EventRow>| {
            size_of::<EventRow>() + row.kind.len() + size_of_val(row.keys.as_slice())
        };
        self.rows.iter().map(of).sum()
    }
}
