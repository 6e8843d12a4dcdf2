//! The tasks that run as long as the log. No other task takes over the work of one that ended, so
//! its end is the end of the server.

use std::future::Future;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The reason why this server cannot continue until it is restarted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fatal {
    /// A log was rotated to a key that this server lacks; the text names the log and the key.
    LacksKey(String),
    /// This task ended although it must not: it panicked, or returned too early. A bug. The text
    /// names the log that the task works for, if there is one.
    TaskEnded(String),
}

/// Starts tasks, and keeps the first reason why the server cannot go on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tasks {
    fatal: watch::Sender<Option<Fatal>>,
}

impl Tasks {
    /// Starts a task. It MUST NOT panic, nor return while `may_end` is false; otherwise the server
    /// cannot go on.
    ///
    /// A task that is aborted, or dropped with the runtime, has not ended in this sense.
    pub(crate) fn spawn<T>(
        &self,
        name: impl Into<String>,
        may_end: impl Fn() -> bool + Send + 'static,
        task: T,
    ) -> JoinHandle<()>
    where
        T: Future<Output = ()> + Send + 'static,
    {
        let (name, tasks) = (name.into(), self.clone());
        tokio::spawn(async move {
            // After the panic only reads and the stop continue, and neither depends on the state
            // that it left half done.
            let ended = AssertUnwindSafe(task).catch_unwind().await;
            if ended.is_err() || !may_end() {
                tracing::error!(
                    task = %name,
                    "a task ended abnormally; this server cannot go on"
                );
                tasks.fail(Fatal::TaskEnded(name));
            }
        })
    }

    /// Notes that this server cannot continue. The first reason counts.
    pub(crate) fn fail(&self, reason: Fatal) {
        self.fatal.send_if_modified(|fatal| {
            let is_first = fatal.is_none();
            fatal.get_or_insert(reason);
            is_first
        });
    }

    /// Returns why the server cannot continue, if so.
    pub(crate) fn fatal(&self) -> Option<Fatal> {
        self.fatal.borrow().clone()
    }

    /// Waits until the server cannot continue.
    pub(crate) async fn wait_fatal(&self) -> Fatal {
        let mut fatal = self.fatal.subscribe();
        match fatal
            .wait_for(Option::is_some)
            .await
            .map(|fatal| fatal.clone())
        {
            Ok(Some(fatal)) => fatal,
            // Not reached: the sender lives as long as this borrow.
            Ok(None) | Err(_) => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[tokio::test]
    async fn a_task_that_panics_is_fatal_even_when_it_might_end() {
        let tasks = Tasks::default();
        tasks.spawn("the sequencer", || true, async { panic!("for this test") });
        assert_eq!(
            tasks.wait_fatal().await,
            Fatal::TaskEnded("the sequencer".into())
        );
        assert_eq!(
            tasks.fatal(),
            Some(Fatal::TaskEnded("the sequencer".into()))
        );
    }

    #[tokio::test]
    async fn a_task_that_returns_too_early_is_fatal() {
        let tasks = Tasks::default();
        tasks.spawn("the follower", || false, async {});
        assert_eq!(
            tasks.wait_fatal().await,
            Fatal::TaskEnded("the follower".into())
        );
        tasks.fail(Fatal::LacksKey("later".into()));
        assert_eq!(
            tasks.fatal(),
            Some(Fatal::TaskEnded("the follower".into())),
            "the first reason counts"
        );
    }

    #[tokio::test]
    async fn a_task_that_may_end_or_is_aborted_is_not() {
        let tasks = Tasks::default();
        let stopping = Arc::new(AtomicBool::new(false));
        let may_end = {
            let stopping = Arc::clone(&stopping);
            move || stopping.load(Ordering::Relaxed)
        };
        tasks
            .spawn("one", may_end, async move {
                stopping.store(true, Ordering::Relaxed)
            })
            .await
            .unwrap();
        let aborted = tasks.spawn("another", || false, pending());
        aborted.abort();
        assert!(aborted.await.unwrap_err().is_cancelled());
        assert_eq!(tasks.fatal(), None);
    }
}
