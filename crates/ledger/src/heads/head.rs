//! Tree heads: integrated ones are durable facts, published ones are signed and visible.

use std::sync::{Arc, OnceLock};

use time::OffsetDateTime;
use tlog::{Checkpoint, EMPTY_ROOT, Edge, Hash, Note, NoteSignature, SignedRoot, TreeSize};

use super::tile_set::{HeadView, TileSet, describe};
use crate::api::HeadForm;
use crate::guard::kept::{GuardedHead, GuardedTexts};
use crate::keys::signer::{Signer, SigningError};
use crate::store::{FinalCheckpoint, StoreError};
use crate::tree::{HeadText, Tree};

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

    /// The head of a tree without entries.
    pub(crate) fn empty() -> Self {
        Self::committed(Edge::empty(), EMPTY_ROOT, 0)
    }

    /// A head that a guard keeps.
    pub(crate) fn guarded(head: &GuardedHead) -> Self {
        Self::committed(head.edge.clone(), head.root(), head.time)
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
    /// The C2SP checkpoint of this head.
    pub checkpoint: String,
    /// Rekor v1's text of this head, in a log of that API.
    pub rekor_checkpoint: Option<String>,
    /// The note that says that the tree is frozen with this head, once the tree is finished.
    pub freeze_note: Option<String>,
    /// Made by the first request for a receipt, because few heads are asked for one.
    receipt_signature: OnceLock<Vec<u8>>,
    integrated: Arc<Integrated>,
}

impl Head {
    /// Returns the text that the API of the log shows with its answers.
    pub fn shown_checkpoint(&self) -> &str {
        self.rekor_checkpoint.as_deref().unwrap_or(&self.checkpoint)
    }

    /// Signs an integrated head. Only this function and [`Head::sign_freeze`] sign checkpoints.
    pub(crate) fn sign(
        tree: &Arc<Tree>,
        integrated: &Arc<Integrated>,
        signer: &Signer,
    ) -> Result<Self, SigningError> {
        let Integrated {
            size, root, time, ..
        } = **integrated;
        let rekor_checkpoint = match tree.api.heads {
            HeadForm::RekorV1 => {
                let checkpoint = Checkpoint::new(&*tree.rekor_origin(), size, root);
                Some(signer.sign_rekor(&checkpoint, &tree.name)?)
            }
            HeadForm::Checkpoint => None,
        };
        let checkpoint = Checkpoint::new(tree.origin.as_str(), size, root);
        Ok(Self {
            tree: Arc::clone(tree),
            size,
            root,
            time,
            checkpoint: signer.sign_checkpoint(&checkpoint)?,
            rekor_checkpoint,
            freeze_note: None,
            receipt_signature: OnceLock::new(),
            integrated: Arc::clone(integrated),
        })
    }

    /// Returns the same head with the cosignatures after the log's own lines. `note` MUST be its
    /// C2SP checkpoint.
    pub(crate) fn with_cosignatures(
        self,
        mut note: Note,
        lines: Vec<NoteSignature>,
    ) -> Result<Self, SigningError> {
        lines.into_iter().try_for_each(|line| note.add(line))?;
        Ok(Self {
            checkpoint: note.to_string(),
            ..self
        })
    }

    /// Returns the same head with the C2SP checkpoint that was published. That MUST state this head
    /// and be signed by this log.
    pub(crate) fn with_stored(self, checkpoint: String) -> Result<Self, StoreError> {
        let head = Self { checkpoint, ..self };
        let damaged = |what: String| {
            StoreError::Damaged(format!("table publication: size {}: {what}", head.size))
        };
        for text in head.tree.texts(None, &head.checkpoint) {
            let stored = text.open().map_err(damaged)?;
            if stored != Checkpoint::new(text.origin.as_str(), head.size, head.root) {
                return Err(damaged("its checkpoint states another head".to_owned()));
            }
        }
        Ok(head)
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
        if let Some(fault) = stored.faults(tree, size, root).pop() {
            return Err(StoreError::Damaged(format!(
                "table final_checkpoint: {fault}"
            )));
        }
        Ok(Self {
            tree: Arc::clone(tree),
            size,
            root,
            time,
            checkpoint: stored.checkpoint,
            rekor_checkpoint: stored.rekor_checkpoint,
            freeze_note: Some(stored.freeze_note),
            receipt_signature: OnceLock::from(stored.receipt_signature),
            integrated: Arc::clone(integrated),
        })
    }

    /// Returns the same head with its stored final checkpoints.
    pub(crate) fn with_final(&self, stored: &FinalCheckpoint) -> Result<Self, StoreError> {
        Self::stored_final(&self.tree, &self.integrated, stored.clone())
    }

