//! The publication of heads: at once, or after witnesses have cosigned them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tlog::{TreeSize, WitnessPolicy};
use tokio::sync::watch;
use tokio::time::Instant;

use super::extends::extends;
use super::head::{Head, Integrated};
use super::load::{load_edge, load_head, published_head};
use super::witnesses::{WitnessTransport, Witnesses};
use crate::keys::signer::Signer;
use crate::open_error::OpenError;
use crate::store::{PublicationRow, Read, Store, StoreError};
use crate::tree::Tree;

/// How a log with a witness policy publishes.
#[derive(Clone)]
pub struct Witnessing {
    /// The witnesses, and the quorum of them. The `log` lines of the policy are ignored.
    pub policy: WitnessPolicy,
    /// Carries requests to the witnesses.
    pub transport: Arc<dyn WitnessTransport>,
    /// After this time a head is published without its quorum ("fail open"). Unset: never ("fail
    /// closed").
    pub fail_open_after: Option<Duration>,
}

/// The condition under which heads are published.
pub(crate) enum Publication {
    /// As soon as they are integrated.
    AtOnce,
    /// Once they are witnessed.
    Witnessed(Box<Witnessed>),
}

impl Publication {
    pub(crate) fn new(witnessing: Option<Witnessing>) -> Result<Self, OpenError> {
        let Some(witnessing) = witnessing else {
            return Ok(Self::AtOnce);
        };
        let witnesses =
            Witnesses::new(witnessing.policy, witnessing.transport).ok_or(OpenError::Quorum)?;
        Ok(Self::Witnessed(Box::new(Witnessed {
            witnesses,
            fail_open_after: witnessing.fail_open_after,
            waiting_since: Mutex::new(None),
            found: watch::Sender::new(None),
        })))
    }

    /// Returns the integrated and the published head of a tree that is being opened.
    ///
    /// The first publication of a tree with a policy is the head that was published before it had
    /// one.
    pub(crate) async fn open(
        &self,
        store: &dyn Store,
        tree: &Arc<Tree>,
        signer: &Signer,
    ) -> Result<(Arc<Integrated>, Head), OpenError> {
        let sign = |integrated: &Arc<Integrated>| Head::sign(tree, integrated, signer);
        let mut reader = store.reader();
        loop {
            // Publication first, then head, because each published head was integrated before.
            let row = reader.newest_publication(tree.id).await?;
            let integrated = Arc::new(load_head(reader.as_mut(), tree.id).await?);
            match (self, row) {
                (Self::AtOnce, Some(_)) => return Err(OpenError::Witnessed),
                (Self::AtOnce, None) => {
                    let head = sign(&integrated)?;
                    return Ok((integrated, head));
                }
                (Self::Witnessed(witnessed), Some(row)) => {
                    let published =
                        published_head(reader.as_mut(), tree.id, &row, &integrated).await?;
                    if published.size < integrated.size {
                        witnessed.mark_waiting();
                    }
                    let head = sign(&published)?.with_stored(row.checkpoint)?;
                    return Ok((integrated, head));
                }
                (Self::Witnessed(_), None) => {
                    let head = sign(&integrated)?;
                    if store
                        .publisher()
                        .await?
                        .publish(tree.id, &publication_row(&head, None))
                        .await?
                    {
                        return Ok((integrated, head));
                    }
                    // Another server that starts at the same moment was first, so its publication
                    // counts.
                }
            }
        }
    }
}

/// Returns the newest stored publication if `let_out` extends it, as it was published. A database
/// that went back may hold another history.
pub(crate) async fn newest_publication(
    read: &mut dyn Read,
    let_out: &Head,
    signer: &Signer,
) -> Result<Option<Head>, OpenError> {
    let tree = &let_out.tree;
    let Some(row) = read.newest_publication(tree.id).await? else {
        return Ok(None);
    };
    if row.size > let_out.size {
        return Ok(None);
    }
    let edge = match load_edge(read, tree.id, row.size).await {
        Ok(edge) => edge,
        Err(StoreError::Damaged(_)) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let Some(stored) = Integrated::read_back(edge, row.root, row.time) else {
        return Ok(None);
    };
    let extended = extends(read, tree.id, stored.view(), let_out.view()).await?;
    if extended.is_err() {
        return Ok(None);
    }
    let head = Head::sign(tree, &Arc::new(stored), signer)?;
    Ok(Some(head.with_stored(row.checkpoint)?))
}

/// A witness policy at work.
pub(crate) struct Witnessed {
    pub(super) witnesses: Witnesses,
    pub(super) fail_open_after: Option<Duration>,
    /// Since when a head waits without any publication. `None` while no head waits.
    waiting_since: Mutex<Option<Instant>>,
    /// The newest publication of another server, to be let out here.
    pub(super) found: watch::Sender<Option<Arc<Head>>>,
}

impl Witnessed {
    /// Notes that an integrated head waits to be published.
    pub(super) fn mark_waiting(&self) {
        self.waiting_since
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert_with(Instant::now);
    }

    /// Notes a publication. Heads that still wait count as waiting from now on.
    pub(super) fn mark_published(&self) {
        *self
            .waiting_since
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Notes a publication of another server.
    pub(super) fn note_found(&self, head: Arc<Head>) {
        self.found.send_if_modified(|found| {
            let is_newer = found.as_ref().is_none_or(|found| head.size > found.size);
            if is_newer {
                *found = Some(head);
            }
            is_newer
        });
    }

    /// Returns the newest publication of another server, if one was found.
    pub(super) fn newest_found(&self) -> Option<Arc<Head>> {
        self.found.borrow().clone()
    }

    /// Returns how long a head has waited without any publication.
    pub(super) fn waiting_time(&self) -> Duration {
        let since = *self
            .waiting_since
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        since.map_or(Duration::ZERO, |since| since.elapsed())
    }
}

/// Returns the row that publishes a head after the publication of `prev_size`.
pub(crate) fn publication_row(head: &Head, prev_size: Option<TreeSize>) -> PublicationRow {
    PublicationRow {
        prev_size,
        size: head.size,
        root: head.root,
        time: head.time,
        checkpoint: head.checkpoint.clone(),
    }
}
