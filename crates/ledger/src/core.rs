//! What the sequencer, the followers and the readers of one log share.

use std::sync::{Arc, OnceLock};

use ring::rand::SystemRandom;
use tlog::{SigningKey, VerifyingKey};
use tokio::sync::watch;

use crate::follow::Refresh;
use crate::head::{HeadView, Integrated, SigningError, describe};
use crate::metrics::Metrics;
use crate::store::{Read, Store};
use crate::tile_bytes::TileBytes;
use crate::tiles::TileCache;
use crate::timestamps::Waiting;
use crate::{Clock, Head, Tree};

/// The shared state of one open log.
pub(crate) struct Core {
    pub(crate) tree: Arc<Tree>,
    pub(crate) key: SigningKey,
    pub(crate) rng: SystemRandom,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) metrics: Metrics,
    pub(crate) tiles: TileCache,
    pub(crate) tile_bytes: TileBytes,
    pub(crate) timestamps: Waiting,
    pub(crate) refresh: Refresh,
    pub(crate) published: watch::Sender<Arc<Head>>,
    /// Why the log is read-only. Once set it stays until the process ends: somebody has to look.
    pub(crate) read_only: OnceLock<String>,
}

/// The log must not go on: the text says why and names both heads.
#[derive(Clone, Debug)]
pub(crate) struct WentBack(pub(crate) String);

impl Core {
    /// The published head.
    pub(crate) fn head(&self) -> Arc<Head> {
        self.published.borrow().clone()
    }

    /// SPKI of the key that signs.
    pub(crate) fn log_key(&self) -> &VerifyingKey {
        self.key.verifying_key()
    }

    /// Makes the log read-only and remembers the first reason.
    pub(crate) fn go_read_only(&self, reason: &WentBack) -> WentBack {
        let first = self.read_only.get_or_init(|| reason.0.clone());
        self.metrics.read_only.set(1);
        tracing::error!(reason = %first, "the log is read-only");
        WentBack(first.clone())
    }

    /// Lets out an integrated head that was built on `base`, and returns the head that is published afterwards: this one,
    /// or a larger one that a follower published in the meantime.
    ///
    /// Dies before the swap: the head is durable and is found at the next start.
    pub(crate) async fn publish(
        &self,
        base: &Arc<Head>,
        integrated: Integrated,
        read: &mut dyn Read,
    ) -> Result<Arc<Head>, PublishError> {
        let head = Arc::new(Head::sign(&self.tree, integrated, &self.key, &self.rng)?);
        let mut checked = Arc::clone(base);
        loop {
            // `head` extends `checked`. If that is still the published head, `head` takes its place.
            let swapped = self.published.send_if_modified(|published| {
                let unchanged = Arc::ptr_eq(published, &checked);
                if unchanged {
                    *published = Arc::clone(&head);
                }
                unchanged
            });
            if swapped {
                self.metrics.tree_size.set(i64::try_from(head.size.0).unwrap_or(i64::MAX));
                self.metrics.head_time.set(head.time);
                return Ok(head);
            }
            let published = self.head();
            let (older, newer) = if published.size <= head.size { (&published, &head) } else { (&head, &published) };
            self.check_extends(older.view(), newer.view(), read).await?;
            if published.size >= head.size {
                return Ok(published);
            }
            checked = published;
        }
    }
}

/// Why a durable head was not published.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PublishError {
    /// The database could not be read.
    #[error(transparent)]
    Store(#[from] crate::store::StoreError),
    /// Its checkpoint could not be signed.
    #[error(transparent)]
    Signing(#[from] SigningError),
    /// It contradicts what was published.
    #[error("{}", .0.0)]
    WentBack(WentBack),
}

impl WentBack {
    /// Two heads of which the newer does not extend the older.
    pub(crate) fn fork(published: HeadView<'_>, found: &str) -> Self {
        Self(format!(
            "the database does not continue the published tree head: published {}, found {found}",
            published.describe()
        ))
    }

    /// The database has a smaller head than the published one.
    pub(crate) fn smaller(published: HeadView<'_>, found: Option<&crate::store::HeadRow>) -> Self {
        let (size, text) = match found {
            Some(row) => (row.size.0, describe(row.size, &row.root)),
            None => (0, describe(tlog::TreeSize(0), &tlog::EMPTY_ROOT)),
        };
        Self(format!(
            "the database went back by {} entries: published {}, found {text}",
            published.size.0 - size,
            published.describe()
        ))
    }
}
