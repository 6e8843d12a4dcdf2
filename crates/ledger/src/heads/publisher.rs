//! Publication with witnesses: no checkpoint of a head leaves before a quorum has cosigned it and
//! that is stored.
//!
//! Of several servers on one database, one at a time asks the witnesses, while it has the right to
//! publish. The others follow what it stored; see [`super::letting_out`]. The right only saves work:
//! which publication follows which is decided by the row that stores it. So a server that waits too
//! long for one that hangs asks the witnesses as well.

use std::sync::Arc;
use std::time::Duration;

use tlog::Note;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::Heads;
use super::head::Head;
use super::publication::{Publication, Witnessed, publication_row};
use super::went_back::HeadError;
use super::witnesses::WITNESS_TIMEOUT;
use crate::store::{Publisher, StoreError};

/// Pause after a failed attempt.
const FAILURE_PAUSE: Duration = Duration::from_secs(1);
/// Pause while another server has the right to publish.
const TURN_PAUSE: Duration = Duration::from_millis(100);
/// A server that has waited this long for the published size to grow publishes without the right.
/// An attempt takes less unless a witness is slow; then two servers ask it.
const TURN_PATIENCE: Duration = Duration::from_secs(2);

/// Outcome of an attempt to publish.
enum Attempt {
    /// Everything integrated is published.
    Done,
    /// Another server publishes.
    NotOurTurn,
}

/// Why a head was not published.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("the cosignatures do not make the quorum")]
    NoQuorum,
    #[error("a witness has cosigned another history of the log")]
    Contradicted,
    #[error("another server had a larger head cosigned meanwhile")]
    Overtaken,
    #[error(transparent)]
    Head(#[from] HeadError),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Head(error.into())
    }
}

impl Heads {
    /// Publishes integrated heads. Once the log stops, it ends when no head waits or an attempt
    /// fails.
    pub(super) async fn run_publisher(&self, stopping: &CancellationToken) {
        let Publication::Witnessed(witnessed) = &self.publication else {
            return;
        };
        let mut publisher = None;
        let mut integrated = self.integrated.subscribe();
        while self.halted().is_none() {
            let published = self.published().size;
            tokio::select! {
                biased;
                _ = integrated.wait_for(|newest| newest.size > published) => {}
                () = stopping.cancelled() => return,
            }
            let pause = match self.attempt(witnessed, &mut publisher).await {
                Ok(Attempt::Done) => continue,
                Ok(Attempt::NotOurTurn) | Err(Failure::Overtaken) => TURN_PAUSE,
                Err(error) => {
                    // The dropped connection gives the right to publish to a server that may do
                    // better.
                    publisher = None;
                    self.metrics.publication_failures.inc();
                    tracing::warn!(log = %self.tree.api, %error, "a head is not published yet");
                    FAILURE_PAUSE
                }
            };
            if stopping.run_until_cancelled(sleep(pause)).await.is_none() {
                return;
            }
        }
    }

    async fn attempt(
        &self,
        witnessed: &Witnessed,
        connection: &mut Option<Box<dyn Publisher>>,
    ) -> Result<Attempt, Failure> {
        let mut publisher = match connection.take() {
            Some(publisher) => publisher,
            None => self.store.publisher().await?,
        };
        let attempt = if publisher.claim(self.tree.id).await? {
            self.publish_newest(witnessed, publisher.as_mut()).await?;
            publisher.release(self.tree.id).await?;
            Attempt::Done
        } else if witnessed.waiting_time() >= TURN_PATIENCE {
            tracing::info!(log = %self.tree.api, "publishing beside a server that may hang");
            self.publish_newest(witnessed, publisher.as_mut()).await?;
            Attempt::Done
        } else {
            Attempt::NotOurTurn
        };
        *connection = Some(publisher);
        Ok(attempt)
    }

    /// Has the newest integrated head cosigned, stores the publication, and publishes it here.
    async fn publish_newest(
        &self,
        witnessed: &Witnessed,
        publisher: &mut dyn Publisher,
    ) -> Result<(), Failure> {
        // Another server may have published before it was our turn, or we did without learning of
        // it.
        let integrated = self.follow(self.store.reader().as_mut()).await?;
        self.let_out_found(witnessed).await?;
        let published = self.published();
        if published.size == integrated.size {
            return Ok(());
        }
        let started = Instant::now();
        let head = self.sign(&integrated).map_err(HeadError::from)?;
        // The guard has the head before a witness does.
        self.keep(&head).await?;
        // Dies here: witnesses may know a head that is durable and not published. The next attempt
        // proves from there.
        let head = self.cosigned(witnessed, head).await?;
        let row = publication_row(&head, Some(published.size));
        // Dies here: the database decides, and every server reads back what it decided.
        if !publisher.publish(self.tree.id, &row).await? {
            // Another server published meanwhile, because our right was lost or was not respected any
            // more. Its publication counts.
            self.follow(self.store.reader().as_mut()).await?;
            self.let_out_found(witnessed).await?;
            return Ok(());
        }
        self.publish(Arc::new(head));
        self.metrics.publications.inc();
        self.metrics
            .publication_seconds
            .observe(started.elapsed().as_secs_f64());
        Ok(())
    }

    async fn cosigned(&self, witnessed: &Witnessed, head: Head) -> Result<Head, Failure> {
        let damaged =
            |error: tlog::NoteError| HeadError::Store(StoreError::Damaged(error.to_string()));
        let note = Note::parse(&head.checkpoint).map_err(damaged)?;
        let until_open = witnessed
            .fail_open_after
            .map(|after| after.saturating_sub(witnessed.waiting_time()));
        let patience = until_open.map_or(WITNESS_TIMEOUT, |left| left.min(WITNESS_TIMEOUT));
        let cosigned = witnessed
            .witnesses
            .cosign(self.store.as_ref(), &self.metrics, &head, &note, patience)
            .await;
        if !cosigned.is_quorum {
            // Without the quorum such a head is never published, however long it waits.
            if cosigned.is_contradicted {
                return Err(Failure::Contradicted);
            }
            if witnessed
                .fail_open_after
                .is_none_or(|after| witnessed.waiting_time() < after)
            {
                return Err(match cosigned.is_overtaken {
                    true => Failure::Overtaken,
                    false => Failure::NoQuorum,
                });
            }
            tracing::error!(
                log = %self.tree.api,
                size = head.size.0,
                "published without the quorum of witnesses"
            );
            self.metrics.unwitnessed_publications.inc();
        }
        Ok(head
            .with_cosignatures(note, cosigned.lines)
            .map_err(HeadError::from)?)
    }
}
