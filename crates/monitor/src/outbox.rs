//! The outbox: notices on disk until every channel has delivered them.
//!
//! A folder holds one file for each notice, and one for the progress of each channel. Channels
//! deliver in the order of the notices, each at its own pace. A notice is lost by no crash, and
//! each attempt to deliver it but the very first says `"repeated": true`, because the receiver may
//! have it already.
//!
//! A notice that a receiver refuses again and again is set aside for this channel, in a file of its
//! own, so that it holds up no other.
//!
//! The outbox is bounded. While it is full, [`Outbox::put`] waits, so that whoever follows a log
//! stands still and says so, rather than that a notice is lost.

mod deliver;
mod error;
mod files;
mod metrics;
mod progress;
mod queue;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, watch};
use tokio::task::JoinSet;

use crate::channels::Channels;
use crate::notice::Notice;
use files::Files;
use queue::Queue;

pub use error::OutboxError;
pub use metrics::OutboxMetrics;

/// Notices that wait in one outbox: some hundred megabytes at most.
const MAX_QUEUED: usize = if cfg!(test) { 20 } else { 10_000 };
/// How often a full outbox is mentioned.
const FULL_EVERY: Duration = Duration::from_secs(60);
/// Longest wait for attempts that are under way when the outbox is closed.
const CLOSE_WITHIN: Duration = Duration::from_secs(10);

/// What the outbox needs from outside.
#[derive(Clone)]
pub struct Surroundings {
    /// Returns the time in Unix seconds.
    pub now: Arc<dyn Fn() -> i64 + Send + Sync>,
    /// Returns a random number from 0 up to 1, by which pauses between attempts differ.
    pub jitter: Arc<dyn Fn() -> f64 + Send + Sync>,
    /// The pauses.
    pub backoff: Backoff,
}

/// Pauses after failed attempts: the first one, then twice as long each time up to the longest.
/// Each is multiplied by a random number from 0.5 to 1.5.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    /// The first pause.
    pub first: Duration,
    /// The longest pause.
    pub longest: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            first: Duration::from_secs(1),
            longest: Duration::from_secs(5 * 60),
        }
    }
}

/// An open outbox. Its channels deliver until it is closed or dropped.
pub struct Outbox {
    shared: Arc<Shared>,
    /// Held while notices are written, so that they get their numbers in order.
    writing: Mutex<()>,
    deliveries: Mutex<JoinSet<()>>,
}

struct Shared {
    files: Files,
    /// Changes with every notice that is put or delivered.
    queue: watch::Sender<Queue>,
    is_closed: watch::Sender<bool>,
    metrics: OutboxMetrics,
    surroundings: Surroundings,
}

impl Outbox {
    /// Opens the outbox in a folder, which is created if it is absent, and begins to deliver.
    /// MUST run within a runtime.
    ///
    /// # Errors
    ///
    /// The folder cannot be used, or another process uses it.
    pub fn open(
        folder: &Path,
        channels: Channels,
        metrics: OutboxMetrics,
        surroundings: Surroundings,
    ) -> Result<Self, OutboxError> {
        let files = Files::open(folder)?;
        let names = channels.0.iter().map(|channel| channel.name.as_str());
        let stored = files.stored(names)?;
        let queue = Queue::new(&stored);
        queue.show(&metrics);
        let outdated = queue.delivered(&stored);
        files.remove(&outdated);
        let shared = Arc::new(Shared {
            files,
            queue: watch::Sender::new(queue),
            is_closed: watch::Sender::new(false),
            metrics,
            surroundings,
        });
        let mut deliveries = JoinSet::new();
        for channel in channels.0 {
            deliveries.spawn(deliver::run(Arc::clone(&shared), channel));
        }
        Ok(Self {
            shared,
            writing: Mutex::new(()),
            deliveries: Mutex::new(deliveries),
        })
    }

    /// Keeps notices. When this returns, a crash does not lose them. A notice whose ID waits
    /// already is not added again. Waits while the outbox is full.
    ///
    /// # Errors
    ///
    /// A file cannot be written, or every channel is switched off by its receiver. Some of the
    /// notices may be kept then.
    pub async fn put(&self, notices: &[Notice]) -> Result<(), OutboxError> {
        let _order = self.writing.lock().await;
        for notice in notices {
            if self.shared.queue.borrow().has(&notice.id) {
                continue;
            }
            self.wait_for_room().await?;
            let number = self.shared.queue.borrow().next;
            let id = notice.id.clone();
            // Dies here: the notice is not kept. Its entry is read again, because the position of
            // the reader moves on only after this.
            self.shared.files.add(number, notice.clone()).await?;
            self.shared.queue.send_modify(|queue| queue.add(number, id));
            self.shared.show();
        }
        // A rename may be lost in a crash until the folder is written.
        match notices {
            [] => Ok(()),
            _ => self.shared.files.sync().await,
        }
    }

    async fn wait_for_room(&self) -> Result<(), OutboxError> {
        let mut queue = self.shared.queue.subscribe();
        loop {
            let slowest = {
                let state = queue.borrow_and_update();
                if state.is_off() {
                    return Err(OutboxError::NobodyLeft);
                }
                if state.len() < MAX_QUEUED {
                    return Ok(());
                }
                state.slowest().unwrap_or_default()
            };
            tracing::warn!(
                "the outbox {} is full: {MAX_QUEUED} notices wait, most of them for channel {slowest:?}; nothing new \
                 is read from the log until it delivers or is removed from the configuration",
                self.shared.files.folder().display()
            );
            // The sender is in `self`, so that a change is the only way to wake up early.
            let _ = tokio::time::timeout(FULL_EVERY, async {
                let has_room = |queue: &Queue| queue.is_off() || queue.len() < MAX_QUEUED;
                let _ = queue.wait_for(has_room).await;
            })
            .await;
        }
    }

    /// Returns how many notices wait for a channel.
    pub fn len(&self) -> usize {
        self.shared.queue.borrow().len()
    }

    /// Whether no notice waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Waits until every channel has delivered every notice, or is switched off.
    pub async fn delivered(&self) {
        let mut queue = self.shared.queue.subscribe();
        // An error would say that the sender is gone, and it is in `self`.
        let is_done = |queue: &Queue| queue.len() == 0 || queue.is_off();
        let _ = queue.wait_for(is_done).await;
    }

    /// Ends the deliveries: waits a while for attempts that are under way. What was not delivered
    /// waits for the next start.
    pub async fn close(&self) {
        self.shared.is_closed.send_replace(true);
        let mut deliveries = self.deliveries.lock().await;
        let ended = async { while deliveries.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(CLOSE_WITHIN, ended).await;
        deliveries.shutdown().await;
    }
}

impl Shared {
    fn show(&self) {
        self.queue.borrow().show(&self.metrics);
    }

    fn now(&self) -> i64 {
        (self.surroundings.now)()
    }
}

#[cfg(test)]
mod tests;
