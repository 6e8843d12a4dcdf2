//! A log that is being opened: its trees are read and checked, and nothing of it was let out yet.

use std::sync::Arc;

use super::shard::Shard;
use crate::guard::floor::{Floors, Verdict};
use crate::ids::TreeId;
use crate::open_error::OpenError;
use crate::parts::LogParts;
use crate::store::TreeRow;

/// The trees of a log that is being opened.
pub(crate) struct Opening {
    pub(crate) parts: LogParts,
    /// Oldest first.
    pub(crate) frozen: Vec<Arc<Shard>>,
    pub(crate) active: Arc<Shard>,
}

impl Opening {
    /// Reads all trees of the log whose active tree is the last of `rows` (oldest first). If the
    /// database does not extend the floor, the log is read-only.
    pub(crate) async fn read(
        parts: LogParts,
        rows: &[TreeRow],
        floors: &Floors,
    ) -> Result<Self, OpenError> {
        let (row, before) = rows
            .split_last()
            .ok_or_else(|| OpenError::System("the log has no tree".into()))?;
        let mut frozen = Vec::with_capacity(before.len());
        for row in before {
            frozen.push(Shard::open(&parts, row).await?);
        }
        let active = match floors.judge(&parts, rows).await? {
            Verdict::Extends => Shard::open(&parts, row).await?,
            Verdict::WentBack { reason, newest } => {
                Shard::open_went_back(&parts, row, &reason, newest.as_ref()).await?
            }
        };
        Ok(Self {
            parts,
            frozen,
            active,
        })
    }

    /// Returns whether it is known how far the log had come: somebody has a head of it, this very
    /// start created it, or it is empty in a ledger of which somebody has a head.
    pub(crate) fn has_floor(&self, floors: &Floors, created: &[TreeId]) -> bool {
        let is_empty = self.frozen.is_empty() && self.active.heads.integrated().size.0 == 0;
        floors.has(self.parts.api)
            || created.contains(&self.active.id())
            || (is_empty && !floors.is_empty())
    }
}
