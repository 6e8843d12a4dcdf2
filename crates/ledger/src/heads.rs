//! The heads of one tree: which is integrated, which is published, whether the log is read-only and
//! the tree frozen.

use std::sync::{Arc, Mutex, OnceLock};

use tlog::{Hash, LeafIndex};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::guard::place::Guard;
use crate::keys::signer::{Signer, SigningError};
use crate::metrics::Metrics;
use crate::store::{FinalCheckpoint, Read, Store, StoreError};
use crate::tree::Tree;
use follow::Refresh;
use head::{Head, Integrated};
use publication::Publication;
use went_back::{HeadError, WentBack};

pub(crate) mod extends;
pub(crate) mod follow;
pub(crate) mod head;
pub(crate) mod letting_out;
pub(crate) mod load;
pub(crate) mod poll;
pub(crate) mod publication;
pub(crate) mod publisher;
pub(crate) mod tile_set;
pub(crate) mod went_back;
mod witnessed_sizes;
pub(crate) mod witnesses;

/// What the heads of all trees of a log share.
pub(crate) struct HeadsParts {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) guard: Arc<dyn Guard>,
    pub(crate) metrics: Metrics,
}

/// Owns the heads of one open tree.
pub(crate) struct Heads {
    tree: Arc<Tree>,
    signer: Signer,
    store: Arc<dyn Store>,
    guard: Arc<dyn Guard>,
    metrics: Metrics,
    refresh: Refresh,
    /// The newest head that this process knows to be durable. A round builds on it, and the
    /// database must not fall below it.
    integrated: watch::Sender<Arc<Integrated>>,
    publication: Publication,
    /// The newest published head.
    published: watch::Sender<Arc<Head>>,
    /// Why the last attempt to let a head out failed, if it did.
    not_let_out: Mutex<Option<String>>,
    /// Cancelled once no more heads are published here.
    ended: CancellationToken,
    /// Why the log takes no more entries. It stays so until the process ends, because a person has
    /// to look.
    halted: OnceLock<WentBack>,
    /// Cancelled once the tree is frozen and its last head is known here.
    frozen: CancellationToken,
}

impl Heads {
    /// Makes the owner of a tree's heads, from its stored head and its published head.
    pub(crate) fn new(
        parts: HeadsParts,
        signer: Signer,
        publication: Publication,
        integrated: Arc<Integrated>,
        published: Head,
    ) -> Self {
        Self {
            tree: Arc::clone(&published.tree),
            signer,
            store: parts.store,
            guard: parts.guard,
            metrics: parts.metrics,
            refresh: Refresh::new(),
            integrated: watch::Sender::new(integrated),
            publication,
            published: watch::Sender::new(Arc::new(published)),
            not_let_out: Mutex::default(),
            ended: CancellationToken::new(),
            halted: OnceLock::new(),
            frozen: CancellationToken::new(),
        }
    }

    /// Returns the tree.
    pub(crate) fn tree(&self) -> &Arc<Tree> {
        &self.tree
    }

    /// Returns the published head.
    pub(crate) fn published(&self) -> Arc<Head> {
        self.published.borrow().clone()
    }

    /// Returns the published heads from now on.
    pub(crate) fn watch_published(&self) -> watch::Receiver<Arc<Head>> {
        self.published.subscribe()
    }

    /// Returns the newest integrated head.
    pub(crate) fn integrated(&self) -> Arc<Integrated> {
        self.integrated.borrow().clone()
    }

    /// Returns why the log is read-only, if its database went back.
    pub(crate) fn halted(&self) -> Option<&str> {
        self.halted.get().map(|halted| halted.reason.as_str())
    }

    /// Whether the tree is frozen and its last head is known here.
    pub(crate) fn is_frozen(&self) -> bool {
        self.frozen.is_cancelled()
    }

    /// Notes that the tree is frozen. The integrated head MUST be its last one.
    pub(crate) fn mark_frozen(&self) {
        self.frozen.cancel();
    }

    /// Waits until the tree is frozen and its last head is known here.
    pub(crate) async fn wait_frozen(&self) {
        self.frozen.cancelled().await;
    }

    /// Shows the published head in the metrics if the tree is active.
    pub(crate) fn show_in_metrics(&self) {
        self.show_head(&self.published());
    }

    fn show_head(&self, head: &Head) {
        if self.is_frozen() {
            return;
        }
        self.metrics.tree_size.set(gauge(head.size.0));
        self.metrics
            .log_size
            .set(gauge(head.tree.first_log_index + head.size.0));
        self.metrics.head_time.set(head.time);
    }

