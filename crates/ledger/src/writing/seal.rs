//! Sealing a round: it gives each entry its index. Pure.

use std::collections::HashMap;
use std::sync::Arc;

use tlog::{Edge, FullTile, Hash, LeafIndex};

use crate::heads::head::Integrated;
use crate::store::{EntryRef, EntryRow, HeadRow};

/// A base that is dated further ahead of the local clock is not extended.
pub(crate) const MAX_AHEAD_SECONDS: i64 = 5;

/// Outcome of an entry of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) leaf_index: LeafIndex,
    pub(crate) freshness: Freshness,
}

/// Whether this submission brought the entry into the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Freshness {
    /// It did, at this integrated time, Unix seconds.
    New { time: i64 },
    /// It was not there before the commit, whose answer was lost, and is there now. Most often that
    /// commit stored it; another server may have stored equal leaf bytes meanwhile.
    Recovered,
    /// Equal leaf bytes were there before.
    Duplicate,
}

/// The rows that a sealed round adds to the database, beside its head.
pub(crate) struct NewRows {
    pub(crate) entries: Vec<Arc<EntryRow>>,
    pub(crate) full_tiles: Vec<FullTile>,
}

/// A round with its indexes, time and root, ready to commit.
pub(crate) struct Sealed {
    pub(crate) head: HeadRow,
    /// One for each row, in order.
    pub(crate) outcomes: Vec<Outcome>,
    edge: Edge,
}

impl Sealed {
    /// Returns the head that this round makes. MUST be called only after its commit returned.
    pub(crate) fn into_integrated(self) -> (Integrated, Vec<Outcome>) {
        (
            Integrated::committed(self.edge, self.head.root, self.head.time),
            self.outcomes,
        )
    }
}

/// Returns the integrated time of a round on `base` at `local_millis`, Unix seconds; `Err` with the
/// seconds that `base` is ahead.
pub(crate) fn integrated_time(base: &Integrated, local_millis: i64) -> Result<i64, i64> {
    let local = local_millis.div_euclid(1_000);
    if base.time - local > MAX_AHEAD_SECONDS {
        Err(base.time - local)
    } else {
        Ok(local.max(base.time))
    }
}

/// Gives each row its leaf index after `base`: the one of `stored`, the one of an equal row before
/// it, or a new one.
pub(crate) fn seal(
    base: &Integrated,
    rows: &[Arc<EntryRow>],
    stored: &[EntryRef],
    time: i64,
) -> (NewRows, Sealed) {
    let mut indexes_by_leaf: HashMap<Hash, LeafIndex> = stored
        .iter()
        .map(|entry| (entry.leaf_hash, entry.leaf_index))
        .collect();
    let mut entries = Vec::with_capacity(rows.len());
    let mut outcomes = Vec::with_capacity(rows.len());
    let mut next = base.size.0;
    for row in rows {
        let outcome = match indexes_by_leaf.get(&row.leaf_hash) {
            Some(&leaf_index) => Outcome {
                leaf_index,
                freshness: Freshness::Duplicate,
            },
            None => {
                let leaf_index = LeafIndex(next);
                next += 1;
                indexes_by_leaf.insert(row.leaf_hash, leaf_index);
                entries.push(Arc::clone(row));
                Outcome {
                    leaf_index,
                    freshness: Freshness::New { time },
                }
            }
        };
        outcomes.push(outcome);
    }
    let leaf_hashes: Vec<Hash> = entries.iter().map(|entry| entry.leaf_hash).collect();
    let mut edge = base.edge.clone();
    let full_tiles = edge.append(&leaf_hashes);
    let head = HeadRow {
        prev_size: base.size,
        size: edge.size(),
        root: edge.root(),
        time,
    };
    (
        NewRows {
            entries,
            full_tiles,
        },
        Sealed {
            head,
            outcomes,
            edge,
        },
    )
}

#[cfg(test)]
mod tests {
    use tlog::{EMPTY_ROOT, TreeSize};

    use super::*;
    use crate::store::{ClaimRules, IndexKeys};

    fn head(leaves: u64, time: i64) -> Integrated {
        let mut edge = Edge::empty();
        edge.append(&(0..leaves).map(|n| row(n).leaf_hash).collect::<Vec<_>>());
        let root = edge.root();
        Integrated::committed(edge, root, time)
    }

    fn row(n: u64) -> EntryRow {
        let body = n.to_be_bytes().to_vec();
        EntryRow {
            leaf_hash: tlog::leaf_hash(&body),
            kind: "test:1".into(),
            body,
            index_keys: IndexKeys::default(),
            attestation: None,
            claims: Vec::new(),
            claim_rules: ClaimRules::default(),
        }
    }

    fn rows(numbers: impl IntoIterator<Item = u64>) -> Vec<Arc<EntryRow>> {
        numbers.into_iter().map(|n| Arc::new(row(n))).collect()
    }

    #[test]
    fn new_entries_follow_the_base_and_make_its_tree() {
        let (new, sealed) = seal(&head(250, 7), &rows(250..600), &[], 9);
        assert_eq!(
            (sealed.head.prev_size, sealed.head.size, sealed.head.time),
            (TreeSize(250), TreeSize(600), 9)
        );
        assert_eq!(sealed.head.root, head(600, 0).root);
        assert_eq!(new.full_tiles.len(), 2);
        let indexes: Vec<u64> = sealed
            .outcomes
            .iter()
            .map(|outcome| outcome.leaf_index.0)
            .collect();
        assert_eq!(indexes, (250..600).collect::<Vec<_>>());
    }

    #[test]
    fn duplicates_get_the_stored_index_or_that_of_the_round() {
        let stored = [EntryRef {
            leaf_index: LeafIndex(3),
            leaf_hash: row(3).leaf_hash,
        }];
        let (new, sealed) = seal(&head(10, 0), &rows([10, 3, 10, 11]), &stored, 1);
        let outcomes: Vec<(u64, Freshness)> = sealed
            .outcomes
            .iter()
            .map(|outcome| (outcome.leaf_index.0, outcome.freshness))
            .collect();
        let fresh = Freshness::New { time: 1 };
        assert_eq!(
            outcomes,
            [
                (10, fresh),
                (3, Freshness::Duplicate),
                (10, Freshness::Duplicate),
                (11, fresh)
            ]
        );
        assert_eq!(new.entries.len(), 2);
    }

    #[test]
    fn a_round_of_duplicates_makes_no_head() {
        let stored = [EntryRef {
            leaf_index: LeafIndex(0),
            leaf_hash: row(0).leaf_hash,
        }];
        let (new, sealed) = seal(&head(1, 0), &rows([0, 0]), &stored, 1);
        assert!(new.entries.is_empty() && new.full_tiles.is_empty());
        assert_ne!(sealed.head.root, EMPTY_ROOT);
    }

    #[test]
    fn time_never_goes_back_and_never_follows_a_base_from_the_future() {
        assert_eq!(integrated_time(&head(1, 100), 101_999), Ok(101));
        assert_eq!(integrated_time(&head(1, 100), 95_000), Ok(100));
        assert_eq!(integrated_time(&head(1, 100), 94_999), Err(6));
    }
}