    /// Returns the final checkpoints of a frozen tree whose last head this is.
    ///
    /// The checkpoints stay as they are, because cosignatures of some forms cover no extension line
    /// (C2SP tlog-cosignature). That the tree is frozen is said by a note of its own: the
    /// checkpoint with an extension line, signed by the log alone, as the freeze of Rekor v2 writes
    /// it.
    pub(crate) fn sign_freeze(
        &self,
        now_millis: i64,
        signer: &Signer,
    ) -> Result<FinalCheckpoint, SigningError> {
        let mut note = Checkpoint::new(self.tree.origin.as_str(), self.size, self.root);
        let date = unix_date(now_millis.div_euclid(1_000))?;
        note.extensions.push(format!("Log frozen \u{2014} {date}"));
        Ok(FinalCheckpoint {
            rekor_checkpoint: self.rekor_checkpoint.clone(),
            checkpoint: self.checkpoint.clone(),
            freeze_note: signer.sign_checkpoint(&note)?,
            receipt_signature: self.receipt_signature(signer)?.to_vec(),
        })
    }

    /// Returns the signature of COSE receipts in this head, and makes it if nobody asked before. The
    /// head MUST be published.
    pub(crate) fn receipt_signature(&self, signer: &Signer) -> Result<&[u8], SigningError> {
        if let Some(signature) = self.receipt_signature.get() {
            return Ok(signature);
        }
        let signature = signer.sign_root(&self.signed_root())?;
        Ok(self.receipt_signature.get_or_init(|| signature))
    }

    /// Returns the part of a COSE receipt that the log signs.
    pub(crate) fn signed_root(&self) -> SignedRoot<'_> {
        self.tree.signed_root(self.root)
    }

    /// Returns a head as a guard keeps it; `None` if it has no texts.
    pub(crate) fn of_guard(tree: &Arc<Tree>, head: &GuardedHead) -> Option<Self> {
        let texts = head.texts.clone()?;
        Some(Self {
            tree: Arc::clone(tree),
            size: head.size(),
            root: head.root(),
            time: head.time,
            checkpoint: texts.checkpoint,
            rekor_checkpoint: texts.rekor_checkpoint,
            freeze_note: None,
            receipt_signature: OnceLock::new(),
            integrated: Arc::new(Integrated::guarded(head)),
        })
    }

    /// Returns this head for the guard.
    pub(crate) fn guarded(&self) -> GuardedHead {
        GuardedHead {
            api: self.tree.api.name.to_owned(),
            tree: self.tree.id,
            first_log_index: self.tree.first_log_index,
            time: self.time,
            texts: Some(GuardedTexts {
                checkpoint: self.checkpoint.clone(),
                rekor_checkpoint: self.rekor_checkpoint.clone(),
            }),
            edge: self.integrated.edge.clone(),
        }
    }

    /// Returns the signed texts of this head.
    pub(crate) fn texts(&self) -> Vec<HeadText<'_>> {
        self.tree
            .texts(self.rekor_checkpoint.as_deref(), &self.checkpoint)
    }

    pub(crate) fn view(&self) -> HeadView<'_> {
        self.integrated.view()
    }
}

impl FinalCheckpoint {
    /// Returns in which ways these are not the texts of a frozen tree with this last head. Only the
    /// freeze note has an extension line, see [`Head::sign_freeze`].
    pub(crate) fn faults(&self, tree: &Tree, size: TreeSize, root: Hash) -> Vec<String> {
        let mut faults = Vec::new();
        if self.rekor_checkpoint.is_some() != (tree.api.heads == HeadForm::RekorV1) {
            let found = self.rekor_checkpoint.as_ref().map_or("no", |_| "a");
            faults.push(format!(
                "{found} checkpoint of Rekor v1 of a tree of the API {}",
                tree.api
            ));
        }
        let mut check = |what: &str, text: &HeadText<'_>, is_extended: bool| {
            let fault = match text.open() {
                Err(error) => format!("does not verify: {error}"),
                Ok(stated) if (stated.size, stated.root) != (size, root) => {
                    let stated = describe(stated.size, &stated.root);
                    format!(
                        "states {stated}, and the last head is {}",
                        describe(size, &root)
                    )
                }
                Ok(stated) if stated.extensions.is_empty() && is_extended => {
                    "has no extension line".to_owned()
                }
                Ok(stated) if !stated.extensions.is_empty() && !is_extended => {
                    "has an extension line".to_owned()
                }
                Ok(_) => return,
            };
            faults.push(format!("the {what} of {:?} {fault}", text.origin));
        };
        for text in tree.texts(self.rekor_checkpoint.as_deref(), &self.checkpoint) {
            check("checkpoint", &text, false);
        }
        for text in tree.texts(None, &self.freeze_note) {
            check("freeze note", &text, true);
        }
        if !tree.signed_root(root).is_signed_by(&self.receipt_signature) {
            faults.push("the signature of receipts does not verify".to_owned());
        }
        faults
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