    /// Returns the final checkpoints of a frozen tree; see [`Head::sign_freeze`].
    pub(crate) fn sign_freeze(
        &self,
        head: &Head,
        now_millis: i64,
    ) -> Result<FinalCheckpoint, SigningError> {
        head.sign_freeze(now_millis, &self.signer)
    }

    /// Returns the COSE receipt (RFC 9942) of an entry in a head that was published.
    pub(crate) fn receipt(
        &self,
        head: &Head,
        index: LeafIndex,
        hashes: &[Hash],
    ) -> Result<Vec<u8>, SigningError> {
        let signature = head.receipt_signature(&self.signer)?.to_vec();
        let signed = head.signed_root();
        Ok(signed.receipt(index, head.size, hashes, signature))
    }

    /// Shows the stored final checkpoints of a frozen tree from now on. Its last head MUST be
    /// published here.
    pub(crate) fn show_final(&self, stored: &FinalCheckpoint) -> Result<(), StoreError> {
        let head = self.published().with_final(stored)?;
        self.published.send_replace(Arc::new(head));
        Ok(())
    }

    /// Makes the log read-only and remembers the first reason. It stays so until the process ends.
    ///
    /// The next start judges anew. It finds the same if the guard has the head that the database does
    /// not continue, or if the witness that knows it answers again. A head that was integrated and
    /// not published yet is in no guard: nobody has seen it, and the next start does not know it.
    ///
    /// If this tree is a frozen one, writes go on in the active tree, and the server stays ready:
    /// [`crate::Log::halted`] and [`crate::Ledger::ready`] ask the active tree alone. Only the
    /// metric and the log line report it.
    pub(crate) fn halt(&self, reason: &WentBack) -> WentBack {
        let first = self.halted.get_or_init(|| reason.clone());
        self.ended.cancel();
        self.metrics.read_only.set(1);
        self.metrics.read_only_known_size.set(gauge(first.known.0));
        self.metrics.read_only_found_size.set(gauge(first.found.0));
        tracing::error!(log = %self.tree.api, reason = %first.reason, "the log is read-only");
        first.clone()
    }

    /// Accepts a durable head that was built on `base`. Returns the newest integrated head
    /// afterwards: this one, or a larger one that a follower found meanwhile.
    ///
    /// Without a witness policy it is let out next; see [`letting_out`].
    ///
    /// Dies here: the head is durable, and the next start finds it.
    pub(crate) async fn integrate(
        &self,
        base: &Arc<Integrated>,
        integrated: Integrated,
        read: &mut dyn Read,
    ) -> Result<Arc<Integrated>, HeadError> {
        let integrated = Arc::new(integrated);
        let mut checked = Arc::clone(base);
        loop {
            if self.replace_integrated(&checked, &integrated) {
                return Ok(integrated);
            }
            let newest = self.integrated();
            let (older, newer) = if newest.size <= integrated.size {
                (&newest, &integrated)
            } else {
                (&integrated, &newest)
            };
            self.check_extends(older.view(), newer.view(), read).await?;
            if newest.size >= integrated.size {
                return Ok(newest);
            }
            checked = newest;
        }
    }

    /// Makes `next`, which extends `checked`, the newest integrated head. Returns false, and
    /// changes nothing, if `checked` is not the newest any more.
    fn replace_integrated(&self, checked: &Arc<Integrated>, next: &Arc<Integrated>) -> bool {
        self.integrated.send_if_modified(|newest| {
            if !Arc::ptr_eq(newest, checked) {
                return false;
            }
            *newest = Arc::clone(next);
            if let Publication::Witnessed(witnessed) = &self.publication {
                witnessed.mark_waiting();
            }
            true
        })
    }

    /// Signs a durable head. That does not publish it.
    pub(crate) fn sign(&self, integrated: &Arc<Integrated>) -> Result<Head, SigningError> {
        Head::sign(&self.tree, integrated, &self.signer)
    }

    /// Publishes a head unless a larger one is published. The guard MUST have it, and it MUST belong
    /// to the line of integrated heads, which are all consistent.
    fn publish(&self, head: Arc<Head>) {
        let size = head.size;
        let is_larger = self.published.send_if_modified(|published| {
            if head.size <= published.size {
                return false;
            }
            self.show_head(&head);
            *published = head;
            true
        });
        if let Publication::Witnessed(witnessed) = &self.publication
            && is_larger
        {
            witnessed.mark_published();
            // Checked afterwards, because a head that is integrated from now on marks itself as
            // waiting.
            if self.integrated().size > size {
                witnessed.mark_waiting();
            }
        }
    }
}

fn gauge(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
