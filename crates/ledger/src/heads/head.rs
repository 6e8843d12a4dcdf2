//! Tree heads: integrated (durable facts) and published (signed, let out).

use std::sync::Arc;

use ring::rand::SecureRandom;
use tlog::{
    Checkpoint, CheckpointError, Edge, Hash, Note, NoteError, NoteKey, NoteSignature, SigningKey, TreeSize,
    VerifyingKey,
};

use crate::reading::tiles::TileSet;
use crate::store::{FinalCheckpoint, StoreError};
use crate::{Apis, TreeId};

/// What never changes about a tree.
#[derive(Debug)]
pub struct Tree {
    /// Identity.
    pub id: TreeId,
    /// Name of the log: signer name of v1 checkpoints.
    pub name: String,
    /// Origin line of v1 checkpoints.
    pub origin_v1: String,
    /// Origin line of v2 checkpoints, and the name that signs them.
    pub origin_v2: String,
    /// SHA-256 of the log key's SPKI.
    pub log_id: Hash,
    /// PEM of the log key.
    pub public_key_pem: String,
    /// The log key.
    pub log_key: VerifyingKey,
    /// Log index of leaf 0: sum of the lengths of earlier shards.
    pub first_log_index: u64,
    /// Larger leaves are refused.
    pub max_leaf_bytes: u32,
    /// The APIs by which it takes entries.
    pub apis: Apis,
}

/// A signature could not be made: the system gives no random numbers.
#[derive(Clone, Debug, thiserror::Error)]
#[error("cannot sign: {0}")]
pub struct SigningError(pub(crate) String);

impl From<NoteError> for SigningError {
    fn from(error: NoteError) -> Self {
        Self(error.to_string())
    }
}

impl From<CheckpointError> for SigningError {
    fn from(error: CheckpointError) -> Self {
        Self(error.to_string())
    }
}

/// A tree head that the database made durable. The only two ways to one are a commit that returned and a head that was
/// read back and checked against its edge; only such a head can be signed.
pub(crate) struct Integrated {
    pub(crate) size: TreeSize,
    pub(crate) root: Hash,
    /// Integrated time of its round, Unix seconds; 0 for an empty tree.
    pub(crate) time: i64,
    /// What the next round appends to.
    pub(crate) edge: Edge,
    /// The partial tiles of this size, decoded.
    edge_tiles: TileSet,
}

/// A tree head with the partial tiles of its size: what proofs up to it are made from, beside full tiles.
#[derive(Clone, Copy)]
pub(crate) struct HeadView<'a> {
    pub(crate) size: TreeSize,
    pub(crate) root: Hash,
    pub(crate) edge_tiles: &'a TileSet,
}

impl Integrated {
    /// The head of a round whose commit has returned [`crate::store::Commit::Done`].
    pub(crate) fn committed(edge: Edge, root: Hash, time: i64) -> Self {
        let edge_tiles = edge.tiles().into_iter().collect();
        Self { size: edge.size(), root, time, edge, edge_tiles }
    }

    /// A head that was read back; `None` if the edge does not reproduce its root.
    pub(crate) fn read_back(edge: Edge, root: Hash, time: i64) -> Option<Self> {
        (edge.root() == root).then(|| Self::committed(edge, root, time))
    }

    pub(crate) fn view(&self) -> HeadView<'_> {
        HeadView { size: self.size, root: self.root, edge_tiles: &self.edge_tiles }
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
    /// Signs what is integrated. No other function signs a checkpoint.
    pub(crate) fn sign(
        tree: &Arc<Tree>,
        integrated: &Arc<Integrated>,
        key: &SigningKey,
        cosigner: Option<&SigningKey>,
        rng: &dyn SecureRandom,
    ) -> Result<Self, SigningError> {
        let Integrated { size, root, time, .. } = **integrated;
        let checkpoint = |origin: &str| Checkpoint::new(origin, size, root);
        Ok(Self {
            tree: Arc::clone(tree),
            size,
            root,
            time,
            checkpoint_v1: checkpoint(&tree.origin_v1).sign(&tree.name, key, rng)?,
            checkpoint_v2: sign_v2(&checkpoint(&tree.origin_v2), key, cosigner, rng)?,
            integrated: Arc::clone(integrated),
        })
    }

    /// The same head with the lines of its witnesses after the log's own. `note` MUST be its v2 text.
    pub(crate) fn with_cosignatures(self, mut note: Note, lines: Vec<NoteSignature>) -> Result<Self, SigningError> {
        lines.into_iter().try_for_each(|line| note.add(line))?;
        Ok(Self { checkpoint_v2: note.to_string(), ..self })
    }

