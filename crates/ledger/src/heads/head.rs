//! Tree heads: integrated ones are durable facts, published ones are signed and visible.

use std::sync::Arc;

use time::OffsetDateTime;
use tlog::{Checkpoint, Edge, Hash, Note, NoteKey, NoteSignature, TreeSize};

use super::tile_set::{HeadView, TileSet, describe};
use crate::keys::signer::{Signer, SigningError};
use crate::store::{FinalCheckpoint, StoreError};
use crate::tree::Tree;

/// A tree head that the database made durable. The only two ways to one are a commit that returned
/// and a head that was read back and checked against its edge; only such a head can be signed.
pub(crate) struct Integrated {
    pub(crate) size: TreeSize,
    pub(crate) root: Hash,
    /// Integrated time of its round, Unix seconds; 0 for an empty tree.
    pub(crate) time: i64,
    /// The right edge that the next round appends to.
    pub(crate) edge: Edge,
    /// The partial tiles of this size, decoded.
    edge_tiles: TileSet,
}

impl Integrated {
    /// The head of a round whose commit has returned [`crate::store::Commit::Done`].
    pub(crate) fn committed(edge: Edge, root: Hash, time: i64) -> Self {
        let edge_tiles = edge.tiles().into_iter().collect();
        Self {
            size: edge.size(),
            root,
            time,
            edge,
            edge_tiles,
        }
    }

    /// A head that was read back; `None` if the edge does not reproduce its root.
    pub(crate) fn read_back(edge: Edge, root: Hash, time: i64) -> Option<Self> {
        (edge.root() == root).then(|| Self::committed(edge, root, time))
    }

    pub(crate) fn view(&self) -> HeadView<'_> {
        HeadView {
            size: self.size,
            root: self.root,
            edge_tiles: &self.edge_tiles,
        }
    }
}

/// A published head. One borrow of it at the top of a handler is *the* head of that request.
pub struct Head {
    /// Its tree.
    pub tree: Arc<Tree>,
    /// Tree size.
    pub size: TreeSize,
    /// Root hash at `size`.
    pub root: Hash,
    /// Integrated time of its round, Unix seconds; 0 for an empty tree.
    pub time: i64,
    /// The v1 signed note of this head.
    pub checkpoint_v1: String,
    /// The v2 signed note of this head: the same size and root under the v2 origin.
    pub checkpoint_v2: String,
    integrated: Arc<Integrated>,
}

impl Head {
    /// Signs an integrated head. Only this function and [`Head::sign_final`] sign checkpoints.
    pub(crate) fn sign(
        tree: &Arc<Tree>,
        integrated: &Arc<Integrated>,
        signer: &Signer,
    ) -> Result<Self, SigningError> {
        let Integrated {
            size, root, time, ..
        } = **integrated;
        let checkpoint = |origin: &str| Checkpoint::new(origin, size, root);
        Ok(Self {
            tree: Arc::clone(tree),
            size,
            root,
            time,
            checkpoint_v1: signer.sign_v1(&checkpoint(&tree.origin_v1), &tree.name)?,
            checkpoint_v2: signer.sign_v2(&checkpoint(&tree.origin_v2))?,
            integrated: Arc::clone(integrated),
        })
    }

    /// Returns the same head with the cosignatures after the log's own lines. `note` MUST be its v2
    /// checkpoint.
    pub(crate) fn with_cosignatures(
        self,
        mut note: Note,
        lines: Vec<NoteSignature>,
    ) -> Result<Self, SigningError> {
        lines.into_iter().try_for_each(|line| note.add(line))?;
        Ok(Self {
            checkpoint_v2: note.to_string(),
            ..self
        })
    }

    /// Returns the same head with the v2 checkpoint that was published. That MUST state this head
    /// and be signed by this log.
    pub(crate) fn with_stored(self, checkpoint: String) -> Result<Self, StoreError> {
        let damaged = |what: String| {
            StoreError::Damaged(format!("table publication: size {}: {what}", self.size))
        };
        let origin = self.tree.origin_v2.as_str();
        let key = NoteKey::new(origin, self.tree.log_key.clone())
            .map_err(|error| damaged(error.to_string()))?;
        let stored = Checkpoint::open(&checkpoint, origin, &[key])
            .map_err(|error| damaged(error.to_string()))?;
        if stored != Checkpoint::new(origin, self.size, self.root) {
            return Err(damaged("its checkpoint states another head".to_owned()));
        }
        Ok(Self {
            checkpoint_v2: checkpoint,
            ..self
        })
    }

