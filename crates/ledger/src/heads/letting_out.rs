//! Letting heads out: a head is published here once the guard has it, and no earlier. Meanwhile the
//! next round commits.
//!
//! Without a witness policy that is the newest integrated head. With one it is a publication of
//! another server; the publisher lets out those that it made itself.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tlog::{LeafIndex, TreeSize};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::Heads;
use super::head::Head;
use super::publication::{Publication, Witnessed};
use super::went_back::HeadError;
use crate::store::StoreError;
use crate::tasks::Tasks;

/// Writes are refused while more entries than this wait to be published. They are durable, but
/// nobody can prove them yet.
pub const MAX_UNPUBLISHED_ENTRIES: u64 = 100_000;
/// Writes are refused while a head has waited this long without any publication. No write waits
/// longer than this either.
pub const MAX_UNPUBLISHED_TIME: Duration = Duration::from_secs(10);
/// Longest wait of a read for a head that was found in the database to be let out.
const MAX_READ_WAIT: Duration = Duration::from_secs(5);
/// The time after which a refused client should try again. Witnesses that answer do so in much
/// less.
const RETRY_AFTER: Duration = Duration::from_secs(2);
/// Pause after a failed attempt.
const FAILURE_PAUSE: Duration = Duration::from_secs(1);

/// Why an entry cannot be confirmed as published.
#[derive(Clone, Debug)]
pub(crate) enum NotPublished {
    /// The log is read-only, for this reason.
    ReadOnly(String),
    /// The server stops.
    Stopping,
    /// The log waits for its witnesses.
    Waiting {
        /// The time after which to try again.
        retry_after: Duration,
    },
    /// The newest heads cannot be let out, for this reason.
    NotLetOut(String),
}

impl Heads {
    /// Starts the tasks that publish heads. They may end once `stopping` is cancelled or the log is
    /// read-only.
    pub(crate) fn spawn_publisher(
        self: &Arc<Self>,
        tasks: &Tasks,
        stopping: CancellationToken,
    ) -> JoinHandle<()> {
        let may_end = {
            let (heads, stopping) = (Arc::clone(self), stopping.clone());
            move || stopping.is_cancelled() || heads.halted().is_some()
        };
        let heads = Arc::clone(self);
        let publish = async move {
            let _ended = heads.ended.clone().drop_guard();
            tokio::join!(
                heads.run_letting_out(&stopping),
                heads.run_publisher(&stopping)
            );
        };
        tasks.spawn(
            format!("the publisher of the {} log", self.tree.api),
            may_end,
            publish,
        )
    }

    /// Refuses a write while too many entries wait to be published, or one has waited too long.
    pub(crate) fn check_unpublished(&self) -> Result<(), NotPublished> {
        let newest = self.integrated().size.0;
        let waiting = newest.saturating_sub(self.published().size.0);
        match &self.publication {
            Publication::Witnessed(witnessed)
                if waiting > MAX_UNPUBLISHED_ENTRIES
                    || witnessed.waiting_time() >= MAX_UNPUBLISHED_TIME =>
            {
                return Err(self.why_not_published());
            }
            _ => {}
        }
        match self.not_let_out() {
            Some(reason) => Err(NotPublished::NotLetOut(reason)),
            None => Ok(()),
        }
    }

    /// Waits, for a bounded time, until the entry is below the published head.
    pub(crate) async fn wait_published(&self, index: LeafIndex) -> Result<(), NotPublished> {
        let mut heads = self.published.subscribe();
        tokio::select! {
            biased;
            // The sender lives as long as this owner, so this never fails.
            _ = heads.wait_for(|head| head.size.0 > index.0) => return Ok(()),
            () = self.ended.cancelled() => {}
            () = sleep(MAX_UNPUBLISHED_TIME) => {}
        }
        Err(self.why_not_published())
    }

    fn why_not_published(&self) -> NotPublished {
        if let Some(reason) = self.halted() {
            return NotPublished::ReadOnly(reason.to_owned());
        }
        if self.ended.is_cancelled() {
            return NotPublished::Stopping;
        }
        match (self.not_let_out(), &self.publication) {
            (Some(reason), _) => NotPublished::NotLetOut(reason),
            (None, Publication::Witnessed(_)) => NotPublished::Waiting {
                retry_after: RETRY_AFTER,
            },
            (None, Publication::AtOnce) => {
                let seconds = MAX_UNPUBLISHED_TIME.as_secs();
                NotPublished::NotLetOut(format!("its guard took more than {seconds} s"))
            }
        }
    }

