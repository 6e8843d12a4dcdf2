//! The shard that takes entries: its sequencer and its follower at work.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::heads::Core;
use crate::tasks::Tasks;
use crate::writing::sequencer::{Queue, sequencer};

/// A tree with the tasks that write to it and follow it.
pub(crate) struct Active {
    pub(crate) core: Arc<Core>,
    pub(crate) queue: Queue,
    stopping: CancellationToken,
    sequencer: Mutex<Option<JoinHandle<()>>>,
    poller: JoinHandle<()>,
    /// Ends the publisher once nothing waits; after the sequencer.
    publishing: CancellationToken,
    publisher: Mutex<Option<JoinHandle<()>>>,
}

impl Active {
    /// Starts the tasks.
    pub(crate) fn start(core: Arc<Core>, tasks: &Tasks) -> Self {
        let stopping = CancellationToken::new();
        let (queue, sequencer) = sequencer(Arc::clone(&core), stopping.clone());
        let may_end = {
            let stopping = stopping.clone();
            move || stopping.is_cancelled()
        };
        let sequencer = tasks.spawn("the sequencer", may_end, sequencer.run());
        let may_end = {
            let core = Arc::clone(&core);
            move || core.frozen.is_cancelled()
        };
        let follow = {
            let core = Arc::clone(&core);
            async move { core.poll().await }
        };
        let poller = tasks.spawn("the follower of the database", may_end, follow);
        let publishing = CancellationToken::new();
        let publisher = core.spawn_publisher(tasks, publishing.clone());
        let (sequencer, publisher) = (Mutex::new(Some(sequencer)), Mutex::new(Some(publisher)));
        Self { core, queue, stopping, sequencer, poller, publishing, publisher }
    }

    /// Whether the server stops.
    pub(crate) fn is_stopping(&self) -> bool {
        self.sequencer.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    /// The tree is frozen and the log has moved on: what is queued is turned away to the next tree. The publisher goes on.
    pub(crate) fn retire(&self) {
        self.stopping.cancel();
    }

    /// Stops taking entries, finishes the queue, stores what signed entry timestamps wait, tries once more to publish what waits
    /// for witnesses.
    pub(crate) async fn stop(&self) {
        self.stopping.cancel();
        end(&self.sequencer).await;
        self.publishing.cancel();
        end(&self.publisher).await;
    }
}

async fn end(task: &Mutex<Option<JoinHandle<()>>>) {
    let task = task.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(task) = task {
        // A panic was reported when it happened.
        drop(task.await);
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        self.poller.abort();
        self.stopping.cancel();
        self.publishing.cancel();
    }
}
