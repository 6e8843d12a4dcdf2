//! Tells readers of events that a head was published.
//!
//! One task waits for the heads of all logs, and wakes the readers, some ten times a second at most.
//! So the task that publishes a head wakes one waiter, whatever the number of readers.

use tokio::sync::{Notify, watch};

/// The news of a ledger.
#[derive(Debug, Default)]
pub(crate) struct News {
    pub(super) told: watch::Sender<u64>,
    /// Wakes the task for the first reader.
    pub(super) wanted: Notify,
}

impl News {
    /// Returns a receiver that changes after a head was published.
    pub(super) fn subscribe(&self) -> watch::Receiver<u64> {
        let news = self.told.subscribe();
        self.wanted.notify_one();
        news
    }
}
