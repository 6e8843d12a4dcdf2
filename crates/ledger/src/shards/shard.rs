//! One open tree, and how it is opened.

use std::sync::Arc;

use tlog::VerifyingKey;

use crate::heads::Heads;
use crate::heads::head::Head;
use crate::heads::load::load_head;
use crate::heads::publication::Publication;
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
        let timestamps = Timestamps::new(Arc::clone(&tree), signer.clone(), &parts.metrics);
        let reader = Reader::new(
            &shared.store,
            &tree,
            &shared.caches,
            &shared.turns,
            &parts.metrics,
        );
        let (store, metrics) = (Arc::clone(&shared.store), parts.metrics.clone());
        let heads = Heads::new(store, metrics, signer, publication, integrated, published);
        let (published, integrated) = (heads.published(), heads.integrated());
        heads
            .check_extends(
                published.view(),
                integrated.view(),
                shared.store.reader().as_mut(),
            )
            .await?;
        if row.state == TreeState::Frozen {
            heads.mark_frozen();
        }
        let (heads, reader, timestamps) = (Arc::new(heads), Arc::new(reader), Arc::new(timestamps));
        Ok(Arc::new(Self {
            heads,
            reader,
            timestamps,
        }))
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
