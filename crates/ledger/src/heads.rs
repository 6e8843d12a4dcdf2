//! What the sequencer, the followers and the readers of one log share.

pub(crate) mod follow;
pub(crate) mod head;
pub(crate) mod publish;
pub(crate) mod witnesses;

use std::sync::{Arc, OnceLock};

use ring::rand::SystemRandom;
use tlog::{SigningKey, VerifyingKey};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::heads::follow::Refresh;
use crate::heads::head::{HeadView, Integrated, SigningError, describe};
use crate::heads::publish::Publication;
use crate::metrics::Metrics;
use crate::reading::entries::Entries;
use crate::reading::search::{Keys, Turns};
use crate::reading::tile_bytes::TileBytes;
use crate::reading::tiles::TileCache;
use crate::shards::log::Parts;
use crate::store::{FinalCheckpoint, Read, Store, StoreError};
use crate::timestamps::Waiting;
use crate::{Clock, Head, Tree, TreeId};

/// The shared state of one open log.
pub(crate) struct Core {
    pub(crate) tree: Arc<Tree>,
    /// None in a frozen tree that is finished, unless this process had it before.
    key: Option<Arc<SigningKey>>,
    /// Signs a second line below the v2 text.
    cosigner: Option<Arc<SigningKey>>,
    pub(crate) rng: SystemRandom,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) metrics: Metrics,
    pub(crate) entries: Entries,
    pub(crate) keys: Keys,
    pub(crate) turns: Arc<Turns>,
    pub(crate) tiles: TileCache,
    pub(crate) tile_bytes: TileBytes,
    pub(crate) timestamps: Waiting,
    pub(crate) refresh: Refresh,
    /// The newest head that this process knows to be durable: what a round builds on, and the floor of what is read back.
    pub(crate) integrated: watch::Sender<Arc<Integrated>>,
    pub(crate) publication: Publication,
    /// The newest head that was let out.
    pub(crate) published: watch::Sender<Arc<Head>>,
    /// Why the log is read-only. Once set it stays until the process ends: somebody has to look.
    pub(crate) read_only: OnceLock<String>,
    /// Cancelled once the tree is frozen and its last head is known here.
    pub(crate) frozen: CancellationToken,
}

/// The log must not go on: the text says why and names both heads.
#[derive(Clone, Debug)]
pub(crate) struct WentBack(pub(crate) String);

impl Core {
    /// A tree whose stored head is `integrated`, and whose published one is `head`.
    pub(crate) fn new(
        parts: &Parts,
        key: Option<Arc<SigningKey>>,
        publication: Publication,
        integrated: Arc<Integrated>,
        head: Head,
    ) -> Self {
        Self {
            tree: Arc::clone(&head.tree),
            key,
            cosigner: parts.cosigner.clone(),
            rng: parts.rng.clone(),
            store: Arc::clone(&parts.store),
            clock: Arc::clone(&parts.clock),
            metrics: parts.metrics.clone(),
            entries: Entries::new(&parts.store, head.tree.id, &parts.metrics),
            keys: Keys::new(&parts.store, head.tree.id, &parts.metrics),
            turns: Arc::clone(&parts.turns),
            tiles: TileCache::new(&parts.store, head.tree.id, &parts.metrics),
            tile_bytes: TileBytes::new(),
            timestamps: Waiting::default(),
            refresh: Refresh::new(),
            integrated: watch::Sender::new(integrated),
            publication,
            published: watch::Sender::new(Arc::new(head)),
            read_only: OnceLock::new(),
            frozen: CancellationToken::new(),
        }
    }

    /// The published head.
    pub(crate) fn head(&self) -> Arc<Head> {
        self.published.borrow().clone()
    }

    /// The newest integrated head.
    pub(crate) fn integrated(&self) -> Arc<Integrated> {
        self.integrated.borrow().clone()
    }

    /// The key that verifies what is signed.
    pub(crate) fn log_key(&self) -> &VerifyingKey {
        &self.tree.log_key
    }

    /// The key that signs.
    pub(crate) fn signing_key(&self) -> Result<&SigningKey, SigningError> {
        let absent = || SigningError(format!("the key of tree {} is not here", self.tree.id));
        self.key.as_deref().ok_or_else(absent)
    }

    /// Shows a published head in the metrics, which are those of the active tree.
    pub(crate) fn show_head(&self, head: &Head) {
        if self.frozen.is_cancelled() {
            return;
        }
        let gauge = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        self.metrics.tree_size.set(gauge(head.size.0));
        self.metrics.log_size.set(gauge(head.tree.first_log_index + head.size.0));
        self.metrics.head_time.set(head.time);
    }