    /// The same head with the v2 text that was published, which MUST state this head and be signed by this log.
    pub(crate) fn with_stored(self, checkpoint: String, key: &VerifyingKey) -> Result<Self, StoreError> {
        let damaged = |what: String| StoreError::Damaged(format!("table publication: size {}: {what}", self.size));
        let origin = self.tree.origin_v2.as_str();
        let key = NoteKey::new(origin, key.clone()).map_err(|error| damaged(error.to_string()))?;
        let stored = Checkpoint::open(&checkpoint, origin, &[key]).map_err(|error| damaged(error.to_string()))?;
        if stored != Checkpoint::new(origin, self.size, self.root) {
            return Err(damaged("its checkpoint states another head".to_owned()));
        }
        Ok(Self { checkpoint_v2: checkpoint, ..self })
    }

    /// The last head of a frozen tree with the texts that were kept of it, which MUST state this head and be signed by this log.
    pub(crate) fn kept(
        tree: &Arc<Tree>,
        integrated: &Arc<Integrated>,
        last: FinalCheckpoint,
    ) -> Result<Self, StoreError> {
        let Integrated { size, root, time, .. } = **integrated;
        let FinalCheckpoint { checkpoint_v1, checkpoint_v2 } = last;
        for (text, origin, signer) in
            [(&checkpoint_v1, &tree.origin_v1, &tree.name), (&checkpoint_v2, &tree.origin_v2, &tree.origin_v2)]
        {
            let damaged = |what: String| StoreError::Damaged(format!("table final_checkpoint: {origin:?}: {what}"));
            let key = NoteKey::new(signer, tree.log_key.clone()).map_err(|error| damaged(error.to_string()))?;
            let stated = Checkpoint::open(text, origin, &[key]).map_err(|error| damaged(error.to_string()))?;
            if (stated.size, stated.root) != (size, root) {
                let (stated, head) = (describe(stated.size, &stated.root), describe(size, &root));
                return Err(damaged(format!("it states {stated}, and the last head is {head}")));
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

    /// The same head with the texts that were kept of it.
    pub(crate) fn with_last(&self, last: &FinalCheckpoint) -> Result<Self, StoreError> {
        Self::kept(&self.tree, &self.integrated, last.clone())
    }

    /// Its texts as they are.
    pub(crate) fn texts(&self) -> FinalCheckpoint {
        FinalCheckpoint { checkpoint_v1: self.checkpoint_v1.clone(), checkpoint_v2: self.checkpoint_v2.clone() }
    }

    /// The last checkpoints of a frozen tree. That of v2 says so in an extension line, as the freeze of Rekor v2 does; that of v1
    /// stays as it was.
    pub(crate) fn sign_last(
        &self,
        now_millis: i64,
        key: &SigningKey,
        cosigner: Option<&SigningKey>,
        rng: &dyn SecureRandom,
    ) -> Result<FinalCheckpoint, SigningError> {
        let mut checkpoint = Checkpoint::new(self.tree.origin_v2.as_str(), self.size, self.root);
        checkpoint.extensions.push(format!("Log frozen \u{2014} {}", unix_date(now_millis.div_euclid(1_000))));
        Ok(FinalCheckpoint { checkpoint_v2: sign_v2(&checkpoint, key, cosigner, rng)?, ..self.texts() })
    }

    pub(crate) fn view(&self) -> HeadView<'_> {
        self.integrated.view()
    }
}

/// Signs a v2 text under its origin, with the log key first.
fn sign_v2(
    checkpoint: &Checkpoint,
    key: &SigningKey,
    cosigner: Option<&SigningKey>,
    rng: &dyn SecureRandom,
) -> Result<String, SigningError> {
    let signed = checkpoint.sign(&checkpoint.origin, key, rng)?;
    let Some(cosigner) = cosigner else { return Ok(signed) };
    let mut note = Note::parse(&signed)?;
    note.sign(&checkpoint.origin, cosigner, rng)?;
    Ok(note.to_string())
}

impl HeadView<'_> {
    /// `size N root H`, for logs and alarms.
    pub(crate) fn describe(&self) -> String {
        describe(self.size, &self.root)
    }
}

/// A time as `date -u` writes it, such as `Sun Nov 22 21:00:00 UTC 2026`.
fn unix_date(unix_seconds: i64) -> String {
    const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (days, second) = (unix_seconds.div_euclid(86_400), unix_seconds.rem_euclid(86_400));
    // Days since 1 March of the year 0, whose 400-year cycles have 146,097 days: leap days come last.
    let shifted = days + 719_468;
    let (cycle, day) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_cycle = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month + 2) / 5 + 1;
    let year = cycle * 400 + year_of_cycle + i64::from(month >= 10);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    let weekday = WEEKDAYS[days.rem_euclid(7) as usize];
    let month = MONTHS[((month + 2) % 12) as usize];
    format!("{weekday} {month} {day_of_month:2} {hour:02}:{minute:02}:{second:02} UTC {year}")
}

/// `size N root H`.
pub(crate) fn describe(size: TreeSize, root: &Hash) -> String {
    format!("size {size} root {root}")
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
            assert_eq!(unix_date(unix_seconds), text);
        }
    }
}
