//! The shard that takes entries: its sequencer and its follower at work.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::core::Core;
use crate::sequencer::{Queue, sequencer};

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
    pub(crate) fn start(core: Arc<Core>) -> Self {
        let stopping = CancellationToken::new();
        let (queue, sequencer) = sequencer(Arc::clone(&core), stopping.clone());
        let sequencer = Mutex::new(Some(tokio::spawn(sequencer.run())));
        let poller = tokio::spawn({
            let core = Arc::clone(&core);
            async move { core.poll().await }
        });
        let publishing = CancellationToken::new();
        let publisher = Mutex::new(Some(tokio::spawn(Arc::clone(&core).run_publisher(publishing.clone()))));
        Self { core, queue, stopping, sequencer, poller, publishing, publisher }
    }

    /// A task that panicked answers nobody any more; only a restart helps.
    pub(crate) fn at_work(&self) -> Result<(), String> {
        let sequencer = self.sequencer.lock().unwrap_or_else(PoisonError::into_inner);
        match sequencer.as_ref() {
            None => Err("the log is stopping".to_owned()),
            Some(sequencer) if sequencer.is_finished() => Err("the sequencer ended abnormally".to_owned()),
            Some(_) if self.poller.is_finished() && !self.core.frozen.is_cancelled() => {
                Err("the follower of the database ended abnormally".to_owned())
            }
            Some(_) if self.core.publisher_has_ended() => Err("the publisher ended abnormally".to_owned()),
            Some(_) => Ok(()),
        }
    }

    /// The tree is frozen and the log has moved on: what is queued is turned away to the next tree. The publisher goes on.
    pub(crate) fn retire(&self) {
        self.stopping.cancel();
    }

    /// Stops taking entries, finishes the queue, stores what signed entry timestamps wait, tries once more to publish what waits
    /// for witnesses.
    pub(crate) async fn stop(&self) {
        self.stopping.cancel();
        end(&self.sequencer, "the sequencer ended abnormally").await;
        self.publishing.cancel();
        end(&self.publisher, "the publisher ended abnormally").await;
    }
}

async fn end(task: &Mutex<Option<JoinHandle<()>>>, complaint: &'static str) {
    let task = task.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(task) = task
        && let Err(error) = task.await
    {
        tracing::error!(%error, complaint);
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        self.poller.abort();
        self.stopping.cancel();
        self.publishing.cancel();
    }
}