    /// The last checkpoints of a frozen tree, signed now; see [`Head::sign_last`]. What witnesses have cosigned stays as it is.
    pub(crate) fn sign_last(&self, head: &Head) -> Result<FinalCheckpoint, SigningError> {
        match &self.publication {
            Publication::AtOnce => {
                let key = self.signing_key()?;
                head.sign_last(self.clock.unix_millis(), key, self.cosigner.as_deref(), &self.rng)
            }
            Publication::Witnessed(_) => Ok(head.texts()),
        }
    }

    /// Shows the last checkpoints of a frozen tree, whose last head MUST be published here, with that head from now on.
    pub(crate) fn show_last(&self, last: &FinalCheckpoint) -> Result<(), StoreError> {
        let head = self.head().with_last(last)?;
        self.published.send_replace(Arc::new(head));
        Ok(())
    }

    /// Makes the log read-only and remembers the first reason.
    pub(crate) fn go_read_only(&self, reason: &WentBack) -> WentBack {
        let first = self.read_only.get_or_init(|| reason.0.clone());
        self.metrics.read_only.set(1);
        tracing::error!(reason = %first, "the log is read-only");
        WentBack(first.clone())
    }

    /// Takes a durable head that was built on `base`, and returns the newest integrated head afterwards: this one, or a
    /// larger one that a follower found in the meantime.
    ///
    /// Dies before the swap: the head is durable and is found at the next start.
    pub(crate) async fn integrate(
        &self,
        base: &Arc<Integrated>,
        integrated: Integrated,
        read: &mut dyn Read,
    ) -> Result<Arc<Integrated>, PublishError> {
        let integrated = Arc::new(integrated);
        let mut head = match &self.publication {
            Publication::AtOnce => Some(self.sign(&integrated)?),
            Publication::Witnessed(_) => None,
        };
        let mut checked = Arc::clone(base);
        loop {
            // `integrated` extends `checked`. If that is still the newest head, `integrated` takes its place.
            let swapped = self.integrated.send_if_modified(|newest| {
                let unchanged = Arc::ptr_eq(newest, &checked);
                if unchanged {
                    *newest = Arc::clone(&integrated);
                    // Within the swap: whoever sees the one sees the other.
                    head.take().into_iter().for_each(|head| self.let_out(head));
                    if let Publication::Witnessed(witnessed) = &self.publication {
                        witnessed.waits();
                    }
                }
                unchanged
            });
            if swapped {
                return Ok(integrated);
            }
            let newest = self.integrated();
            let (older, newer) =
                if newest.size <= integrated.size { (&newest, &integrated) } else { (&integrated, &newest) };
            self.check_extends(older.view(), newer.view(), read).await?;
            if newest.size >= integrated.size {
                return Ok(newest);
            }
            checked = newest;
        }
    }

    /// Signs a durable head; that is not to let it out.
    pub(crate) fn sign(&self, integrated: &Arc<Integrated>) -> Result<Head, SigningError> {
        Head::sign(&self.tree, integrated, self.signing_key()?, self.cosigner.as_deref(), &self.rng)
    }
}

/// Why a durable head was not taken or not published.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PublishError {
    /// The database could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Its checkpoint could not be signed.
    #[error(transparent)]
    Signing(#[from] SigningError),
    /// It contradicts what was published.
    #[error("{}", .0.0)]
    WentBack(WentBack),
}

impl WentBack {
    /// Two heads of which the newer does not extend the older.
    pub(crate) fn fork(known: HeadView<'_>, found: &str) -> Self {
        Self(format!("the database does not continue the newest tree head: known {}, found {found}", known.describe()))
    }

    /// The database does not have the tree any more.
    pub(crate) fn gone(known: HeadView<'_>, tree: TreeId) -> Self {
        Self(format!("the database went back: it does not have the tree {tree}; known {}", known.describe()))
    }

    /// The newest stored publication is not the published head and does not follow it.
    pub(crate) fn publication(published: HeadView<'_>, found: &str) -> Self {
        Self(format!(
            "the database does not continue what was published: published {}, found {found}",
            published.describe()
        ))
    }

    /// The database has a smaller head than the newest one known here.
    pub(crate) fn smaller(known: HeadView<'_>, found: Option<&crate::store::HeadRow>) -> Self {
        let (size, text) = match found {
            Some(row) => (row.size.0, describe(row.size, &row.root)),
            None => (0, describe(tlog::TreeSize(0), &tlog::EMPTY_ROOT)),
        };
        Self(format!(
            "the database went back by {} entries: known {}, found {text}",
            known.size.0 - size,
            known.describe()
        ))
    }
}