    /// Returns the last head of a frozen tree with its stored final checkpoints. These MUST state
    /// this head and be signed by this log.
    pub(crate) fn stored_final(
        tree: &Arc<Tree>,
        integrated: &Arc<Integrated>,
        stored: FinalCheckpoint,
    ) -> Result<Self, StoreError> {
        let Integrated {
            size, root, time, ..
        } = **integrated;
        let FinalCheckpoint {
            checkpoint_v1,
            checkpoint_v2,
        } = stored;
        for (text, origin, signer) in [
            (&checkpoint_v1, &tree.origin_v1, &tree.name),
            (&checkpoint_v2, &tree.origin_v2, &tree.origin_v2),
        ] {
            let damaged = |what: String| {
                StoreError::Damaged(format!("table final_checkpoint: {origin:?}: {what}"))
            };
            let key = NoteKey::new(signer, tree.log_key.clone())
                .map_err(|error| damaged(error.to_string()))?;
            let stated = Checkpoint::open(text, origin, &[key])
                .map_err(|error| damaged(error.to_string()))?;
            if (stated.size, stated.root) != (size, root) {
                let (stated, head) = (describe(stated.size, &stated.root), describe(size, &root));
                return Err(damaged(format!(
                    "it states {stated}, and the last head is {head}"
                )));
            }
        }
        Ok(Self {
            tree: Arc::clone(tree),
            size,
            root,
            time,
            checkpoint_v1,
            checkpoint_v2,
            integrated: Arc::clone(integrated),
        })
    }

    /// Returns the same head with its stored final checkpoints.
    pub(crate) fn with_final(&self, stored: &FinalCheckpoint) -> Result<Self, StoreError> {
        Self::stored_final(&self.tree, &self.integrated, stored.clone())
    }

    /// Returns both checkpoints of this head as they are.
    pub(crate) fn checkpoints(&self) -> FinalCheckpoint {
        FinalCheckpoint {
            checkpoint_v1: self.checkpoint_v1.clone(),
            checkpoint_v2: self.checkpoint_v2.clone(),
        }
    }

    /// Signs the final checkpoints of a frozen tree. The v2 checkpoint says in an extension line
    /// that the log is frozen, as the freeze of Rekor v2 does. The v1 checkpoint stays as it was.
    pub(crate) fn sign_final(
        &self,
        now_millis: i64,
        signer: &Signer,
    ) -> Result<FinalCheckpoint, SigningError> {
        let mut checkpoint = Checkpoint::new(self.tree.origin_v2.as_str(), self.size, self.root);
        let date = unix_date(now_millis.div_euclid(1_000))?;
        checkpoint
            .extensions
            .push(format!("Log frozen \u{2014} {date}"));
        Ok(FinalCheckpoint {
            checkpoint_v2: signer.sign_v2(&checkpoint)?,
            ..self.checkpoints()
        })
    }

    pub(crate) fn view(&self) -> HeadView<'_> {
        self.integrated.view()
    }
}

/// Formats a time as `date -u` does, such as `Sun Nov 22 21:00:00 UTC 2026`.
fn unix_date(unix_seconds: i64) -> Result<String, SigningError> {
    let time = OffsetDateTime::from_unix_timestamp(unix_seconds)
        .map_err(|error| SigningError(error.to_string()))?;
    let (weekday, month) = (time.weekday().to_string(), time.month().to_string());
    let (hour, minute, second) = time.to_hms();
    let (day, year) = (time.day(), time.year());
    Ok(format!(
        "{weekday:.3} {month:.3} {day:2} {hour:02}:{minute:02}:{second:02} UTC {year}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_date() {
        for (unix_seconds, text) in [
            (0, "Thu Jan  1 00:00:00 UTC 1970"),
            (1_795_381_200, "Sun Nov 22 21:00:00 UTC 2026"),
            (951_782_399, "Mon Feb 28 23:59:59 UTC 2000"),
            (951_782_400, "Tue Feb 29 00:00:00 UTC 2000"),
            (4_107_542_399, "Sun Feb 28 23:59:59 UTC 2100"),
            (4_107_542_400, "Mon Mar  1 00:00:00 UTC 2100"),
        ] {
            assert_eq!(unix_date(unix_seconds).unwrap(), text);
        }
    }
}
