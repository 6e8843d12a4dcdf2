//! The view of a log that a request has: the published head of each shard.

pub(crate) mod active;
pub(crate) mod finish;
pub(crate) mod gaps;
pub(crate) mod open_log;
pub(crate) mod opening;
pub(crate) mod shard;
pub(crate) mod trees;

use std::sync::Arc;

use tlog::LeafIndex;

use crate::heads::head::Head;
use crate::ids::TreeId;
use gaps::Gaps;

/// One published head of each shard of a log; the list of shards is of one moment. A handler takes
/// one, which is *the* state of the log for that request.
#[derive(Clone)]
pub struct Shards {
    frozen: Vec<Arc<Head>>,
    active: Arc<Head>,
    gaps: Gaps,
}

impl Shards {
    pub(crate) fn new(frozen: Vec<Arc<Head>>, active: Arc<Head>, gaps: Gaps) -> Self {
        Self {
            frozen,
            active,
            gaps,
        }
    }

    /// Returns whether both are the very same heads.
    pub fn is_same(&self, other: &Self) -> bool {
        let mut pairs = self.active_first().zip(other.active_first());
        self.frozen.len() == other.frozen.len() && pairs.all(|(one, other)| Arc::ptr_eq(one, other))
    }

    /// Returns the shard that accepts entries.
    pub fn active(&self) -> &Arc<Head> {
        &self.active
    }

    /// Returns the heads of the frozen shards, oldest first. Each is the shard's last head, or with
    /// a witness policy for a while an earlier one.
    pub fn frozen(&self) -> &[Arc<Head>] {
        &self.frozen
    }

    /// Returns all shards, the active one first, then oldest first: the order in which Rekor looks
    /// for an entry.
    pub fn active_first(&self) -> impl Iterator<Item = &Arc<Head>> {
        [&self.active].into_iter().chain(&self.frozen)
    }

    /// Returns all shards, newest first.
    pub fn newest_first(&self) -> impl Iterator<Item = &Arc<Head>> {
        [&self.active].into_iter().chain(self.frozen.iter().rev())
    }

    /// Returns the shard of this tree.
    pub fn of_tree(&self, tree: TreeId) -> Option<&Arc<Head>> {
        self.active_first().find(|head| head.tree.id == tree)
    }

    /// Returns the shard whose origin is `name`, compared without case as host names are.
    pub fn of_origin(&self, name: &str) -> Option<&Arc<Head>> {
        self.active_first()
            .find(|head| head.tree.origin.eq_ignore_ascii_case(name))
    }

    /// Returns the shard and leaf index of a log index, if a published head covers it.
    pub fn find(&self, log_index: u64) -> Option<(&Arc<Head>, LeafIndex)> {
        self.newest_first().find_map(|head| {
            let leaf_index = log_index.checked_sub(head.tree.first_log_index)?;
            (leaf_index < head.size.0).then_some((head, LeafIndex(leaf_index)))
        })
    }
}
