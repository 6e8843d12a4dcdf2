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
    /// Whether the witnesses say how far the active tree had come.
    is_witnessed: bool,
}

impl Opening {
    /// Reads all trees of the log whose active tree is the last of `rows` (oldest first). If the
    /// database does not extend the floor, the log is read-only.
    ///
    /// The database may go back while it is read, and what was read after that would be taken for the
    /// newest. So it is compared with the floor before and after.
    pub(crate) async fn read(
        parts: LogParts,
        rows: &[TreeRow],
        floors: &Floors,
    ) -> Result<Self, OpenError> {
        let judge = || floors.judge(parts.shared.store.as_ref(), parts.api, rows);
        let opening = Self::read_as(&parts, rows, judge().await?).await?;
        if opening.went_back() {
            return Ok(opening);
        }
        match judge().await? {
            Verdict::Extends => Ok(opening),
            verdict @ Verdict::WentBack { .. } => Self::read_as(&parts, rows, verdict).await,
        }
    }

    async fn read_as(
        parts: &LogParts,
        rows: &[TreeRow],
        verdict: Verdict,
    ) -> Result<Self, OpenError> {
        let (row, before) = rows
            .split_last()
            .ok_or_else(|| OpenError::System("the log has no tree".into()))?;
        if let Verdict::WentBack { newest, .. } = &verdict {
            // Every place and every server that asks has it from now on.
            if let Err(error) = parts.shared.guard.keep((**newest).clone()).await {
                tracing::warn!(log = %parts.api, %error, "the floor is not at every place");
            }
        }
        let mut frozen = Vec::with_capacity(before.len());
        for row in before {
            frozen.push(open_frozen(parts, row, &verdict).await?);
        }
        let (active, is_witnessed) = match &verdict {
            Verdict::Extends => {
                let active = Shard::open(parts, row).await?;
                let is_witnessed = active.heads.check_witnessed_sizes().await?;
                (active, is_witnessed)
            }
            Verdict::WentBack { reason, newest } => {
                let of_active = Some(&**newest).filter(|newest| newest.tree == row.tree_id);
                let active = Shard::open_went_back(parts, row, reason, of_active).await?;
                (active, false)
            }
        };
        Ok(Self {
            parts: parts.clone(),
            frozen,
            active,
            is_witnessed,
        })
    }

    /// Returns whether the database went back.
    pub(crate) fn went_back(&self) -> bool {
        self.active.heads.halted().is_some()
    }

    /// Returns whether it is known how far the log had come: somebody has a head of it, witnesses
    /// have seen it, this very start created it, or it is empty in a ledger of which somebody has a
    /// head.
    pub(crate) fn has_floor(&self, floors: &Floors, created: &[TreeId]) -> bool {
        let is_empty = self.frozen.is_empty() && self.active.heads.integrated().size.0 == 0;
        floors.has(self.parts.api)
            || self.is_witnessed
            || created.contains(&self.active.id())
            || (is_empty && !floors.is_empty())
    }
}

/// Opens a frozen tree. One that went back shows the head that was let out.
async fn open_frozen(
    parts: &LogParts,
    row: &TreeRow,
    verdict: &Verdict,
) -> Result<Arc<Shard>, OpenError> {
    match verdict {
        Verdict::WentBack { reason, newest } if newest.tree == row.tree_id => {
            Shard::open_went_back(parts, row, reason, Some(newest)).await
        }
        _ => Shard::open(parts, row).await,
    }
}