    /// Waits, for a bounded time, until a head of this size is published here, which was found in
    /// the database.
    pub(super) async fn wait_let_out(&self, size: TreeSize) -> Result<(), StoreError> {
        if self.published.borrow().size >= size {
            return Ok(());
        }
        let mut heads = self.published.subscribe();
        let let_out = heads.wait_for(|head| head.size >= size);
        match timeout(MAX_READ_WAIT, let_out).await {
            Ok(_) => Ok(()),
            Err(_) => {
                let reason = self.not_let_out().unwrap_or_default();
                let message = format!("the newest tree head is not let out yet {reason}");
                Err(StoreError::Unavailable(message.trim_end().to_owned()))
            }
        }
    }

    /// Makes a head durable in the guard. MUST come before anything that states the head leaves this
    /// process.
    pub(crate) async fn keep(&self, head: &Head) -> Result<(), HeadError> {
        let kept = self.guard.keep(head.guarded()).await;
        let outcome = kept.map_err(HeadError::from);
        self.note_let_out(outcome.as_ref().err());
        outcome
    }

    /// Returns why the newest head cannot be let out, if the last attempt failed.
    pub(crate) fn not_let_out(&self) -> Option<String> {
        if self.integrated().size <= self.published().size {
            return None;
        }
        // One value, written whole: a panic elsewhere does not spoil it.
        let reason = self.not_let_out.lock();
        reason.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note_let_out(&self, failure: Option<&HeadError>) {
        let reason = self.not_let_out.lock();
        let mut reason = reason.unwrap_or_else(PoisonError::into_inner);
        *reason = failure.map(ToString::to_string);
    }

    /// Lets heads out until the log stops and none waits, or an attempt fails then.
    async fn run_letting_out(&self, stopping: &CancellationToken) {
        while self.halted().is_none() {
            let newer = tokio::select! {
                biased;
                newer = self.next_to_let_out() => newer,
                () = stopping.cancelled() => return,
            };
            let outcome = match newer {
                Ok(head) => self.let_out(head).await,
                Err(error) => Err(error),
            };
            if let Err(error) = outcome {
                self.note_let_out(Some(&error));
                tracing::error!(log = %self.tree.api, %error, "the newest tree head cannot be let out");
                let pause = stopping.run_until_cancelled(sleep(FAILURE_PAUSE));
                if pause.await.is_none() {
                    return;
                }
            }
        }
    }

    /// Waits for a head that is larger than the published one, and returns the newest.
    async fn next_to_let_out(&self) -> Result<Arc<Head>, HeadError> {
        let published = self.published().size;
        // The senders live as long as this owner, so waiting never fails.
        match &self.publication {
            Publication::AtOnce => {
                let mut integrated = self.integrated.subscribe();
                drop(integrated.wait_for(|newest| newest.size > published).await);
                Ok(Arc::new(self.sign(&self.integrated())?))
            }
            Publication::Witnessed(witnessed) => loop {
                let mut found = witnessed.found.subscribe();
                let is_newer = |head: &Option<Arc<Head>>| {
                    head.as_ref().is_some_and(|head| head.size > published)
                };
                drop(found.wait_for(is_newer).await);
                if let Some(head) = witnessed.newest_found() {
                    return Ok(head);
                }
            },
        }
    }

    /// Lets out the newest publication of another server that was found, unless it is published here.
    pub(super) async fn let_out_found(&self, witnessed: &Witnessed) -> Result<(), HeadError> {
        match witnessed.newest_found() {
            Some(head) if head.size > self.published().size => self.let_out(head).await,
            _ => Ok(()),
        }
    }

    async fn let_out(&self, head: Arc<Head>) -> Result<(), HeadError> {
        self.keep(&head).await?;
        // Dies here: the guard has a head that nobody saw. It is durable in the database too.
        self.publish(head);
        Ok(())
    }
}
