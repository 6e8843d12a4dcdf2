//! The publication of heads: at once, or after witnesses have cosigned them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tlog::{TreeSize, WitnessPolicy};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::head::{Head, Integrated};
use super::load::{load_head, published_head};
use super::witnesses::{WitnessTransport, Witnesses};
use crate::keys::signer::Signer;
use crate::open_error::OpenError;
use crate::store::{PublicationRow, Store};
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
            ended: CancellationToken::new(),
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

/// A witness policy at work.
pub(crate) struct Witnessed {
    pub(super) witnesses: Witnesses,
    pub(super) fail_open_after: Option<Duration>,
    /// Since when a head waits without any publication. `None` while no head waits.
    waiting_since: Mutex<Option<Instant>>,
    /// Cancelled once the publisher has ended and publishes no more heads here.
    pub(super) ended: CancellationToken,
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
pub(super) fn publication_row(head: &Head, prev_size: Option<TreeSize>) -> PublicationRow {
    PublicationRow {
        prev_size,
        size: head.size,
        root: head.root,
        time: head.time,
        checkpoint: head.checkpoint.clone(),
    }
}
