//! The shard that takes entries: its sequencer and its publisher at work.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::shard::Shard;
use crate::parts::LogParts;
use crate::writing::last_round::LastRound;
use crate::writing::queue::Queue;
use crate::writing::rounds::TreeParts;
use crate::writing::sequencer::sequencer;

/// A tree with the tasks that write to it and follow it.
pub(crate) struct Active {
    pub(crate) shard: Arc<Shard>,
    pub(crate) queue: Queue,
    pub(crate) last_round: Arc<LastRound>,
    stopping: CancellationToken,
    sequencer: Mutex<Option<JoinHandle<()>>>,
    /// Ends the publisher once nothing waits; after the sequencer.
    publishing: CancellationToken,
    publisher: Mutex<Option<JoinHandle<()>>>,
}

impl Active {
    /// Starts the tasks.
    pub(crate) fn start(shard: Arc<Shard>, parts: &LogParts) -> Self {
        let tasks = &parts.shared.tasks;
        let stopping = CancellationToken::new();
        let last_round = Arc::new(LastRound::default());
        let written = writing(&shard, parts);
        let (queue, sequencer) = sequencer(written, Arc::clone(&last_round), stopping.clone());
        let may_end = {
            let stopping = stopping.clone();
            move || stopping.is_cancelled()
        };
        let sequencer = tasks.spawn(
            format!("the sequencer of the {} log", parts.api),
            may_end,
            sequencer.run(),
        );
        let publishing = CancellationToken::new();
        let publisher = shard.heads.spawn_publisher(tasks, publishing.clone());
        let (sequencer, publisher) = (Mutex::new(Some(sequencer)), Mutex::new(Some(publisher)));
        Self {
            shard,
            queue,
            last_round,
            stopping,
            sequencer,
            publishing,
            publisher,
        }
    }

    /// Whether the server stops.
    pub(crate) fn is_stopping(&self) -> bool {
        self.sequencer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_none()
    }

    /// Sends queued entries on to the next tree, because this one is frozen and the log has moved
    /// on. The publisher continues.
    pub(crate) fn retire(&self) {
        self.stopping.cancel();
    }

    /// Accepts no more entries, finishes the queue, stores the signed entry timestamps that wait,
    /// and tries once more to publish heads that wait for witnesses.
    pub(crate) async fn stop(&self) {
        self.stopping.cancel();
        end(&self.sequencer).await;
        self.publishing.cancel();
        end(&self.publisher).await;
    }
}

fn writing(shard: &Shard, parts: &LogParts) -> TreeParts {
    TreeParts {
        store: Arc::clone(&parts.shared.store),
        dating: Arc::clone(&parts.shared.dating),
        metrics: parts.metrics.clone(),
        heads: Arc::clone(&shard.heads),
        reader: Arc::clone(&shard.reader),
        timestamps: Arc::clone(&shard.timestamps),
    }
}

/// Waits for the end of a task.
async fn end(task: &Mutex<Option<JoinHandle<()>>>) {
    let task = task.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(task) = task {
        // A panic was reported when it happened.
        drop(task.await);
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        self.stopping.cancel();
        self.publishing.cancel();
    }
}
