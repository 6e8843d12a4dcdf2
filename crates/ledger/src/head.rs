//! Tree heads: integrated (durable facts) and published (signed, let out).

use std::sync::Arc;

use ring::rand::SecureRandom;
use tlog::{
    Checkpoint, CheckpointError, Edge, Hash, Note, NoteError, NoteKey, NoteSignature, SigningKey, TreeSize,
    VerifyingKey,
};

use crate::TreeId;
use crate::store::StoreError;
use crate::tiles::TileSet;

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
    /// Log index of leaf 0: sum of the lengths of earlier shards.
    pub first_log_index: u64,
    /// Larger leaves are refused.
    pub max_leaf_bytes: u32,
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
        let signed = |origin: &str, signer: &str| Checkpoint::new(origin, size, root).sign(signer, key, rng);
        let mut checkpoint_v2 = signed(&tree.origin_v2, &tree.origin_v2)?;
        if let Some(cosigner) = cosigner {
            let mut note = Note::parse(&checkpoint_v2)?;
            note.sign(&tree.origin_v2, cosigner, rng)?;
            checkpoint_v2 = note.to_string();
        }
        Ok(Self {
            tree: Arc::clone(tree),
            size,
            root,
            time,
            checkpoint_v1: signed(&tree.origin_v1, &tree.name)?,
            checkpoint_v2,
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

    pub(crate) fn view(&self) -> HeadView<'_> {
        self.integrated.view()
    }
}

impl HeadView<'_> {
    /// `size N root H`, for logs and alarms.
    pub(crate) fn describe(&self) -> String {
        describe(self.size, &self.root)
    }
}

/// `size N root H`.
pub(crate) fn describe(size: TreeSize, root: &Hash) -> String {
    format!("size {size} root {root}")
}
