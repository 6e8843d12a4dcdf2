//! One open tree, and how it is opened.

use std::sync::Arc;

use tlog::VerifyingKey;

use crate::guard::kept::GuardedHead;
use crate::heads::head::{Head, Integrated};
use crate::heads::load::load_head;
use crate::heads::publication::{Publication, newest_publication};
use crate::heads::went_back::WentBack;
use crate::heads::{Heads, HeadsParts};
use crate::ids::TreeId;
use crate::keys::signer::{Keys, Signer};
use crate::open_error::OpenError;
use crate::parts::LogParts;
use crate::reading::reader::Reader;
use crate::store::{KeyRole, TreeRow, TreeState};
use crate::timestamps::Timestamps;
use crate::tree::Tree;

/// One open tree: its heads, its reads and its signed entry timestamps.
pub(crate) struct Shard {
    pub(crate) heads: Arc<Heads>,
    pub(crate) reader: Arc<Reader>,
    pub(crate) timestamps: Arc<Timestamps>,
}

impl Shard {
    /// Returns the identity of the tree.
    pub(crate) fn id(&self) -> TreeId {
        self.heads.tree().id
    }

    /// Opens a stored tree. Its head is read back and checked. Then it is signed, or published as
    /// it was. The head of a frozen tree that is finished is shown with its final checkpoints.
    ///
    /// The caller MUST have the guard keep a head of the active tree before anything of it is shown.
    pub(crate) async fn open(parts: &LogParts, row: &TreeRow) -> Result<Arc<Self>, OpenError> {
        let shared = &parts.shared;
        let tree = Arc::new(Tree::of(row, parts.api)?);
        let stored_final = match row.state {
            TreeState::Active => None,
            TreeState::Frozen => shared.store.final_checkpoint(tree.id).await?,
        };
        let (signer, publication, integrated, published) = match stored_final {
            Some(stored) => {
                let signer = Signer::new(tree.id, None, shared.rng.clone());
                let mut reader = shared.store.reader();
                let integrated = Arc::new(load_head(reader.as_mut(), tree.id).await?);
                let head = Head::stored_final(&tree, &integrated, stored)?;
                (signer, Publication::AtOnce, integrated, head)
            }
            None => {
                let keys = Some(keys(parts, row, &tree)?);
                let signer = Signer::new(tree.id, keys, shared.rng.clone());
                let publication = Publication::new(shared.witnessing.clone())?;
                let (integrated, head) = publication
                    .open(shared.store.as_ref(), &tree, &signer)
                    .await?;
                (signer, publication, integrated, head)
            }
        };
        let heads = Heads::new(
            heads_parts(parts),
            signer.clone(),
            publication,
            integrated,
            published,
        );
        let (published, integrated) = (heads.published(), heads.integrated());
        let mut reader = shared.store.reader();
        heads
            .check_extends(published.view(), integrated.view(), reader.as_mut())
            .await?;
        if row.state == TreeState::Frozen {
            heads.mark_frozen();
        }
        Ok(Self::of(parts, &tree, signer, heads))
    }

    /// Opens a tree of a log whose database went back, the active one or the one that did. `newest` is the newest head of the
    /// tree that the guard has. It is shown as it was let out, and with a witness policy the newest
    /// stored publication that it extends. If there is no such head, none is shown.
    pub(crate) async fn open_went_back(
        parts: &LogParts,
        row: &TreeRow,
        reason: &WentBack,
        newest: Option<&GuardedHead>,
    ) -> Result<Arc<Self>, OpenError> {
        let shared = &parts.shared;
        let tree = Arc::new(Tree::of(row, parts.api)?);
        let keys = match row.state {
            TreeState::Active => Some(keys(parts, row, &tree)?),
            // It signs nothing, so it may lack its key.
            TreeState::Frozen => None,
        };
        let signer = Signer::new(tree.id, keys, shared.rng.clone());
        let publication = Publication::new(shared.witnessing.clone())?;
        let let_out = newest.and_then(|head| Head::of_guard(&tree, head));
        let shown = match (&publication, let_out) {
            (Publication::AtOnce, shown) => shown,
            (Publication::Witnessed(_), None) => None,
            (Publication::Witnessed(_), Some(newest)) => {
                let mut reader = shared.store.reader();
                newest_publication(reader.as_mut(), &newest, &signer).await?
            }
        };
        let published = match shown {
            Some(head) => head,
            None => Head::sign(&tree, &Arc::new(Integrated::empty()), &signer)?,
        };
        let integrated = newest.map_or_else(Integrated::empty, Integrated::guarded);
        let integrated = Arc::new(integrated);
        let heads = Heads::new(
            heads_parts(parts),
            signer.clone(),
            publication,
            integrated,
            published,
        );
        heads.halt(reason);
        Ok(Self::of(parts, &tree, signer, heads))
    }

    fn of(parts: &LogParts, tree: &Arc<Tree>, signer: Signer, heads: Heads) -> Arc<Self> {
        let shared = &parts.shared;
        let timestamps = Timestamps::new(Arc::clone(tree), signer, &parts.metrics);
        let (store, caches, turns) = (&shared.store, &shared.caches, &shared.turns);
        let behind = &shared.behind;
        let reader = Reader::new(store, tree, caches, turns, behind, &parts.metrics);
        let (heads, reader, timestamps) = (Arc::new(heads), Arc::new(reader), Arc::new(timestamps));
        Arc::new(Self {
            heads,
            reader,
            timestamps,
        })
    }
}

fn heads_parts(parts: &LogParts) -> HeadsParts {
    let shared = &parts.shared;
    HeadsParts {
        store: Arc::clone(&shared.store),
        guard: Arc::clone(&shared.guard),
        metrics: parts.metrics.clone(),
    }
}

/// Returns the signing keys of a tree that still signs.
fn keys(parts: &LogParts, row: &TreeRow, tree: &Tree) -> Result<Keys, OpenError> {
    let find = |role: KeyRole, key: &VerifyingKey| {
        let wanted = tlog::sha256(key.spki());
        let found = parts.shared.keys.find(&wanted);
        found.ok_or_else(|| match row.state {
            TreeState::Active => OpenError::WrongKey {
                api: parts.api,
                name: row.name.clone(),
                tree: row.tree_id,
                role,
                wanted,
                got: parts.shared.keys.digests(),
            },
            TreeState::Frozen => OpenError::Unfinished {
                api: parts.api,
                name: row.name.clone(),
                tree: row.tree_id,
                role,
                wanted,
            },
        })
    };
    Ok(Keys {
        log: find(KeyRole::Log, &tree.log_key)?,
        checkpoint: find(KeyRole::Checkpoint, &tree.checkpoint_key)?,
    })
}
