//! Sealing a round: giving indexes. Pure.

use std::collections::HashMap;
use std::sync::Arc;

use tlog::{Edge, FullTile, Hash, LeafIndex};

use crate::store::{EntryRef, EntryRow, HeadRow};
use crate::{Head, head::Integrated};

/// A base that is dated further ahead of the local clock is not extended (design §4, step 9).
pub(crate) const MAX_AHEAD_SECONDS: i64 = 5;

/// Where an entry of a round ended up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) leaf_index: LeafIndex,
    pub(crate) freshness: Freshness,
}

/// Whether this submission brought the entry into the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Freshness {
    /// It did, at this integrated time, Unix seconds.
    New { time: i64 },
    /// It did, in a commit whose answer was lost.
    Recovered,
    /// Equal leaf bytes were there before.
    Duplicate,
}

/// A round with its indexes, times, tiles and root, ready to commit.
pub(crate) struct Sealed {
    pub(crate) head: HeadRow,
    pub(crate) entries: Vec<Arc<EntryRow>>,
    pub(crate) full_tiles: Vec<FullTile>,
    /// One for each proposal, in order.
    pub(crate) places: Vec<Place>,
    edge: Edge,
}

impl Sealed {
    /// The head that this round makes. MUST be called only after its commit returned.
    pub(crate) fn into_integrated(self) -> (Integrated, Vec<FullTile>, Vec<Place>) {
        (Integrated::committed(self.edge, self.head.root, self.head.time), self.full_tiles, self.places)
    }
}

/// The integrated time of a round on `base` at `local_millis`, Unix seconds; `Err` with the seconds that `base` is ahead.
pub(crate) fn integrated_time(base: &Head, local_millis: i64) -> Result<i64, i64> {
    let local = local_millis.div_euclid(1_000);
    if base.time - local > MAX_AHEAD_SECONDS { Err(base.time - local) } else { Ok(local.max(base.time)) }
}

/// Gives each proposal its place after `base`: the one of `stored`, the one of an equal proposal before it, or a new one.
pub(crate) fn seal(base: &Head, proposals: &[Arc<EntryRow>], stored: &[EntryRef], time: i64) -> Sealed {
    let mut places_by_leaf: HashMap<Hash, LeafIndex> =
        stored.iter().map(|entry| (entry.leaf_hash, entry.leaf_index)).collect();
    let mut entries = Vec::with_capacity(proposals.len());
    let mut places = Vec::with_capacity(proposals.len());
    let mut next = base.size.0;
    for proposal in proposals {
        let place = match places_by_leaf.get(&proposal.leaf_hash) {
            Some(&leaf_index) => Place { leaf_index, freshness: Freshness::Duplicate },
            None => {
                let leaf_index = LeafIndex(next);
                next += 1;
                places_by_leaf.insert(proposal.leaf_hash, leaf_index);
                entries.push(Arc::clone(proposal));
                Place { leaf_index, freshness: Freshness::New { time } }
            }
        };
        places.push(place);
    }
    let leaf_hashes: Vec<Hash> = entries.iter().map(|entry| entry.leaf_hash).collect();
    let mut edge = base.edge.clone();
    let full_tiles = edge.append(&leaf_hashes);
    let head = HeadRow { prev_size: base.size, size: edge.size(), root: edge.root(), time };
    Sealed { head, entries, full_tiles, places, edge }
}
