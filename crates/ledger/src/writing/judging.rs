//! Judges the claims of a round against the database.

use std::collections::HashSet;
use std::sync::Arc;

use tlog::Hash;

use super::claims::{self, Judged};
use super::contradiction::{Contradiction, Difference, summary};
use super::round_error::RoundError;
use super::rounds::TreeParts;
use crate::heads::head::Integrated;
use crate::metrics::{CONTRADICTED, NOT_COMPARED};
use crate::store::{EntryRow, Writer};

impl TreeParts {
    /// Compares the claims of entries with those of earlier ones. Rounds without claims that are to
    /// be compared cost nothing.
    pub(super) async fn judge<'r>(
        &self,
        writer: &mut dyn Writer,
        base: &Arc<Integrated>,
        rows: &'r [Arc<EntryRow>],
    ) -> Result<Judged<'r>, RoundError> {
        let names = claims::names(rows);
        if names.is_empty() {
            return Ok(Judged::unseen(rows));
        }
        writer.lock_claims().await?;
        let stored = writer.find_claims(&names).await?;
        let judged = Judged::new(rows, &stored, &HashSet::new());
        let refused = judged.refused(rows);
        if refused.is_empty() {
            return Ok(judged);
        }
        // An entry that is in the tree already is a duplicate, whatever it claims.
        let found = writer
            .find_leaves(self.heads.tree().id, &refused, base.size)
            .await?;
        let in_tree: HashSet<Hash> = found.iter().map(|entry| entry.leaf_hash).collect();
        Ok(match in_tree.is_empty() {
            true => judged,
            false => Judged::new(rows, &stored, &in_tree),
        })
    }

    /// Counts the differences with which an entry was appended, and logs those of a kind in one line:
    /// an entry may have thousands.
    pub(super) fn report(&self, found: &[Contradiction]) {
        let log = self.heads.tree().api;
        for (difference, label) in [
            (Difference::OtherValue, CONTRADICTED),
            (Difference::OtherAspect, NOT_COMPARED),
        ] {
            let (names, first) = summary(found, difference);
            if names == 0 {
                continue;
            }
            let counter = self.metrics.claims.with_label_values(&[label]);
            counter.inc_by(names as u64);
            match difference {
                Difference::OtherValue => {
                    tracing::warn!(%log, names, first, "an entry was appended that contradicts others")
                }
                Difference::OtherAspect => {
                    tracing::info!(%log, names, first, "an entry was appended that cannot be compared")
                }
            }
        }
    }
}
