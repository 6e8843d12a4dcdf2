//! Signals. SIGTERM and SIGINT: the first asks for a graceful stop, one that comes later ends the
//! process at once. SIGHUP changes nothing.

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::failure::{Explain, FailureKind, Outcome};
use crate::{log_lines, notify};

/// Shells and service managers read 128 + 2 as "ended by SIGINT".
const ENDED_BY_LATER_SIGNAL: i32 = 130;

/// Signals within this time after the first are the same request to stop: a supervisor that signals
/// the process and its group, or a terminal's Ctrl-C that a wrapper passes on, sends two within
/// milliseconds. Whoever loses patience takes longer.
const SAME_MOMENT: Duration = Duration::from_secs(1);

/// A token that the first signal cancels, and so does the end of the task that waits for it: a
/// program that heard no signal any more could not be stopped. Needs the runtime.
pub(crate) fn on_signal() -> Outcome<CancellationToken> {
    let token = CancellationToken::new();
    tokio::spawn(Signals::listen()?.watch(token.clone().drop_guard()));
    Ok(token)
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn listen() -> Outcome<Self> {
        let listen = |kind| signal(kind).explain(FailureKind::Other, "signals");
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }

    async fn watch(mut self, stop: DropGuard) {
        self.next().await;
        drop(stop);
        tracing::info!(
            "stopping: accepted requests are finished; a signal after {SAME_MOMENT:?} ends at once"
        );
        notify::stopping();
        let same_moment = async {
            loop {
                self.next().await;
            }
        };
        // Ends with the time: the loop does not.
        let _: Result<(), _> = timeout(SAME_MOMENT, same_moment).await;
        self.next().await;
        tracing::warn!("ended by a later signal");
        log_lines::finish();
        std::process::exit(ENDED_BY_LATER_SIGNAL);
    }

    /// Waits for a signal that asks for the end.
    async fn next(&mut self) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hangup.recv() => tracing::info!("SIGHUP changes nothing: settings are read at a start"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_end_of_the_watch_is_a_stop() {
        let token = CancellationToken::new();
        let watch = tokio::spawn(Signals::listen().unwrap().watch(token.clone().drop_guard()));
        assert!(!token.is_cancelled());
        watch.abort();
        token.cancelled().await;
    }
}
